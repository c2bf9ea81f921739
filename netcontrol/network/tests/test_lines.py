"""What people read of a change: word by word for what was recorded, and what is not told: an engine's plumbing, and what is only in passing."""
import re
import shlex
from itertools import pairwise

import pytest
from django.utils.translation import override

from labsite import translations
from netcontrol.network.graph import graph
from netcontrol.network.tell import engines, links, routes, rules
from netcontrol.network.tell.lines import MOST_LINES, lines
from netcontrol.network.tell.story import Said
from netcontrol.network.tell.words import say, say_line
from netcontrol.network.tests import recorded
from netcontrol.network.tests.bodies import HOSTS, ROOT, body, container, jack, link, network, space


def told(before, after, hosts=HOSTS):
    """Lines between two graphs, as "+ text"."""
    return [f"{line['sign']} {line['text']}" for line in map(say_line, lines(before, after))]


def between(before, after):
    """The same, between two bodies of one host."""
    return told(*(graph(HOSTS, {"lab": said}) for said in (before, after)))


def after(scene, command):
    """What the recorded command of a scene changed: ends of cables and bridges have other names in each recording."""
    for was, now in pairwise(recorded.moments(scene)):
        if now.command.startswith(command):
            said = told(*(graph(recorded.hosts(scene), moment.bodies) for moment in (was, now)))
            return [re.sub(r"veth[0-9a-f]{7}", "VETH", re.sub(r"br-[0-9a-f]{12}", "BRIDGE", line)) for line in said]
    raise AssertionError(f"{scene} has no {command}")


RECORDED = [
    ("docker0", "docker run -d --name web", [
        "+ container `web` runs `nginx`", "+ `VETH` on `docker0` ↔ `eth0` in `web`", "+ `eth0` in `web`: `172.17.0.2/16`", "~ `docker0`: `down` → `up`, it has a cable",
        "+ `nginx` in `web` listens on tcp `80`", "+ nat: DNAT tcp `9080` → `172.17.0.2:80`",
    ]),
    ("docker0", "docker stop", ["~ container `box`: `running` → `exited`, code `137`", "- `VETH` on `docker0` ↔ `eth0` in `box` is gone"]),
    ("docker0", "docker start", ["~ container `box`: `exited` → `running`", "+ `VETH` on `docker0` ↔ `eth0` in `box`", "+ `eth0` in `box`: `172.17.0.3/16`"]),
    ("networks", "docker network create --subnet", [
        "+ network `blue`: bridge `BRIDGE`, `172.20.0.0/16`", "+ nat: MASQUERADE `172.20.0.0/16`, unless by `BRIDGE`", "+ filter: 6 rules of Docker for `BRIDGE`",
    ]),
    ("networks", "docker network create --internal", ["+ internal network `teal`: bridge `BRIDGE`, `172.18.0.0/16`", "+ filter: 3 rules of Docker for `BRIDGE`"]),
    ("networks", "docker network connect --alias", ["+ container `db` joins `teal` also as `shop`", "+ `VETH` on `BRIDGE` ↔ `eth1` in `db`", "+ `eth1` in `db`: `172.18.0.3/16`"]),
    ("networks", "docker network connect --ip", [
        "+ container `lone` joins `blue`", "+ `VETH` on `BRIDGE` ↔ `eth1` in `lone`", "+ `eth1` in `lone`: `172.20.0.9/16`",
        "~ route in `lone`: `default` via `172.17.0.1` by `eth0` → via `172.20.0.254` by `eth1`",
    ]),
    ("networks", "docker network disconnect", ["- container `lone` is no longer on `bridge`", "- `VETH` on `docker0` ↔ `eth0` in `lone` is gone", "~ `docker0`: `up` → `down`, no cable is left"]),
    ("networks", "docker network create passing", []),
    ("modes", "docker run -d --name shared", ["+ container `shared` runs `busybox` in the network of the host", "+ `httpd` listens on tcp `8090`"]),
    ("modes", "docker run -d --name alone", ["+ container `alone` runs `busybox` without a network"]),
    ("modes", "docker run -d --name helper", ["+ container `helper` runs `busybox` in the network of `web`"]),
    ("modes", "docker create", ["+ container `made` is made from `busybox`: `created`"]),
    ("modes", "docker run --name over", ["+ container `over` ran `busybox` and exited with code `3`"]),
    ("macvlan", "docker network create -d macvlan", ["+ network `macnet`: `macvlan` on `eth0`, `192.168.50.0/24`"]),
    ("macvlan", "docker run -d --name desk", ["+ container `desk` runs `busybox`, on `macnet`", "+ `eth0` in `desk`: `macvlan` on `eth0`", "+ `eth0` in `desk`: `192.168.50.128/24`"]),
    ("podman", "podman run -d --name cup", [
        "+ container `cup` runs `docker.io/library/busybox:latest`", "+ bridge `podman0`, of the network `podman`", "+ `veth0` on `podman0` ↔ `eth0` in `cup`",
        "+ `podman0`: `10.88.0.1/16`", "+ `eth0` in `cup`: `10.88.0.2/16`", "+ nat: DNAT tcp `8081` → `10.88.0.2:80`",
    ]),
    ("by-hand", "ip link add red0", ["+ `red0` on `rack0` ↔ `eth0` in `red`", "~ `rack0`: `up` → `no-carrier`"]),
    ("by-hand", "ip -n red", [
        "+ `eth0` in `red`: `10.9.0.2/24`", "~ `rack0`: `down` → `up`, it has a cable", "~ `lo` in `red`: `down` → `up`", "~ `eth0` in `red`: `down` → `up`", "+ route in `red`: `default` via `10.9.0.1` by `eth0`",
    ]),
    ("by-hand", "ip link add loose0", ["+ `loose0` ↔ `loose1`"]),
    ("by-hand", "iptables", ["+ `filter FORWARD`: `-i rack0 -j ACCEPT`", "+ `nat POSTROUTING`: `-s 10.9.0.0/24 ! -o rack0 -j MASQUERADE`"]),
    ("by-hand", "ip netns exec red", ["~ forwarding in `red`: `off` → `on`", "+ `filter INPUT` in `red`: `-p tcp -m tcp --dport 23 -j DROP`"]),
    ("by-hand", "nft add", ["+ chain `inet mine in`, asked at `input`", "+ `inet mine in`: `tcp dport 24 drop`"]),
    ("by-hand", "ip link set blue0 down", ["~ `blue0`: `up` → `down`"]),
    ("by-hand", "ip netns add gone", []),
    ("hostile", "ip link set", ["~ `\"><script>`: from `lab` to `<b>x&y%(n)s`"]),
    ("switched-off", "systemctl stop", ["~ dockerd in `lab` no longer runs", "~ `docker0`: `up` → `down`, no cable is left"]),
]  # fmt: skip


