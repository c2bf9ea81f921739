"""What the Engine API and podman say: networks and containers, joined with the interfaces that the kernel has. Must not know rules, pages.

Where they disagree the kernel is right: a bridge that is not there is not drawn, an address is what the interface has.
"""
from collections.abc import Iterable
from typing import Any

from netcontrol.network.graph.kept import Kept, Thing
from netcontrol.network.graph.links import Space
from netcontrol.network.graph.shape import TEXT, items, labels, mapping, number, short_id, text, texts

MOST_PUBLISHED = 64


def engines(kept: Kept, host: str, body: dict, spaces: dict[str, Space]) -> None:
    docker, podman = mapping(body.get("docker")), mapping(body.get("podman"))
    here = _Here(kept, host, spaces)
    for raw in _sorted(docker.get("networks"), "Id"):
        _docker_network(here, raw)
    for raw in _sorted(podman.get("networks"), "name"):
        _podman_network(here, raw)
    for engine, told in (("docker", docker), ("podman", podman)):
        for raw in _sorted(told.get("containers"), "Id"):
            _container(here, engine, raw)
    for space in spaces.values():
        space.thing["containers"].sort()
        if space.thing["root"] or space.thing["name"] or space.thing["containers"]:
            space.thing["pid"] = None  # only what has no name is known by a process


def _sorted(value: Any, key: str) -> list[dict]:
    """An engine tells them in any order; where a graph is cut, it is to be cut at the same place."""
    return sorted(map(mapping, items(value)), key=lambda raw: text(raw.get(key)))


class _Here:
    """One host while its engines are read."""

    def __init__(self, kept: Kept, host: str, spaces: dict[str, Space]):
        self.kept, self.host, self.spaces = kept, host, spaces
        self.root = next(iter(spaces.values()))
        self.by_name: dict[tuple[str, str], str] = {}  # (engine, name of a network) → id

    def link(self, name: str, *types: str) -> Thing | None:
        found = self.root.by_name.get(name)
        return found.thing if found and (not types or found.thing["type"] in types) else None


def _docker_network(here: _Here, raw: dict) -> None:
    id, name, driver = short_id(raw.get("Id")), text(raw.get("Name")), text(raw.get("Driver"), 64)
    if not id or not name:
        here.kept.missed("networks")
        return
    options = labels(raw.get("Options"))
    configs = [mapping(each) for each in items(mapping(raw.get("IPAM")).get("Config"))[:8]]
    subnets = [{"subnet": text(each.get("Subnet"), 64), "gateway": text(each.get("Gateway"), 64) or None, "range": text(each.get("IPRange"), 64) or None} for each in configs]
    rail = here.link(options.get("com.docker.network.bridge.name") or f"br-{id}", "bridge") if driver == "bridge" else None
    stem = here.link(options.get("parent") or f"{'di' if driver == 'ipvlan' else 'dm'}-{id}") if driver in ("macvlan", "ipvlan") else None
    _network(
        here, f"net:{here.host}/{id}", name, "docker", rail, stem, driver=driver, scope=text(raw.get("Scope"), 32), subnets=[each for each in subnets if each["subnet"]],
        internal=raw.get("Internal") is True, attachable=raw.get("Attachable") is True, ipv6=raw.get("EnableIPv6") is True, options=options, labels=labels(raw.get("Labels")),
    )  # fmt: skip


def _podman_network(here: _Here, raw: dict) -> None:
    name, driver = text(raw.get("name")), text(raw.get("driver"), 64)
    if not name:
        here.kept.missed("networks")
        return
    found = [mapping(each) for each in items(raw.get("subnets"))[:8]]
    subnets = [{"subnet": text(each.get("subnet"), 64), "gateway": text(each.get("gateway"), 64) or None, "range": None} for each in found]
    there = text(raw.get("interface"), 64)
    _network(
        here, f"net:{here.host}/podman:{name}", name, "podman", here.link(there, "bridge") if driver == "bridge" else None, here.link(there) if driver in ("macvlan", "ipvlan") else None,
        driver=driver, scope="local", subnets=[each for each in subnets if each["subnet"]], internal=raw.get("internal") is True, attachable=False,
        ipv6=any(":" in (each["subnet"] or "") for each in subnets), options=labels(raw.get("options")), labels=labels(raw.get("labels")),
    )  # fmt: skip


