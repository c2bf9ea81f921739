"""A real packet is followed in a real lab with two hosts: what is told is what is known to be true, and nothing of it stays behind."""
import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from labsite.client import Guest
from netcontrol.errors import LabError
from netcontrol.inside import Answer, Inside, asking
from netcontrol.network import follow as module
from netcontrol.network.follow import PROGRAM

SCENE = """
docker run -d --name web -p 9080:80 nginx; docker run -d --name c1 nettools sleep 9999
docker network create blue; docker run -d --name b1 --network blue nettools sleep 9999; docker run -d --name b2 --network blue nginx
docker network create --internal inn; docker run -d --name i1 --network inn nettools sleep 9999
docker run -d --name none1 --network none nettools sleep 9999; docker run -d --name h1 --network host nettools nc -lk 7777
docker run -d --name s1 --network container:c1 nettools nc -lk 7778
ip netns add red; ip netns add blu; ip link add r1 type veth peer name u1; ip link set r1 netns red; ip link set u1 netns blu
ip -n red addr add 10.5.0.1/24 dev r1; ip -n blu addr add 10.5.0.2/24 dev u1; ip -n red addr add fd00:5::1/64 dev r1 nodad; ip -n blu addr add fd00:5::2/64 dev u1 nodad
for n in red blu; do ip -n $n link set lo up; done; ip -n red link set r1 up; ip -n blu link set u1 up
systemd-run -q --unit echo-udp ip netns exec blu nc -lku 5000
ip netns exec blu nft 'add table inet own; add chain inet own in { type filter hook input priority 0; policy accept; }; add rule inet own in tcp dport 5001 drop; add rule inet own in tcp dport 5002 reject with tcp reset'
docker network create -d macvlan --subnet $(ip -j route | jq -r '.[]|select(.dev=="eth0" and .scope=="link").dst') -o parent=eth0 --ip-range $(ip -j addr show eth0 | jq -r '.[0].addr_info[0].local' | sed 's/[0-9]*$//')$(( ($(ip -j addr show eth0 | jq -r '.[0].addr_info[0].local' | sed 's/.*\\.//') & 240) + 8 ))/29 mac
docker run -d --name m1 --network mac nettools nc -lk 7779
docker run -d --name gone busybox true
"""  # fmt: skip
TABLES = "for n in '' $(ip netns list | cut -d' ' -f1); do ${n:+ip netns exec $n} sh -c 'iptables-save | grep -v ^#; ip6tables-save | grep -v ^#; nft -a list ruleset' | sed -E 's/\\[[0-9]+:[0-9]+\\]//; s/counter packets [0-9]+ bytes [0-9]+//'; done"

FILES = "; find /tmp /run /root -name '*patchbay*' -o -name '*follow*' | sort"


class Ground:
    def __init__(self, guest: Guest):
        self.guest, self.inside = guest, Inside(guest.sandbox)
        self.lab, self.client = (self.sh("ip -j addr show eth0 | jq -r '.[0].addr_info[0].local'", host) for host in ("lab", "client"))

    def run(self, script: str, host: str = "lab", seconds: float = 60) -> Answer:
        return asyncio.run(self.inside.run(host, script, seconds))

    def sh(self, script: str, host: str = "lab") -> str:
        done = self.run(f"set -e\n{script}", host)
        assert done.exit_code == 0, done
        return done.out.strip()

    def thing(self, name: str) -> str:
        """The id of a container, a namespace or a host of that name; the page waits until it is seen."""
        return self.sees(name, lambda: next((thing["id"] for kind in ("container", "host", "namespace") for thing in self.guest.network.named(name, kind)), ""))

    def sees_rule(self, rule: str) -> None:
        self.sees(rule, lambda: any(thing["kind"] == "rule" and rule in thing["text"] for thing in self.guest.network.things.values()))

    def sees_address(self, address: str) -> None:
        self.sees(address, lambda: any(f"{address}/" in each for thing in self.guest.network.things.values() if thing["kind"] == "interface" for each in thing["addresses"]))

    def sees(self, what: str, found: Callable[[], Any]) -> Any:
        """Wait until the page is told of this."""
        end = time.monotonic() + 20
        while not (there := found()):
            assert time.monotonic() < end, f"{what} is not seen"
            with contextlib.suppress(TimeoutError):
                next(self.guest.events(1))
        return there

    def follow(self, sender: str, to: str, protocol: str, port: int | None = None, named: bool = True) -> "Told":
        goal = to if not named or to[0].isdigit() or ":" in to else self.thing(to)
        began = time.monotonic()
        answer = self.guest.ask("follow", **{"from": self.thing(sender), "to": goal, "protocol": protocol, "port": port})
        assert time.monotonic() - began < 10
        assert not answer["late"], "a host was not watched in time: the machine is too busy for this test"
        return Told(self, answer)