@pytest.mark.parametrize(("scene", "command", "said"), RECORDED, ids=[f"{scene}: {command}" for scene, command, _ in RECORDED])
def test_what_was_recorded(scene, command, said):
    assert after(scene, command) == said


# By hand, for what no scene shows

CABLE = (link(4, "a", "veth", link="b"), link(5, "b", "veth", link="a"))


@pytest.mark.parametrize(("name", "command"), [("in", "nft list chain inet mine in"), ("x; flush ruleset", "nft list ruleset"), ("$(id)", "nft list ruleset"), ("-f", "nft list ruleset")])
def test_a_chain_whose_name_is_a_command(name, command):
    objects = [{"table": {"family": "inet", "name": "mine"}}, {"chain": {"family": "inet", "table": "mine", "name": name, "hook": "input", "prio": 0, "policy": "accept"}}]
    was, now = (graph(HOSTS, {"lab": body(space(ROOT, nft=nft))}) for nft in ([], objects))
    assert [line["show"] for line in lines(was, now)] == [[["lab", command]]]


def test_moved_and_renamed():
    before = body(space(ROOT, *CABLE), space("11", names=["red"]))
    there = link(5, "b", "veth", link_index=4, link_netnsid=1, state="down")
    home = space(ROOT, link(4, "a", "veth", link_index=5, link_netnsid=1), peers={"1": "11"})
    now = body(home, space("11", there, names=["red"], peers={"1": ROOT}))
    assert between(before, now) == ["~ `b`: from `lab` to `red`"]
    assert between(now, before) == ["~ `b`: from `red` to `lab`"]
    called = body(home, space("11", {**there, "ifname": "eth0"}, names=["red"], peers={"1": ROOT}))
    assert between(now, called) == ["~ `b` is called `eth0` in `red` now"]
    assert between(before, called) == ["~ `b`: from `lab` to `red`", "~ `b` is called `eth0` in `red` now"]


