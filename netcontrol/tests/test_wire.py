"""Wires, on this machine's own kernel. Traffic stays in the namespaces that the test makes."""
import os
import subprocess
import uuid

import pytest

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
    assert wires.count == 4096
    assert wires.address(0, 0) == "10.73.0.2"
    assert wires.address(17, 1) == "10.73.1.19"
    assert wires.address(4095, 0) == "10.73.255.242"


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


def test_the_bridge_has_no_address_of_its_own(wires):
    wires.make(4)
    assert "inet" not in run("ip", "-n", wires.name(4), "addr", "show", "wire")


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
