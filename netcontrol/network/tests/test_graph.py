"""Bodies in, a graph out: what recordings do not show, and where sources disagree."""
import json

import pytest

from netcontrol.network.graph import graph
from netcontrol.network.graph.kept import MOST
from netcontrol.network.tests.bodies import HOSTS, ROOT, body, container, jack, link, network, space
from netcontrol.network.tests.whole import check_whole


def made(*spaces, **more):
    found = graph(HOSTS, {"lab": body(*spaces, **more)})
    check_whole(found)
    return found["things"]


def wire_of(things):
    return things["wire"]["interfaces"]


# Cables


def test_a_cable_in_one_namespace():
    things = made(space(ROOT, link(4, "a", "veth", link="b"), link(5, "b", "veth", link="a")))
    assert things["if:lab/100/4"]["peer"] == "if:lab/100/5" and things["if:lab/100/5"]["peer"] == "if:lab/100/4"


def test_two_cables_with_the_same_numbers_are_told_apart_by_where_they_lead():
    """Namespaces count their interfaces on their own: 2 in red may be the other end of 2 in blue, and so in any other two."""
    pairs = [("11", "12"), ("13", "14")]
    ends = [(one, other) for pair in pairs for one, other in (pair, pair[::-1])]
    spaces = [space(one, link(2, "eth0", "veth", link_index=2, link_netnsid=0), peers={"0": other}) for one, other in ends]
    things = made(space(ROOT), *spaces)
    assert {one: things[f"if:lab/{one}/2"]["peer"] for one, _ in ends} == {one: f"if:lab/{other}/2" for one, other in ends}


def test_what_is_not_certain_is_not_said():
    """The same, by an agent that does not know where they lead."""
    spaces = [space(str(number), link(2, "eth0", "veth", link_index=2, link_netnsid=0)) for number in range(11, 15)]
    things = made(space(ROOT), *spaces)
    assert not any(thing["peer"] for thing in things.values() if thing["kind"] == "interface")


def test_without_numbers_of_namespaces_what_fits_once_is_a_cable():
    things = made(space(ROOT, jack(), link(7, "veth7", "veth", link_index=6, link_netnsid=1)), space("11", link(6, "eth0", "veth", link_index=7, link_netnsid=0)))
    assert things["if:lab/100/7"]["peer"] == "if:lab/11/6" and wire_of(things) == ["if:lab/100/2"]


def test_an_end_that_claims_another_s():
    """Forged: three ends, one cable."""
    things = made(space(ROOT, link(4, "a", "veth", link="b"), link(5, "b", "veth", link="a"), link(6, "c", "veth", link="a")))
    assert things["if:lab/100/6"]["peer"] is None and things["if:lab/100/4"]["peer"] == "if:lab/100/5"


# The host's end of the wire


def test_the_wire():
    things = made(space(ROOT, jack()))
    assert things["if:lab/100/2"]["type"] == "wire" and things["wire"] == {"id": "wire", "kind": "wire", "name": "wire", "host": None, "subnet": "10.73.0.0/28", "interfaces": ["if:lab/100/2"]}


def test_the_address_was_moved_to_a_bridge():
    """What one does to put the host's own interface on a bridge: the jack stays the jack."""
    things = made(space(ROOT, jack(addresses=[], master="br0"), link(3, "br0", "bridge", addresses=["10.73.0.2/28"])))
    assert wire_of(things) == ["if:lab/100/2"] and things["if:lab/100/2"]["master"] == "if:lab/100/3" and things["wire"]["subnet"] is None


def test_the_jack_was_moved_into_a_namespace_and_renamed():
    things = made(space(ROOT), space("11", link(2, "out", "veth", link_index=90, link_netnsid=0), names=["red"], peers={}))
    assert wire_of(things) == ["if:lab/11/2"] and things["ns:lab/11"]["name"] == "red"


def test_a_cable_whose_other_end_is_not_seen_is_no_second_jack():
    things = made(space(ROOT, jack(), link(9, "veth9", "veth", link_index=8, link_netnsid=3)))
    assert wire_of(things) == ["if:lab/100/2"] and things["if:lab/100/9"]["type"] == "veth"


# Parents and bridges


def test_a_macvlan_in_a_container_stands_on_the_host_s_interface():
    child = link(7, "eth0", "macvlan", link_index=2, link_netnsid=0, data={"mode": "bridge"})
    for peers in ({"peers": {"0": ROOT}}, {}):
        things = made(space(ROOT, jack()), space("11", child, **peers))
        assert (things["if:lab/11/7"]["parent"], things["if:lab/11/7"]["mode"]) == ("if:lab/100/2", "bridge")


