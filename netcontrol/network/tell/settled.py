"""A graph without what is only in passing: an engine is at work, and the next look finds it finished, or gone. Told is what stays. Pure.

Docker makes a cable in the host before it moves one end into a namespace, the namespace before it says that a container is in it, a bridge
and its rules before the network is on its list; and it takes all that away in as many steps.
"""
import re
from typing import Any

Thing = dict[str, Any]

END = re.compile(r"veth([0-9a-f]{7}|[0-9]{1,3})")  # as Docker and podman call their ends of cables
MADE = re.compile(r"veth[0-9a-f]{7}")  # Docker's: both ends, until one is in its container
RAIL = re.compile(r"br-[0-9a-f]{12}")  # Docker's bridges that were given no name


def settled(graph: dict[str, Any]) -> dict[str, Thing]:
    """Its things, but for those in passing. A namespace that has neither a name nor a container is always one of these: nobody could say which it is."""
    things: dict[str, Thing] = graph["things"]
    roots = {id for id, thing in things.items() if thing["kind"] == "namespace" and thing["root"]}
    out = {id for id, thing in things.items() if thing["kind"] == "namespace" and not thing["root"] and not thing["name"] and not thing["containers"]}
    out |= {id for id, thing in things.items() if thing.get("space") in out and thing["kind"] != "container"}
    for id, thing in things.items():
        if thing["kind"] == "interface" and id not in out and _loose(thing, things, out, roots):
            out |= {id, *([thing["peer"]] if thing["peer"] else [])}
    rails = {thing["name"] for thing in things.values() if thing["kind"] == "interface" and thing["type"] == "bridge" and thing["network"] and RAIL.fullmatch(thing["name"])}
    up = {thing["name"] for thing in things.values() if thing["kind"] == "host" and thing["docker_state"] == "up"}
    for id, thing in things.items():
        if thing["host"] not in up or thing.get("space") not in roots:
            continue
        if thing["kind"] == "interface":
            named = {thing["name"]} if thing["type"] == "bridge" else set()
        elif thing["kind"] == "rule" and thing["owner"] == "docker":
            named = {thing["match"].get(side, "").removeprefix("!") for side in ("in", "out")}
        else:
            continue
        if any(RAIL.fullmatch(name) and name not in rails for name in named):
            out.add(id)
    out |= {id for id, thing in things.items() if thing["kind"] == "route" and thing["dev"] in out}
    return {id: thing for id, thing in things.items() if id not in out} if out else things


def _loose(link: Thing, things: dict[str, Thing], out: set[str], roots: set[str]) -> bool:
    """The host's end of an engine's cable whose other end is in no container yet, is not finished there, or is there no longer."""
    if link["type"] != "veth" or link["space"] not in roots or not END.fullmatch(link["name"]):
        return False
    end = things.get(link["peer"] or "")
    if end is None or end["id"] in out:
        return True
    if MADE.fullmatch(link["name"]) and MADE.fullmatch(end["name"]):
        return end["space"] in roots or bool(things[end["space"]]["containers"])
    return end["state"] == "down" and not end["addresses"] and not end["network"] and bool(things[end["space"]]["containers"])
