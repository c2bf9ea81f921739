"""What the graph says about the places that a packet passes: a namespace, an interface, who listens. Pure; must not know packets.

A packet may pass what the graph has not seen: then there is no thing, and None is said.
"""
import ipaddress
from collections.abc import Iterator
from typing import Any

Thing = dict[str, Any]
Graph = dict[str, Any]


class Atlas:
    def __init__(self, graph: Graph):
        self.things: dict[str, Thing] = graph["things"]
        self.hosts: list[str] = graph["hosts"]
        self.left_out = {what for what, count in graph.get("left_out", {}).items() if count}  # of these there are more than are known
        self.whole = not (graph.get("unseen") or self.left_out & {"spaces", "links"})  # else somebody unknown may have an address
        self.meant: list[str] = []  # things that somebody asked about: a namespace that several share is called by such a one

    def thing(self, id: str | None) -> Thing:
        """An empty one when there is none."""
        return self.things.get(id or "", {})

    def of_kind(self, kind: str) -> Iterator[Thing]:
        return (thing for thing in self.things.values() if thing["kind"] == kind)

    def space(self, host: str, number: str) -> str | None:
        id = f"ns:{host}/{number}"
        return id if id in self.things else None

    def interface(self, host: str, number: str, index: int) -> str | None:
        id = f"if:{host}/{number}/{index}"
        return id if id in self.things else None

    def called(self, space: str | None, host: str = "") -> str:
        """What a person calls a namespace: its container, its own name, or its host."""
        thing = self.thing(space)
        if thing.get("root") or not thing:
            return thing.get("host", host)
        meant = [id for id in thing["containers"] if id in self.meant]
        names = [name for id in (*meant, *thing["containers"]) if (name := self.thing(id).get("name"))]
        return names[0] if names else thing["name"] or thing["id"].rpartition("/")[2]

    def shown(self, space: str | None) -> str | None:
        """What stands for a namespace in a picture: the one container in it, or itself."""
        containers = self.thing(space).get("containers", [])
        meant = [id for id in containers if id in self.meant] or containers
        return meant[0] if len(meant) == 1 and not self.thing(space).get("root") else space

    def interfaces(self, space: str | None) -> list[Thing]:
        return [thing for thing in self.of_kind("interface") if thing["space"] == space]

    def addresses(self, space: str | None) -> list[tuple[str, Thing]]:
        """Each address with its length, and its interface; not those of lo."""
        return [(address, one) for one in self.interfaces(space) if one["type"] != "loopback" for address in one["addresses"]]

    def owner(self, address: str) -> Thing:
        """The interface that has this address, if just one has it."""
        found = [one for one in self.of_kind("interface") if any(bare(each) == address for each in one["addresses"]) and one["type"] != "loopback"]
        return found[0] if len(found) == 1 else {}

    def listeners(self, space: str | None, protocol: str, port: int | None) -> list[Thing]:
        return [one for one in self.of_kind("listener") if one["space"] == space and one["proto"] == protocol and one["port"] == port]

    def listener(self, space: str | None, protocol: str, port: int | None, address: str) -> Thing:
        """Who would take it there: one that listens on the address, or on all."""
        here = self.listeners(space, protocol, port)
        for wanted in (address, "::" if ":" in address else "0.0.0.0", "::"):
            for one in here:
                if one["address"] == wanted:
                    return one
        return {}

    def chain(self, space: str | None, family: str, table: str, name: str) -> Thing:
        number = (space or "").partition(":")[2]
        return self.thing(f"chain:{number}/{family}/{table}/{name}") or self.thing(f"chain:{number}/inet/{table}/{name}")

    def rule(self, space: str | None, family: str, table: str, name: str, n: int | None, text: str) -> str | None:
        """The rule that stands at this place of its chain; with iptables' text it has to be the same."""
        rules = self.chain(space, family, table, name).get("rules", [])
        if n is None or n >= len(rules):
            return None
        said = self.thing(rules[n]).get("text", "")
        return rules[n] if not text.startswith("-A ") or said == text else next((id for id in rules if self.thing(id).get("text") == text), None)

    def route(self, space: str | None, to: str, via: str, dev: str) -> str | None:
        for one in self.of_kind("route"):
            if one["space"] == space and one["to"] == to and (one["via"] or "") == via and self.thing(one["dev"]).get("name", "") == dev:
                return one["id"]
        return None

    def networks(self, space: str | None) -> list[Thing]:
        """The engine's networks that have an interface in it."""
        found = {one["network"]: self.thing(one["network"]) for one in self.interfaces(space) if one.get("network")}
        return [network for network in found.values() if network]


def space_of(thing: Thing) -> str | None:
    """The namespace in which a container, a host or a namespace itself sends and is reached; None for any other thing."""
    return thing["id"] if thing.get("kind") == "namespace" else thing.get("space") if thing.get("kind") in ("container", "host") else None


def bare(address: str) -> str:
    return address.partition("/")[0].partition(" ")[0]


def shares(one: str, other: str) -> bool:
    """Whether two addresses with their lengths are in one subnet."""
    try:
        return ipaddress.ip_address(bare(other)) in ipaddress.ip_interface(one).network
    except ValueError:
        return False
