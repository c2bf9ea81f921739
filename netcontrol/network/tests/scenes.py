"""The scenes that the network must be shown in: what is done on which host, and what is then true.

One script each, for the recordings (`tests/record.py`), for the tests on them and for the tests on a running lab. Must not know how a
body is read, or how a graph is made of it.
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Thing = dict[str, Any]


class View:
    """A graph, to ask it what a person would ask. A question that has not one answer is an AssertionError."""

    def __init__(self, graph: dict[str, Any]):
        self.graph, self.things = graph, graph["things"]

    def all(self, kind: str, host: str = "lab", **facts: Any) -> list[Thing]:
        return [t for t in self.things.values() if t["kind"] == kind and t["host"] == host and all(t.get(fact) == value for fact, value in facts.items())]

    def one(self, kind: str, name: str, host: str = "lab", **facts: Any) -> Thing:
        found = self.all(kind, host, name=name, **facts)
        assert len(found) == 1, f"{len(found)} of {kind} {name} {facts} on {host}"
        return found[0]

    def card(self, container: str, name: str = "eth0", host: str = "lab", kind: str = "container") -> Thing:
        """An interface in a container, or in a namespace."""
        where = self.one(kind, container, host)
        return self.one("interface", name, host, space=where["space"] if kind == "container" else where["id"])

    def plugged(self, card: Thing) -> str:
        """The name of the bridge that the other end of this card's cable is plugged into."""
        other = self.things[card["peer"]]
        assert other["peer"] == card["id"] and other["type"] == card["type"] == "veth"
        return self.things[other["master"]]["name"]

    def address(self, container: str, network: str, host: str = "lab") -> str:
        return self.one("container", container, host)["networks"][self.one("network", network, host)["id"]]["address"]

    def routes(self, space: str) -> dict[str, Thing]:
        return {t["to"]: t for t in self.things.values() if t["kind"] == "route" and t["space"] == space and t["family"] == "ip" and t["table"] == "main"}

    def dnat(self, port: int, host: str = "lab") -> list[str]:
        """Where an incoming connection to this port goes, by the rules of the host."""
        return [t["to"] for t in self.all("rule", host) if t["action"] == "DNAT" and t["match"].get("dport") == str(port)]

    def listening(self, space: str, port: int) -> set[str]:
        return {t["program"] for t in self.things.values() if t["kind"] == "listener" and t["space"] == space and t["port"] == port}

    def root(self, host: str = "lab") -> Thing:
        return self.things[self.one("host", host, host)["space"]]


@dataclass(frozen=True)
class Scene:
    """`steps`: (host, command line) in order. A command must end with 0."""

    name: str
    steps: list[tuple[str, str]]
    true: Callable[[View], None]
    lesson: str = "meet-docker0"  # for its hosts
    every: bool = True  # the network after every step is recorded, else the first and the last


def lab(*commands: str) -> list[tuple[str, str]]:
    return [("lab", command) for command in commands]


IDLE = "busybox sleep 3600"


# docker0

DOCKER0 = lab(
    "docker run -d --name web -p 9080:80 nginx",
    f"docker run -d --name box {IDLE}",
    "docker stop -t 0 box",
    "docker start box",
)  # fmt: skip


