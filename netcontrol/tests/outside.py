"""Two wires, the gateway, a machine and a world behind it, all in network namespaces of the test's own.

The decoys in the world stand at the very addresses that students try; no packet leaves these namespaces. Must not know Docker.
"""
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netcontrol.egress import destinations
from netcontrol.engine.errors import run
from netcontrol.engine.gateway import Gateway
from netcontrol.engine.wire import Wires

LISTED = ["198.51.100.0/24:80/tcp", "[2001:db8:1::/48]:80/tcp", "0.0.0.0/0:7/udp", "10.9.0.0/16:80/tcp", "203.0.113.7/icmp", "198.51.100.10:53/udp"]
WORLD = ("198.51.100.10", "203.0.113.7", "203.0.113.8", "169.254.169.254", "100.100.100.200", "168.63.129.16", "10.9.0.5", "10.8.0.5", "192.168.7.7", "2001:db8:1::5", "2001:db8:2::5", "fd00:ec2::254", "fd11::5")
SILENT = "203.0.113.8"  # of these, where nobody listens unless a test does
MACHINE = ("192.0.2.1", "198.51.100.200", "2001:db8:1::200")  # some of its own addresses lie in what is listed

TALK = """
import socket, sys
to, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
sock.settimeout(float(sys.argv[4]))
sock.connect((to, port))
sock.sendall(b"hello")
print(sock.recv(99).decode())
"""
ANSWER = """
import selectors, socket, sys
waits = selectors.DefaultSelector()
for family, any in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in (7, 80, 81):
        sock = socket.create_server((any, port), family=family, backlog=600)
        waits.register(sock, selectors.EVENT_READ, socket.SOCK_STREAM)
for address in sys.argv[1:]:
    for port in (7, 80):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))  # or it would answer from another of its addresses
        waits.register(sock, selectors.EVENT_READ, socket.SOCK_DGRAM)
print("there", flush=True)
kept = []
while True:
    for key, _ in waits.select():
        if key.data == socket.SOCK_DGRAM:
            data, who = key.fileobj.recvfrom(99)
            key.fileobj.sendto(who[0].encode(), who)
        else:
            sock, who = key.fileobj.accept()
            sock.sendall(who[0].encode())
            kept.append(sock)
"""


class Net:
    """Two wires with a host each, the gateway, the machine and the world behind it."""

    def __init__(self, folder: Path):
        self.lab = uuid.uuid4().hex[:4]
        self.machine, self.world = f"pt{self.lab}-machine", f"pt{self.lab}-world"
        self.wires = Wires(self.lab, "10.73.0.0/16")
        self.gateway = Gateway(self.wires, destinations(LISTED, "10.73.0.0/16"), folder / "egress.json", self.machine)
        self.processes: list[subprocess.Popen] = []
        for name in (self.machine, self.world):
            run("ip", "netns", "add", name)
        run("ip", "-n", self.machine, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", self.world)
        for name, link, addresses, other in ((self.machine, "out", ("192.0.2.129/25", "2001:db8::1/64", *MACHINE), "2"), (self.world, "in", ("192.0.2.130/25", "2001:db8::2/64", *WORLD), "1")):
            run("ip", "-n", name, "-batch", "-", stdin="".join(f"addr add {a} dev {link} {'nodad' if ':' in a else ''}\n" for a in addresses) + f"link set lo up\nlink set {link} addrgenmode none up\n")
            run("ip", "-n", name, "-batch", "-", stdin=f"route add default via 192.0.2.1{'30' if other == '2' else '29'}\nroute add default via 2001:db8::{other}\n")
        run(*self.at(self.machine), "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        self.listen(self.machine, MACHINE)
        self.listen(self.world, [address for address in WORLD if address != SILENT])

    def at(self, where: str | int) -> tuple[str, str]:
        return ("nsenter", f"--net={f'/proc/{where}/ns/net' if isinstance(where, int) else f'/run/netns/{where}'}")

    def listen(self, where: str | int, addresses: Iterable[str]) -> None:
        """Answer over TCP on every address, and over UDP on these, with whom one hears as the sender."""
        self.processes.append(child := subprocess.Popen([*self.at(where), "/usr/bin/python3", "-c", ANSWER, *addresses], stdout=subprocess.PIPE))
        assert child.stdout.readline() == b"there\n"

    def host(self, number: int, host: int = 0) -> int:
        self.processes.append(child := subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo there; exec sleep 100"], stdout=subprocess.PIPE))
        assert child.stdout.readline() == b"there\n"
        if not host:
            self.wires.make(number)
            self.gateway.join(number)
        self.wires.plug(number, f"host{host}", child.pid, self.wires.address(number, host))
        self.gateway.lead(number, child.pid, self.wires.address(number, host))
        return child.pid

    def reaches(self, where: int | str, to: str, port: int = 80, kind: str = "tcp", seconds: float = 0.7) -> str:
        """Whom the listener there saw as the sender; nothing when it did not answer."""
        return subprocess.run([*self.at(where), "/usr/bin/python3", "-c", TALK, to, str(port), kind, str(seconds)], capture_output=True, text=True, timeout=10).stdout.strip()

    def heard(self, where: str, such: str, act: Callable[[], object]) -> bool:
        """Whether such a packet came there over any link when `act` was done: the verdict of who was to be reached, not of who tried."""
        code = f"""
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
print("there", flush=True)
while True:
    data, link = sock.recvfrom(2048)
    if link[2] != socket.PACKET_OUTGOING and ({such}): print("heard", flush=True); break
"""
        with subprocess.Popen([*self.at(where), "/usr/bin/python3", "-c", code], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"there\n"
            timer = threading.Timer(8, child.kill)
            timer.start()
            act()
            threading.Timer(0.3, child.kill).start()
            said = child.stdout.read()
            timer.cancel()
        return b"heard" in said

    def close(self) -> None:
        for child in self.processes:
            child.kill()
            child.wait(timeout=5)
        self.gateway.remove()
        for number in self.wires.existing():
            self.wires.remove(number)
        for name in (self.machine, self.world):
            run("ip", "netns", "del", name)


@contextmanager
def outside(folder: Path) -> Iterator[Net]:
    """With its gateway as it should be; gone afterwards."""
    made = Net(folder)
    try:
        made.gateway.settle()
        yield made
    finally:
        made.close()
