"""Why one reaches another or not: graphs of real sandboxes with what was really tried in them (tried/), and what is then to be said."""
import json
import time
from pathlib import Path

import pytest

from netcontrol.network.atlas import Atlas
from netcontrol.network.reach import end, explained
from netcontrol.network.reach.packetfilter import Effort, Filter, Packet, _Run
from netcontrol.network.reach.reasons import Reasons
from netcontrol.network.reach.tries import Cell, End
from netcontrol.network.tell.said import said

TRIED = Path(__file__).parent / "tried"
SCENES = sorted(path.stem for path in TRIED.glob("*.json"))
SILENT = "The graph does not say"


def scene(name):
    return json.loads((TRIED / f"{name}.json").read_text())


def told(name, how):
    """(from, to) -> the sentence, with the names of things; of two hosts' things of one name, there is none here."""
    found = scene(name)
    names = [found["graph"]["things"][id]["name"] for id in found["who"]]
    cells = [[Cell(*cell) for cell in row] for row in found["tried"][how]]
    rows = said(explained(found["graph"], found["who"], how, cells, None))
    return {(names[a], names[b]): cell for a, row in enumerate(rows) for b, cell in enumerate(row) if cell}


EXPECTED = [
    ("two_hosts", "ping", "lab", "client", True, "Both are on the same wire"),
    ("two_hosts", "ping", "lab", "lone", True, "`lab` has an interface on `docker0` itself, and `lone` is plugged in there."),
    ("two_hosts", "ping", "lone", "both", True, "Both are plugged into `docker0`"),
    ("two_hosts", "ping", "lone", "client", True, "`lone` sends it to its gateway, `lab`, which passes it on with its own address in front"),
    ("two_hosts", "ping", "lone", "web", False, "Docker keeps its networks apart: what comes from `bridge` and goes to `blue` is dropped in `DOCKER-ISOLATION-STAGE-2`."),
    ("two_hosts", "ping", "client", "web", False, "`client` has no route to `172.18.0.2`."),
    ("two_hosts", "ping", "lab", "far", False, "`172.17.0.2` is an address of `far`, and of `pub` as well: that is the one that `lab` gets to."),
    ("two_hosts", "ping", "client", "lone", False, "`client` takes `172.17.0.3` for one of its own network `172.17.0.0/16`, looks for it on `docker0`, and nobody there has that address."),
    ("two_hosts", "ping", "web", "none", False, "`none` was started with the network `none`"),
    ("two_hosts", "ping", "none", "lab", False, "`none` was started with the network `none`"),
    ("two_hosts", "ping", "lab", "dead", False, "The container `dead` does not run"),
    ("two_hosts", "tcp:80", "lab", "both", False, "It gets to `both`, where nothing listens on port 80"),
    ("two_hosts", "tcp:9080", "client", "lab", True, "`lab` publishes port 9080: a rule there sends what comes for it on to `172.17.0.2`, port 80."),
    ("two_hosts", "name", "web", "both", True, "`web` and `both` are both on `blue`"),
    ("two_hosts", "name", "lone", "both", False, "On the default network `bridge` there are no names"),
    ("two_hosts", "name", "lone", "web", False, "`lone` and `web` are on no network together"),
    ("two_hosts", "name", "lab", "web", False, "Docker’s name server answers containers only."),
    ("two_hosts", "name", "web", "far", False, "`web` and `far` are on two hosts"),
    ("two_hosts", "name", "web", "lab", False, "The names of hosts stand in the hosts’ own `/etc/hosts`."),
    ("modes", "ping", "lab", "hosty", True, "`lab` and `hosty` share one network namespace"),
    ("modes", "ping", "pub", "two", True, "`pub` and `two` share one network namespace"),
    ("modes", "ping", "in", "lab", True, "`lab` is the host that this bridge belongs to."),
    ("modes", "ping", "in", "client", False, "`shut` is internal"),
    ("modes", "ping", "pub", "in", False, "is dropped in `DOCKER-ISOLATION-STAGE-1`."),
    ("modes", "ping", "lab", "m1", False, "A macvlan interface and the one that it hangs from never hear each other"),
    ("modes", "ping", "m1", "client", True, "Both are on the same wire"),
    ("modes", "tcp:80", "lab", "loc", False, "It gets to `loc`, but there port 80 is open on `127.0.0.1` only"),
    ("faults", "ping", "srv", "client", False, "A rule of `lab` drops it: `-A DOCKER-USER -i docker0 -o eth0 -j DROP`"),
    ("faults", "ping", "c2", "c3", False, "No rule in `FORWARD` of `lab` lets it through"),
    ("faults", "ping", "c3", "client", False, "`c3` sends it to its gateway `10.88.0.99`, by `eth0`, and nobody there has that address."),
    ("faults", "ping", "lab", "c5", False, "`eth0` of `c5` is down"),
    ("faults", "ping", "lab", "c4", False, "`lab` has no route to `10.88.1.4`."),
    ("faults", "ping", "c6", "lab", False, "`c6` has no address and no route"),
    ("faults", "name", "lab", "c2", False, "`c2` is the name of a namespace for `ip netns`"),
    ("no_nat", "ping", "c2", "client", False, "It gets to `client`, but no answer comes back: `client` has no route to `10.88.0.2`."),
    ("no_nat", "ping", "srv", "client", False, "`client` looks for `172.17.0.3` on `docker0`, and nobody there has that address."),
    ("no_nat", "ping", "srv", "c2", True, "`srv` sends it to its gateway, `lab`, which passes it on."),
    ("not_forwarded", "ping", "srv", "client", False, "`lab` would have to pass it on, and forwarding is off there."),
]


