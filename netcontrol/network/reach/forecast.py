"""The way that a packet should take, and its answer back, as the graph has it: routes, cables, bridges, rules. Pure.

What really happened is known otherwise (tries.py, ../follow): this only says why it may have. Where the graph does not say enough, neither
does this. Must not know: sentences.
"""
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from netcontrol.network.atlas import Atlas, bare
from netcontrol.network.reach.packetfilter import Effort, Filter, Packet, network

Thing = dict[str, Any]
What = Literal["arrives", "no-route", "no-neighbour", "down", "macvlan", "not-forwarded", "dropped", "rejected", "unsure"]
MOST_HOPS = 8


@dataclass
class Walk:
    """Where it ended. `at` is the namespace, `thing` what decided there: a rule, a chain, a route, an interface."""

    what: What
    at: str
    packet: Packet
    thing: str | None = None
    path: list[str] = field(default_factory=list)  # things that it goes by, in order
    spaces: list[str] = field(default_factory=list)  # namespaces that it comes through, the first and the last among them
    nat: dict[str, Packet] = field(default_factory=dict)  # namespace that rewrote it -> as it was before
    rewrote: list[str] = field(default_factory=list)  # the rules that did
    back: "Walk | None" = None  # the answer's


class Forecast:
    """`bridged`: whether what stays on a bridge goes through FORWARD, too (br_netfilter): nothing in the graph says so."""

    def __init__(self, atlas: Atlas, bridged: bool, effort: Effort):
        self.atlas, self.filter, self.bridged, self.effort = atlas, Filter(atlas, effort), bridged, effort
        self.by_space: dict[str, list[Thing]] = {}
        self.children: dict[str, list[Thing]] = {}
        self.ports: dict[str, list[Thing]] = {}
        for one in atlas.of_kind("interface"):
            self.by_space.setdefault(one["space"], []).append(one)
            for key, of in (("parent", self.children), ("master", self.ports)):
                if one.get(key):
                    of.setdefault(one[key], []).append(one)
        self.routes: dict[str, list[Thing]] = {}
        for route in atlas.of_kind("route"):
            self.routes.setdefault(route["space"], []).append(route)
        self.jacks = [one for one in atlas.of_kind("interface") if one["type"] == "wire"]

    def there_and_back(self, space: str, dst: str, proto: str, port: int) -> Walk:
        there = self.walk(space, Packet("", dst, proto, port), {})
        if there.what == "arrives":
            answer = Packet(there.packet.dst, there.packet.src, proto, 0, there.packet.port, "ESTABLISHED")
            there.back = self.walk(there.at, answer, there.nat) if answer.dst not in self.local(there.at) or there.at != space else None
        return there

    def local(self, space: str) -> frozenset[str]:
        self.effort.spend(len(self.by_space.get(space, [])))
        return frozenset(bare(address) for one in self.by_space.get(space, []) for address in one["addresses"])

    def walk(self, space: str, packet: Packet, undo: dict[str, Packet]) -> Walk:
        walk = Walk("unsure", space, packet)
        for hop in range(MOST_HOPS):
            walk.at = space
            walk.spaces.append(space)
            local = self.local(space)
            if hop:
                if (before := undo.get(space)) and before.src != packet.dst:  # the kernel remembers whom the answer is for
                    packet = replace(packet, dst=before.src)
                if not self._through(walk, space, "prerouting", packet, local):
                    return walk
                packet = walk.packet
            elif packet.state == "NEW" and not packet.src:
                packet = self._begun(walk, space, packet, local)
            walk.packet = packet
            if packet.dst in local or packet.dst.startswith("127."):
                if hop and not self._through(walk, space, "input", packet, local):
                    return walk
                walk.what, walk.thing = "arrives", next((one["id"] for one in self.by_space[space] if packet.dst in map(bare, one["addresses"])), None)
                return walk
            route = self.route(space, packet.dst)
            dev = self.atlas.thing(route["dev"]) if route else {}
            if not route or route["type"] not in ("unicast", "") or not dev:
                walk.what, walk.thing = ("unsure" if self._elsewhere(space) else "no-route"), route["id"] if route else None
                return walk
            if dev["state"] == "down":
                walk.what, walk.thing = "down", dev["id"]
                return walk
            if hop and not self.atlas.thing(space).get("forward6" if ":" in packet.dst else "forward"):
                walk.what = "not-forwarded"
                return walk
            packet = replace(packet, out=dev["name"])
            if not self._through(walk, space, "forward" if hop else "output", packet, local) or not self._through(walk, space, "postrouting", walk.packet, local):
                return walk
            packet = walk.packet
            if packet.src == "masquerade":
                packet = replace(packet, src=self._source(space, packet.dst))
            walk.path += [route["id"], dev["id"]]
            reached = self.neighbour(walk, dev, route["via"] or packet.dst, packet)
            if reached is None:
                return walk
            space = reached["space"]
            packet = replace(packet, into=reached["name"], out="")
            walk.packet = packet
        walk.what = "unsure"
        return walk

    def _begun(self, walk: Walk, space: str, packet: Packet, local: frozenset[str]) -> Packet:
        """With the source that the kernel chooses for it, and sent elsewhere where a rule of the sender's own says so."""
        packet = replace(packet, src=self._source(space, packet.dst))
        rewritten = self.filter.at(space, "output", replace(packet, out="lo" if packet.dst in local else ""), local)
        if not rewritten.nat or rewritten.what != "on" or rewritten.packet.dst == packet.dst:
            return packet
        walk.nat[space] = packet
        walk.rewrote.append(rewritten.nat)
        return replace(rewritten.packet, out="", src=self._source(space, rewritten.packet.dst))

    def _through(self, walk: Walk, space: str, hook: str, packet: Packet, local: frozenset[str]) -> bool:
        fate = self.filter.at(space, hook, packet, local)
        if fate.nat:
            walk.nat.setdefault(space, packet)
            walk.rewrote.append(fate.nat)
            walk.path.append(fate.nat)
        walk.packet = fate.packet
        if fate.what == "on":
            return True
        walk.what, walk.thing, walk.at = fate.what, fate.thing, space
        return False

    # Routes

    def route(self, space: str, dst: str) -> Thing | None:
        self.effort.spend(len(self.routes.get(space, [])))
        found = [one for one in self.routes.get(space, []) if one["table"] == "main" and (one["family"] == "ip6") == (":" in dst) and _covers(one["to"], dst)]
        return min(found, key=lambda one: (-_length(one["to"]), one["metric"] or 0), default=None)

    def _elsewhere(self, space: str) -> bool:
        """Other tables than the main one may send it somewhere, or a route that was left out: which one counts is not in the graph."""
        return "routes" in self.atlas.left_out or any(one["table"] not in ("main", "local", "default") for one in self.routes.get(space, []))

    def _source(self, space: str, dst: str) -> str:
        route = self.route(space, dst)
        if route and route["source"]:
            return route["source"]
        if not route:
            return dst
        goal = route["via"] or dst
        own = [address for address in self.atlas.thing(route["dev"]).get("addresses", []) if (":" in address) == (":" in dst)]
        return bare(next((address for address in own if _covers(address, goal)), own[0] if own else dst))

    # Cables, bridges, the wire

    def neighbour(self, walk: Walk, dev: Thing, address: str, packet: Packet) -> Thing | None:
        """The interface that takes it for this address, among those that hear `dev`."""
        deaf = down = None
        odd = not self.atlas.whole or dev["type"] in ("vlan", "vxlan", "tun", "ipvlan", "other")
        for one, path in self.segment(dev):
            odd = odd or one["type"] in ("vxlan", "vlan", "tun", "other")
            if one["id"] == dev["id"] or address not in map(bare, one["addresses"]):
                continue
            if one["state"] == "down":
                down = down or one
                continue
            bridge = next((id for id in path if self.atlas.thing(id).get("type") == "bridge"), None)
            if bridge and self.bridged and one["type"] != "bridge" and dev["type"] != "bridge":
                owner = self.atlas.thing(bridge)
                fate = self.filter.at(owner["space"], "forward", replace(packet, into=owner["name"], out=owner["name"]), self.local(owner["space"]))
                if fate.what != "on":
                    walk.what, walk.thing, walk.at = fate.what, fate.thing, owner["space"]
                    return None
            walk.path += [*path, one["id"]]
            return one
        if dev.get("parent"):
            parent = self.atlas.thing(dev["parent"])
            deaf = parent if address in map(bare, parent.get("addresses", [])) else None
        deaf = deaf or next((one for one in self.children.get(dev["id"], []) if address in map(bare, one["addresses"])), None)
        cut = down or self._cut(dev)
        if deaf:
            walk.what, walk.thing = "macvlan", deaf["id"]
        elif cut:
            walk.what, walk.thing = "down", cut["id"]
        else:
            walk.what, walk.thing = ("unsure" if odd else "no-neighbour"), dev["id"]
        return None

    def _cut(self, dev: Thing) -> Thing | None:
        """What lies between `dev` and anybody else, and is down."""
        peer = self.atlas.thing(dev.get("peer"))
        for one in (peer, self.atlas.thing(peer.get("master"))):
            if one and one["state"] == "down":
                return one
        return None

    def segment(self, dev: Thing) -> Iterator[tuple[Thing, list[str]]]:
        """All interfaces that hear what is sent out of `dev`, each with what lies between."""
        seen = {dev["id"]}
        ahead: list[tuple[Thing, list[str]]] = list(self._next(dev, True))
        while ahead:
            self.effort.spend()
            one, path = ahead.pop(0)
            if one["id"] in seen:
                continue
            seen.add(one["id"])
            if not one.get("master"):
                yield one, path
            if one["state"] != "down":
                ahead += [(after, [*path, one["id"], *more]) for after, more in self._next(one, False)]

    def _next(self, one: Thing, first: bool) -> Iterator[tuple[Thing, list[str]]]:
        """The interfaces beside this one. `first`: it is the one that sends, so that what comes to it does not go on through it."""
        things = self.atlas.thing
        master = things(one.get("master"))
        if one["type"] == "bridge":
            yield from ((port, []) for port in self.ports.get(one["id"], []) if port["state"] != "down")
            if not first:
                yield from ((child, []) for child in self.children.get(one["id"], []) if child["type"] == "macvlan")
            return
        if one.get("parent") and one["type"] == "macvlan":
            if not first:
                return
            yield from ((sibling, [one["parent"]]) for sibling in self.children.get(one["parent"], []) if sibling["id"] != one["id"])
            parent = things(one["parent"])
            if parent and parent["state"] != "down":
                yield from ((after, [parent["id"], *path]) for after, path in self._beyond(parent))
                if parent.get("master"):
                    yield things(parent["master"]), [parent["id"]]
            return
        if master and not first:
            yield master, []
        if not first and not master:
            yield from ((child, []) for child in self.children.get(one["id"], []) if child["type"] == "macvlan")
            return
        yield from self._beyond(one)

    def _beyond(self, one: Thing) -> Iterator[tuple[Thing, list[str]]]:
        if one["type"] == "wire":
            yield from ((jack, ["wire"]) for jack in self.jacks if jack["id"] != one["id"])
        elif peer := self.atlas.thing(one.get("peer")):
            yield peer, []


def _covers(net: str, address: str) -> bool:
    if net == "default":
        return True
    try:
        return ipaddress.ip_address(address) in network(net)
    except ValueError:
        return False


def _length(net: str) -> int:
    return -1 if net == "default" else network(net).prefixlen
