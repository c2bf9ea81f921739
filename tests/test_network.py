"""The network of a real sandbox, as a page is told of it: true in every scene, exact through any sequence of commands, bounded whatever a
student puts in the place of what is asked, and free while nobody looks."""
import contextlib
import copy
import itertools
import json
import random
import time
from typing import Any

import pytest

from labsite.client import Guest
from netcontrol.network.change import apply, change
from netcontrol.network.graph import graph
from netcontrol.network.tests.scenes import IDLE, SCENES, View

from .driving import lab_of
from .inside import hosts_of, in_host, look
from .page import Page

AGENTS = "pgrep -cf '^/usr/bin/python3 -IS /usr/lib/patchbay/agent/__main__.py$' || true"  # the agent, and its observer
MAX_GRAPH = 2**20  # bytes of JSON: a page's frame

pytestmark = pytest.mark.timeout(300)
nth = itertools.count(1)


def showing(guest: Guest) -> Page:
    return Page(guest, "lab", watches=True)


def begin(page: Page) -> dict[str, Any]:
    """Wait until the page shows every host, and has a terminal. Returns the graph."""
    page.until(lambda: "lab" in page.opened, 20, "the shell")
    page.until(lambda: page.network.graph and not page.network.graph["unseen"], 20, "the network")
    return copy.deepcopy(page.network.graph)


def do(page: Page, command: str, seconds: float = 60) -> dict[str, Any]:
    """Run a command in the terminal; the change that answers for it."""
    block = f"network-{next(nth)}"  # of this page: it is told of earlier pages' commands too
    page.send("run", shell="lab", block=block, text=command)
    ended = page.until(lambda: next((m for m in page.finished.values() if m["block"] == block), None), seconds, command)
    return page.until(lambda: page.changed_by(ended["id"]), 20, f"what {command} changed")


def fresh(guest: Guest, hosts: list[dict[str, str]], told: dict[str, Any]) -> dict[str, Any]:
    """The network by a look of its own. It has a moment to find whose a socket is, and in a crowd it may not: then what was `told` stands."""
    there = graph(hosts, look(guest, hosts))
    for id, thing in there["things"].items():
        if thing["kind"] == "listener" and not thing["program"] and id in told["things"]:
            thing["program"] = told["things"][id]["program"]
    return there


def becomes_what_is_there(page: Page, guest: Guest, seconds: float = 15) -> None:
    """A program that has just started may still open a socket, or hand one on: so it is looked until both are the same."""
    hosts, end = hosts_of(guest), time.monotonic() + seconds
    while do(page, "true") and (there := fresh(guest, hosts, page.network.graph)) != page.network.graph:
        page.sound()
        if time.monotonic() > end:
            raise AssertionError(f"what is there now, beside what was told: {change(page.network.graph, there)}")
        time.sleep(0.5)


def holds(true, page: Page, seconds: float = 20) -> None:
    """Wait until this is true of what the page was told; fails with what was not."""

    def quietly() -> bool:
        try:
            true(View(page.network.graph))
            return True
        except (AssertionError, KeyError, StopIteration):
            return False

    with contextlib.suppress(TimeoutError):
        page.until(quietly, seconds)
    true(View(page.network.graph))


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_told_as_it_is(guests, database, name):
    scene = SCENES[name]
    guest = lab_of(guests(scene.lesson))
    with showing(guest) as page:
        begin(page)
        wholes = page.network.wholes
        for host, command in scene.steps:
            if host == "lab":
                do(page, command, 120)
                assert list(page.finished.values())[-1]["exit_code"] == 0, command
            else:
                in_host(guest, command, host, 60)
        holds(scene.true, page)
        becomes_what_is_there(page, guest)
        at_once = name == "thirty"  # one command starts them all: if they are seen at once it is more than MAX_CHANGE, and the whole is told
        assert 0 <= page.network.wholes - wholes <= at_once and not page.network.away


# Any sequence of commands. Most of them work, and one that fails changes nothing or half of it.

