"""The way out, on this machine's own kernel, between namespaces that the test makes: see outside.py."""
import os
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from netcontrol.egress import destinations
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.gateway import CONNECTIONS, Gateway
from netcontrol.engine.wire import Wires, namespaces
from netcontrol.tests.outside import MACHINE, TALK, outside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with outside(tmp_path_factory.mktemp("run")) as made:
        yield made


@pytest.fixture(scope="module")
def alice(net):
    return net.host(1)


@pytest.fixture(scope="module")
def bob(net):
    return net.host(2)


def test_what_is_listed_is_reached_and_sees_only_the_machine(net, alice):
    assert net.reaches(alice, "198.51.100.10") == "192.0.2.129"
    assert net.reaches(alice, "2001:db8:1::5", seconds=5) in ("2001:db8::1", "2001:db8:1::200")
    assert net.reaches(alice, "198.51.100.10", 7, "udp") == "192.0.2.129"
    assert net.reaches(alice, "10.9.0.5") == "192.0.2.129", "a private network that the operator lists by name"
    assert subprocess.run([*net.at(alice), "ping", "-c1", "-W2", "203.0.113.7"], capture_output=True, timeout=10).returncode == 0


@pytest.mark.parametrize(
    ("to", "port", "kind"),
    [
        ("198.51.100.10", 81, "tcp"),
        ("198.51.100.10", 80, "udp"),
        ("203.0.113.7", 80, "tcp"),
        ("2001:db8:1::5", 81, "tcp"),
        ("2001:db8:2::5", 80, "tcp"),
        ("10.8.0.5", 80, "tcp"),
        ("fd11::5", 80, "tcp"),
        # within 0.0.0.0/0:7/udp, and never or not without being named
        ("169.254.169.254", 7, "udp"),
        ("100.100.100.200", 7, "udp"),
        ("168.63.129.16", 7, "udp"),
        ("10.8.0.5", 7, "udp"),
        ("192.168.7.7", 7, "udp"),
        ("fd00:ec2::254", 80, "tcp"),
    ],
)
def test_what_is_not_listed_is_not(net, alice, to, port, kind):
    assert net.reaches(net.machine, to, port, kind, 5), "the decoy answers who may ask it"
    assert net.reaches(alice, to, port, kind) == ""


def test_it_is_refused_at_once(net, alice):
    done = subprocess.run([*net.at(alice), "/usr/bin/python3", "-c", TALK, "203.0.113.7", "80", "tcp", "5"], capture_output=True, text=True, timeout=10)
    assert "No route to host" in done.stderr or "Permission" in done.stderr or "prohibited" in done.stderr, done.stderr


@pytest.mark.parametrize("to", [*MACHINE, "192.0.2.129", "10.73.255.241", "10.73.255.242", "10.73.0.17"])
def test_neither_the_machine_nor_the_gateway_is(net, alice, to):
    for port, kind in ((80, "tcp"), (7, "udp")):
        assert net.reaches(alice, to, port, kind) == ""
    assert subprocess.run([*net.at(alice), "ping", "-c1", "-W0.5", to], capture_output=True, timeout=10).returncode != 0


def test_the_machine_is_closed_for_the_gateway_itself(net):
    """Even from within the gateway, where no student is: the second door holds alone."""
    for to in ("198.51.100.200", "2001:db8:1::200"):
        assert net.reaches(net.machine, to, seconds=5)
        assert net.reaches(net.gateway.name, to) == ""


def test_one_wire_does_not_reach_the_other(net, alice, bob):
    net.listen(bob, [net.wires.address(2, 0), net.wires.address6(2, 0)])
    for to in (net.wires.address(2, 0), net.wires.address6(2, 0)):
        assert net.reaches(bob, to, seconds=5), "it listens"
        assert not net.heard(f"{net.wires.prefix}2", "6 in (data[9], data[6])", lambda to=to: net.reaches(alice, to))
        for kind, port in (("tcp", 80), ("udp", 7)):
            assert net.reaches(alice, to, port, kind) == ""


@pytest.mark.parametrize("sender", ["10.73.0.34", "10.73.0.17", "10.73.255.242", "192.0.2.1", "198.51.100.10", "127.0.0.1", "0.0.0.1"])
def test_no_other_sender_gets_through(net, alice, sender):
    """As root, a student can write any sender into a packet. What counts is whether the world, or the gateway's way out, saw it."""

    def send(sender):
        forged = f"""
import socket, struct
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + 6, 1, 0, 64, 17, 0, socket.inet_aton("{sender}"), socket.inet_aton("198.51.100.10"))
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
raw.sendto(head[:10] + struct.pack("!H", 0xffff - sum(struct.unpack("!10H", head)) % 0xffff) + head[12:] + struct.pack("!HHHH", 4000, 7, 8 + 6, 0) + b"forged", ("eth0", 0x0800, 0, 0, bytes.fromhex("02420a490011")))
"""
        run(*net.at(alice), "/usr/bin/python3", "-c", forged)

    assert net.heard(net.world, "b'forged' in data", lambda: send("10.73.0.18")), "the control: its own sender does"
    assert not net.heard(net.world, "b'forged' in data", lambda: send(sender))


