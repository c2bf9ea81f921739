"""The way of a packet from what was recorded of real ones (followed.json: one graph, and what each host's follower told of fifteen packets)."""
import asyncio
import contextlib
import copy
import json
import random
import struct
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from netcontrol.agent.limits import MAX_EXECUTED
from netcontrol.inside import Answer, NoAnswer
from netcontrol.network.atlas import Atlas
from netcontrol.network.checksum import checksum
from netcontrol.network.follow import CannotError, answer, follow, understood
from netcontrol.network.follow.follower.capture import ARP, IPV4, IPV6, filter_of, parsed
from netcontrol.network.follow.follower.main import Follower
from netcontrol.network.follow.follower.spaces import Spaces
from netcontrol.network.follow.follower.tracing import listed, saved
from netcontrol.network.follow.seen import seen
from netcontrol.network.follow.way import Question
from netcontrol.network.tell.said import said

RECORDED = json.loads((Path(__file__).parent / "followed.json").read_text())
GRAPH = RECORDED["graph"]


def told(name: str, **hosts: dict) -> dict:
    one = copy.deepcopy(RECORDED["followed"][name])
    found = {host: seen(Answer(0, json.dumps({**raw, **hosts.get(host, {})}))) for host, raw in one["told"].items()}
    assert all(found.values())
    return said(answer(Atlas(GRAPH), Question(**one["question"]), found))


def short(name: str) -> list[str]:
    """Each step in a word or two: what, and the name of the thing."""
    return [f"{'<' if step['direction'] == 'back' else ''}{step['what']} {GRAPH['things'].get(step['thing'], {}).get('name', '')}".strip() for step in told(name)["steps"] if step["what"] != "rule"]


def veth(container: str) -> str:
    """The host's end of a container's cable."""
    things = GRAPH["things"]
    space = next(thing["space"] for thing in things.values() if thing["kind"] == "container" and thing["name"] == container)
    return next(things[thing["peer"]]["name"] for thing in things.values() if thing["kind"] == "interface" and thing["space"] == space and thing["peer"])


def test_one_bridge():
    c1, web = veth("c1"), veth("web")
    assert short("bridge") == [
        "sent c1", "out eth0", f"in {c1}", "through docker0", f"out {web}", "in eth0", "delivered web",
        "<answers web", "<out eth0", f"<in {web}", "<through docker0", f"<out {c1}", "<in eth0", "<answered c1",
    ]  # fmt: skip
    found = told("bridge")
    assert found["end"]["what"] == "answered" and not any(step["rewrote"] for step in found["steps"])
    forward = [step["rule"] for step in found["steps"] if step["rule"] and step["rule"]["chain"] == "FORWARD" and step["direction"] == "there"]
    assert [rule["verdict"] for rule in forward] == ["jump", "jump", "jump", "accept"]
    assert forward[-1]["text"] == "-A FORWARD -i docker0 -o docker0 -j ACCEPT"


def test_every_rule_is_one_of_the_graph():
    for name in RECORDED["followed"]:
        for step in told(name)["steps"]:
            if step["rule"] and step["rule"]["text"]:
                assert GRAPH["things"][step["thing"]]["text"] == step["rule"]["text"]


def test_a_published_port():
    web = veth("web")
    assert short("published") == [
        "sent client", "out eth0", "through wire", "in eth0", "nat DOCKER DNAT", "out docker0", f"out {web}", "in eth0", "delivered web",
        "<answers web", "<out eth0", f"<in {web}", "<in docker0", "<nat", "<out eth0", "<through wire", "<in eth0", "<answered client",
    ]  # fmt: skip
    there, back = (step["rewrote"] for step in told("published")["steps"] if step["what"] == "nat")
    assert there["dport"] == [9080, 80] and back["sport"] == [80, 9080] and back["src"] == there["dst"][::-1]