def docker0(v: View) -> None:
    root, bridge = v.root(), v.one("interface", "docker0")
    assert bridge["type"] == "bridge" and bridge["state"] == "up" and bridge["addresses"] == ["172.17.0.1/16"] and bridge["space"] == root["id"]
    assert v.one("network", "bridge")["bridge"] == bridge["id"] and bridge["network"] == v.one("network", "bridge")["id"]
    for name, address in (("web", "172.17.0.2/16"), ("box", "172.17.0.3/16")):
        card = v.card(name)
        assert v.plugged(card) == "docker0" and card["addresses"] == [address] == [v.address(name, "bridge")] and card["state"] == "up"
        assert v.one("container", name)["state"] == "running" and v.one("container", name)["mode"] == "bridge"
        space = v.things[v.one("container", name)["space"]]
        assert space["containers"] == [v.one("container", name)["id"]] and not space["root"]
        assert v.routes(space["id"])["default"]["via"] == "172.17.0.1"
    assert v.one("container", "web")["published"] == [{"proto": "tcp", "host_address": "0.0.0.0", "host_port": 9080, "port": 80}]
    assert v.one("container", "box")["published"] == []
    assert v.dnat(9080) == ["172.17.0.2:80"]
    assert v.listening(v.card("web")["space"], 80) == {"nginx"} and v.listening(root["id"], 9080) == {"docker-proxy"}
    assert root["forward"] is True and v.routes(root["id"])["172.17.0.0/16"]["dev"] == bridge["id"]


# Networks of one's own

NETWORKS = lab(
    "docker network create --subnet 172.20.0.0/16 --gateway 172.20.0.254 --ip-range 172.20.8.0/24 blue",
    "docker network create --internal --label team=teal teal",
    f"docker run -d --name db --network blue --network-alias store {IDLE}",
    f"docker run -d --name client --network teal {IDLE}",
    "docker network connect --alias shop teal db",
    f"docker run -d --name lone {IDLE}",
    "docker network connect --ip 172.20.0.9 blue lone",
    "docker network disconnect bridge lone",
    "docker network create -o com.docker.network.bridge.name=br-green --ipv6 --subnet fd00:9::/64 green",
    "docker network create passing && docker network rm passing",
)  # fmt: skip


def networks(v: View) -> None:
    blue, teal, green = (v.one("network", name) for name in ("blue", "teal", "green"))
    assert blue["subnets"] == [{"subnet": "172.20.0.0/16", "gateway": "172.20.0.254", "range": "172.20.8.0/24"}]
    assert teal["internal"] and not blue["internal"] and teal["labels"] == {"team": "teal"}
    assert green["ipv6"] and v.things[green["bridge"]]["name"] == "br-green" and any(s["subnet"] == "fd00:9::/64" for s in green["subnets"])
    for network in (blue, teal):
        bridge = v.things[network["bridge"]]
        assert bridge["name"] == f"br-{network['id'].rpartition('/')[2]}" and bridge["network"] == network["id"]
    assert v.plugged(v.card("db", "eth0")) == v.things[blue["bridge"]]["name"] and v.plugged(v.card("db", "eth1")) == v.things[teal["bridge"]]["name"]
    assert v.card("db", "eth0")["network"] == blue["id"] and v.card("db", "eth1")["network"] == teal["id"]
    db = v.one("container", "db")
    assert set(db["networks"]) == {blue["id"], teal["id"]} and db["mode"] == "blue"
    assert {"db", "store"} <= set(db["networks"][blue["id"]]["names"]) and "shop" not in db["networks"][blue["id"]]["names"]
    assert {"db", "shop"} <= set(db["networks"][teal["id"]]["names"])
    assert v.address("db", "blue") == "172.20.8.0/16" and v.address("lone", "blue") == "172.20.0.9/16"
    assert set(v.one("container", "lone")["networks"]) == {blue["id"]}
    assert [c["name"] for c in v.all("interface", space=v.one("container", "lone")["space"]) if c["type"] == "veth"] == ["eth1"]
    assert "default" not in v.routes(v.one("container", "client")["space"]), "a network that is internal has no way out"
    assert not v.all("network", name="passing")
    assert v.one("interface", "docker0")["state"] in ("down", "no-carrier")


# Modes

MODES = lab(
    "docker run -d --name shared --network host busybox httpd -f -p 8090",
    f"docker run -d --name alone --network none {IDLE}",
    "docker run -d --name web -p 9081:80 nginx",
    f"docker run -d --name helper --network container:web {IDLE}",
    f"docker create --name made {IDLE}",
    "docker run --name over busybox sh -c 'exit 3' || [ $? = 3 ]",
    f"docker run -d --name sleepy {IDLE} && docker pause sleepy",
    f"docker run -d --name mighty --privileged {IDLE}",
)  # fmt: skip


