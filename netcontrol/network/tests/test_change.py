"""The property of it all: a change, done to the graph before, gives the graph after; through JSON, and for any sequence."""
import json
from copy import deepcopy
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netcontrol.network.change import NOTHING, apply, change
from netcontrol.network.graph import graph
from netcontrol.network.tests.bodies import HOSTS, ROOT, body, jack, link, space

unhurried = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))  # the machine may be busy

VALUES = st.recursive(st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3), max_leaves=6)
FACTS = st.dictionaries(st.sampled_from(["state", "addresses", "peer", "mtu"]), VALUES)
THINGS = st.dictionaries(st.sampled_from([f"if:lab/1/{number}" for number in range(6)]), FACTS, max_size=6)
GRAPHS = st.builds(
    lambda things, hosts, unseen, left_out: {"hosts": hosts, "things": {id: {"id": id, "kind": "interface", **facts} for id, facts in things.items()}, "left_out": left_out, "unseen": unseen},
    THINGS, st.lists(st.sampled_from(["lab", "client"]), unique=True), st.lists(st.sampled_from(["lab", "client"]), unique=True), st.dictionaries(st.sampled_from(["links", "rules"]), st.integers(0, 3)),
)  # fmt: skip


@unhurried
@given(GRAPHS, GRAPHS)
def test_a_change_is_exact(before, after):
    kept = deepcopy(before), deepcopy(after)
    found = change(before, after)
    assert apply(before, json.loads(json.dumps(found))) == after
    assert apply(after, change(after, before)) == before
    assert (found == NOTHING) is (before == after)
    assert (before, after) == kept, "nothing that it was given was touched"


@unhurried
@given(st.lists(GRAPHS, min_size=2, max_size=5))
def test_of_any_sequence(graphs):
    last = graphs[0]
    for before, after in pairwise(graphs):
        last = apply(last, change(before, after))
    assert last == graphs[-1]


@unhurried
@given(GRAPHS, GRAPHS)
def test_a_change_is_small(before, after):
    """It holds only what is different: each thing once, each fact with both of its values."""
    found = change(before, after)
    added, gone, changed = set(found["added"]), set(found["gone"]), set(found["changed"])
    assert not added & gone and not added & changed and not gone & changed
    assert gone == before["things"].keys() - after["things"].keys() and added >= after["things"].keys() - before["things"].keys()
    for id, facts in found["changed"].items():
        assert facts and all(old != new and before["things"][id][fact] == old and after["things"][id][fact] == new for fact, (old, new) in facts.items())


def test_what_says_the_same_is_no_change():
    """Order of what has none, counters, timers: nothing of it reaches a graph."""
    one = body(space(ROOT, jack(), link(3, "br0", "bridge"), iptables="*filter\n:INPUT ACCEPT [3:180]\n-A INPUT -j DROP\n"))
    other = deepcopy(one)
    other["spaces"][0]["iptables"] = "# now\n*filter\n:INPUT ACCEPT [7:999]\n-A INPUT -j DROP\nCOMMIT\n"
    for said in other["spaces"][0]["links"]:
        said |= {"stats64": {"rx": 5}, "addr_info": [{**each, "valid_life_time": 17} for each in said["addr_info"]]}
    assert change(graph(HOSTS, {"lab": one}), graph(HOSTS, {"lab": other})) == NOTHING
