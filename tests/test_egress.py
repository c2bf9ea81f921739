"""Real hosts that are let out: what is listed is reached, and nothing else. And by default there is no link at all.

The shared lab lets nobody out, so these hosts are booted beside it, on its engine, on wires of their own. The machine and the world that
they are let out to are namespaces of the test: see netcontrol/tests/outside.py, whose units try far more addresses.
"""
import asyncio
import shutil
import subprocess
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from django.conf import settings

from netcontrol.dial import execute
from netcontrol.engine import this_engine, this_gateway
from netcontrol.engine.host import Engine, dock_name
from netcontrol.engine.wire import GATEWAY, namespaces
from netcontrol.tests.outside import outside

from .driving import run


@dataclass(frozen=True)
class LetOut:
    """One host; its student is root."""

    dock: Path
    address: str

    def does(self, script: str, seconds: float = 20) -> tuple[int | None, str]:
        done = asyncio.run(execute(self.dock, seconds, script=script))
        return done["exit_code"], (done["out"] + done["err"]).decode()

    def reaches(self, to: str, port: int, udp: bool = False) -> bool:
        """A decoy says who it hears; nothing else does."""
        return bool(self.does(f"timeout 2 bash -c 'exec 3<>/dev/{'udp' if udp else 'tcp'}/{to}/{port} && echo hello >&3 && head -c1 <&3' 2>/dev/null")[1])


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with outside(tmp_path_factory.mktemp("run")) as made:
        yield made


@pytest.fixture(scope="module")
def pair(lab, net):
    """Alice and bob, each on a wire."""
    engine: Engine = replace(this_engine(), lab_id=net.lab, wires=net.wires, gateway=net.gateway, disks=None, docks=settings.RUN / f"docks-{net.lab}")
    booted, both = {}, []
    try:
        for wire in (1, 2):
            sandbox, address = uuid.uuid4(), net.wires.address(wire, 0)
            booted[sandbox] = wire
            engine.boot(sandbox, wire, {"lab": address}, lambda *_: None)
            both.append(LetOut(engine.docks / dock_name(sandbox, "lab"), address))
        yield both
    finally:
        for sandbox, wire in booted.items():
            engine.remove(sandbox, wire)
        shutil.rmtree(engine.docks, ignore_errors=True)


def test_what_is_listed_is_reached(net, pair):
    alice, _ = pair
    assert alice.reaches("198.51.100.10", 80)
    assert alice.reaches("198.51.100.10", 7, udp=True)
    assert alice.reaches("2001:db8:1::5", 80)
    assert "nameserver 198.51.100.10\n" in alice.does("cat /etc/resolv.conf")[1]


def test_from_their_containers_too(pair):
    alice, _ = pair
    assert alice.does("docker run --rm busybox sh -c 'sleep 2 | timeout 2 nc 198.51.100.10 80' | grep .")[0] == 0
    assert alice.does("docker run --rm busybox sh -c 'sleep 2 | timeout 2 nc 198.51.100.10 81' | grep .")[0] != 0


@pytest.mark.parametrize("to", ["169.254.169.254", "10.8.0.5", "192.168.7.7", "203.0.113.7", "198.51.100.200", "192.0.2.129", "2001:db8:2::5", "fd00:ec2::254", "2001:db8:1::200"])
def test_what_is_not_listed_is_not(net, pair, to):
    assert net.reaches(net.machine, to), "the decoy listens"
    assert not pair[0].reaches(to, 80)


def test_one_sandbox_does_not_reach_the_other(net, pair):
    alice, bob = pair
    for to in (bob.address, net.wires.address6(2, 0)):
        bob.does(f"systemd-run -q --unit listen{'6' if ':' in to else '4'} nc -lk {'-6' if ':' in to else '-4'} 7777")
        assert bob.does(f"for n in $(seq 50); do nc -zw1 {to} 7777 && exit; sleep 0.1; done; exit 1")[0] == 0, "it listens"
        assert alice.does(f"nc -zw1 {to} 7777")[0] != 0
        assert not net.heard(net.wires.name(2), "6 in (data[9], data[6])", lambda to=to: alice.does(f"nc -zw1 {to} 7777"))


def test_nobody_leaves_as_somebody_else(net, pair):
    """A student may give eth0 any address and any route. The verdict is the world's."""
    alice, bob = pair
    gateway = net.wires.address(1, GATEWAY)
    said = "echo canary > /dev/udp/198.51.100.10/7"
    assert net.heard(net.world, "b'canary' in data", lambda: alice.does(said)), "the control"
    for sender in (bob.address, "198.51.100.77", "192.0.2.1"):
        assert not net.heard(net.world, "b'canary' in data", lambda sender=sender: alice.does(f"ip addr add {sender}/32 dev eth0; ip route replace 198.51.100.10 via {gateway} src {sender}; {said}; ip route del 198.51.100.10; ip addr del {sender}/32 dev eth0"))
    assert net.heard(net.world, "b'canary' in data", lambda: alice.does(said)), "nothing else was in the way"


def test_the_gateway_is_out_of_reach(net, pair):
    """It answers for its address, and to nothing; and a host that takes its address has nobody's packets but its own."""
    alice, bob = pair
    for to in (net.wires.address(1, GATEWAY), net.wires.address6(1, GATEWAY)):
        assert alice.does(f"ping -c1 -W1 {to}")[0] != 0
        assert alice.does(f"nc -zw1 {to} 22")[0] != 0
    alice.does(f"ip link set eth0 address 02:42:0a:49:00:21; ip addr add {net.wires.address(2, GATEWAY)}/28 dev eth0; ping -c2 -W1 -b 10.73.0.47")
    assert bob.reaches("198.51.100.10", 80), "bob's way out is not alice's to take"


def test_by_default_there_is_no_gateway(lab, student):
    """Neither its namespace, nor a table in the machine, nor a route, nor a name server in a host."""
    assert this_gateway().allowed == [] and this_gateway().name not in namespaces()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert this_gateway().table not in tables
    assert run(student, "ip route show default; ip -6 route show default")[1].strip() == ""
    assert run(student, "grep -c nameserver /etc/resolv.conf")[1].strip() == "0"