def modes(v: View) -> None:
    containers = {t["name"]: t for t in v.all("container")}
    assert containers["shared"]["mode"] == "host" and containers["shared"]["space"] == v.root()["id"]
    assert v.listening(v.root()["id"], 8090) == {"httpd"}
    assert containers["alone"]["mode"] == "none" and [i["name"] for i in v.all("interface", space=containers["alone"]["space"])] == ["lo"]
    assert containers["helper"]["mode"] == f"container:{containers['web']['id']}" and containers["helper"]["space"] == containers["web"]["space"]
    assert set(v.things[containers["web"]["space"]]["containers"]) == {containers["web"]["id"], containers["helper"]["id"]}
    assert (containers["made"]["state"], containers["made"]["space"]) == ("created", None)
    assert (containers["over"]["state"], containers["over"]["exit_code"], containers["over"]["space"]) == ("exited", 3, None)
    assert containers["sleepy"]["state"] == "paused" and v.plugged(v.card("sleepy")) == "docker0"
    assert containers["mighty"]["privileged"] and not containers["sleepy"]["privileged"]


# macvlan and ipvlan

MACVLAN = lab(
    "docker network create -d macvlan --subnet 192.168.50.0/24 --gateway 192.168.50.2 --ip-range 192.168.50.128/25 -o parent=eth0 macnet",
    f"docker run -d --name desk --network macnet {IDLE}",
    f"docker run -d --name chair --network macnet --ip 192.168.50.200 {IDLE}",
    "ip link add shim link eth0 type macvlan mode bridge && ip addr add 192.168.50.9/24 dev shim && ip link set shim up",
    "ip netns add annex && ip link add card0 link eth0 type macvlan mode private && ip link set card0 netns annex",
)  # fmt: skip


def macvlan(v: View) -> None:
    net, eth0 = v.one("network", "macnet"), v.one("interface", "eth0", space=v.root()["id"])
    assert eth0["type"] == "wire" and eth0["id"] in v.things["wire"]["interfaces"]
    assert (net["driver"], net["bridge"], net["parent"]) == ("macvlan", None, eth0["id"])
    for name in ("desk", "chair"):
        card = v.card(name)
        assert (card["type"], card["mode"], card["parent"], card["peer"], card["master"], card["network"]) == ("macvlan", "bridge", eth0["id"], None, None, net["id"])
        assert card["addresses"] == [v.address(name, "macnet")] and card["mac"] != eth0["mac"]
    assert v.address("chair", "macnet") == "192.168.50.200/24"
    shim = v.one("interface", "shim")
    assert (shim["type"], shim["parent"], shim["space"], shim["state"], shim["addresses"]) == ("macvlan", eth0["id"], v.root()["id"], "up", ["192.168.50.9/24"])
    card = v.card("annex", "card0", kind="namespace")
    assert (card["type"], card["mode"], card["parent"], card["state"]) == ("macvlan", "private", eth0["id"], "down")
    assert shim["network"] is None, "a card that a person made is of no network of Docker's"


# podman

PODMAN = lab(
    f"podman run -d --name cup -p 8081:80 {IDLE}",
    "podman network create --subnet 10.90.0.0/24 shelf",
    f"podman run -d --name mug --network shelf {IDLE}",
    f"docker run -d --name web {IDLE}",
)  # fmt: skip