def test_rules_come_where_they_were_hit():
    """Before it is sent on, after it came in: the destination is rewritten before FORWARD is asked, the source after."""
    chains = [step["rule"]["chain"] for step in told("published")["steps"] if step["rule"]]
    assert chains[:3] == ["PREROUTING", "DOCKER", "FORWARD"]
    what = [(step["what"], (step["rule"] or {}).get("chain")) for step in told("masquerade")["steps"]]
    assert what.index(("rule", "POSTROUTING")) < what.index(("nat", None)) < what.index(("through", None))
    assert what.index(("rule", "FORWARD")) > what.index(("in", None))


def test_docker_proxy():
    found = told("proxy")
    assert "docker-proxy" in found["end"]["why"]
    assert short("proxy")[:7] == ["sent lab", "out lo", "in lo", "delivered", "<answers", "<out lo", "<in lo"]
    assert short("proxy")[7:] == ["sent", "out docker0", f"out {veth('web')}", "in eth0", "<answered lab"]


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("isolation", "dropped", "keeps its networks apart"), ("policy", "dropped", "its policy is to drop"), ("refused", "refused", "nothing listens there on tcp port 81"),
        ("unreachable", "refused", "nothing listens there on udp port 81"), ("no route there", "no_route", "`lab` has no route to `10.99.0.1`"), ("no route", "no_route", "`inn` is internal"),
        ("nobody", "no_neighbour", "no interface in this lab has that address"), ("macvlan parent", "no_neighbour", "never talks with the one that it hangs from"),
        ("no name", "no_name", "knows the name `web`"), ("six", "answered", "`blu`"), ("name", "answered", "`b1`"),
    ],
)  # fmt: skip
def test_ends(name, what, words):
    found = told(name)
    assert found["end"]["what"] == what and words in found["end"]["why"], found["end"]
    drawn = GRAPH["things"][found["end"]["place"]]["kind"]
    assert drawn in ("interface", "container", "namespace", "host")


def ended(name: str, graph: dict = GRAPH, **question: object) -> tuple[str, str]:
    """What came of a packet, and why: in another graph, or asked otherwise."""
    one = RECORDED["followed"][name]
    found = {host: seen(Answer(0, json.dumps(raw))) for host, raw in one["told"].items()}
    end = said(answer(Atlas(graph), Question(**{**one["question"], **question}), found))["end"]
    return end["what"], end["why"]


def test_only_of_udp_icmp_says_that_nobody_listens():
    """Whoever refuses a connection or a ping so is a rule, and the port may well be open."""
    what, why = ended("unreachable", protocol="tcp")
    assert what == "rejected" and "says so: port unreachable" in why


def test_one_that_listens_and_yet_refuses():
    space = GRAPH["things"]["ctr:lab/68b2c93d7f4e"]["space"]
    listens = {"id": "listen:x", "kind": "listener", "name": "x", "host": "lab", "space": space, "proto": "tcp", "address": "0.0.0.0", "port": 81, "program": "x"}
    for address, words in (("0.0.0.0", "Refused by `172.17.0.2:81`."), ("127.0.0.1", "but only on `127.0.0.1`, not on `172.17.0.2`")):
        what, why = ended("refused", {**GRAPH, "things": {**GRAPH["things"], "listen:x": {**listens, "address": address}}})
        assert what == "refused" and words in why


@pytest.mark.parametrize("lacks", [{"unseen": ["client"]}, {"left_out": {"links": 3}}])
def test_who_is_not_seen_may_have_the_address(lacks):
    assert "no interface in this lab" in ended("nobody")[1]
    what, why = ended("nobody", {**GRAPH, **lacks})
    assert what == "no_neighbour" and "no interface in this lab" not in why


def test_what_was_not_seen_is_not_known():
    """The same packet, of which less was seen: no reason is made up."""
    one = RECORDED["followed"]["isolation"]["told"]["lab"]
    assert told("isolation", lab={"hits": []})["end"]["what"] == "unknown"
    assert told("isolation", lab={"hits": [], "packets": [], "asked": []})["end"]["what"] == "unknown"
    assert one["hits"] and told("isolation")["end"]["what"] == "dropped"
    refused = told("refused", lab={"packets": [], "hits": []})
    assert refused["end"]["what"] == "refused" and "Refused by" in refused["end"]["why"]