N, C, B, S, V = range(3), range(4), range(2), range(2), range(2)  # networks, containers, bridges, namespaces, cables
COMMANDS = [
    *(f"docker network create --subnet 172.3{n}.0.0/24 net{n}" for n in N),
    *(f"docker network rm net{n}" for n in N),
    *(f"docker run -d --name c{c} --network {network} -p 90{c}0:80 {IDLE}" for c in C for network in ("bridge", *(f"net{n}" for n in N))),
    *(f"docker network connect net{n} c{c}" for n in N for c in C),
    *(f"docker network disconnect net{n} c{c}" for n in N for c in C),
    *(f"docker {what} c{c}" for what in ("stop -t 0", "start", "rm -f", "pause", "unpause") for c in C),
    *(f"docker rename c{c} c{(c + 1) % len(C)}" for c in C),
    *(f"ip link add br{b} type bridge" for b in B),
    *(f"ip link del br{b}" for b in B),
    *(f"ip addr add 10.5{b}.0.1/24 dev br{b}; ip link set br{b} up" for b in B),
    *(f"ip netns add s{s}" for s in S),
    *(f"ip netns del s{s}" for s in S),
    *(f"ip link add v{v} type veth peer name w{v}" for v in V),
    *(f"ip link del v{v}" for v in V),
    *(f"ip link set w{v} netns s{s} && ip -n s{s} link set w{v} up" for v in V for s in S),
    *(f"ip link set v{v} master br{b} up" for v in V for b in B),
    *(f"ip link set v{v} {state}" for v in V for state in ("down", "nomaster", "mtu 1400", f"name u{v}")),
    *(f"ip netns exec s{s} iptables -A OUTPUT -p udp --dport 5{s} -j DROP" for s in S),
    *(f"iptables {how} FORWARD -p tcp --dport 808{n} -j DROP" for n in N for how in ("-A", "-I", "-D")),
    *(f"ip route {how} 10.6{n}.0.0/24 via 172.17.0.9{n}" for n in N for how in ("add", "del")),
    "sysctl -w net.ipv4.ip_forward=0", "sysctl -w net.ipv4.ip_forward=1",
]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_the_changes_of_any_commands_lead_from_the_first_to_the_last(guests, database, seed):
    guest, dice = lab_of(guests("meet-docker0")), random.Random(seed)
    with showing(guest) as page:
        first = begin(page)
        since = len(page.network.changes)
        first_version = page.network.version
        chosen = [dice.choice(COMMANDS) for _ in range(40)]
        for command in chosen:
            do(page, command)
        becomes_what_is_there(page, guest)
        changes = page.network.changes[since:]
        assert [m["from"] for m in changes] == list(range(first_version, page.network.version)), "each follows on the one before"
        told = first
        for m in changes:
            told = apply(told, m["change"])
        assert told == page.network.graph
        commands = {id for m in changes for id in (m["after_command"], *m["also_after"])} - {None}
        assert commands == set(page.finished), "each command is answered for"
        with showing(guest) as another:
            assert begin(another) == page.network.graph
        assert sum(any(m["change"].get(part) for part in ("added", "gone", "changed")) for m in changes) > 10, "most of the commands do something"


# Nobody looks

def test_nothing_looks_while_nobody_shows_the_network(lab, guests):
    guest = lab_of(guests("meet-docker0"))

    def agents() -> int:
        return int(in_host(guest, AGENTS))

    with Page(guest, "lab") as reads, Page(guest, "lab") as page:
        for one in (reads, page):
            one.until(lambda one=one: "lab" in one.opened, 20, "the shell")
        assert agents() == 1
        page.send("network.watch", on=True)
        page.until(lambda: page.network.graph, 20, "the network")
        assert agents() == 2
        assert reads.network.graph is None, "a page that did not ask is told nothing"
        page.send("network.watch", on=False)
        lab.until(lambda: agents() == 1, 15, "the observer's end")
        page.send("network.watch", on=True)
        lab.until(lambda: agents() == 2, 15, "the observer")
    lab.until(lambda: agents() == 1, 15, "the observer's end, when its page has gone")


# Who harms