def _network(here: _Here, id: str, name: str, engine: str, rail: Thing | None, stem: Thing | None, **facts: Any) -> None:
    if here.kept.add(id, "network", name, here.host, engine=engine, bridge=rail and rail["id"], parent=stem and stem["id"], **facts):
        here.by_name.setdefault((engine, name), id)
        if rail and not rail["network"]:
            rail["network"] = id


def _container(here: _Here, engine: str, raw: dict) -> None:
    id, name = short_id(raw.get("Id")), text(raw.get("Name")).removeprefix("/")
    if not id or not name:
        here.kept.missed("containers")
        return
    state, mode = mapping(raw.get("State")), text(raw.get("Mode"))
    status = text(state.get("Status"), 32)
    space = here.spaces.get(raw["space"]) if isinstance(raw.get("space"), str) else None
    if mode.startswith("container:"):
        other = short_id(mode.removeprefix("container:"))
        mode = f"container:ctr:{here.host}/{other}" if other else mode
    networks = _joined(here, engine, mapping(raw.get("Networks")))
    thing = here.kept.add(
        f"ctr:{here.host}/{id}", "container", name, here.host,
        engine=engine, image=text(raw.get("Image"), TEXT), state=status, exit_code=number(state.get("ExitCode")) if status in ("exited", "dead") else None,
        space=space.thing["id"] if space else None, mode="bridge" if mode == "default" else mode, networks=networks,
        published=_published(mapping(raw.get("Ports"))), exposed=sorted(texts(raw.get("Exposed"), 64, 32)), privileged=raw.get("Privileged") is True,
        command=text(raw.get("command"), TEXT), labels=labels(raw.get("Labels")),
    )  # fmt: skip
    if thing and space:
        space.thing["containers"].append(thing["id"])
        _mark(space, networks)


def _joined(here: _Here, engine: str, raw: dict) -> dict[str, dict]:
    """Of each network that it is on: address and names there, as the engine has them on record."""
    found = {}
    for name, told in list(raw.items())[:32]:
        told = mapping(told)
        id = f"net:{here.host}/{short_id(told.get('NetworkID'))}" if engine == "docker" else ""
        id = id if id in here.kept.things else here.by_name.get((engine, text(name)), "")
        if id:
            found[id] = {
                "address": _with_length(told.get("IPAddress"), told.get("IPPrefixLen")), "address6": _with_length(told.get("GlobalIPv6Address"), told.get("GlobalIPv6PrefixLen")),
                "mac": text(told.get("MacAddress"), 32).lower() or None, "names": texts([*items(told.get("DNSNames"))[:32], *items(told.get("Aliases"))[:32]], 32), "gateway": text(told.get("Gateway"), 64) or None,
            }  # fmt: skip
    return dict(sorted(found.items()))


def _with_length(address: Any, length: Any) -> str | None:
    address = text(address, 64)
    return f"{address}/{length}" if address and number(length) is not None else address or None


def _published(ports: dict) -> list[dict]:
    found = []
    for inner, outer in list(ports.items())[:MOST_PUBLISHED]:
        port, _, proto = text(inner, 32).partition("/")
        for each in items(outer)[:4]:
            each = mapping(each)
            host_port = text(each.get("HostPort"), 8)
            if port.isascii() and port.isdigit() and host_port.isascii() and host_port.isdigit():
                found.append({"proto": proto or "tcp", "host_address": text(each.get("HostIp"), 64) or "0.0.0.0", "host_port": int(host_port), "port": int(port)})
    return sorted(found, key=lambda each: (each["host_port"], each["proto"], each["host_address"], each["port"]))[:MOST_PUBLISHED]


def _mark(space: Space, networks: dict[str, dict]) -> None:
    """Which network put which interface there: by its address, or by the hardware address where somebody changed that."""
    links: Iterable[Thing] = [link.thing for link in space.by_index.values() if link.thing["type"] not in ("loopback", "wire", "bridge")]
    for sort in ("address", "address6", "mac"):
        for id, told in networks.items():
            if told[sort] and not any(link["network"] == id for link in links):
                for link in links:
                    if not link["network"] and (link["mac"] == told["mac"] if sort == "mac" else told[sort] in link["addresses"]):
                        link["network"] = id
                        break