def test_no_other_sender_over_ipv6(net, alice):
    def send(sender):
        forged = f"""
import socket, struct
link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
six = lambda text: socket.inet_pton(socket.AF_INET6, text)
ends = six("{sender}") + six("2001:db8:1::5")
tcp = struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 0x50, 2, 999, 0, 0) + b"forged"
total = sum(struct.unpack("!%dH" % ((len(ends) + len(tcp)) // 2), ends + tcp)) + len(tcp) + 6
tcp = tcp[:16] + struct.pack("!H", 0xffff - total % 0xffff) + tcp[18:]
link.sendto(struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp, ("eth0", 0x86dd, 0, 0, bytes.fromhex("02420a490011")))
"""
        run(*net.at(alice), "/usr/bin/python3", "-c", forged)

    assert net.heard(net.world, "b'forged' in data", lambda: send(net.wires.address6(1, 0))), "the control: its own sender does"
    for sender in (net.wires.address6(2, 0), net.wires.address6(1, -1), "2001:db8:1::5", "fe80::1"):
        assert not net.heard(net.world, "b'forged' in data", lambda sender=sender: send(sender))


def test_a_wire_has_its_share_of_connections_and_no_more(net, alice, bob):
    code = f"""
import socket
kept = []
for _ in range({CONNECTIONS + 40}):
    sock = socket.socket(); sock.settimeout(0.05)
    try: sock.connect(("198.51.100.10", 80)); kept.append(sock)
    except OSError: pass
    if len(kept) % 40 == 39: __import__("time").sleep(0.5)
print(len(kept))
import sys; sys.stdout.flush(); sys.stdin.read()
"""
    with subprocess.Popen([*net.at(alice), "/usr/bin/python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        open = int(child.stdout.readline())
        assert CONNECTIONS // 2 < open <= CONNECTIONS
        assert net.reaches(bob, "198.51.100.10"), "another wire has its own"
        child.stdin.close()


def test_the_next_sandbox_on_a_wire_hears_nothing_of_the_one_before(net):
    """It has the same address, and the world goes on talking to a connection that the first one began."""
    talk = "import socket, sys; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(('203.0.113.8', 7)); print('there', flush=True); data, who = sock.recvfrom(9)\nfor line in sys.stdin: sock.sendto(b'secret', who); print('sent', flush=True)"
    begin = "import socket; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(('', 5000)); sock.sendto(b'hello', ('203.0.113.8', 7))"
    with subprocess.Popen([*net.at(net.world), "/usr/bin/python3", "-c", talk], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "there\n"

        def say():
            child.stdin.write("say\n")
            child.stdin.flush()
            assert child.stdout.readline() == "sent\n"

        first = net.host(3)
        run(*net.at(first), "/usr/bin/python3", "-c", begin)
        assert net.heard(first, "b'secret' in data", say), "the control: whoever began it hears it"
        net.wires.remove(3)
        second = net.host(3)
        assert not net.heard(second, "b'secret' in data", say)
        run(*net.at(second), "/usr/bin/python3", "-c", begin)
        assert not net.heard(second, "b'secret' in data", say), "nor when it says the same"
        assert net.reaches(second, "198.51.100.10"), "its own connections are not hindered"
        child.stdin.close()


def test_nobody_from_outside_comes_in(net, alice, bob):
    """Not even a machine next door that knows the addresses."""
    run("ip", "-n", net.world, "route", "replace", "10.73.0.0/16", "via", "192.0.2.129")
    for to in (net.wires.address(2, 0), "10.73.255.242"):
        from_there = f"data[12:20] == socket.inet_aton('192.0.2.130') + socket.inet_aton('{to}')"  # answers of what hosts here began may still be on their way
        assert net.heard(net.machine, from_there, lambda to=to: net.reaches(net.world, to)), "it is sent"
        assert not net.heard(net.gateway.name, from_there, lambda to=to: net.reaches(net.world, to))


def test_the_machine_is_a_router_for_nobody_else(net):
    """Its forwarding was off: what comes from a neighbour for somebody else is dropped as before."""
    run("ip", "-n", net.machine, "link", "add", "other", "type", "veth", "peer", "name", "other2", "netns", net.world)
    run("ip", "-n", net.machine, "-batch", "-", stdin="addr add 192.0.2.33/30 dev other\nlink set other up\n")
    run("ip", "-n", net.world, "-batch", "-", stdin="link set other2 up\nroute replace 192.0.2.34/32 via 192.0.2.129\n")
    run("ip", "-n", net.machine, "neigh", "replace", "192.0.2.34", "lladdr", "02:00:00:00:00:01", "dev", "other", "nud", "permanent")
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'through', ('192.0.2.34', 9))"
    act = lambda: run(*net.at(net.world), "/usr/bin/python3", "-c", code)  # noqa: E731
    assert net.heard(net.machine, "b'through' in data", act), "it is sent"
    heard = "link[0] == 'other2' and b'through' in data"
    assert not net.heard(net.world, heard, act)
    run(*net.at(net.machine), "nft", "flush", "chain", "inet", net.gateway.table, "forward")
    try:
        assert net.heard(net.world, heard, act), "the control: without our rule it would"
    finally:
        assert net.gateway.settle()
    assert not net.heard(net.world, heard, act)


def test_settling_twice_changes_nothing_and_mends_what_was_changed(net, alice):
    assert not net.gateway.settle() and net.gateway.faults() == []
    run(*net.at(net.machine), "nft", "flush", "ruleset")
    run(*net.at(net.machine), "sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/out/forwarding")
    assert len(net.gateway.faults()) == 1 and net.reaches(alice, "198.51.100.10") == ""
    assert net.gateway.settle() and net.gateway.faults() == []
    assert net.reaches(alice, "198.51.100.10")
    run("ip", "netns", "del", net.gateway.name)
    assert len(net.gateway.faults()) == 1
    assert net.gateway.settle() and net.gateway.faults() == [] and not net.gateway.settle()
    assert net.reaches(alice, "198.51.100.10"), "wires that were there are joined again"


def test_a_shorter_list_holds_for_connections_that_are_open(net, alice):
    code = "import socket, sys; sock = socket.create_connection(('198.51.100.10', 80), 5); print(sock.recv(9), flush=True); sys.stdin.readline(); sock.settimeout(1); sock.sendall(b'x'); print(sock.recv(9))"
    with subprocess.Popen([*net.at(alice), "/usr/bin/python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout.readline()
        shorter = replace(net.gateway, allowed=destinations(["203.0.113.7"], "10.73.0.0/16"))
        try:
            assert shorter.settle()
            assert not net.heard(net.world, "b'x' in data[-2:]", lambda: child.stdin.write("\n") and child.stdin.flush())
        finally:
            net.gateway.settle()


def test_without_a_list_there_is_nothing(net, tmp_path):
    """And taking it away takes everything: namespace, cable, table, forwarding."""
    other = Gateway(Wires(uuid.uuid4().hex[:4], "10.74.0.0/16"), destinations(["198.51.100.10"], "10.74.0.0/16"), tmp_path / "egress.json", net.world)

    def links():  # by name and address: whether one is up may take its time
        return [line.split()[:3:2] for line in run("ip", "-n", net.world, "-br", "link").splitlines()]

    before = links()
    closed = replace(other, allowed=[])
    assert not closed.settle() and closed.environment() == {}
    other.settle()
    forwarding = (*net.at(net.world), "cat", "/proc/sys/net/ipv4/conf/in/forwarding")
    assert other.port in run("ip", "-n", net.world, "-br", "link") and run(*forwarding) == "1\n"
    assert closed.faults()
    assert closed.settle() and not closed.settle() and closed.faults() == []
    assert other.name not in namespaces() and not list(tmp_path.glob("*.json"))
    assert links() == before and run(*forwarding) == "0\n"
    assert "patchbay" not in run(*net.at(net.world), "nft", "list", "tables")


def test_two_labs_need_wires_of_their_own(net, tmp_path):
    other = Gateway(Wires(uuid.uuid4().hex[:4], "10.73.0.0/16"), net.gateway.allowed, tmp_path / "egress.json", net.machine)
    with pytest.raises(EngineError, match="another interface's") as caught:
        other.settle()
    assert "PATCHBAY_WIRES" in caught.value.what_to_do
    assert other.name not in namespaces() and net.gateway.faults() == []


def test_name_servers_are_what_is_listed_with_port_53():
    wires = Wires("abcd", "10.73.0.0/16")
    gateway = Gateway(wires, destinations(["198.51.100.1:53", "198.51.100.2:53/udp", "198.51.100.3:53/tcp", "198.51.100.0/24:53", "[2001:db8::1]:53"], "10.73.0.0/16"), Path("/nowhere"))
    assert gateway.environment() == {"PATCHBAY_NAME_SERVERS": "198.51.100.1 198.51.100.2 2001:db8::1"}