class Told:
    def __init__(self, ground: Ground, answer: dict):
        self.ground, self.answer, self.steps = ground, answer, answer["steps"]
        self.end, self.why = answer["end"]["what"], answer["end"]["why"]
        times = [step["at"] for step in self.steps]
        assert times == sorted(times), self.steps
        known = ground.guest.network.things
        for step in self.steps:
            assert step["thing"] is None or step["thing"] in known, step
            assert isinstance(step["text"], str) and "%(" not in step["text"]

    def passed(self, direction: str = "there") -> list[str]:
        """Names of the interfaces and of what lies between, in order."""
        things = self.ground.guest.network.things
        return [things[step["thing"]]["name"] for step in self.steps if step["what"] in ("in", "out", "through") and step["direction"] == direction]

    def rules(self, chain: str) -> list[str]:
        return [step["rule"]["text"] for step in self.steps if step["rule"] and step["rule"]["chain"] == chain]

    def rewrote(self, direction: str) -> list[dict]:
        return [step["rewrote"] for step in self.steps if step["what"] == "nat" and step["direction"] == direction]

    def where(self) -> dict:
        return self.ground.guest.network.things[self.answer["end"]["where"]]


@pytest.fixture(scope="module")
def ground(lab):
    with Guest(lab.url, "nat") as guest:
        guest.start()
        guest.lab()
        guest.watch()
        this = Ground(guest)
        this.sh(f"({SCENE}) >/dev/null")
        for name in ("web", "c1", "b1", "b2", "i1", "m1", "s1", "h1", "red", "blu"):
            this.thing(name)
        yield this


@pytest.fixture(autouse=True)
def nothing_is_left_behind(ground):
    before = [ground.sh(TABLES + FILES, host) for host in ("lab", "client")]
    yield
    assert [ground.sh(TABLES + FILES, host) for host in ("lab", "client")] == before
    for host in ("lab", "client"):
        assert ground.run("pgrep -af '^nft -i|python3 -IS -$'", host).out == ""


def test_one_bridge(ground):
    """Between two containers on docker0 nothing is rewritten, and the bridge passes it on."""
    told = ground.follow("c1", "web", "tcp", 80)
    assert told.end == "answered"
    there, back = told.passed(), told.passed("back")
    assert (there[0], there[2], there[4]) == ("eth0", "docker0", "eth0") and there[1].startswith("veth") and there[3].startswith("veth")
    assert back == there[::-1]
    assert not told.rewrote("there") and not told.rewrote("back")
    assert told.rules("FORWARD")[-1].endswith("-j ACCEPT") or "RELATED,ESTABLISHED" in told.rules("FORWARD")[-1]
    assert any("nginx" in step["text"] for step in told.steps if step["what"] == "delivered")
    assert 0 < told.steps[-1]["at"] < 1_000_000


def test_published_port_from_the_host(ground):
    told = ground.follow("lab", f"{ground.lab}", "tcp", 9080)
    assert told.end == "answered"
    [nat] = told.rewrote("there")
    assert nat["dst"][0] == ground.lab and nat["dst"][1].startswith("172.17.") and nat["dport"] == [9080, 80]
    assert "--to-destination" in told.rules("DOCKER")[-1]
    assert told.passed()[0] == "docker0" and told.passed()[-1] == "eth0"


def test_published_port_from_another_host(ground):
    """client → the wire → lab, DNAT, docker0, and back with the rewriting undone."""
    told = ground.follow("client", ground.lab, "tcp", 9080)
    assert told.end == "answered"
    assert told.passed()[:4] == ["eth0", "wire", "eth0", "docker0"]
    [nat], [undone] = told.rewrote("there"), told.rewrote("back")
    assert nat["dport"] == [9080, 80] and undone["sport"] == [80, 9080] and undone["src"] == nat["dst"][::-1]
    assert told.passed("back")[-2:] == ["wire", "eth0"]


def test_masquerade(ground):
    told = ground.follow("c1", "client", "icmp")
    assert told.end == "answered"
    [nat], [undone] = told.rewrote("there"), told.rewrote("back")
    assert nat["src"][1] == ground.lab and undone["dst"] == nat["src"][::-1]
    assert told.rules("POSTROUTING")[-1].endswith("-j MASQUERADE")
    assert "wire" in told.passed() and "wire" in told.passed("back")
    assert told.steps[0]["also"] and ground.guest.network.things[told.steps[0]["also"][0]]["to"] == "default"


def test_docker_proxy(ground):
    """127.0.0.1 is not rewritten: docker-proxy takes the connection, and makes one of its own."""
    told = ground.follow("lab", "127.0.0.1", "tcp", 9080)
    assert told.end == "answered" and "docker-proxy" in told.why
    assert told.passed()[:2] == ["lo", "lo"] and told.passed()[-1] == "eth0"
    assert any(step["what"] == "sent" and "docker-proxy" in step["text"] for step in told.steps[1:])


