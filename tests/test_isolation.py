"""Two sandboxes at once: neither reaches the other, the machine, Redis, nor the engine, by IPv4 or IPv6.

Every address that is tried belongs to a namespace that the lab made for this test.
"""
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from netcontrol.engine import this_engine

from .driving import run


@pytest.fixture
def pair(guests):
    """Alice and bob, each with a sandbox, IPv6 turned on by themselves, and a listener on every address."""
    both = []
    for _ in range(2):
        guest = guests()
        guest.start()
        state = guest.lab()
        guest.address = state["hosts"][0]["address"]
        guest.open("lab", "lab")
        guest.prompt("lab")
        run(guest, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0")
        run(guest, "(nc -lk 7777 >/dev/null 2>&1 &) ; (nc -6 -lk 7776 >/dev/null 2>&1 &)")
        both.append(guest)
    return both


def link_local(guest) -> str:
    wait = "for n in $(seq 50); do ip -6 -br addr show dev eth0 -tentative | grep -q fe80 && break; sleep 0.1; done; ip -6 -br addr show dev eth0"
    if found := re.findall(r"fe80::[0-9a-f:]+", run(guest, wait)[1]):
        return found[0]
    raise AssertionError("eth0 has no link-local address")


def test_a_listener_can_be_reached_at_all(pair):
    """The control: the same commands do reach, when there is a way."""
    alice, _ = pair
    assert run(alice, f"nc -zw2 {alice.address} 7777")[0] == 0
    assert run(alice, f"nc -6zw2 {link_local(alice)}%eth0 7776")[0] == 0


def test_one_sandbox_does_not_reach_the_other(pair):
    alice, bob = pair
    assert alice.address != bob.address
    for one, other in ((alice, bob), (bob, alice)):
        assert run(one, f"nc -zw1 {other.address} 7777")[0] != 0
        assert run(one, f"ping -c1 -W1 {other.address}")[0] != 0
        assert run(one, f"ip route add {other.address}/32 dev eth0; nc -zw1 {other.address} 7777")[0] != 0
        address = link_local(other)
        assert run(one, f"ping -6 -c1 -W1 {address}%eth0")[0] != 0
        assert run(one, f"nc -6zw1 {address}%eth0 7776")[0] != 0


def test_nobody_else_is_on_the_wire(pair):
    """Whoever shares the link answers to all-nodes: only the host itself does. The machine's end would answer here."""
    alice, _ = pair
    mine = link_local(alice)
    _, output = run(alice, "ping -6 -c3 -i0.3 -W1 ff02::1%eth0")
    assert {match.rstrip(":") for match in re.findall(r"bytes from (fe80::[0-9a-f:]+)", output)} <= {mine}
    run(alice, "ping -b -c2 -i0.3 -W1 $(ip -4 -o addr show dev eth0 | sed 's/.*brd \\([0-9.]*\\).*/\\1/')")
    assert run(alice, "ip neigh show dev eth0 nud reachable")[1].strip() == ""


def test_there_is_no_way_out(pair):
    alice, _ = pair
    routes = run(alice, "ip route; ip -6 route")[1]
    assert "default" not in routes
    assert run(alice, "ip -br link")[1].count("eth") == 1


def test_the_machine_has_no_end_of_a_wire(pair):
    """In the machine's own namespace nothing is a veth of the lab's, and no container of the engine is on another network."""
    links = subprocess.run(["ip", "-d", "-o", "link"], capture_output=True, text=True, timeout=10, check=True).stdout
    for number in this_engine().wires.existing():
        assert this_engine().wires.name(number) not in links
    for container in [c for guest in pair for c in this_engine().containers(guest.sandbox)]:
        assert set(this_engine().api.inspect_container(container)["NetworkSettings"]["Networks"]) == {"none"}


def test_redis_and_the_engine_are_not_to_be_seen(pair):
    alice, _ = pair
    assert run(alice, "find / -xdev \\( -name redis.sock -o -name supervisor.sock \\) 2>/dev/null | grep .")[0] != 0
    assert run(alice, f"ls {settings.RUN}")[0] != 0
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert "redis-server" not in listening and "dockerd" not in listening
    code, output = run(alice, "docker ps -a --format '{{.Names}}'")
    assert code == 0 and output.strip() == "", "their docker is their own"


def test_limits_cannot_be_raised(pair):
    alice, _ = pair
    for name in ("memory/memory.limit_in_bytes", "memory.max", "pids/pids.max", "pids.max", "cpu/cpu.cfs_quota_us", "cpu.max"):
        assert run(alice, f"test ! -e /sys/fs/cgroup/{name} || ! sh -c 'echo 99999999999 > /sys/fs/cgroup/{name}'")[0] == 0, name
    assert run(alice, "echo b > /proc/sysrq-trigger")[0] != 0
    assert run(alice, "mknod /tmp/disk b 8 0")[0] != 0
    assert run(alice, "dmesg")[0] != 0


def test_a_frozen_host_can_be_ended(lab, pair):
    """On cgroup v1 a host may freeze all of itself; it goes all the same, and holds its place until it has."""
    alice, _ = pair
    (container,) = this_engine().containers(alice.sandbox)
    alice.send(
        type="run", shell="lab", block="freeze",
        text="c=/sys/fs/cgroup/freezer; mkdir $c/evil; setsid sh -c 'sleep 1; for p in $(cat /sys/fs/cgroup/freezer/cgroup.procs); do [ $p = $$ ] || echo $p > /sys/fs/cgroup/freezer/evil/cgroup.procs; done; echo FROZEN > /sys/fs/cgroup/freezer/evil/freezer.state' &",
    )  # fmt: skip
    frozen = f"/sys/fs/cgroup/freezer/{container}/evil/freezer.state"
    if Path("/sys/fs/cgroup/freezer").exists():
        lab.until(lambda: Path(frozen).exists() and Path(frozen).read_text().strip() == "FROZEN", 20, "the freeze")
    alice.post("/lab/end")
    lab.until(lambda: not this_engine().containers(alice.sandbox), 30, "the end of the frozen host")


def test_keyrings_are_not_shared(pair):
    alice, _ = pair
    code, output = run(alice, "python3 -c 'import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.syscall(248, b\"user\", b\"x\", b\"y\", 1, -3), ctypes.get_errno())'")
    assert code == 0 and output.split() == ["-1", "38"]
    assert run(alice, "docker run --rm busybox true")[0] == 0, "their runc does without keyrings"