def test_moved_into_a_namespace_that_has_no_name():
    """As `ip link set b netns PID` does, after `unshare -n`."""
    before = body(space(ROOT, *CABLE), space("11", pid=77))
    now = body(space(ROOT, link(4, "a", "veth", link_index=5, link_netnsid=1), peers={"1": "11"}), space("11", link(5, "b", "veth", link_index=4, link_netnsid=1), pid=77, peers={"1": ROOT}))
    assert between(before, now) == ["~ `b`: from `lab` to `pid 77`"]


def test_plugged_pulled_and_replugged():
    def plugged(master=None):
        more = {"master": master} if master else {}
        return body(space(ROOT, link(3, "br0", "bridge"), link(4, "br1", "bridge"), link(5, "d", "dummy", **more)))

    assert between(plugged(), plugged("br0")) == ["+ `d` is plugged into `br0`"]
    assert between(plugged("br0"), plugged("br1")) == ["~ `d`: from bridge `br0` to `br1`"]
    assert between(plugged("br1"), plugged()) == ["- `d` is pulled out of `br1`"]


def test_one_switch_is_one_line():
    """The other end of the cable gains or loses its carrier by it, and that is no news."""

    def cable(one, other, bridge):
        return body(space(ROOT, link(3, "br0", "bridge", state=bridge), link(4, "a", "veth", link="b", state=one, master="br0"), link(5, "b", "veth", link="a", state=other)))

    assert between(cable("no-carrier", "down", "no-carrier"), cable("up", "up", "up")) == ["~ `br0`: `down` → `up`, it has a cable", "~ `b`: `down` → `up`"]


def test_sizes_and_a_bridge_that_takes_them_from_its_ports():
    before, now = body(space(ROOT, link(3, "br0", "bridge"))), body(space(ROOT, link(3, "br0", "bridge", mtu=1400, address="02:00:00:00:00:77")))
    assert between(before, now) == ["~ `br0`: MTU `1500` → `1400`", "~ `br0`: hardware address `02:00:00:00:00:03` → `02:00:00:00:00:77`"]
    now = body(space(ROOT, link(3, "br0", "bridge", address="02:00:00:00:00:04"), link(4, "d", "dummy", master="br0")))
    assert between(before, now) == ["+ `d`: interface of type `dummy`"]


def test_addresses_and_the_routes_that_follow():
    def addressed(*addresses, via="10.0.0.9"):
        kernel = [{"dst": "10.0.0.0/24", "dev": "d", "family": "ip", "prefsrc": "10.0.0.1"}] if addresses else []
        return body(space(ROOT, link(3, "d", "dummy", addresses=addresses), routes=[*kernel, {"dst": "default", "gateway": via, "dev": "d", "family": "ip"}]))

    assert between(addressed(), addressed("10.0.0.1/24")) == ["+ `d`: `10.0.0.1/24`"]
    assert between(addressed("10.0.0.1/24"), addressed()) == ["- `d`: no longer `10.0.0.1/24`"]
    assert between(addressed(), addressed(via="10.0.0.7")) == ["~ route: `default` via `10.0.0.9` by `d` → via `10.0.0.7` by `d`"]
    odd = {"dst": "10.8.0.0/16", "type": "blackhole", "family": "ip", "table": "100"}
    assert between(body(space(ROOT)), body(space(ROOT, routes=[odd]))) == ["+ route in table `100`: `10.8.0.0/16`: `blackhole`"]


def test_a_name_for_the_namespace_of_a_container():
    def named(*names):
        return body(space(ROOT), space("11", names=list(names)), containers=[container("e", "web", space="11")])

    assert between(named(), named("mine")) == ["~ the namespace of `web` is called `mine` now"]
    assert between(named("mine"), named()) == ["~ the namespace of `web` is no longer called `mine`"]


def test_a_container_is_renamed_restarted_paused_and_removed():
    def one(number="11", **more):
        return body(space(ROOT), space(number), containers=[container("e", "web", **{"space": number, **more})])

    assert between(one(), one(Name="/shop")) == ["~ container `web` is called `shop` now"]
    assert between(one(), one("12")) == ["~ container `web` was started again"]
    assert between(one(), one(State={"Status": "paused"})) == ["~ container `web`: `running` → `paused`"]
    assert between(one(), body(space(ROOT))) == ["- container `web` is removed"]
    assert between(one(), one(State={"Status": "removing"})) == []


# Rules

SAVED = "*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:DOCKER-USER -\n{}COMMIT\n"


def ruled(*lines, policy="DROP"):
    return body(space(ROOT, iptables=SAVED.format("".join(f"{line}\n" for line in lines)).replace("FORWARD DROP", f"FORWARD {policy}")))