def podman(v: View) -> None:
    cup, mug, web = (v.one("container", name) for name in ("cup", "mug", "web"))
    assert (cup["engine"], mug["engine"], web["engine"]) == ("podman", "podman", "docker")
    assert v.plugged(v.card("cup")) == "podman0" and v.plugged(v.card("web")) == "docker0"
    shelf = v.one("network", "shelf")
    assert shelf["engine"] == "podman" and [s["subnet"] for s in shelf["subnets"]] == ["10.90.0.0/24"]
    assert v.plugged(v.card("mug")) == v.things[shelf["bridge"]]["name"] and v.things[shelf["bridge"]]["addresses"] == ["10.90.0.1/24"]
    assert cup["published"] == [{"proto": "tcp", "host_address": "0.0.0.0", "host_port": 8081, "port": 80}]
    assert any(t["owner"] == "podman" and t["match"].get("dport") == "8081" for t in v.all("rule"))


# By hand

BY_HAND = lab(
    "ip link add rack0 type bridge && ip addr add 10.9.0.1/24 dev rack0 && ip link set rack0 up",
    "ip netns add red && ip netns add blue",
    "ip link add red0 type veth peer name eth0 netns red && ip link set red0 master rack0 up",
    "ip link add blue0 type veth peer name eth0 netns blue && ip link set blue0 master rack0 up",
    "ip -n red link set lo up && ip -n red addr add 10.9.0.2/24 dev eth0 && ip -n red link set eth0 up && ip -n red route add default via 10.9.0.1",
    "ip -n blue addr add 10.9.0.3/24 dev eth0 && ip -n blue link set eth0 up mtu 1400",
    "ip link add loose0 type veth peer name loose1",
    "iptables -t nat -A POSTROUTING -s 10.9.0.0/24 ! -o rack0 -j MASQUERADE && iptables -A FORWARD -i rack0 -j ACCEPT",
    "ip netns exec red sh -c 'iptables -A INPUT -p tcp --dport 23 -j DROP && sysctl -qw net.ipv4.ip_forward=1'",
    "ip link add vx0 type vxlan id 7 dstport 4789 remote 10.73.0.9 dev eth0",
    "nft add table inet mine && nft add chain inet mine in '{ type filter hook input priority 5; policy accept; }' && nft add rule inet mine in tcp dport 24 drop",
    "ip link set blue0 down",
    "ip netns add gone && ip netns del gone",
)  # fmt: skip


def by_hand(v: View) -> None:
    rack, red, blue = v.one("interface", "rack0"), v.one("namespace", "red"), v.one("namespace", "blue")
    assert rack["type"] == "bridge" and rack["network"] is None and rack["addresses"] == ["10.9.0.1/24"]
    for name, address in (("red", "10.9.0.2/24"), ("blue", "10.9.0.3/24")):
        card = v.card(name, kind="namespace")
        assert v.plugged(card) == "rack0" and card["addresses"] == [address] and v.things[card["peer"]]["name"] == f"{name}0"
        assert v.one("namespace", name)["containers"] == []
    assert v.things[v.card("red", kind="namespace")["peer"]]["state"] == "up" and v.things[v.card("blue", kind="namespace")["peer"]]["state"] == "down"
    assert v.card("blue", kind="namespace")["mtu"] == 1400 and v.card("blue", kind="namespace")["state"] in ("no-carrier", "down")
    assert v.routes(red["id"])["default"]["via"] == "10.9.0.1" and "default" not in v.routes(blue["id"])
    assert red["forward"] and not blue["forward"] and v.root()["forward"]
    one, two = v.one("interface", "loose0"), v.one("interface", "loose1")
    assert (one["peer"], two["peer"], one["space"], two["space"], one["master"]) == (two["id"], one["id"], v.root()["id"], v.root()["id"], None)
    mine = {t["text"]: t for t in v.all("rule") if t["owner"] == "student"}
    assert mine["-A POSTROUTING -s 10.9.0.0/24 ! -o rack0 -j MASQUERADE"]["table"] == "nat"
    assert mine["-A INPUT -p tcp -m tcp --dport 23 -j DROP"]["space"] == red["id"]
    assert any(t["table"] == "mine" and t["action"] == "DROP" and t["match"].get("dport") == "24" for t in mine.values())
    assert not v.all("namespace", name="gone")


