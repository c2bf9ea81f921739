"""Network namespaces and what `ip -j -d address show` says in each: interfaces, their cables, bridges and parents. Must not know engines, rules."""
import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from netcontrol.network.graph.kept import Kept, Thing
from netcontrol.network.graph.shape import inode, items, mapping, number, text, texts

TYPES = {"bridge", "veth", "macvlan", "ipvlan", "vlan", "vxlan", "dummy", "tun"}
MOST_ADDRESSES = 16
FALLBACK = {"tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"}  # the kernel makes them in every namespace
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(slots=True)
class Space:
    """One network namespace: its thing, and its links by their number and by their name."""

    thing: Thing
    raw: dict
    by_index: dict[int, "Link"]
    by_name: dict[str, "Link"]


@dataclass(slots=True)
class Link:
    thing: Thing
    raw: dict
    space: Space


def spaces(kept: Kept, host: dict, body: dict) -> dict[str, Space]:
    """Every namespace of a host with its interfaces, by its number; the root one first. Empty without a root one: nothing can stand in such a host."""
    raw = [mapping(each) for each in items(body.get("spaces"))]
    root = next((each for each in raw if each.get("root") is True and inode(each.get("id"))), None)
    if root is None:
        return {}
    found: dict[str, Space] = {}
    for each in [root, *(each for each in raw if each is not root)]:
        space = _space(kept, host["name"], each, each is root)
        if space is not None:
            found[each["id"]] = space
            _links(kept, host["name"], each["id"], space)
    for space in found.values():
        for link in space.by_index.values():
            _fasten(link, space, found)
    _pair(found)
    _jack(host, found[root["id"]], found)
    return found


def _space(kept: Kept, host: str, raw: dict, root: bool) -> Space | None:
    number_of = inode(raw.get("id"))
    if not number_of:
        kept.missed("spaces")
        return None
    names = texts(raw.get("names"), 4)
    forward = mapping(raw.get("forward"))
    thing = kept.add(
        f"ns:{host}/{number_of}", "namespace", names[0] if names else "", host,
        root=root, containers=[], forward=forward.get("ip") is True, forward6=forward.get("ip6") is True, pid=number(raw.get("pid")) or None,
    )  # fmt: skip
    return Space(thing, raw, {}, {}) if thing else None


def _links(kept: Kept, host: str, number_of: str, space: Space) -> None:
    for raw in items(space.raw.get("links")):
        raw = mapping(raw)
        index, name = number(raw.get("ifindex")), text(raw.get("ifname"), 64)
        if name in FALLBACK and _state(raw) == "down" and not raw.get("addr_info"):
            continue
        info = mapping(raw.get("linkinfo"))
        data = mapping(info.get("info_data"))
        if not index or not name:
            kept.missed("links")
            continue
        thing = kept.add(
            f"if:{host}/{number_of}/{index}", "interface", name, host,
            space=space.thing["id"], index=index, type=_type(raw, info), mac=_mac(raw), mtu=number(raw.get("mtu")), state=_state(raw),
            **_addresses(raw), peer=None, master=None, parent=None, network=None,
            vlan=number(data.get("id")) if info.get("info_kind") in ("vlan", "vxlan") else None, mode=text(data.get("mode"), 16) or None,
        )  # fmt: skip
        if thing is None:
            continue
        space.by_index[index] = link = Link(thing, raw, space)
        space.by_name.setdefault(name, link)


def _type(raw: dict, info: dict) -> str:
    if raw.get("link_type") == "loopback":
        return "loopback"
    kind = info.get("info_kind")
    return kind if isinstance(kind, str) and kind in TYPES else "other"


def _mac(raw: dict) -> str | None:
    mac = raw.get("address")
    return mac if isinstance(mac, str) and _MAC.fullmatch(mac) else None


def _state(raw: dict) -> str:
    flags = items(raw.get("flags"))
    if "UP" not in flags:
        return "down"
    return "up" if "LOWER_UP" in flags and "NO-CARRIER" not in flags else "no-carrier"