def test_rules_of_one_s_own():
    assert between(ruled(), ruled("-A DOCKER-USER -s 10.0.0.1/32 -j DROP", "-A DOCKER-USER -j RETURN")) == ["+ `filter DOCKER-USER`: `-s 10.0.0.1/32 -j DROP`", "+ `filter DOCKER-USER`: `-j RETURN`"]
    assert between(ruled("-A INPUT -p icmp -j DROP"), ruled()) == ["- `filter INPUT`: no longer `-p icmp -j DROP`"]
    assert between(ruled(), ruled(policy="ACCEPT")) == ["~ `filter FORWARD`: policy `DROP` → `ACCEPT`"]
    assert between(ruled("-A INPUT -p tcp -j DROP", "-A INPUT -p udp -j DROP"), ruled("-A INPUT -p udp -j DROP", "-A INPUT -p tcp -j DROP")) == ["~ `filter INPUT`: the rules stand in another order"]


def test_a_chain_of_one_s_own():
    before, now = (body(space(ROOT, iptables=f"*filter\n:INPUT ACCEPT\n{more}COMMIT\n")) for more in ("", ":MINE -\n-A INPUT -j MINE\n-A MINE -j DROP\n"))
    assert between(before, now) == ["+ chain `filter MINE`", "+ `filter INPUT`: `-j MINE`", "+ `filter MINE`: `-j DROP`"]
    assert between(now, before) == ["- chain `filter MINE` is gone", "- `filter INPUT`: no longer `-j MINE`"]


def test_somebody_takes_a_rule_of_docker_s_away():
    """What the lesson about a missing MASQUERADE is about: Docker did not do it, so it is no plumbing."""

    def there(*more):
        return body(space(ROOT, link(3, "docker0", "bridge"), iptables="*nat\n:POSTROUTING ACCEPT\n" + "".join(more) + "COMMIT\n"), networks=[network("c", "bridge", Options={"com.docker.network.bridge.name": "docker0"})])

    masquerade = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
    before, now = (graph(HOSTS, {"lab": said}) for said in (there(masquerade), there()))
    [line] = lines(before, now)
    assert say(line["text"]) == "`nat POSTROUTING`: no longer `-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE`" and "somebody else did" in say(line["why"])
    assert told(now, before) == ["+ nat: MASQUERADE `172.17.0.0/16`, unless by `docker0`"]


def test_what_another_host_calls_the_same():
    """Each host has a `docker0`, and may publish the same port: what is done on the one is told as if the other were not there."""
    rules = "*nat\n:POSTROUTING ACCEPT\n:DOCKER -\n%s-A POSTROUTING -s 172.18.0.0/16 ! -o mine -j MASQUERADE\n*filter\n:FORWARD ACCEPT\n-A FORWARD -i mine ! -o mine -j ACCEPT\n-A FORWARD -i mine -o mine -j ACCEPT\n"
    sent_on = "-A DOCKER ! -i mine -p tcp -m tcp --dport 9080 -j DNAT --to-destination 172.18.0.2:80\n"

    def there(dnat=""):
        blue = network("c", "blue", Options={"com.docker.network.bridge.name": "mine"})
        web = container("e", "web", space="11", Ports={"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9080"}]})
        return body(space(ROOT, jack(), link(3, "mine", "bridge"), iptables=rules % dnat), space("11"), networks=[blue], containers=[web])

    bare = body(space(ROOT, jack(), iptables="*nat\n:POSTROUTING ACCEPT\n:DOCKER -\n*filter\n:FORWARD ACCEPT\n"))
    hosts = [*HOSTS, {"name": "client", "address": "10.73.0.3"}]
    for here, other in (("lab", "client"), ("client", "lab")):
        before, now = (graph(hosts, {here: said, other: there(sent_on)}) for said in (bare, there()))
        assert told(before, now) == [
            "+ network `blue`: bridge `mine`, `172.18.0.0/16`", "+ container `web` runs `nginx`", "+ port tcp `9080` → `80` of `web`, without a rule",
            "+ nat: MASQUERADE `172.18.0.0/16`, unless by `mine`", "+ filter: 2 rules of Docker for `mine`",
        ]  # fmt: skip
        assert told(now, before) == ["- network `blue` is removed", "- container `web` is removed"]