# Two hosts

TWO_HOSTS = [
    ("lab", "docker run -d --name web -p 9080:80 nginx"),
    ("client", f"docker run -d --name web {IDLE}"),
    ("client", "ip route add 172.17.99.0/24 via $(getent hosts lab | cut -d' ' -f1)"),
    ("client", "docker network create far"),
    ("lab", "docker rm -f web"),
    ("lab", "docker run -d --name web -p 9082:80 nginx"),
]  # fmt: skip


def two_hosts(v: View) -> None:
    assert v.graph["hosts"] == ["lab", "client"] and not v.graph["unseen"]
    here, there = v.one("host", "lab"), v.one("host", "client", "client")
    cards = [v.one("interface", "eth0", host, space=v.root(host)["id"]) for host in ("lab", "client")]
    assert v.things["wire"]["interfaces"] == [card["id"] for card in cards] and [card["addresses"][0].partition("/")[0] for card in cards] == [here["address"], there["address"]]
    assert v.plugged(v.card("web")) == "docker0" and v.plugged(v.card("web", host="client")) == "docker0"
    assert v.card("web")["id"] != v.card("web", host="client")["id"] and v.card("web")["addresses"] == v.card("web", host="client")["addresses"]
    assert v.dnat(9082) == ["172.17.0.2:80"] and not v.dnat(9080) and not v.dnat(9082, "client")
    assert v.routes(v.root("client")["id"])["172.17.99.0/24"]["via"] == here["address"]
    assert v.one("network", "far", "client") and not v.all("network", name="far")


# A compose project

COMPOSE_FILE = """services:
  front:
    image: nginx
    ports: ["9090:80"]
    networks: [outside, inside]
  back:
    image: busybox
    command: httpd -f -p 8000
    networks: [inside]
    deploy: {replicas: 2}
networks:
  outside: {}
  inside: {internal: true}
"""
COMPOSE = lab(
    f"mkdir -p /root/shop && cat > /root/shop/compose.yaml <<'E'\n{COMPOSE_FILE}E",
    "cd /root/shop && docker compose --progress quiet up -d",
    "cd /root/shop && docker compose --progress quiet stop -t 0 front",
    "cd /root/shop && docker compose --progress quiet up -d",
)  # fmt: skip


def compose(v: View) -> None:
    inside, outside = v.one("network", "shop_inside"), v.one("network", "shop_outside")
    assert inside["internal"] and not outside["internal"]
    front = v.one("container", "shop-front-1")
    assert set(front["networks"]) == {inside["id"], outside["id"]} and front["state"] == "running"
    assert {v.plugged(v.card("shop-front-1", card)) for card in ("eth0", "eth1")} == {v.things[n["bridge"]]["name"] for n in (inside, outside)}
    for name in ("shop-back-1", "shop-back-2"):
        assert set(v.one("container", name)["networks"]) == {inside["id"]} and "back" in v.one("container", name)["networks"][inside["id"]]["names"]
        assert v.listening(v.one("container", name)["space"], 8000) == {"httpd"}
    assert front["labels"]["com.docker.compose.project"] == "shop" and front["labels"]["com.docker.compose.service"] == "front"
    assert v.dnat(9090) == [front["networks"][outside["id"]]["address"].partition("/")[0] + ":80"]


# Thirty containers

THIRTY = lab(
    "for n in 1 2 3; do docker network create --subnet 172.2$n.0.0/16 net$n; done",
    f"for n in $(seq -w 0 29); do docker run -d --name box$n --network net$((1$n % 3 + 1)) -p 90$n:80 {IDLE} > /dev/null || exit 1; done",
    "docker rm -f box07 > /dev/null",
    f"docker run -d --name box07 --network net3 {IDLE}",
)  # fmt: skip