@pytest.mark.parametrize(("name", "how", "a", "b", "reached", "sentence"), EXPECTED, ids=[f"{name}, {how}: {a} to {b}" for name, how, a, b, *_ in EXPECTED])
def test_what_is_said(name, how, a, b, reached, sentence):
    cell = told(name, how)[a, b]
    assert cell["reached"] is reached
    assert sentence in cell["why"]


@pytest.mark.parametrize("name", SCENES)
def test_all_that_was_tried_there_is_explained(name):
    found = scene(name)
    for how in found["tried"]:
        for pair, cell in told(name, how).items():
            assert SILENT not in cell["why"], (how, pair, cell["why"])
            assert (cell["reached"] is None) == ("could not be tried" in cell["why"]), (how, pair)
            assert set(cell["path"]) <= set(found["graph"]["things"])
            assert cell["reached"] is not True or how == "name" or len(cell["path"]) > 2


@pytest.mark.parametrize("name", SCENES)
def test_no_reason_contradicts_what_was_found(name):
    """Had it gone otherwise than it did, the graph would not say why: nothing is made up."""
    found = scene(name)
    reasons = Reasons(found["graph"])
    for how in set(found["tried"]) - {"name"}:
        for a, row in enumerate(found["tried"][how]):
            for b, (reached, code, address) in enumerate(row):
                if reached is None or not address:
                    continue
                other = Cell(False, "timeout", address) if reached else Cell(True, "", address)
                why = said(reasons.reason(found["who"][a], found["who"][b], how, other)["why"])
                silent = SILENT in why if reached else f"by `{address}`" in why
                assert silent or "Both are plugged into `hand0`" in why, (how, a, b, code, why)  # br_netfilter is not in the graph


def why(graph, a, b, how, code, address="10.1.1.2"):
    """By the names of things."""
    ids = {thing["name"]: thing["id"] for thing in graph["things"].values() if thing["kind"] in ("host", "container")}
    return said(Reasons(graph).reason(ids[a], ids[b], how, Cell(False, code, address))["why"])


def test_a_container_of_the_network_none_into_which_somebody_plugged_a_cable():
    graph = scene("two_hosts")["graph"]
    assert all("nothing else" in each for each in (why(graph, "none", "web", "ping", "no-route"), why(graph, "web", "none", "ping", "no-address")))
    none = next(thing for thing in graph["things"].values() if thing["kind"] == "container" and thing["name"] == "none")
    cable = {**next(thing for thing in graph["things"].values() if thing["kind"] == "interface" and thing["type"] == "veth"), "id": "if:x", "space": none["space"], "addresses": ["10.1.1.1/24"], "peer": None}
    graph["things"]["if:x"] = cable
    for each in (why(graph, "none", "web", "ping", "no-route"), why(graph, "web", "none", "ping", "no-address"), why(graph, "none", "web", "name", "no-name")):
        assert "nothing else" not in each and "no network at all" not in each


def test_podmans_names_are_not_dockers():
    graph = scene("two_hosts")["graph"]
    assert "Docker" in why(graph, "lab", "web", "name", "no-name")
    for thing in graph["things"].values():
        if thing["kind"] == "container":
            thing["engine"] = "podman"
    assert "Docker" not in why(graph, "lab", "web", "name", "no-name") and "Docker" not in why(graph, "web", "far", "name", "no-name")


@pytest.mark.parametrize(("to", "goal"), [
    ("172.17.0.2:80", ("172.17.0.2", 80)), ("172.17.0.2", ("172.17.0.2", 9)), ("[fd00::2]:80", ("fd00::2", 80)), ("fd00::2", ("fd00::2", 9)), ("fd00::1:2", ("fd00::1:2", 9)),
    ("10.0.0.1-10.0.0.9", None), ("10.0.0.1:80-90", None), ("x", None), ("", None),
])  # fmt: skip
def test_where_a_rule_sends_it_on_to(to, goal):
    packet = Packet("10.0.0.1", "10.0.0.2", "tcp", 9)
    fate = _Run(Filter(Atlas({"things": {}, "hosts": []}), Effort()), "ns:x", frozenset()).rewritten({"id": "r", "action": "DNAT", "to": to}, packet)
    assert (fate.what, (fate.packet.dst, fate.packet.port)) == (("on", goal) if goal else ("unsure", ("10.0.0.2", 9)))