def _addresses(raw: dict) -> dict[str, list[str]]:
    said: dict[str, dict[str, None]] = {"addresses": {}, "linklocal": {}}
    for each in items(raw.get("addr_info"))[: 2 * MOST_ADDRESSES]:
        each = mapping(each)
        local, length, far = text(each.get("local"), 64), number(each.get("prefixlen")), text(each.get("address"), 64)
        if local and length is not None:
            where = "linklocal" if each.get("family") == "inet6" and each.get("scope") == "link" else "addresses"
            said[where][f"{local} peer {far}/{length}" if far and far != local else f"{local}/{length}"] = None
    return {name: list(found)[:MOST_ADDRESSES] for name, found in said.items()}


def _fasten(link: Link, space: Space, found: dict[str, Space]) -> None:
    """The bridge that it is plugged into, and the link that it stands on (of a macvlan, a VLAN): by name here, by number elsewhere."""
    thing, raw = link.thing, link.raw
    master = space.by_name.get(raw["master"]) if isinstance(raw.get("master"), str) else None
    thing["master"] = master.thing["id"] if master and master is not link else None
    if thing["type"] not in ("macvlan", "ipvlan", "vlan", "vxlan"):
        return
    below = _beside(link) or _beyond(link, found)
    if below is None and "link_netnsid" in raw and "peers" not in space.raw and thing["type"] != "vxlan":
        root = next(iter(found.values()))  # not told which: what a container's macvlan stands on is the host's, where such a number is
        below = root.by_index.get(number(raw.get("link_index")) or 0) if root is not space else None
    thing["parent"] = below.thing["id"] if below and below is not link else None


def _beside(link: Link) -> Link | None:
    name = link.raw.get("link") or mapping(mapping(link.raw.get("linkinfo")).get("info_data")).get("link")  # of a VXLAN it is said there
    return link.space.by_name.get(name) if isinstance(name, str) else None


def _beyond(link: Link, found: dict[str, Space]) -> Link | None:
    """The link in another namespace that this one names, when the body says which namespace that is."""
    there = mapping(link.space.raw.get("peers")).get(str(number(link.raw.get("link_netnsid"))))
    space = found.get(there) if isinstance(there, str) else None
    return space.by_index.get(number(link.raw.get("link_index")) or 0) if space else None


def _pair(found: dict[str, Space]) -> None:
    """Both ends of each cable name one another; an end whose other end is not certain names none."""
    ends: dict[tuple[int, int], list[Link]] = {}
    veths = [link for space in found.values() for link in space.by_index.values() if link.thing["type"] == "veth"]
    for link in veths:
        if "link_netnsid" in link.raw:
            ends.setdefault((link.thing["index"], number(link.raw.get("link_index")) or 0), []).append(link)
    for link in veths:
        other = _beside(link) if "link_netnsid" not in link.raw else _beyond(link, found)
        if other is None and "link_netnsid" in link.raw and "peers" not in link.space.raw:
            wanted = [end for end in ends.get((number(link.raw.get("link_index")) or 0, link.thing["index"]), []) if end.space is not link.space]
            rivals = [end for end in ends[link.thing["index"], number(link.raw.get("link_index")) or 0] if end.space is not link.space]
            other = wanted[0] if len(wanted) == 1 and not rivals else None
        if other is not None and other is not link and other.thing["type"] == "veth":
            link.thing["peer"] = other.thing["id"]
    things = {link.thing["id"]: link.thing for link in veths}
    for thing in things.values():
        if thing["peer"] and things[thing["peer"]]["peer"] != thing["id"]:
            thing["peer"] = None


def _jack(host: dict, root: Space, found: dict[str, Space]) -> None:
    """The host's end of the wire: a veth whose other end is in no namespace of this host."""
    ends = [link for space in found.values() for link in space.by_index.values() if link.thing["type"] == "veth" and not link.thing["peer"] and "link_netnsid" in link.raw]
    address = f"{host['address']}/"

    def unlike(link: Link) -> tuple:
        has_it = any(each.startswith(address) for each in link.thing["addresses"])
        return not has_it, link.space is not root, link.thing["name"] != "eth0", link.thing["index"]

    if ends:
        min(ends, key=unlike).thing["type"] = "wire"


def wire_subnet(things: Any) -> str | None:
    """The subnet that the hosts' jacks share, as the first of them that has an IPv4 address says it."""
    for thing in things:
        for address in thing["addresses"]:
            try:
                found = ipaddress.ip_interface(address)
            except ValueError:
                continue
            if found.version == 4:
                return str(found.network)
    return None