def test_published_ports():
    def published(*ports):
        nat = "".join(f"-A DOCKER{dst} ! -i docker0 -p {proto} -m {proto} --dport {outer} -j DNAT --to-destination 172.17.0.2:{inner}\n" for dst, proto, outer, inner in ports)
        let = "".join(f"-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p {proto} -m {proto} --dport {inner} -j ACCEPT\n" for _, proto, _, inner in ports)
        return body(space(ROOT, iptables=f"*nat\n:DOCKER -\n{nat}COMMIT\n*filter\n:DOCKER -\n{let}COMMIT\n"))

    ports = [("", "tcp", 8000 + number, 80 + number) for number in range(3)]
    assert between(published(), published(*ports)) == ["+ nat: DNAT tcp `8000-8002` → `172.17.0.2:80-82`"]
    ports = [(" -d 127.0.0.1/32", "tcp", 8001, 80), ("", "udp", 53, 53), ("", "tcp", 8001, 80), ("", "tcp", 8002, 80)]
    assert sorted(between(published(*ports), published())) == [f"- nat: no longer DNAT {said}" for said in ("tcp `127.0.0.1:8001` → `172.17.0.2:80`", "tcp `8001` → `172.17.0.2:80`", "tcp `8002` → `172.17.0.2:80`", "udp `53` → `172.17.0.2:53`")]


# What is only in passing


def test_a_cable_before_its_end_is_in_the_container():
    """Docker makes both ends in the host, moves one, names it eth0, gives it an address; a look may fall between any two of these."""
    ends = link(4, "veth0000001", "veth", link="veth0000002", master="docker0"), link(5, "veth0000002", "veth", link="veth0000001", state="down")
    rail, fresh = link(3, "docker0", "bridge"), container("e", "web", space="11")
    start = body(space(ROOT, rail))
    made = body(space(ROOT, rail, *ends))
    outer = link(4, "veth0000001", "veth", link_index=5, link_netnsid=1, master="docker0")
    inner = link(5, "veth0000002", "veth", link_index=4, link_netnsid=0, state="down")
    moved = body(space(ROOT, rail, outer), space("11", inner))
    placed = body(space(ROOT, rail, outer), space("11", inner), containers=[fresh])
    named = body(space(ROOT, rail, outer), space("11", {**inner, "ifname": "eth0"}), containers=[fresh])
    done = body(space(ROOT, rail, outer), space("11", {**link(5, "eth0", "veth", addresses=["172.17.0.2/16"]), "link_index": 4, "link_netnsid": 0}), containers=[fresh])
    whole = ["+ container `web` runs `nginx`", "+ `veth0000001` on `docker0` ↔ `eth0` in `web`", "+ `eth0` in `web`: `172.17.0.2/16`"]
    steps = [between(one, next) for one, next in pairwise([start, made, moved, placed, named, done])]
    assert steps == [[], [], whole[:1], [], whole[1:]]
    assert between(start, done) == whole and between(made, done) == whole
    assert between(done, body(space(ROOT, rail, outer), space("11", inner))) == ["- container `web` is removed", "- `veth0000001` on `docker0` ↔ `eth0` in `web` is gone"]
    assert between(body(space(ROOT, rail, outer), space("11", inner)), start) == []


def test_a_network_that_is_being_made():
    rules_, name = "*filter\n:FORWARD DROP\n{}COMMIT\n", "br-cccccccccccc"
    all_ = [f"-A FORWARD -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", f"-A FORWARD -i {name} ! -o {name} -j ACCEPT\n", f"-A FORWARD -i {name} -o {name} -j ACCEPT\n"]
    rail = link(6, name, "bridge", state="no-carrier", addresses=["172.18.0.1/16"])
    start, half = body(space(ROOT)), body(space(ROOT, rail, iptables=rules_.format("".join(all_[:2]))))
    done = body(space(ROOT, rail, iptables=rules_.format("".join(all_))), networks=[network("c", "blue")])
    assert between(start, half) == []
    assert between(half, done) == between(start, done) == ["+ network `blue`: bridge `br-cccccccccccc`, `172.18.0.0/16`", "+ filter: 3 rules of Docker for `br-cccccccccccc`"]
    assert between(done, half) == ["- network `blue` is removed"] and between(half, start) == []


def test_dockerd_is_started_again():
    """Its default network has another ID; its own rules come back; containers are told, their cables are not."""
    default = {"com.docker.network.bridge.default_bridge": "true", "com.docker.network.bridge.name": "docker0"}

    def host(digit, *spaces, **more):
        return body(space(ROOT, jack(), link(3, "docker0", "bridge")), *spaces, networks=[network(digit, "bridge", Options=default)], **more)

    before = host("c", space("11"), containers=[container("e", "web", space="11")])
    assert between(before, host("d", containers=[container("e", "web", State={"Status": "exited", "ExitCode": 0})])) == ["~ dockerd in `lab` was started again", "~ container `web`: `running` → `exited`, code `0`"]


