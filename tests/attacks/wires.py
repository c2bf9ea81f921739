"""Reach another student, the machine, Redis or the engine over a network.

Every address that is tried belongs to a namespace that the lab made. Must not know pages.
"""
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings

from netcontrol.engine import this_engine
from netcontrol.models import Sandbox

from . import machine
from .catalogue import control, inside

WIRE = "netcontrol/engine/wire.py:Wires"
SECCOMP = "netcontrol/engine/seccomp.json:socket"
HOST = "netcontrol/engine/host.py"


@pytest.fixture(scope="module")
def listening(bob):
    """Bob listens with all that he has, IPv6 turned on by himself, and counts what comes to his eth0. Gives his link-local address."""
    bob.tries("""
sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0
systemd-run -q --unit=ear4 nc -lk 7777; systemd-run -q --unit=ear6 nc -6 -lk 7776
nft add table inet ear; nft 'add chain inet ear in { type filter hook prerouting priority -300; }'; nft add rule inet ear in iif eth0 counter
for n in $(seq 50); do ip -6 -br addr show dev eth0 -tentative | grep -q fe80 && break; sleep 0.1; done""")
    (address,) = re.findall(r"fe80::[0-9a-f:]+", bob.tries("ip -6 -br addr show dev eth0").out)
    yield address
    bob.tries("nft delete table inet ear; systemctl stop ear4 ear6; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")


def heard(student) -> int:
    """Frames that came to the other end of this student's cable and from there to them, as the kernel of the machine counts them."""
    line = subprocess.run(["nsenter", f"--net=/proc/{student.pid}/ns/net", "cat", "/proc/net/dev"], capture_output=True, text=True, timeout=10, check=True).stdout
    return int(re.search(r"eth0:\s*\d+\s+(\d+)", line)[1])


def wire_of(student) -> int:
    return Sandbox.objects.get(pk=student.guest.sandbox).wire


@control("a door on her own host: the same commands reach it; a frame that is put on bob's wire is heard")
def a_listener_can_be_reached(alice, bob, listening):
    assert bob.tries(f"nc -zw2 {bob.address} 7777 && nc -6zw2 {listening}%eth0 7776").code == 0
    before = heard(bob)
    name = this_engine().wires.name(wire_of(bob))
    subprocess.run(["ip", "netns", "exec", name, "python3", "-c", "import socket; s = socket.socket(17, 3); s.bind(('wire', 0)); s.send(b'\\xff' * 6 + b'\\2' * 6 + b'\\x88\\xb5' + bytes(60))"], timeout=10, check=True)
    assert heard(bob) > before


@inside("connects to a classmate's addresses, IPv4 and IPv6, with routes of her own", holds="a wire is a bridge alone in a namespace: there is no link to another one", at=WIRE, seen="bob's eth0, which hears nothing; his listeners")
def connects_to_a_classmate(alice, bob, listening):
    before = heard(bob)
    alice.tries("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0")
    tried = alice.tries(f"""
ip route replace {bob.address}/32 dev eth0; ip neigh replace {bob.address} lladdr ff:ff:ff:ff:ff:ff dev eth0
nc -zw1 {bob.address} 7777 && echo REACHED
nc -6zw1 {listening}%eth0 7776 && echo REACHED
ping -c2 -i0.2 -W1 {bob.address} && echo REACHED
ip route del {bob.address}/32""")
    assert "REACHED" not in tried.words
    assert heard(bob) == before