@pytest.mark.parametrize(("a", "b", "lacks"), [("c2", "c3", {"left_out": {"rules": 1}}), ("lab", "c4", {"left_out": {"routes": 1}}), ("c3", "client", {"left_out": {"links": 1}}), ("c3", "client", {"unseen": ["x"]})])
def test_what_the_graph_lacks_may_be_the_reason(a, b, lacks):
    found = scene("faults")
    names = [found["graph"]["things"][id]["name"] for id in found["who"]]
    cell = Cell(*found["tried"]["ping"][names.index(a)][names.index(b)])
    for graph, silent in ((found["graph"], False), ({**found["graph"], **lacks}, True)):
        assert (SILENT in said(Reasons(graph).reason(found["who"][names.index(a)], found["who"][names.index(b)], "ping", cell)["why"])) is silent


def test_a_graph_without_end_is_looked_into_for_a_moment():
    """Eight namespaces on two ways that go round, with hundreds of rules at each turn, as a forged host may have them: nothing is said of why, and soon."""
    things = {}

    def thing(kind, id, **facts):
        things[id] = {"id": id, "kind": kind, "name": id, "host": "lab", **facts}

    for n in range(8):
        space = f"ns:lab/{n}"
        thing("namespace", space, root=False, containers=[], forward=True, forward6=True, pid=1)
        for way in range(2):
            at = f"if:lab/{n}/{way}"
            thing("interface", at, space=space, type="veth", index=way, state="up", addresses=[f"10.{n // 2}.{way}.{n}/24"], peer=f"if:lab/{n ^ 1}/{way}", master=None, parent=None, network=None)
        for to in range(100):
            thing("route", f"route:lab/{n}/{to}", space=space, family="ip", to=f"172.{to}.0.0/16", via=f"10.{n // 2}.0.{n ^ 1}", dev=f"if:lab/{n}/0", table="main", metric=None, source=None, type="unicast", hops=None)
        rules = [f"rule:{n}/{r}" for r in range(300)]
        for rule in rules:
            thing("rule", rule, space=space, family="ip", table="t", chain="all", text=f"log prefix {rule}", action="LOG", target="", match={"src": f"!192.168.{n}.0/24"}, to="", owner="student")
        for hook in ("prerouting", "forward", "postrouting", "output", "input"):
            thing("chain", f"chain:{n}/{hook}", space=space, family="ip", table="t", policy="accept", hook=hook, priority=0, rules=rules, owner="student")
    who = [f"ns:lab/{n}" for n in range(8)]
    found = [[Cell(False, "other", "172.50.1.1") for _ in who] for _ in who]
    began = time.thread_time()
    cells = explained({"hosts": ["lab"], "things": things, "unseen": [], "left_out": {}}, who, "tcp:80", found, None)
    assert time.thread_time() - began < 2.0
    assert all(SILENT in said(cell["why"]) for row in cells for cell in row if cell)


def test_a_way_that_nobody_knows_is_not_made_up():
    found = scene("two_hosts")
    reasons = Reasons(found["graph"])
    for code in ("timeout", "refused", "other", "turned-away", "no-route", "no-neighbour", "prohibited", "error", "of some other version"):
        why = said(reasons.reason(found["who"][0], found["who"][1], "ping", Cell(False, code, "10.73.0.115"))["why"])
        assert SILENT in why and "Follow the packet." in why
    assert "could not be tried" in said(reasons.reason(found["who"][0], found["who"][1], "ping", Cell(None, "silent"))["why"])
    assert reasons.reason("ctr:lab/gone", found["who"][1], "ping", Cell(False, "timeout", "10.9.9.9"))["path"] == []


def test_ends():
    things = scene("faults")["graph"]["things"]
    by_name = {thing["name"]: thing for thing in things.values() if thing["kind"] in ("host", "container")}
    spaces = {thing["name"]: thing for thing in things.values() if thing["kind"] == "namespace" and thing["name"]}
    assert end(by_name["lab"]) == End("lab", "lab")
    assert end(by_name["srv"]) == End("srv", "lab", container="srv", space=by_name["srv"]["space"].rpartition("/")[2])
    assert end(spaces["c2"]) == End("c2", "lab", netns="c2")
    assert end(next(thing for thing in things.values() if thing["kind"] == "interface")) is None
