"""Wires, on this machine's own kernel. Traffic stays in the namespaces that the test makes."""
import os
import subprocess
import uuid

import pytest

from netcontrol.engine import machine
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.wire import Wires

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.fixture
def wires():
    made = Wires(uuid.uuid4().hex[:4], "10.73.0.0/16")
    yield made
    for number in made.existing():
        made.remove(number)


@pytest.fixture
def process():
    """A process in a network namespace of its own, as a container's first process is."""
    started = []

    def start() -> int:
        child = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo there; exec sleep 60"], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"there\n"
        started.append(child)
        return child.pid

    yield start
    for child in started:
        child.kill()
        child.wait(timeout=5)


def inside(pid: int, *argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *argv], capture_output=True, text=True, timeout=10)


def test_addresses_are_cut_from_the_pool(wires):
    assert wires.count == 4095, "the last is the gateway's cable to the machine"
    assert wires.address(0, 0) == "10.73.0.2"
    assert wires.address(17, 1) == "10.73.1.19"
    assert wires.address(4095, 0) == "10.73.255.242"
    assert wires.address6(17, 1).endswith("::113")


def test_two_hosts_on_a_wire_reach_each_other(wires, process):
    wires.make(5)
    one, two = process(), process()
    wires.plug(5, "lab", one, wires.address(5, 0))
    wires.plug(5, "client", two, wires.address(5, 1))
    assert inside(one, "ping", "-c1", "-W2", wires.address(5, 1)).returncode == 0
    assert "eth0@if102 " in inside(one, "ip", "-br", "addr").stdout


def test_two_wires_do_not(wires, process):
    """A decoy stands at the very address that is tried, on another wire: it must not hear, over IPv4 or IPv6."""
    wires.make(1)
    wires.make(2)
    one, decoy = process(), process()
    wires.plug(1, "lab", one, wires.address(1, 0))
    wires.plug(2, "lab", decoy, wires.address(1, 1))
    assert inside(one, "ping", "-c1", "-W1", wires.address(1, 1)).returncode != 0
    link_local = inside(decoy, "ip", "-6", "-j", "addr", "show", "eth0").stdout.split('"local":"')[1].split('"')[0]
    assert inside(one, "ping", "-6", "-c1", "-W1", f"{link_local}%eth0").returncode != 0


def test_the_machine_has_no_interface_on_a_wire(wires, process):
    before = run("ip", "-br", "link")
    wires.make(3)
    wires.plug(3, "lab", process(), wires.address(3, 0))
    assert run("ip", "-br", "link") == before


def test_the_wire_has_no_address_of_its_own(wires, process):
    """Neither the bridge nor its ports: a student could reach whatever has one, over IPv6 as well."""
    wires.make(4)
    wires.plug(4, "lab", process(), wires.address(4, 0))
    assert "inet" not in run("ip", "-n", wires.name(4), "addr")


FRAMES = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0))
for n in range(int(sys.argv[1])):
    link.send(b"\\xff" * 6 + b"\\x02\\0" + n.to_bytes(4, "big") + b"\\x88\\xb5" + bytes(46))
"""
GROUPS = """
import socket, sys
kept = []
for n in range(1, 61):
    kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    kept[-1].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(f"239.1.1.{n}") + socket.inet_aton(sys.argv[1]))
"""


def test_the_wire_remembers_no_senders(wires, process):
    """Each address that a bridge learns is kernel memory that nobody is charged for, for five minutes."""
    wires.make(6)
    one = process()
    wires.plug(6, "lab", one, wires.address(6, 0))

    def known() -> int:
        return len(run("bridge", "-n", wires.name(6), "fdb", "show", "br", "wire").splitlines())

    before = known()
    assert inside(one, "python3", "-c", FRAMES, "5000").returncode == 0
    assert known() == before
    run("ip", "-n", wires.name(6), "link", "set", "lab", "type", "bridge_slave", "learning", "on")
    inside(one, "python3", "-c", FRAMES, "100")
    assert known() >= before + 100, "the control: a bridge that learns does remember"


def test_the_wire_remembers_no_groups(wires, process):
    wires.make(8)
    one = process()
    wires.plug(8, "lab", one, wires.address(8, 0))
    assert inside(one, "python3", "-c", GROUPS, wires.address(8, 0)).returncode == 0
    assert run("bridge", "-n", wires.name(8), "mdb", "show") == ""


def test_hosts_with_other_hardware_addresses_are_reached(wires, process):
    """A macvlan has an address that the wire was not told of."""
    wires.make(8)
    one, two = process(), process()
    wires.plug(8, "lab", one, wires.address(8, 0))
    wires.plug(8, "client", two, wires.address(8, 1))
    assert inside(two, "ip", "link", "add", "mac0", "link", "eth0", "type", "macvlan").returncode == 0
    inside(two, "ip", "addr", "add", "10.73.0.140/28", "dev", "mac0")
    inside(two, "ip", "link", "set", "mac0", "up")
    assert inside(one, "ping", "-c1", "-W2", "10.73.0.140").returncode == 0


def test_who_asks_for_many_neighbours_takes_them_from_nobody(wires, process):
    """The table of neighbours is one for all namespaces. 3,000 are more than a kernel holds by itself."""
    machine.raise_limits()
    for number in (10, 11):
        wires.make(number)
    one, two, three = process(), process(), process()
    wires.plug(10, "lab", one, wires.address(10, 0))
    wires.plug(11, "lab", two, wires.address(11, 0))
    wires.plug(11, "client", three, wires.address(11, 1))
    inside(one, "ip", "addr", "add", "10.99.0.1/16", "dev", "eth0")
    sweep = "import socket\nfor n in range(2, 3002): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', (f'10.99.{n // 256}.{n % 256}', 9))"
    assert inside(one, "python3", "-c", sweep).returncode == 0
    assert inside(two, "ping", "-c1", "-W2", wires.address(11, 1)).returncode == 0
    assert len(inside(one, "ip", "neigh", "show").stdout.splitlines()) > 2000, "they are all there meanwhile"


def test_remove_takes_everything_and_can_be_repeated(wires):
    wires.make(9)
    assert wires.existing() == {9}
    wires.remove(9)
    wires.remove(9)
    assert wires.existing() == set()


def test_a_wire_that_is_there_already_is_an_error(wires):
    wires.make(7)
    with pytest.raises(EngineError, match="failed"):
        wires.make(7)
    assert wires.existing() == {7}