def test_who_looks_whether_an_address_is_free_asks_for_nobody():
    """An interface that is just up asks for its own address (RFC 4862, 5.4), and nobody answers: that is not what a packet waits for."""
    one = RECORDED["followed"]["isolation"]["told"]["lab"]
    last = max((packet for packet in one["packets"] if packet["type"] != "arp"), key=lambda packet: packet["at"])
    asks = {**last, "type": "arp", "asks": True, "out": True, "src": "::", "dst": "fe80::1", "at": last["at"] + 1000}
    assert told("isolation", lab={"hits": [], "packets": [*one["packets"], asks]})["end"]["what"] == "unknown"
    assert told("isolation", lab={"hits": [], "packets": [*one["packets"], {**asks, "src": "fe80::2"}]})["end"]["what"] == "no_neighbour"


def test_a_host_that_was_late():
    """What is not seen where nobody watched is not called lost."""
    one = copy.deepcopy(RECORDED["followed"]["published"])
    client = {**one["told"]["client"], "sent": {**one["told"]["client"]["sent"], "heard": None}}
    client["packets"] = [packet for packet in client["packets"] if packet["out"] or packet["type"] == "arp"]
    alone = {"client": seen(Answer(0, json.dumps(client)))}
    question = Question(**one["question"])
    assert answer(Atlas(GRAPH), question, alone)["end"]["what"] == "lost"
    found = answer(Atlas(GRAPH), question, alone, ("lab",))
    assert (found["end"]["what"], found["late"]) == ("unknown", ["lab"])


def mixed(value, chance):
    """The same with some of it replaced by anything."""
    if chance.random() < 0.02:
        return chance.choice([None, -1, 2**70, "", "x" * 5000, "`%(who)s`\n", [], {}, [[]], True, 1.5, {"id": "a", "with": {}}])
    if isinstance(value, dict):
        return {key: mixed(part, chance) for key, part in value.items()}
    return [mixed(part, chance) for part in value] if isinstance(value, list) else value


def test_whatever_a_host_says():
    chance = random.Random(5)
    kept = 0
    for n in range(400):
        one = copy.deepcopy(chance.choice(list(RECORDED["followed"].values())))
        told_ = one["told"]
        for host, raw in told_.items():
            if n % 4:
                raw["packets"] = [{**packet, chance.choice(list(packet)): chance.choice([0, "", "10.0.0.1", 65535, True, 2**40])} for packet in raw.get("packets", [])]
                chance.shuffle(raw["packets"])
                chance.shuffle(raw.get("hits", []))
            told_[host] = seen(Answer(0, json.dumps(mixed(raw, chance) if n % 2 else raw))) or seen(Answer(0, "{}"))
        kept += bool(told_[one["question"]["host"]].packets)
        found = said(answer(Atlas(GRAPH), Question(**one["question"]), told_))
        assert len(json.dumps(found)) < 200_000 and len(found["steps"]) <= 121
        assert found["end"]["why"] and all(step["text"] for step in found["steps"])
    assert kept > 50


def test_a_flood_is_worked_off():
    """As much as a host may say, and each of it another packet: the answer is bounded, and soon there."""
    one = copy.deepcopy(RECORDED["followed"]["published"])
    for raw in one["told"].values():
        raw["packets"] = [{**packet, "src": f"10.{n % 250}.{n // 250}.1"} for n, packet in enumerate(raw["packets"] * 60)][:600]
        raw["hits"] = (raw["hits"] * 60)[:600]
        while len(json.dumps(raw)) > MAX_EXECUTED:  # more is not read
            raw["packets"], raw["hits"] = raw["packets"][:-10], raw["hits"][:-10]
    began = time.monotonic()
    found = answer(Atlas(GRAPH), Question(**one["question"]), {host: seen(Answer(0, json.dumps(raw))) for host, raw in one["told"].items()})
    assert time.monotonic() - began < 5 and len(found["steps"]) <= 121 and found["left_out"]


