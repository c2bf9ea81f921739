"""What holds for every graph, whatever it was made of."""
import json
from collections.abc import Iterator
from typing import Any

from netcontrol.network.graph.kept import COUNTED, MOST
from netcontrol.network.graph.shape import RULE

KINDS = {"wire", "host", "namespace", "interface", "network", "container", "route", "chain", "rule", "listener"}
NAMED = ("space", "peer", "master", "parent", "network", "bridge", "dev")  # facts that are ids, or null
LISTED = ("interfaces", "containers", "rules")  # facts that are lists of ids


def check_whole(graph: dict[str, Any]) -> None:
    """JSON as it will be sent; bounded; every id that is named is there; cables have two ends."""
    things = graph["things"]
    assert json.loads(json.dumps(graph, allow_nan=False)) == graph
    json.dumps(graph, ensure_ascii=False).encode()  # no half characters
    assert set(graph) == {"hosts", "things", "left_out", "unseen"} and set(graph["left_out"]) == set(COUNTED)
    for id, thing in things.items():
        assert thing["id"] == id and thing["kind"] in KINDS and isinstance(thing["name"], str)
        assert all(not thing.get(fact) or (thing["kind"] == "container" and fact == "networks") or thing[fact] in things for fact in NAMED), thing
        assert all(each in things for fact in LISTED for each in thing.get(fact, ())), thing
        assert all(each in things for each in thing.get("networks", ())), thing
        if thing["kind"] == "interface" and thing["peer"]:
            assert things[thing["peer"]]["peer"] == id and thing["peer"] != id
        if thing["kind"] == "interface":
            assert thing["master"] != id and thing["parent"] != id
        for text in texts(thing):
            assert len(text) <= RULE and text.isprintable()
    for kind, (_, most) in MOST.items():
        assert sum(thing["kind"] == kind for thing in things.values()) <= most * len(graph["hosts"])
    rules = [rule for thing in things.values() if thing["kind"] == "chain" for rule in thing["rules"]]
    assert len(rules) == len(set(rules)) == sum(thing["kind"] == "rule" for thing in things.values()), "each rule is in one chain, once"


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(key)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
