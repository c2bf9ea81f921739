"""Graphs by hand, in the shape of docs/protocol.md, for the picture's tests. Must not know how they are drawn."""
from typing import Any

Thing = dict[str, Any]


class Graph:
    """`lab = graph.host("lab")`, `lab.bridge("docker0", "172.17.0.1/16")`, `lab.container("web", bridge)`: what the kernel and Docker would say."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.hosts: list[str] = []

    def add(self, id: str, kind: str, name: str, host: str, **facts: Any) -> Thing:
        self.things[id] = {"id": id, "kind": kind, "name": name, "host": host} | facts
        return self.things[id]

    def host(self, name: str, **more: Any) -> "Host":
        self.hosts.append(name)
        return Host(self, name, len(self.hosts) + 1, **more)

    def whole(self) -> dict[str, Any]:
        jacks = [thing["id"] for thing in self.things.values() if thing.get("type") == "wire"]
        if jacks:
            self.add("wire", "wire", "wire", "", subnet="10.73.0.0/28", interfaces=jacks)
        return {"hosts": self.hosts, "things": dict(self.things), "left_out": {}, "unseen": []}


class Host:
    def __init__(self, graph: Graph, name: str, place: int, docker: str = "26.1.5", system: str = "Debian 13") -> None:
        self.graph, self.name, self.made, self.macs = graph, name, 0, 0
        self.root = f"ns:{name}/4026531840"
        graph.add(f"host:{name}", "host", name, name, address=f"10.73.0.{place}", system=system, docker=docker, podman="", docker_state="up" if docker else "down", space=self.root)
        graph.add(self.root, "namespace", "", name, root=True, containers=[], forward=True, forward6=False)
        self.at: dict[str, int] = {}
        self.interface(self.root, "lo", "loopback", ["127.0.0.1/8"], state="up")
        self.eth0 = self.interface(self.root, "eth0", "wire", [f"10.73.0.{place}/28"])

    def interface(self, space: str, name: str, type: str, addresses: list[str] | None = None, **facts: Any) -> Thing:
        index = self.at[space] = self.at.get(space, 0) + 1
        self.macs += 1
        mac = f"02:42:ac:{len(self.graph.hosts):02x}:{self.macs // 256:02x}:{self.macs % 256:02x}"
        known = {"space": space, "type": type, "index": index, "mac": mac, "mtu": 1500, "state": "up", "addresses": addresses or [], "peer": None, "master": None, "parent": None, "vlan": None, "mode": None, "network": None}
        return self.graph.add(f"if:{self.name}/{space.split('/')[-1]}/{index}", "interface", name, self.name, **(known | facts))

    def space(self, name: str = "") -> str:
        self.made += 1
        id = f"ns:{self.name}/{4026532000 + self.made}"
        self.graph.add(id, "namespace", name, self.name, root=False, containers=[], forward=False, forward6=False)
        self.interface(id, "lo", "loopback", ["127.0.0.1/8"])
        return id

    def bridge(self, name: str, address: str = "", network: str = "") -> Thing:
        bridge = self.interface(self.root, name, "bridge", [address] if address else [], state="no-carrier")
        if network:
            subnet = address.rsplit(".", 2)[0] + ".0.0/16" if address.endswith("/16") else address.rsplit(".", 1)[0] + ".0/24"
            net = self.network(network, "bridge", bridge=bridge["id"], subnets=[{"subnet": subnet, "gateway": address.split("/")[0], "range": None}])
            bridge["network"] = net["id"]
            self.rule("nat", "POSTROUTING", f"-A POSTROUTING -s {subnet} ! -o {name} -j MASQUERADE", "MASQUERADE", match={"src": subnet, "out": f"!{name}"}, owner="docker")
        return bridge

    def network(self, name: str, driver: str, **facts: Any) -> Thing:
        self.made += 1
        known = {"engine": "docker", "driver": driver, "scope": "local", "subnets": [], "internal": False, "attachable": False, "ipv6": False, "bridge": None, "parent": None, "options": {}, "labels": {}}
        return self.graph.add(f"net:{self.name}/{self.made:012x}", "network", name, self.name, **(known | facts))

    def cable(self, bridge: Thing, space: str, inner: str, address: str = "", outer: str = "") -> tuple[Thing, Thing]:
        self.made += 1
        outside = self.interface(self.root, outer or f"veth{self.made * 7919 % 0xfffffff:07x}", "veth", master=bridge["id"])
        inside = self.interface(space, inner, "veth", [address] if address else [], network=bridge["network"], peer=outside["id"])
        outside["peer"], bridge["state"] = inside["id"], "up"
        return outside, inside

    def pair(self, one: str, first: str, other: str, second: str, addresses: tuple[str, str] = ("", "")) -> tuple[Thing, Thing]:
        a = self.interface(one, first, "veth", [addresses[0]] if addresses[0] else [])
        b = self.interface(other, second, "veth", [addresses[1]] if addresses[1] else [], peer=a["id"])
        a["peer"] = b["id"]
        return a, b

    def container(self, name: str, *bridges: Thing, image: str = "nginx:1.26", mode: str = "", space: str | None = None, listens: tuple[int, ...] = (), published: tuple[tuple[int, int], ...] = (), **facts: Any) -> Thing:
        self.made += 1
        id, state = f"ctr:{self.name}/{self.made:012x}", facts.pop("state", "running")
        if state != "running":
            space = None
        elif space is None:
            space = self.root if mode == "host" else self.space()
        known = {"engine": "docker", "image": image, "state": state, "exit_code": 0, "space": space, "mode": mode or "bridge", "networks": {}, "published": [], "exposed": [], "privileged": False, "command": "run"}
        made = self.graph.add(id, "container", name, self.name, **(known | facts))
        if not space or mode == "host":
            return made
        self.graph.things[space]["containers"].append(id)
        for at, bridge in enumerate(bridges):
            base = (bridge["addresses"] or ["172.31.0.1/16"])[0].rsplit(".", 1)[0]
            own = f"{base}.{self.at.setdefault('address ' + bridge['id'], 1) + 1}"
            self.at["address " + bridge["id"]] += 1
            self.cable(bridge, space, f"eth{at}", f"{own}/{(bridge['addresses'] or ['x/16'])[0].split('/')[1]}")
            if bridge["network"]:
                made["networks"][bridge["network"]] = {"address": own, "names": [name]}
            for port, inner in published if not at else ():
                made["published"].append({"proto": "tcp", "host_address": "0.0.0.0", "host_port": port, "port": inner})
                self.rule("nat", "DOCKER", f"-A DOCKER ! -i {bridge['name']} -p tcp -m tcp --dport {port} -j DNAT --to-destination {own}:{inner}", "DNAT", match={"proto": "tcp", "dport": port}, to=f"{own}:{inner}", owner="docker")
        for port in listens:
            self.listen(space, port)
        return made

    def listen(self, space: str, port: int, program: str = "nginx") -> Thing:
        return self.graph.add(f"listen:{self.name}/{space.split('/')[-1]}/tcp/0.0.0.0:{port}", "listener", f"0.0.0.0:{port}", self.name, space=space, proto="tcp", address="0.0.0.0", port=port, program=program)

    def rule(self, table: str, chain: str, text: str, action: str, **facts: Any) -> Thing:
        self.made += 1
        return self.graph.add(f"rule:{self.name}/{self.root.split('/')[-1]}/ip/{table}/{chain}/{self.made:08x}", "rule", text, self.name, **({"space": self.root, "family": "ip", "table": table, "chain": chain, "text": text, "action": action, "target": action, "match": {}, "to": None} | facts))

    def route(self, to: str, via: str, dev: Thing, space: str = "") -> Thing:
        space = space or self.root
        return self.graph.add(f"route:{self.name}/{space.split('/')[-1]}/ip/main/{to}/{dev['index']}/{via}/0", "route", to, self.name, space=space, family="ip", to=to, via=via, dev=dev["id"], table="main", metric=None, source=None, type="unicast")


def lesson(joined: bool = True) -> dict[str, Any]:
    """The figure of look/lesson.html."""
    graph = Graph()
    lab, client = graph.host("lab"), graph.host("client", docker="")
    docker0 = lab.bridge("docker0", "172.17.0.1/16", "bridge")
    lab.container("tomcat9", docker0, image="tomcat:10", listens=(8080,), published=((9080, 8080),))
    web = lab.container("web", docker0, listens=(80,), published=((9081, 80),))
    net_test = lab.bridge("br-net_test", "192.168.78.1/24", "net_test")
    client.bridge("docker0", "172.17.0.1/16", "bridge")
    if joined:
        lab.cable(net_test, web["space"], "eth1", "192.168.78.2/24", "veth7c1e44a")
    return graph.whole()


def empty() -> dict[str, Any]:
    graph = Graph()
    graph.host("lab").bridge("docker0", "172.17.0.1/16", "bridge")
    return graph.whole()


def one() -> dict[str, Any]:
    graph = Graph()
    lab = graph.host("lab")
    lab.container("web", lab.bridge("docker0", "172.17.0.1/16", "bridge"), listens=(80,))
    return graph.whole()


def many(count: int = 30) -> dict[str, Any]:
    graph = Graph()
    lab = graph.host("lab")
    docker0, shop = lab.bridge("docker0", "172.17.0.1/16", "bridge"), lab.bridge("br-7d03b1c5aa12", "172.18.0.1/16", "shop_default")
    for at in range(count):
        bridges = (docker0, shop) if at == 4 else (shop,) if at % 3 == 0 else (docker0,)
        lab.container(f"worker-{at + 1}", *bridges, image="alpine:3.20", published=((8000 + at, 80),) if at < 3 else ())
    return graph.whole()


def modes() -> dict[str, Any]:
    """host, none, container:…, exited, created, shared, paused."""
    graph = Graph()
    lab = graph.host("lab")
    docker0 = lab.bridge("docker0", "172.17.0.1/16", "bridge")
    web = lab.container("web", docker0, listens=(80, 443, 8080))
    lab.container("probe", image="nicolaka/netshoot", mode="container:" + web["id"], space=web["space"])
    lab.container("alone", mode="none", image="alpine:3.20")
    lab.container("node-exporter", mode="host", image="prom/node-exporter:v1.8")
    lab.container("tomcat9", image="tomcat:10", state="exited", exit_code=143)
    lab.container("later", image="tomcat:10", state="created")
    for at in range(6):
        lab.container(f"hello{at}", image="hello-world", state="exited", exit_code=0)
    return graph.whole()


def compose() -> dict[str, Any]:
    """Three networks, containers on one, two and three of them."""
    graph = Graph()
    lab = graph.host("lab")
    lab.bridge("docker0", "172.17.0.1/16", "bridge")
    front, back, data = (lab.bridge(f"br-{'0a1b2c3d4e5f'[at:]}{'9' * at}", f"172.{18 + at}.0.1/16", f"shop_{name}") for at, name in enumerate(("front", "back", "data")))
    lab.container("shop-proxy-1", front, image="traefik:v3.1", listens=(80, 443), published=((80, 80), (443, 443)))
    lab.container("shop-web-1", front, back, image="shop/web:2.4", listens=(8000,))
    lab.container("shop-api-1", back, data, image="shop/api:2.4", listens=(9000,))
    lab.container("shop-db-1", data, image="postgres:16", listens=(5432,))
    lab.container("shop-cache-1", data, image="redis:7", listens=(6379,))
    lab.container("shop-all-1", front, back, data, image="shop/tools:2.4")
    lab.rule("filter", "DOCKER-USER", "-A DOCKER-USER -s 10.73.0.3/32 -p tcp -m tcp --dport 80 -j DROP", "DROP", owner="student")
    lab.rule("filter", "FORWARD", "-A FORWARD -p icmp -j REJECT --reject-with icmp-port-unreachable", "REJECT", owner="student")
    return graph.whole()


def by_hand() -> dict[str, Any]:
    """What `ip` alone makes: namespaces on a bridge, two joined directly, a router between, loose interfaces."""
    graph = Graph()
    lab = graph.host("lab", docker="")
    br0 = lab.bridge("br0", "10.0.0.1/24")
    red, blue, left, right = (lab.space(name) for name in ("red", "blue", "left", "right"))
    lab.cable(br0, red, "eth0", "10.0.0.2/24", "veth-red")
    _, inner = lab.cable(br0, blue, "eth0", "10.0.0.3/24", "veth-blue")
    lab.route("default", "10.0.0.1", inner, space=blue)
    lab.listen(red, 8000, "python3")
    lab.pair(left, "to-right", right, "to-left", ("10.9.0.1/30", "10.9.0.2/30"))
    lab.pair(lab.root, "veth-host", right, "veth-in", ("10.8.0.1/30", "10.8.0.2/30"))
    lab.pair(lab.root, "veth0", lab.root, "veth1")
    lab.interface(lab.root, "dummy0", "dummy", ["10.5.5.5/32"])
    lab.cable(br0, lab.root, "loose", "", "veth-loose")
    lab.route("192.168.78.0/24", "10.73.0.3", lab.eth0)
    return graph.whole()


def forks() -> dict[str, Any]:
    """macvlan, ipvlan, VLAN, vxlan: what hangs on an interface, not on a bridge."""
    graph = Graph()
    lab = graph.host("lab")
    docker0 = lab.bridge("docker0", "172.17.0.1/16", "bridge")
    lab.container("web", docker0, listens=(80,))
    macnet = lab.network("macnet", "macvlan", parent=lab.eth0["id"], subnets=[{"subnet": "10.73.0.0/28", "gateway": None, "range": None}])
    for at, name in enumerate(("mac-a", "mac-b")):
        made = lab.container(name, image="alpine:3.20", mode="macnet")
        lab.interface(made["space"], "eth0", "macvlan", [f"10.73.0.{10 + at}/28"], parent=lab.eth0["id"], network=macnet["id"])
    vlan = lab.interface(lab.root, "eth0.10", "vlan", ["10.10.0.1/24"], parent=lab.eth0["id"], vlan=10)
    made = lab.container("tagged", image="alpine:3.20", mode="vlan10")
    lab.interface(made["space"], "eth0", "ipvlan", ["10.10.0.5/24"], parent=vlan["id"])
    overlay = lab.bridge("br-vx", "10.200.0.1/24")
    lab.interface(lab.root, "vxlan42", "vxlan", master=overlay["id"])
    lab.cable(overlay, lab.space("far"), "eth0", "10.200.0.2/24")
    return graph.whole()


def podman() -> dict[str, Any]:
    graph = Graph()
    lab = graph.host("lab")
    lab.bridge("docker0", "172.17.0.1/16", "bridge")
    podman0 = lab.bridge("podman0", "10.88.0.1/16", "podman")
    lab.container("pod-web", podman0, engine="podman", image="docker.io/library/nginx:1.26")
    return graph.whole()


def hosts() -> dict[str, Any]:
    graph = Graph()
    for name, containers in {"lab": 3, "client": 0, "db": 1, "edge": 2}.items():
        host = graph.host(name)
        bridge = host.bridge("docker0", "172.17.0.1/16", "bridge")
        for number in range(containers):
            host.container(f"c{number + 1}", bridge)
    whole = graph.whole()
    whole["hosts"].append("new")
    whole["unseen"] = ["new"]
    return whole


def inner() -> dict[str, Any]:
    """A bridge within a namespace, as swarm makes it, and IPv6."""
    graph = Graph()
    lab = graph.host("lab")
    docker0 = lab.bridge("docker0", "172.17.0.1/16", "bridge")
    docker0["addresses"].append("fd00:dead:beef::1/64")
    web = lab.container("web", docker0)
    next(thing for thing in graph.things.values() if thing.get("space") == web["space"] and thing.get("type") == "veth")["addresses"].append("fd00:dead:beef::2/64")
    swarm = lab.space("1-k4v9y2")
    br0 = lab.interface(swarm, "br0", "bridge", ["10.0.1.1/24"])
    lab.interface(swarm, "vxlan0", "vxlan", master=br0["id"])
    task = lab.container("web.1.x7f", mode="none")
    a, _ = lab.pair(swarm, "veth0", task["space"], "eth0", ("", "10.0.1.5/24"))
    a["master"] = br0["id"]
    return graph.whole()


LONG = "x" * 4096
NASTY = [LONG, "<script>alert(1)</script>", "‮gnp.exe", "\u2066\u2067evil\u2069", "zero\u200bwidth\u200d", "👩‍👩‍👧‍👦 family 🇨🇳", "Z̸̡̛̤̘͖͎̪̈́͐̏͌a̶͇̓l̴̢̛͉͓̗͆̈g̷̫̈́o̸̬̿", "\x1b[31mred\x00\n\r\tx", "", " ", "\u200b", "مرحبا بالعالم", "日本語の名前がとても長い場合はどうなりますか", "'\"; DROP TABLE--", "${jndi:ldap}", "\ud83d"]


def hostile() -> dict[str, Any]:
    """Names that nobody would give, everywhere where a student gives names."""
    graph = Graph()
    lab = graph.host("lab", system=LONG)
    docker0 = lab.bridge(LONG[:15], "172.17.0.1/16", NASTY[2])
    for at, name in enumerate(NASTY):
        if at < 5:
            lab.container(name, docker0, image=NASTY[-1 - at])
        elif at < 11:
            lab.cable(docker0, lab.space(name), name[:15], "10.0.0.1/8", name[:15])
        else:
            lab.container(name, image=name, state="exited", exit_code=name)
    lab.rule("filter", "DOCKER-USER", "-A DOCKER-USER " + NASTY[2] + LONG, "DROP", owner="student")
    lab.rule("nat", "DOCKER", LONG, "DNAT", match={"dport": LONG}, to=LONG)
    whole = graph.whole()
    whole["things"]["junk"] = {"id": "junk", "kind": "teapot", "name": None, "host": "nowhere"}
    whole["things"]["if:lab/x/1"] = {"id": "if:lab/x/1", "kind": "interface", "name": 7, "host": "lab", "space": "ns:none", "type": "veth", "peer": "if:lab/x/1", "master": "gone", "addresses": None}
    return whole


SAMPLES = {make.__name__: make for make in (empty, one, lesson, modes, compose, by_hand, forks, podman, hosts, inner, many, hostile)}