# The question


def ids(name: str, kind: str) -> str:
    return next(id for id, thing in GRAPH["things"].items() if (thing["name"], thing["kind"]) == (name, kind))


def test_what_can_be_asked():
    atlas = Atlas(GRAPH)
    c1, b1, lab = ids("c1", "container"), ids("b1", "container"), ids("lab", "host")
    asked = understood(atlas, {"from": c1, "to": lab, "protocol": "tcp", "port": 80})
    assert (asked.host, asked.goal, asked.port, asked.container) == ("lab", GRAPH["things"][lab]["address"], 80, c1.partition("/")[2])
    assert understood(atlas, {"from": lab, "to": b1, "protocol": "icmp", "port": 9}).port is None
    assert understood(atlas, {"from": c1, "to": " web ", "protocol": "icmp", "port": None}).goal == "web"
    red = understood(atlas, {"from": ids("red", "namespace"), "to": ids("blu", "namespace"), "protocol": "udp", "port": 53})
    assert (red.netns, red.goal) == ("red", "10.5.0.2")
    for wrong in (
        {"from": "nothing"}, {"from": None}, {"from": ids("docker0", "interface")}, {"to": ""}, {"to": None}, {"to": "a b"}, {"to": "$(x)"[:1] + "`"}, {"to": "x" * 300}, {"to": "wire"},
        {"protocol": "sctp"}, {"protocol": None}, {"port": 0}, {"port": 65536}, {"port": "80"}, {"port": True}, {"port": None},
    ):  # fmt: skip
        with pytest.raises(CannotError):
            understood(atlas, {"from": c1, "to": b1, "protocol": "tcp", "port": 80, **wrong})


async def test_late_and_silent_hosts():
    """A host that was late makes it go again once; one that does not answer is done without; the sender's has to."""
    raw = RECORDED["followed"]["published"]["told"]
    sent = raw["client"]["sent"]["at"] / 1e9
    question = {"from": ids("client", "host"), "to": "10.0.0.1", "protocol": "tcp", "port": 9080}
    tries = []

    async def run(host, script, seconds):
        if "sendto" in script:
            return Answer(0)
        if host == "lab":
            tries.append(host)
            return Answer(0, json.dumps({**raw["lab"], "ready": sent + (1 if len(tries) == 1 else -1)}))
        return Answer(0, json.dumps(raw["client"]))

    assert (await follow(run, GRAPH, question))["ok"] and len(tries) == 2

    async def silent(host, script, seconds):
        if host == "lab":
            raise NoAnswer(host)
        return await run(host, script, seconds)

    assert (await follow(silent, GRAPH, question))["ok"]
    told = await follow(silent, GRAPH, {**question, "from": ids("c1", "container")})
    assert not told["ok"] and "does not answer" in said(told["failed"])


async def test_the_others_are_stopped():
    """When the sender's follower has ended, the others need not wait any longer."""
    raw, over = RECORDED["followed"]["published"]["told"], asyncio.Event()
    stopped = []

    async def run(host, script, seconds):
        if "sendto" in script:
            stopped.append(host)
            over.set()
        elif host == "lab":
            await over.wait()
            return Answer(0, json.dumps({**raw["lab"], "ready": 0.0}))
        return Answer(0, json.dumps(raw["client"]))

    told = await follow(run, GRAPH, {"from": ids("client", "host"), "to": "10.0.0.1", "protocol": "tcp", "port": 9080})
    assert stopped == ["lab"] and told["end"]["what"] == "answered"


# The program