def test_a_vlan():
    things = made(space(ROOT, jack(), link(7, "eth0.20", "vlan", link="eth0", data={"id": 20})))
    assert (things["if:lab/100/7"]["vlan"], things["if:lab/100/7"]["parent"]) == (20, "if:lab/100/2")


def test_what_the_kernel_puts_everywhere_is_left_out():
    things = made(space(ROOT, link(3, "tunl0", "ipip", state="down"), link(4, "sit0", "sit", state="up")))
    assert "if:lab/100/3" not in things and "if:lab/100/4" in things


@pytest.mark.parametrize(("flags", "state"), [([], "down"), (["UP", "LOWER_UP"], "up"), (["UP"], "no-carrier"), (["UP", "LOWER_UP", "NO-CARRIER"], "no-carrier"), (["LOWER_UP"], "down"), ("UP", "down")])
def test_states(flags, state):
    assert made(space(ROOT, {**link(3, "x", "bridge"), "flags": flags}))["if:lab/100/3"]["state"] == state


# Engines, and where the kernel knows better


def test_a_bridge_that_is_gone_is_not_drawn():
    things = made(space(ROOT, link(3, "br-cccccccccccc", "dummy")), networks=[network("c", "blue")])
    assert things["net:lab/cccccccccccc"]["bridge"] is None and things["if:lab/100/3"]["network"] is None


def test_a_bridge_by_its_usual_and_by_a_chosen_name():
    things = made(space(ROOT, link(3, "br-cccccccccccc", "bridge"), link(4, "mine", "bridge")), networks=[network("c", "blue"), network("d", "green", Options={"com.docker.network.bridge.name": "mine"})])
    assert things["net:lab/cccccccccccc"]["bridge"] == "if:lab/100/3" and things["if:lab/100/4"]["network"] == "net:lab/dddddddddddd"


def test_an_address_that_was_changed_by_hand():
    """Docker has 172.18.0.2 on record; the interface has another one, and is still the one that this network put there."""
    joined = {"blue": {"NetworkID": "c" * 64, "IPAddress": "172.18.0.2", "IPPrefixLen": 16, "MacAddress": "02:00:00:00:00:06"}}
    things = made(space(ROOT), space("11", link(6, "eth0", "veth", addresses=["172.18.0.99/16"])), networks=[network("c", "blue")], containers=[container("e", "web", space="11", Networks=joined)])
    assert things["if:lab/11/6"]["addresses"] == ["172.18.0.99/16"] and things["if:lab/11/6"]["network"] == "net:lab/cccccccccccc"
    assert things["ctr:lab/eeeeeeeeeeee"]["networks"]["net:lab/cccccccccccc"]["address"] == "172.18.0.2/16"


def test_a_namespace_that_is_gone_already():
    things = made(space(ROOT), containers=[container("e", "web", space="4711")])
    assert things["ctr:lab/eeeeeeeeeeee"]["space"] is None and things["ctr:lab/eeeeeeeeeeee"]["state"] == "running"


def test_modes():
    things = made(space(ROOT), containers=[container("e", "web", Mode="default"), container("f", "helper", Mode=f"container:{'e' * 64}"), container("d", "host", Mode="host", space=ROOT)])
    assert [things[f"ctr:lab/{digit * 12}"]["mode"] for digit in "efd"] == ["bridge", "container:ctr:lab/eeeeeeeeeeee", "host"]
    assert things["ns:lab/100"]["containers"] == ["ctr:lab/dddddddddddd"]


def test_order_in_which_docker_tells_does_not_matter():
    several = [network(digit, f"net{digit}") for digit in "cde"]
    assert made(space(ROOT), networks=several) == made(space(ROOT), networks=several[::-1])


# Routes


def test_routes_by_number_and_by_word():
    """`ip -N` says words as numbers."""
    routes = [{"type": "1", "dst": "default", "gateway": "172.17.0.1", "dev": "eth0", "table": "254", "family": "ip"}, {"type": "2", "dst": "10.73.0.2", "dev": "eth0", "table": "255", "family": "ip"}]
    words = [{"dst": "default", "gateway": "172.17.0.1", "dev": "eth0", "family": "ip"}, {"type": "local", "dst": "10.73.0.2", "dev": "eth0", "table": "local", "family": "ip"}]
    things = [made(space(ROOT, jack(), routes=said)) for said in (routes, words)]
    assert things[0] == things[1] and [id for id in things[0] if id.startswith("route")] == ["route:lab/100/ip/main/default/2/172.17.0.1/"]


