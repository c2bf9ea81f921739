"""A body comes from a host whose root is a student: whatever stands anywhere in it, there is a graph, and what is said of it can be read."""
import json
import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netcontrol.network.change import apply, change
from netcontrol.network.graph import graph
from netcontrol.network.tell.lines import MOST_LINES, lines
from netcontrol.network.tell.words import say_line
from netcontrol.network.tests import recorded
from netcontrol.network.tests.bodies import ROOT, body, jack, link, space
from netcontrol.network.tests.whole import check_whole

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20) | st.sampled_from(["eth0", "up", "100", "default", "%(x)s", "`", "\ud800", "*nat\n:DOCKER -\n-A DOCKER -j DNAT"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.sampled_from(["id", "with", "Id", "Name", "spaces", "chain", "rule"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
LAST = {name: ([*recorded.moments(name)][-1].bodies, recorded.hosts(name)) for name in ("networks", "by-hand", "podman", "two-hosts")}


def paths(value: Any, here: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([here] if here else []), *(path for key, each in inner for path in paths(each, (*here, key)))]


def put(value: Any, path: tuple, new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


PATHS = {name: paths(bodies) for name, (bodies, _) in LAST.items()}


def check_told(before: dict, after: dict) -> None:
    assert apply(before, change(before, after)) == after
    told = lines(before, after)
    assert len(told) <= MOST_LINES
    assert json.loads(json.dumps(told)) == told
    for line in map(say_line, told):
        assert set(line) == {"sign", "kind", "host", "ids", "text", "why", "show"} and line["sign"] in "+-~"
        assert line["kind"] in {"host", "bridge", "veth", "container", "namespace", "macvlan", "wire", "route", "rule"}
        assert 0 < len(line["text"]) < 2000 and line["why"] and line["text"].count("`") % 2 == 0
        assert all(id in before["things"] or id in after["things"] for id in line["ids"])
        assert all(host in after["hosts"] and command and "\n" not in command for host, command in line["show"])


@pytest.mark.parametrize("name", LAST)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_anything_anywhere(name, data):
    """Up to four places of what was really seen hold something else."""
    bodies, hosts = LAST[name]
    forged = deepcopy(bodies)
    for _ in range(data.draw(st.integers(1, 4))):
        try:
            put(forged, data.draw(st.sampled_from(PATHS[name])), data.draw(JSON))
        except (KeyError, IndexError, TypeError):  # a place inside of one that is gone
            continue
    true, false = graph(hosts, bodies), graph(hosts, forged)
    check_whole(false)
    check_told(true, false)
    check_told(false, true)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies=st.dictionaries(st.sampled_from(["lab", "client"]), JSON))
def test_no_body_at_all(bodies):
    check_whole(graph([{"name": "lab", "address": "10.73.0.2"}, {"name": "client", "address": "10.73.0.3"}], bodies))


@pytest.mark.parametrize("name", LAST)
def test_parts_of_one_in_the_place_of_others(name):
    """What has the right shape, in the wrong place: a container where a link was, a number where a name was."""
    bodies, hosts = LAST[name]
    true, random_ = graph(hosts, bodies), random.Random(7)
    for _ in range(20):
        forged = deepcopy(bodies)
        for _ in range(5):
            try:
                from_there: Any = bodies
                for key in random_.choice(PATHS[name]):
                    from_there = from_there[key]
                put(forged, random_.choice(PATHS[name]), deepcopy(from_there))
            except (KeyError, IndexError, TypeError):
                continue
        false = graph(hosts, forged)
        check_whole(false)
        check_told(true, false)
        check_told(false, true)


HUGE = {
    "the same rule": {"iptables": "*filter\n:FORWARD ACCEPT\n" + "-A FORWARD -j DROP\n" * 27000},
    "published ports": {"iptables": "*nat\n:DOCKER -\n" + "".join(f"-A DOCKER -p tcp --dport {port} -j DNAT --to-destination 172.17.0.2:{2 * port}\n" for port in range(7000))},
    "quotes": {"iptables": '*filter\n:FORWARD ACCEPT\n-A FORWARD -m comment --comment "' + '\\"' * 250_000},
    "one line": {"iptables": "*filter\n:FORWARD ACCEPT\n-A FORWARD " + "x " * 250_000},
    "chains": {"iptables": "".join(f"*t{number}\n:X{number} -\n" for number in range(30000))},
    "the same route": {"routes": [{"dst": "10.0.0.0/8"}] * 25000},
    "ends of cables": {"links": [link(number + 1, f"v{number}", "veth", link_index=1, link_netnsid=0) for number in range(4000)]},
    "bridges in a ring": {"links": [link(number + 1, f"v{number}", "bridge", master=f"v{(number + 1) % 500}") for number in range(500)]},
    "listeners": {"listen": [{"proto": "tcp", "address": "0.0.0.0", "port": number % 65535 + 1, "family": "ip"} for number in range(9000)]},
    "names": {"names": [f"n{number}" for number in range(50000)]},
}  # fmt: skip


@pytest.mark.parametrize("what", HUGE)
@pytest.mark.timeout(20)
def test_half_a_mebibyte_of_one_thing(what):
    """All that an agent may send: told in time that grows with it, not with its square."""
    hosts = [{"name": "lab", "address": "10.73.0.2"}]
    plain, huge = graph(hosts, {"lab": body(space(ROOT, jack()))}), graph(hosts, {"lab": body(space(ROOT, jack()) | HUGE[what])})
    check_whole(huge)
    check_told(plain, huge)
    check_told(huge, plain)


def test_deep(recursion=900):
    deep: Any = 0
    for _ in range(recursion):
        deep = {"set": [deep]}
    rule = {"family": "inet", "table": "t", "chain": "c", "expr": [{"match": {"left": deep, "right": deep, "op": "=="}}, {"odd": deep}]}
    check_whole(graph([{"name": "lab", "address": ""}], {"lab": body(space(ROOT, nft=[{"chain": {"family": "inet", "table": "t", "name": "c"}}, {"rule": rule}], names=deep))}))