def test_dropped_in_docker_user(ground):
    rule = "DOCKER-USER -i eth0 -p tcp -m tcp --dport 80 -j DROP"
    ground.sh(f"iptables -I {rule}")
    ground.sees_rule(rule)
    try:
        told = ground.follow("client", ground.lab, "tcp", 9080)
    finally:
        ground.sh(f"iptables -D {rule}")
    assert told.end == "dropped" and told.steps[-1]["what"] == "dropped"
    assert told.answer["end"]["where"].startswith("rule:lab/") and f"-A {rule}" in told.why
    assert told.passed()[-1] == "eth0" and not told.passed("back")


def test_the_policy_drops(ground):
    """podman0's packets are not in Docker's list, and the policy of FORWARD is to drop: so is what a bridge of one's own forwards."""
    make = "ip netns add own; ip link add o1 type veth peer name o2; ip link set o2 netns own; ip addr add 10.44.0.1/24 dev o1; ip link set o1 up; ip -n own addr add 10.44.0.2/24 dev o2; ip -n own link set o2 up; ip -n own route add default via 10.44.0.1"
    ground.sh(make)
    try:
        told = ground.follow("own", ground.client, "icmp")
    finally:
        ground.sh("ip netns del own; ip link del o1 2>/dev/null || true")
    assert told.end == "dropped" and told.answer["end"]["where"].endswith("/ip/filter/FORWARD")
    assert "policy" in told.why


def test_isolation(ground):
    told = ground.follow("c1", "b1", "icmp")
    assert told.end == "dropped" and "keeps its networks apart" in told.why
    assert told.steps[-1]["rule"]["chain"] == "DOCKER-ISOLATION-STAGE-2"
    told = ground.follow("c1", "i1", "icmp")
    assert told.end == "dropped" and "internal" in told.why


def test_no_route(ground):
    told = ground.follow("i1", ground.client, "icmp")
    assert told.end == "no_route" and "`inn` is internal" in told.why
    told = ground.follow("none1", ground.client, "icmp")
    assert told.end == "no_route" and "`lo`" in told.why
    told = ground.follow("c1", "10.99.0.1", "icmp")
    assert told.end == "no_route" and told.where()["root"] and told.steps[-1]["direction"] == "back"


def test_refused(ground):
    told = ground.follow("c1", "web", "tcp", 81)
    assert told.end == "refused" and "nothing listens" in told.why and told.passed("back")
    told = ground.follow("c1", "web", "udp", 81)
    assert told.end == "refused" and any(step["what"] == "error" for step in told.steps)


def test_rejected_and_dropped_by_a_table_of_ones_own(ground):
    told = ground.follow("red", "blu", "tcp", 5001)
    assert told.end == "dropped" and "tcp dport 5001 drop" in told.why and told.answer["end"]["where"].startswith("rule:")
    told = ground.follow("red", "blu", "tcp", 5002)
    assert told.end == "rejected" and told.passed("back") == ["u1", "r1"]


def test_names(ground):
    told = ground.follow("b1", "b2", "tcp", 80, named=False)
    assert told.end == "answered" and told.steps[0]["what"] == "name" and "`b2`" in told.steps[0]["text"]
    told = ground.follow("b1", "web", "tcp", 80, named=False)
    assert told.end == "no_name" and not told.steps and "`web`" in told.why


def test_namespaces(ground):
    told = ground.follow("red", "blu", "icmp")
    assert told.end == "answered" and told.passed() == ["r1", "u1"] and told.passed("back") == ["u1", "r1"]
    told = ground.follow("red", "fd00:5::2", "icmp")
    assert told.end == "answered" and told.passed() == ["r1", "u1"]


def test_udp(ground):
    told = ground.follow("red", "blu", "udp", 5000)
    assert told.end == "delivered" and "`nc`" in told.why
    told = ground.follow("b1", "127.0.0.11", "udp", 53)
    assert told.end in ("answered", "delivered") and told.passed()[:2] == ["lo", "lo"] and told.rewrote("there")  # whether Docker's name server has an answer is its own affair


def test_nobody_there(ground):
    told = ground.follow("c1", "172.17.0.99", "icmp")
    assert told.end == "no_neighbour" and told.where()["name"] == "eth0" and "`172.17.0.99`" in told.why
    told = ground.follow("red", "fd00:5::9", "icmp")
    assert told.end == "no_neighbour"


def test_macvlan(ground):
    told = ground.follow("client", "m1", "tcp", 7779)
    assert told.end == "answered" and told.passed() == ["eth0", "wire", "eth0", "eth0"]
    told = ground.follow("lab", "m1", "tcp", 7779)
    assert told.end == "no_neighbour" and "macvlan" in told.why