@inside("sends frames of her own making: broadcasts, other senders, ARP for a classmate's address, VLANs, spanning tree", holds="a wire is a bridge alone in a namespace: there is no link to another one", at=WIRE, seen="bob's eth0, which hears none of 3,000 frames; her own bridge, which learns none of their senders")
def sends_frames(alice, bob):
    before = heard(bob)
    alice.python(f"""
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
bob = socket.inet_aton('{bob.address}')
for kind in (b'\\x08\\x06\\0\\1\\x08\\0\\6\\4\\0\\1' + os.urandom(6) + bob + bytes(6) + bob, b'\\x81\\0\\0\\1\\x08\\0' + bytes(50), b'\\0\\x26\\x42\\x42\\3' + bytes(40)):
    for n in range(1000): s.send((b'\\xff' * 6 if n % 2 else b'\\1\\x80\\xc2\\0\\0\\0') + os.urandom(6) + kind)
""")
    assert heard(bob) == before
    known = subprocess.run(["bridge", "-n", this_engine().wires.name(wire_of(alice)), "fdb", "show"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert len(known.splitlines()) < 100, "the bridge learned her senders: memory that is charged to nobody"
    assert bob.answers()


@inside("listens to all that passes on her wire", holds="a wire carries the hosts of one sandbox", at=WIRE, seen="bob, whose words in clear do not come")
def listens_to_others(alice, bob):
    word = f"secret-{time.time_ns()}"
    alice.tries("rm -f /tmp/heard; systemd-run -q --unit=ear tcpdump -i any -w /tmp/heard -U; for n in $(seq 50); do [ -s /tmp/heard ] && break; sleep 0.1; done")
    try:
        for student in (bob, alice):  # alice's own is heard: the ear works
            student.tries(f"echo {word}-{student.address} > /dev/udp/{student.address}/7000; echo {word}-{student.address} > /dev/udp/$(ip -4 -o addr show dev eth0 | sed 's/.*brd \\([0-9.]*\\).*/\\1/')/7000")
        capture = machine.root(alice) / "tmp" / "heard"
        end = time.monotonic() + 5
        while f"{word}-{alice.address}".encode() not in capture.read_bytes():
            assert time.monotonic() < end, "the ear is deaf"
            time.sleep(0.05)
        assert f"{word}-{bob.address}".encode() not in capture.read_bytes()
    finally:
        alice.tries("systemctl stop ear; rm -f /tmp/heard")


@inside("asks who else is on the wire: all-nodes, broadcast, ARP for each address of it", holds="the machine has no interface on a wire", at=WIRE, seen="the wire's bridge, which has the ports of her own hosts only")
def looks_for_the_machine(alice):
    alice.tries("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0; ping -6 -c2 -i0.2 -W1 ff02::1%eth0; b=$(ip -4 -o addr show dev eth0 | sed 's/.*brd \\([0-9.]*\\).*/\\1/'); ping -b -c2 -i0.2 -W1 $b; n=${b%.*}; l=${b##*.}; for i in $(seq $((l - 15)) $l); do timeout 0.2 ping -c1 -W1 $n.$i & done; wait")
    assert not re.search(r"REACHABLE|STALE|DELAY", alice.tries("ip -4 neigh show dev eth0").out)
    links = subprocess.run(["ip", "-n", this_engine().wires.name(wire_of(alice)), "-o", "link"], capture_output=True, text=True, timeout=10, check=True).stdout
    names = {re.match(r"\d+: ([^@:]+)", line)[1] for line in links.splitlines()} - {"lo", "wire"}
    assert names == {host.name for host in Sandbox.objects.get(pk=alice.guest.sandbox).hosts.all()}


@inside("goes out by a default route of her own", holds="behind eth0 there is a bridge and no router", at=WIRE, seen="the machine: no interface of its own has another end in a wire or in a host")
def goes_out(alice):
    alice.tries("ip route replace default dev eth0; echo x > /dev/udp/198.51.100.7/53; ip route del default")
    links = subprocess.run(["ip", "-d", "-o", "link"], capture_output=True, text=True, timeout=10, check=True).stdout
    netns = subprocess.run(["ip", "netns", "list-id"], capture_output=True, text=True, timeout=10, check=True).stdout
    ours = {match[1] for match in re.finditer(r"nsid (\d+) \(iproute2 netns name: (pb[^)]*)\)", netns) if this_engine().wires.prefix in match[2]}
    assert not {match[1] for match in re.finditer(r"link-netnsid (\d+)", links)} & ours
    assert set(this_engine().api.inspect_container(alice.container)["NetworkSettings"]["Networks"]) == {"none"}


@inside("moves her interfaces into the machine's network, or takes the machine's", holds="a namespace is named by a process or file that she can see; both ends ask for rights over it", at=f"{HOST}:network_mode", seen="the machine's interfaces, before and after")
def moves_interfaces(alice, bob):
    list_links = ["ip", "-br", "link"]
    before = subprocess.run(list_links, capture_output=True, text=True, timeout=10, check=True).stdout
    alice.tries(f"""
ip link add evil0 type dummy; ip link add evil1 type veth peer name evil2
for pid in 1 0 {bob.pid} {this_engine().api.inspect_container(alice.container)["State"]["Pid"]}; do ip link set evil0 netns $pid; done
for id in $(seq 0 20); do ip link set evil1 netnsid $id 2>/dev/null; ip link add link-netnsid $id evil3 type veth peer name evil4; done
ip link set evil1 address 02:00:00:00:00:01 netns 1
ip link del evil0; ip link del evil1""")
    after = subprocess.run(list_links, capture_output=True, text=True, timeout=10, check=True).stdout
    assert {line.split()[0] for line in after.splitlines() if "evil" in line} == set()
    assert {line.split()[0] for line in before.splitlines()} - {line.split()[0] for line in after.splitlines()} == set()
    assert "evil" not in bob.tries("ip -br link").out


@inside("speaks vsock, which no namespace holds, to the machine and to classmates", holds="seccomp: sockets of five families only", at=SECCOMP, seen="bob and the machine, whose listeners hear nothing; alice gets no such socket")
def speaks_vsock(alice):
    try:
        decoy = socket.socket(socket.AF_VSOCK)
    except OSError:
        decoy = None  # this kernel has none: the family must be refused all the same
    port = 0
    if decoy:
        decoy.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        decoy.listen(4)
        decoy.settimeout(0.3)
        port = decoy.getsockname()[1]
    tried = alice.python(f"""
try:
    s = socket.socket(socket.AF_VSOCK); s.settimeout(1)
    s.connect((1, {port})); print('CONNECTED')
except OSError as no: print(no.errno)
""")
    assert tried.words == ["97"], tried
    if decoy:
        with pytest.raises(TimeoutError):
            decoy.accept()
        decoy.close()


@inside("makes sockets of families that would load modules of the kernel", holds="seccomp: sockets of five families only", at=SECCOMP, seen="the machine: the host's processes hold no such socket, /proc/modules stays")
def makes_odd_sockets(alice):
    modules = Path("/proc/modules")
    before = modules.read_text() if modules.exists() else ""
    tried = alice.python("""
made = set()
for family in [*range(64), (1 << 32) + 40]:
    for kind in (1, 2, 3, 5):
        for flags in (0, 0o2000000):
            got = call(41, family, kind | flags, 0)
            if got >= 0: made.add(family); os.close(got)
print(sorted(made))
""")
    assert tried.out.strip() == "[1, 2, 10, 16, 17]", tried
    assert (modules.read_text() if modules.exists() else "") == before


@inside("connects to Redis, the supervisor and the engine by their sockets, abstract names and local ports", holds="they listen on unix sockets that no host's root folder holds", at="labsite/settings.py:RUN", seen="decoys of ours beside them: one in the same folder, one with an abstract name, one on the machine's loopback")
def connects_to_the_lab(alice):
    with machine.Decoy(settings.RUN / "decoy.sock") as decoy, socket.socket(socket.AF_UNIX) as abstract, socket.socket() as port:
        abstract.bind(f"\0patchbay-decoy-{settings.LAB_ID}")
        abstract.listen(4)
        abstract.settimeout(0.2)
        port.bind(("127.0.0.1", 0))
        port.listen(4)
        port.settimeout(0.2)
        tried = alice.python(f"""
for name in ({str(decoy.path)!r}, '/proc/1/root{decoy.path}', '{settings.ENGINE_SOCKET}', '\\0patchbay-decoy-{settings.LAB_ID}'):
    try: socket.socket(socket.AF_UNIX).connect(name); print('CONNECTED', name)
    except OSError as no: print(no.errno)
for address in ('127.0.0.1', '::1'):
    try: socket.create_connection((address, {port.getsockname()[1]}), 1); print('CONNECTED', address)
    except OSError as no: print(no.errno)
""")
        assert "CONNECTED" not in tried.out and len(tried.words) == 6, tried
        assert decoy.visitors() == 0
        for listener in (abstract, port):
            with pytest.raises(TimeoutError):
                listener.accept()


@inside("opens her docker's API to everybody (port 2375)", holds="the port is on her own namespace and wire", at=WIRE, seen="bob, who cannot connect; his eth0")
def opens_2375(alice, bob):
    alice.tries("systemd-run -q --unit=open2375 python3 -m http.server 2375; for n in $(seq 50); do nc -zw1 127.0.0.1 2375 && break; sleep 0.1; done")
    try:
        assert alice.tries(f"nc -zw1 {alice.address} 2375").code == 0
        assert bob.tries(f"ip route replace {alice.address}/32 dev eth0; nc -zw1 {alice.address} 2375 && echo REACHED; ip route del {alice.address}/32").words.count("REACHED") == 0
    finally:
        alice.tries("systemctl stop open2375")