def thirty(v: View) -> None:
    for n in range(30):
        name, network = f"box{n:02}", f"net{(100 + n) % 3 + 1}"
        if n == 7:
            network = "net3"
        card = v.card(name)
        assert v.plugged(card) == v.things[v.one("network", network)["bridge"]]["name"] and card["addresses"] == [v.address(name, network)]
        assert v.dnat(9000 + n) == ([] if n == 7 else [card["addresses"][0].partition("/")[0] + ":80"])
    assert len(v.all("container")) == 30 and len({t["id"] for t in v.all("namespace")}) == 31
    assert not any(v.graph["left_out"].values())


# A student who means harm, and Docker switched off

EVIL = "<script>alert(1)</script>"
HOSTILE = lab(
    f"docker network create --label '{EVIL}=%(name)s %s {{{{x}}}}' 'a<b>&%(x)s\"'",
    f"docker run -d --name safe --network 'a<b>&%(x)s\"' --network-alias '{EVIL}' --label \"$(printf '\\033[31m\\342\\200\\256')=$(head -c 3000 /dev/zero | tr '\\0' x)\" {IDLE}",
    "ip netns add '<b>x&y%(n)s'; ip netns add -- \"$(printf 'tab\\there')\"",
    "ip link add '<i>&{x}' type veth peer name '\"><script>'",
    "ip link set '\"><script>' netns '<b>x&y%(n)s'",
    "iptables -A INPUT -p tcp --dport 25 -m comment --comment '<b>%(name)s</b> -j ACCEPT \" --dport 26' -j DROP",
    "for n in $(seq 40); do set -- \"$@\" --label l$n=$n; done; docker network create \"$@\" labels",
)  # fmt: skip


def hostile(v: View) -> None:
    net = v.one("network", 'a<b>&%(x)s"')
    assert net["labels"][EVIL] == "%(name)s %s {{x}}"
    safe = v.one("container", "safe")
    assert EVIL in safe["networks"][net["id"]]["names"] and v.plugged(v.card("safe")) == v.things[net["bridge"]]["name"]
    assert all(len(key) < 1000 and len(value) < 1000 for key, value in safe["labels"].items())
    card = v.card("<b>x&y%(n)s", '"><script>', kind="namespace")
    assert v.things[card["peer"]]["name"] == "<i>&{x}" and v.things[card["peer"]]["space"] == v.root()["id"]
    rule = next(t for t in v.all("rule") if t["match"].get("dport") == "25")
    assert (rule["action"], rule["owner"], rule["chain"]) == ("DROP", "student", "INPUT")
    assert not [t for t in v.all("rule") if t["match"].get("dport") == "26"], "a comment is no match"


SWITCHED_OFF = lab(
    "docker run -d --name web -p 9080:80 nginx",
    "systemctl stop docker.socket docker.service",
    "systemctl start docker.socket docker.service && docker start web",
    "mv /run/docker.sock /run/hidden.sock; systemctl stop docker.socket docker.service; ip link del docker0",
)  # fmt: skip


def switched_off(v: View) -> None:
    assert v.one("host", "lab")["docker_state"] == "down"
    assert not v.all("container") and not v.all("network") and not v.all("interface", name="docker0")
    assert v.root()["forward"] and v.one("interface", "eth0", space=v.root()["id"])


SCENES = {
    scene.name: scene
    for scene in (
        Scene("docker0", DOCKER0, docker0),
        Scene("networks", NETWORKS, networks),
        Scene("modes", MODES, modes),
        Scene("macvlan", MACVLAN, macvlan, lesson="macvlan"),
        Scene("podman", PODMAN, podman),
        Scene("by-hand", BY_HAND, by_hand),
        Scene("two-hosts", TWO_HOSTS, two_hosts, lesson="nat"),
        Scene("compose", COMPOSE, compose),
        Scene("thirty", THIRTY, thirty, every=False),
        Scene("hostile", HOSTILE, hostile),
        Scene("switched-off", SWITCHED_OFF, switched_off),
    )
}