def test_packets_are_read():
    syn = bytes.fromhex("4500003c1c4640004006b1e6ac110003ac110002") + bytes.fromhex("f2480050000000010000000050020000000000000204")
    assert parsed(syn, IPV4, b"t") == {"src": "172.17.0.3", "dst": "172.17.0.2", "ttl": 64, "type": "tcp", "sport": 62024, "dport": 80, "flags": 2, "seq": 1, "ack": 0}
    error = bytes.fromhex("450000381c4640004001b1e6ac110002ac110003") + bytes.fromhex("0301000000000000") + syn[:28]
    assert parsed(error, IPV4, b"t")["inner"]["dport"] == 80
    asks = bytes.fromhex("0001080006040001") + b"\2" * 6 + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, 2])
    assert parsed(asks, ARP, b"t") == {"type": "arp", "asks": True, "mac": "02:02:02:02:02:02", "src": "10.0.0.1", "dst": "10.0.0.2"}
    for cut in range(len(error)):  # whatever is cut off, it is one of the faults that Capture expects
        for protocol in (IPV4, IPV6):
            with contextlib.suppress(struct.error, IndexError, OSError):
                parsed(error[:cut], protocol, b"t")


def test_the_filter_jumps_within():
    program = filter_of(61001)
    for n, (_code, yes, no, _value) in enumerate(program[:-2]):
        assert n + 1 + max(yes, no) < len(program) and max(yes, no) < 256
    assert [code for code, *_ in program[-2:]] == [6, 6]  # both ways out


def test_rules_are_found_by_their_handles():
    ruleset = "table ip filter { # handle 2\n\tchain FORWARD { # handle 1\n\t\ttype filter hook forward priority filter; policy drop;\n\t\tcounter packets 0 bytes 0 jump X # handle 7\n\t\tip saddr 1.2.3.4 drop # handle 9\n\t}\n}\n"
    assert listed(ruleset) == {("ip", "filter", "FORWARD", 7): (0, "counter packets 0 bytes 0 jump X"), ("ip", "filter", "FORWARD", 9): (1, "ip saddr 1.2.3.4 drop")}
    assert saved("*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j X\n-A FORWARD -s 1.2.3.4/32 -j DROP\nCOMMIT\n") == {("filter", "FORWARD"): ["-A FORWARD -j X", "-A FORWARD -s 1.2.3.4/32 -j DROP"]}


class Gone:
    """Namespaces that ended while they were watched."""

    def inside(self, space):
        raise FileNotFoundError(space)


def test_a_namespace_that_goes_meanwhile_takes_nothing_with_it():
    """A container may end with what was sent to it: what was seen there is told."""
    follower = object.__new__(Follower)
    follower.q, follower.number, follower.spaces = {"protocol": "tcp"}, 61001, Gone()
    hit = {"family": "ip", "table": "filter", "chain": "INPUT", "type": "rule", "handle": 3}
    arrived = {"ours": True, "out": False, "strange": False, "type": "tcp", "space": "7", "if": 2, "name": "eth0", "src": "10.0.0.1", "dst": "10.0.0.2"}
    follower.traces, follower.captures = [SimpleNamespace(space="7", hits=[hit])], [SimpleNamespace(packets=[arrived])]
    assert follower.rules() == [hit] and follower.asked() == [] and follower.forget() is None


def test_a_namespace_is_found_again_whatever_becomes_of_the_process_that_showed_it():
    """Whoever looks at a network for a page is in each namespace for a moment: that process leads elsewhere when it is asked again."""
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE) as process:
        here = str(Path("/proc/self/ns/net").readlink())
        until = time.monotonic() + 5
        while (there := str(Path(f"/proc/{process.pid}/ns/net").readlink())) == here:
            assert time.monotonic() < until
        spaces = Spaces()
        process.communicate(timeout=5)
    with spaces.inside(there[5:-1]):
        assert str(Path("/proc/thread-self/ns/net").readlink()) == there
    assert str(Path("/proc/thread-self/ns/net").readlink()) == here


def test_the_sum_of_a_packet():
    """As in RFC 1071, and with an odd byte: with its own sum in it, a packet comes to nothing."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    for data in (b"", b"a", b"\xff" * 1501, bytes(range(64))):
        whole = data + b"\0" * (len(data) % 2)
        assert checksum(whole + struct.pack(">H", checksum(data))) == 0
