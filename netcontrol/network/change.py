"""What is different between two graphs, and a graph with that done to it. Exact: apply(before, change(before, after)) is after, for any two. Pure."""
from typing import Any

Graph = dict[str, Any]
Change = dict[str, Any]

ABOUT = ("hosts", "left_out", "unseen")  # the parts of a graph that are no things: carried whole when one is different
NOTHING: Change = {"added": {}, "gone": [], "changed": {}}  # between two graphs that are the same


def change(before: Graph, after: Graph) -> Change:
    """{"added": {id: thing}, "gone": [ids], "changed": {id: {fact: [old, new]}}}, and "about": {part: new} when a part is different.

    A thing that has other facts than before, not only other values, counts as added: it replaces the old one.
    """
    old, new = before["things"], after["things"]
    added: dict[str, Any] = {}
    changed: dict[str, dict[str, list]] = {}
    for id, thing in new.items():
        was = old.get(id)
        if was is None or was.keys() != thing.keys():
            added[id] = thing
        elif was != thing and (facts := {fact: [was[fact], value] for fact, value in thing.items() if was[fact] != value}):
            changed[id] = facts
    found: Change = {"added": added, "gone": [id for id in old if id not in new], "changed": changed}
    if about := {part: after[part] for part in ABOUT if before[part] != after[part]}:
        found["about"] = about
    return found


def apply(graph: Graph, change: Change) -> Graph:
    """A new graph; the old one stays as it is. Things that did not change are shared."""
    gone = set(change["gone"])
    things = {id: thing for id, thing in graph["things"].items() if id not in gone}
    for id, facts in change["changed"].items():
        things[id] = {**things[id], **{fact: new for fact, (_, new) in facts.items()}}
    return {**graph, "things": {**things, **change["added"]}, **change.get("about", {})}