FORGED = r"""
import json, os, socket, sys, threading, time
ID = "f" * 64
def answer(body): return b"HTTP/1.0 200 OK\r\n\r\n" + (body if isinstance(body, bytes) else json.dumps(body).encode())
def container(n, **more): return {"Id": "%064x" % n, "Names": ["/c%d" % n], "Image": "x", "State": "running", "Labels": {}, "Ports": [], "HostConfig": {"NetworkMode": "bridge"}, "NetworkSettings": {"Networks": {}}, **more}
MODES = {
    "garbage": lambda path: answer(os.urandom(5000)),
    "deep": lambda path: answer(b"[" * 100000),
    "huge": lambda path: answer(b'["' + b"x" * 30000000 + b'"]'),
    "other shapes": lambda path: answer({"Containers": 7} if "networks" in path else [1, None, "x", [], {"Id": 5}, {"Id": ID, "Names": "x", "State": [], "NetworkSettings": 3}]),
    "many": lambda path: answer([container(n) for n in range(5000)] if path.startswith("/containers/json") else {}),
    "long names": lambda path: answer([{"Name": "<b>%(x)s{}" + "n" * 100000, "Id": "%064x" % n, "Driver": "bridge", "Scope": "local", "Labels": {"l" * 9999: "v" * 9999}, "Options": {str(k): "v" for k in range(9999)}, "IPAM": {"Config": [{"Subnet": "not one"}]}} for n in range(9)] if path.startswith("/networks") else []),
    "pids of others": lambda path: answer([container(1)] if path.startswith("/containers/json") else {"Id": "%064x" % 1, "Name": "/c1", "State": {"Status": "running", "Pid": -1}, "NetworkSettings": {"SandboxKey": "/proc/1/ns/../../../etc/shadow"}}),
    "drips": None, "silence": None,
}
def serve(c):
    try:
        path = c.recv(65536).split(b" ")[1].decode()
        if sys.argv[1] == "silence": time.sleep(60)
        elif sys.argv[1] == "drips":
            c.sendall(b"HTTP/1.0 200 OK\r\n\r\n[")
            while True: c.sendall(b" "); time.sleep(0.05)
        else: c.sendall(MODES[sys.argv[1]](path))
    except Exception: pass
    c.close()
s = socket.socket(socket.AF_UNIX); s.bind("/run/docker.sock"); s.listen(64)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
MODES = ["garbage", "deep", "huge", "other shapes", "many", "long names", "pids of others", "drips", "silence"]


@pytest.fixture(scope="module")
def mallory(lab):
    """With dockerd running, and its socket moved away."""
    with Guest(lab.url, "meet-docker0") as guest:
        in_host(lab_of(guest), f"docker run -d --name web {IDLE} && mv /run/docker.sock /run/real.sock && cat > /root/forged.py <<'E'\n{FORGED}\nE", seconds=60)
        yield guest


@pytest.mark.parametrize("mode", MODES)
def test_what_docker_is_said_to_say(mallory, mode):
    """The kernel's part is told all the same, in time; the rest is bounded, and leaves nothing."""
    in_host(mallory, f"rm -f /run/docker.sock; systemd-run -q --collect --unit=forged python3 /root/forged.py '{mode}'; for n in $(seq 50); do [ -S /run/docker.sock ] && exit; sleep 0.1; done; exit 1", seconds=60)
    try:
        with showing(mallory) as page:
            begin(page)
            for n in range(2):
                began = time.monotonic()
                news = do(page, f"ip link add proof{n} type bridge")
                assert time.monotonic() - began < 10
                assert page.network.named(f"proof{n}", "interface"), news
                do(page, f"ip link del proof{n}")
                assert not page.network.named(f"proof{n}")
            assert len(json.dumps(page.network.graph)) < MAX_GRAPH
            assert View(page.network.graph).root()["root"]
            page.sound()
    finally:
        in_host(mallory, "systemctl stop forged; rm -f /run/docker.sock; ln /run/real.sock /run/docker.sock", seconds=60)
    with showing(mallory) as page:
        begin(page)
        holds(lambda v: v.plugged(v.card("web")), page)
        assert len(page.network.graph["things"]) < 200