# Many


def test_of_many_of_a_kind_some_are_told():
    before, now = body(space(ROOT)), body(space(ROOT), *(space(str(number), names=[f"ns{number}"]) for number in range(11, 99)), space("7", names=["x"], iptables="*filter\n:INPUT DROP\n-A INPUT -j LOG\n"))
    said = between(before, now)
    assert len(said) == MOST_LINES and said[:2] == ["+ network namespace `ns11`", "+ network namespace `ns12`"]
    assert said[-2:] == [f"+ {89 - MOST_LINES + 2} more of this kind", "+ `filter INPUT` in `x`: `-j LOG`"]


def test_a_host_that_is_not_seen_has_not_changed():
    hosts = [*HOSTS, {"name": "client", "address": "10.73.0.3"}]
    seen, unseen = (graph(hosts, {"lab": body(space(ROOT)), **({"client": body(space(ROOT, jack()))} if there else {})}) for there in (True, False))
    assert told(seen, unseen) == told(unseen, seen) == []


# How it is said


def every_line():
    for scene in recorded.names():
        for was, now in pairwise(recorded.moments(scene)):
            before, after_ = (graph(recorded.hosts(scene), moment.bodies) for moment in (was, now))
            yield from lines(before, after_)
            yield from lines(after_, before)


def test_every_line_of_what_was_recorded_can_be_read_in_both_languages():
    translations.compile_all()
    seen = set()
    for line in every_line():
        for language in ("en", "zh-hans"):
            with override(language):
                said = say_line(line)
            assert said["text"].count("`") % 2 == 0 and not re.search(r"%\((?!n\)|x\)|name\))", said["text"] + said["why"]), said
            assert said["why"].endswith((".", "。")) and 40 < len(line["why"]["id"]) < 330
        seen.add(line["text"]["id"])
        for host, command in line["show"]:
            assert host == line["host"] and shlex.split(command.replace("$(", "").replace(")", ""))
    assert len(seen) > 35


def test_commands_that_show_it():
    """In the namespace where it is; what a student called something is quoted, for a press on Run types it into a shell."""
    evil = "x; reboot"
    before = body(space(ROOT), space("11", names=[evil]), space("12"), containers=[container("e", "web", space="12")])
    now = body(space(ROOT, link(3, "a b", "dummy")), space("11", link(3, "$(id)", "dummy"), names=[evil]), space("12", link(4, "t", "dummy"), iptables="*filter\n:INPUT DROP\n-A INPUT -j LOG\n"), containers=[container("e", "web", space="12")])
    one, other = (graph(HOSTS, {"lab": said}) for said in (before, now))
    shown = [command for line in lines(one, other) for _, command in line["show"]]
    assert shown == [
        "ip -d link show 'a b'", "ip netns exec 'x; reboot' ip -d link show '$(id)'",
        "nsenter -t $(docker inspect -f '{{.State.Pid}}' web) -n ip -d link show t", "nsenter -t $(docker inspect -f '{{.State.Pid}}' web) -n iptables -t filter -S INPUT",
    ]  # fmt: skip


def test_every_sentence_is_translated():
    known = {entry.id: entry.said for file in translations.files() if file.name == "django.po" for entry in translations.read(file)}
    for part in (engines, links, routes, rules):
        for said in (value for value in vars(part).values() if isinstance(value, Said)):
            assert all(known.get(sentence) for sentence in said), said
            assert set(re.findall(r"%\((\w+)\)s", said.why)) <= set(re.findall(r"%\((\w+)\)s", said.text)), said


@pytest.mark.parametrize(("sentence", "said"), [
    ({"id": "a %(b)s", "with": {"b": {"id": "c %(d)s", "with": {"d": "`e`"}}}}, "a c ˋeˋ"), ({"id": "%(b)s", "with": {"b": ["x", {"id": "y", "with": {}}]}}, "`x`, y"),
    ({"id": "%(no)s", "with": {}}, "%(no)s"), ({"id": 5}, "{'id': 5}"), (None, ""), ({"id": "50 % of %(x)s", "with": {"x": 1}}, "50 % of %(x)s"),
])  # fmt: skip
def test_saying(sentence, said):
    with override("en"):
        assert say(sentence) == said
