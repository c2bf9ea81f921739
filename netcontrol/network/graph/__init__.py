"""All hosts of a sandbox as one graph, from what their agents read: bodies in, things out (docs/protocol.md, section 7). Pure, and never raises.

A body comes from a host whose root is a student: any shape of it gives a graph that is bounded and whole, in which every id that a thing names is there.
"""
from typing import Any

from netcontrol.network.graph.engines import engines
from netcontrol.network.graph.kept import Kept, Thing
from netcontrol.network.graph.links import spaces, wire_subnet
from netcontrol.network.graph.routes import listeners, routes
from netcontrol.network.graph.rules import rules
from netcontrol.network.graph.shape import mapping, number, text

Graph = dict[str, Any]


def graph(hosts: list[dict], bodies: dict[str, Any]) -> Graph:
    """`hosts`: {"name", "address"} of each, as the sandbox has them; `bodies`: what each agent said, by the host's name."""
    kept = Kept()
    unseen = []
    wire: Thing | None = kept.add("wire", "wire", "wire", None, subnet=None, interfaces=[]) if hosts else None
    for host in hosts:
        if not _host(kept, host, mapping(bodies.get(host["name"]))):
            unseen.append(host["name"])
    jacks = [thing for thing in kept.things.values() if thing["kind"] == "interface" and thing["type"] == "wire"]
    if wire:
        wire["interfaces"], wire["subnet"] = [jack["id"] for jack in jacks], wire_subnet(jacks)
    return {"hosts": [host["name"] for host in hosts], "things": kept.things, "left_out": dict(kept.left_out), "unseen": unseen}


def _host(kept: Kept, host: dict, body: dict) -> bool:
    name, system, docker = host["name"], mapping(body.get("system")), mapping(body.get("docker"))
    state = docker.get("state")
    thing = kept.add(
        f"host:{name}", "host", name, name, address=host["address"], system=text(system.get("os"), 64), docker=text(system.get("docker"), 32), podman=text(system.get("podman"), 32),
        docker_state=state if state in ("up", "down", "silent") else None, space=None,
    )  # fmt: skip
    if thing is None:
        return False
    found = spaces(kept, host, body)
    if not found:
        return False
    root = next(iter(found.values()))
    thing["space"] = root.thing["id"]
    engines(kept, name, body, found)
    routes(kept, name, found)
    rules(kept, name, found, _rails(kept, root.by_name))
    listeners(kept, name, found)
    for counted, times in list(mapping(body.get("left_out")).items())[:16]:
        if counted in kept.left_out:
            kept.missed(counted, number(times) or 0)
    return True


def _rails(kept: Kept, links: dict) -> dict[str, str]:
    """The bridges that an engine made: name → engine."""
    return {name: kept.things[link.thing["network"]]["engine"] for name, link in links.items() if link.thing["type"] == "bridge" and link.thing["network"]}