def test_two_ways_to_one_place():
    hops = [{"gateway": "10.73.0.3", "dev": "eth0"}, {"gateway": "10.73.0.4", "dev": "eth0"}]
    things = made(space(ROOT, jack(), routes=[{"dst": "default", "family": "ip", "nexthops": hops}, {"dst": "10.9.0.0/16", "type": "blackhole", "family": "ip"}, {"dst": "fe80::/64", "dev": "eth0", "family": "ip6"}]))
    both, nowhere = [thing for thing in things.values() if thing["kind"] == "route"]
    assert [hop["via"] for hop in both["hops"]] == ["10.73.0.3", "10.73.0.4"] and both["via"] == "10.73.0.3"
    assert (nowhere["type"], nowhere["dev"], nowhere["hops"]) == ("blackhole", None, None)


# Rules

SAVED = """*nat
:PREROUTING ACCEPT [3:180]
:POSTROUTING ACCEPT
:DOCKER -
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.18.0.0/16 ! -o br-cccccccccccc -j MASQUERADE
-A POSTROUTING -s 10.9.0.0/24 ! -o br0 -j MASQUERADE
-A DOCKER ! -i br-cccccccccccc -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80
COMMIT
*filter
:FORWARD DROP
:DOCKER-USER -
:MINE -
-A FORWARD -j DOCKER-USER
-A FORWARD -i br0 -j ACCEPT
-A DOCKER-USER -p tcp -m comment --comment "a \\"quoted\\" -j ACCEPT" -m tcp --dport 22 -j MINE
-A DOCKER-USER -j RETURN
-A MINE -j LOG --log-prefix "x -j DROP"
-A MINE -j LOG --log-prefix "x -j DROP"
-A NOWHERE -j DROP
COMMIT
"""


def test_rules():
    found = graph(HOSTS, {"lab": body(space(ROOT, link(3, "br-cccccccccccc", "bridge"), iptables=SAVED), networks=[network("c", "blue")])})
    check_whole(found)
    rules = [thing for thing in found["things"].values() if thing["kind"] == "rule"]
    by_text = {rule["text"]: rule for rule in rules}
    assert found["left_out"]["rules"] == 1, "a rule of a chain that is not there"
    published = by_text["-A DOCKER ! -i br-cccccccccccc -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80"]
    assert (published["action"], published["to"], published["match"]) == ("DNAT", "172.18.0.2:80", {"in": "!br-cccccccccccc", "proto": "tcp", "dport": "8080"})
    masquerades = {rule["match"]["src"]: rule["owner"] for rule in rules if rule["action"] == "MASQUERADE"}
    assert masquerades == {"172.18.0.0/16": "docker", "10.9.0.0/24": "student"}
    user = [rule for rule in rules if rule["chain"] == "DOCKER-USER"]
    assert [(rule["action"], rule["target"], rule["owner"]) for rule in user] == [("jump", "MINE", "student"), ("RETURN", "RETURN", "docker")]
    assert user[0]["match"] == {"proto": "tcp", "comment": 'a "quoted" -j ACCEPT', "dport": "22"}
    assert by_text["-A FORWARD -i br0 -j ACCEPT"]["owner"] == "student" and by_text["-A FORWARD -j DOCKER-USER"]["owner"] == "docker"
    twins = [rule["id"] for rule in rules if rule["chain"] == "MINE"]
    assert twins[1] == f"{twins[0]}.2" and found["things"]["chain:lab/100/ip/filter/MINE"]["rules"] == twins
    assert found["things"]["chain:lab/100/ip/nat/PREROUTING"]["policy"] == "ACCEPT" and found["things"]["chain:lab/100/ip/filter/FORWARD"]["hook"] == "forward"


def test_a_rule_that_moves_keeps_its_id():
    lines = ["-A INPUT -s 10.0.0.1/32 -j DROP", "-A INPUT -s 10.0.0.2/32 -j DROP"]
    first, second = (made(space(ROOT, iptables="*filter\n:INPUT ACCEPT\n" + "\n".join(order))) for order in (lines, lines[::-1]))
    assert first.keys() == second.keys() and first["chain:lab/100/ip/filter/INPUT"]["rules"] == second["chain:lab/100/ip/filter/INPUT"]["rules"][::-1]