def test_modes(ground):
    assert ground.follow("c1", "h1", "tcp", 7777).end == "answered"
    told = ground.follow("web", "s1", "tcp", 7778)
    assert told.end == "answered" and "`s1`" in told.why
    assert ground.follow("s1", "c1", "tcp", 7778).passed() == ["lo", "lo"]
    for to, why in (("none1", "no address"), ("gone", "does not run")):
        with pytest.raises(LabError, match=why):
            ground.follow("c1", to, "icmp")


def test_hairpin(ground):
    """A container to the published port of its own host: docker-proxy, as nothing is rewritten for what comes from docker0."""
    told = ground.follow("web", ground.lab, "tcp", 9080)
    assert told.end == "answered" and "docker-proxy" in told.why
    assert told.rules("DOCKER") == ["-A DOCKER -i docker0 -j RETURN"]


def test_a_router_of_ones_own(ground):
    """red – blu – far: forwarding off, then no way back, then there and back, then a reverse path that rp_filter does not like."""
    ground.sh("""
    ip netns add far; ip link add v1 type veth peer name v2; ip link set v1 netns far; ip link set v2 netns blu; ip -n far link set lo up
    ip -n far addr add 10.6.0.1/24 dev v1; ip -n blu addr add 10.6.0.9/24 dev v2; ip -n far link set v1 up; ip -n blu link set v2 up
    ip -n red route add 10.6.0.0/24 via 10.5.0.2; ip netns exec blu sysctl -qw net.ipv4.conf.all.forwarding=0""")
    ground.sees_address("10.6.0.1")
    try:
        told = ground.follow("red", "far", "icmp")
        assert told.end == "not_forwarded" and told.where()["name"] == "blu"
        ground.sh("ip netns exec blu sysctl -qw net.ipv4.conf.all.forwarding=1")
        told = ground.follow("red", "far", "tcp", 80)
        assert told.end == "no_route" and "no answer can come back" in told.why and told.where()["name"] == "far"
        ground.sh("ip -n far route add default via 10.6.0.9")
        told = ground.follow("red", "far", "icmp")
        assert told.end == "answered" and told.passed() == ["r1", "u1", "v2", "v1"] and told.passed("back") == ["v1", "v2", "u1", "r1"]
        ground.sh("ip netns exec blu sysctl -qw net.ipv4.conf.u1.rp_filter=1; ip -n blu route add 10.5.0.1/32 via 10.6.0.1")
        told = ground.follow("red", "far", "icmp")
        assert told.end == "rp_filter", told.answer
    finally:
        ground.run("ip -n blu route del 10.5.0.1/32; ip netns exec blu sysctl -qw net.ipv4.conf.u1.rp_filter=0; ip netns del far; ip -n red route del 10.6.0.0/24")


def test_killed_in_the_middle(ground):
    """A follower that is killed with -9 takes its table along: the kernel removes what nobody owns."""
    root = ground.sh("stat -Lc %i /proc/1/ns/net")
    question = {"number": 61999, "token": "t" * 16, "protocol": "icmp", "port": None, "at": time.time() + 6, "stop": "patchbay-follow-test", "look": [],
                "from": {"space": root, "container": "", "netns": "", "goal": ground.client}}  # fmt: skip

    async def killed() -> tuple[str, str]:
        task = asyncio.create_task(ground.inside.run("lab", asking(PROGRAM, question), 8))
        for _ in range(100):
            there = (await ground.inside.run("lab", "nft list tables; ip netns exec blu nft list tables", 5)).out
            if there.count("patchbay_follow") == 2:
                break
            await asyncio.sleep(0.05)
        await ground.inside.run("lab", "pkill -9 -f 'python3 -IS -$'; sleep 0.3", 5)
        await task
        return there, (await ground.inside.run("lab", "nft list tables; ip netns exec blu nft list tables; pgrep -a nft", 5)).out

    there, after = asyncio.run(killed())
    assert "patchbay_follow" in there and "patchbay_follow" not in after and "nft" not in after


def test_a_host_that_says_anything(ground):
    """Whatever comes instead of an answer: a sentence, not an error."""
    graph = ground.guest.network.graph
    question = {"from": ground.thing("c1"), "to": "172.17.0.1", "protocol": "icmp", "port": None}
    for out in ("", "null", "[]", "{}", json.dumps({"no": 3}), json.dumps({"sent": {"at": -1}}), json.dumps({"no": "no-name" * 1000}), '{"packets": [[]]}', "[" * 100000):

        async def run(host, script, seconds, out=out):
            return Answer(0, out)

        told = asyncio.run(module.follow(run, graph, question))
        assert told.get("failed") or told["end"]["what"] in ("unknown", "no_name")