def test_nft():
    expr = [
        {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, {"counter": {"packets": 3, "bytes": 4}},
        {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [80, {"range": [8000, 8010]}]}}}, {"drop": None},
    ]  # fmt: skip
    nat = [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, {"dnat": {"family": "ip", "addr": "10.0.0.2", "port": 8080}}]
    table = {"family": "inet", "table": "mine"}
    nft = [{"table": {"family": "inet", "name": "mine"}}, {"chain": {**table, "name": "in", "type": "filter", "hook": "input", "prio": 5, "policy": "accept"}}, {"rule": {**table, "chain": "in", "expr": expr, "comment": "why"}}, {"rule": {**table, "chain": "in", "expr": nat}}]
    things = made(space(ROOT, nft=nft))
    chain = things["chain:lab/100/inet/mine/in"]
    assert (chain["policy"], chain["hook"], chain["priority"], chain["owner"]) == ("ACCEPT", "input", 5, "student")
    drop, dnat = (things[id] for id in chain["rules"])
    assert drop["text"] == 'iifname eth0 ip saddr != 10.0.0.0/8 ct state established, related tcp dport { 80, 8000-8010 } drop comment "why"'
    assert (drop["action"], drop["match"]) == ("DROP", {"in": "eth0", "src": "!10.0.0.0/8", "state": "established, related", "dport": "{ 80, 8000-8010 }", "proto": "tcp", "comment": "why"})
    assert (dnat["action"], dnat["to"], dnat["text"]) == ("DNAT", "10.0.0.2:8080", "tcp dport 80 dnat ip to 10.0.0.2:8080")


# Bounds


def test_too_much_is_cut_and_counted():
    many = 4000
    saved = "*filter\n:INPUT ACCEPT\n" + "".join(f"-A INPUT -p tcp --dport {number} -j DROP\n" for number in range(many))
    found = graph(HOSTS, {"lab": body(
        space(ROOT, *(link(number + 1, f"x{number}", "dummy", address="") for number in range(many)), iptables=saved, routes=[{"dst": "10.0.0.0/8"}] * many, listen=[{"proto": "tcp", "address": "0.0.0.0", "port": number + 1} for number in range(many)]),
        *(space(str(number)) for number in range(200, 900)), networks=[network("c", "n") | {"Id": f"{number:012x}"} for number in range(many)], containers=[container("c", "c") | {"Id": f"{number:012x}"} for number in range(many)],
        left_out={"routes": 5, "nonsense": 7, "links": -3, "rules": "many"},
    )})  # fmt: skip
    check_whole(found)
    assert all(sum(thing["kind"] == kind for thing in found["things"].values()) == most for kind, (_, most) in MOST.items() if kind != "chain")
    assert found["left_out"] == {"spaces": 701 - MOST["namespace"][1], "links": many - 512, "routes": many - 512 + 5, "rules": many - 1024, "containers": many - 128, "networks": many - 128, "listeners": many - 256}


def test_long_and_strange_texts():
    things = made(space(ROOT, jack(), names=["\ud800x\u202e<b>", "y" * 9000]), containers=[container("e", "n" * 999, Labels={"k" * 999: "v" * 9999, "": "no", "x": ["no text"]}, Image="i\nj\0")])
    thing = things["ctr:lab/eeeeeeeeeeee"]
    assert things["ns:lab/100"]["name"] == "�x�<b>" and len(thing["name"]) <= 128 and thing["image"] == "i�j�"
    assert {len(key): len(value) for key, value in thing["labels"].items()} == {128: 256, 1: 0}


@pytest.mark.parametrize("said", [None, [], {}, "", 5, {"spaces": 5}, {"spaces": [None, [], {"id": "5", "root": False}]}, {"spaces": [{"id": "x", "root": True}]}])
def test_a_body_in_which_no_host_can_stand(said):
    found = graph(HOSTS, {"lab": said})
    check_whole(found)
    assert found["unseen"] == ["lab"] and set(found["things"]) == {"wire", "host:lab"}


def test_a_host_that_said_nothing():
    found = graph([*HOSTS, {"name": "client", "address": "10.73.0.3"}], {"lab": body(space(ROOT, jack()))})
    check_whole(found)
    assert found["unseen"] == ["client"] and found["hosts"] == ["lab", "client"] and found["things"]["host:client"]["space"] is None


def test_two_that_both_say_they_are_the_root():
    things = made(space("11", root=True), space("12", root=True))
    assert [things[f"ns:lab/{number}"]["root"] for number in (11, 12)] == [True, False]


def test_the_same_body_gives_the_same_graph():
    said = body(space(ROOT, jack(), iptables=SAVED), networks=[network("c", "blue")])
    before = json.dumps(said)
    assert graph(HOSTS, {"lab": said}) == graph(HOSTS, {"lab": json.loads(before)}) and json.dumps(said) == before, "and the body is left as it was"
