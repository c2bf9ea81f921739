"""Who reaches whom: what a page asks of some containers, namespaces and hosts is tried, and explained from the graph.

The graph says what is meant and why it went so; what is reached is only ever what was tried. Must not know: pages, connections.
"""
import asyncio
import re
from collections.abc import Sequence
from typing import Any

from netcontrol.errors import LabError
from netcontrol.inside import Run
from netcontrol.network.reach.reasons import Reasons
from netcontrol.network.reach.tries import MOST, Cell, End, matrix
from netcontrol.network.tell.telling import _, tell

HOW = re.compile(r"ping|name|tcp:([1-9][0-9]{0,4})")


async def reach(run: Run, graph: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """question: {who: [ids], how, predicted: rows of true, false and null}. The answer has a cell for each pair, null for one and itself."""
    who, how = _understood(question)
    things = [graph["things"].get(id) for id in who]
    ends = [end(thing) if thing else None for thing in things]
    if None in ends:
        id = who[ends.index(None)]
        return {"ok": False, "code": "cannot", "failed": tell(_("`%(name)s` is not there any more. Choose again who is to be tried."), name=(graph["things"].get(id) or {}).get("name") or id)}
    found = await matrix(run, [one for one in ends if one], how)
    return {"who": who, "how": how, "cells": await asyncio.to_thread(explained, graph, who, how, found, question.get("predicted"))}


def explained(graph: dict[str, Any], who: Sequence[str], how: str, found: list[list[Cell]], predicted: Any) -> list[list[dict[str, Any] | None]]:
    reasons = Reasons(graph)
    return [
        [None if a == b else {"reached": cell.reached, "predicted": _said(predicted, a, b), **reasons.reason(who[a], who[b], how, cell)} for b, cell in enumerate(row)]
        for a, row in enumerate(found)
    ]


def end(thing: dict[str, Any]) -> End | None:
    """Where this thing tries from, and what it is called; None for a thing that can try nothing."""
    kind, host, name = thing["kind"], thing["host"], thing["name"]
    if kind == "host":
        return End(name, name)
    if kind == "container":
        return End(name, host, container=name, space=(thing["space"] or "").rpartition("/")[2])
    if kind == "namespace":
        return End(host, host) if thing["root"] else End(name, host, netns=name) if name else End(name, host, space=thing["id"].rpartition("/")[2])
    return None


def _understood(question: dict[str, Any]) -> tuple[list[str], str]:
    who, how = question.get("who"), question.get("how")
    if not isinstance(who, list) or not all(isinstance(id, str) for id in who) or not 2 <= len(set(who)) == len(who) <= MOST:
        raise LabError("no_sense", _("Choose two to eight, each of them once."), "")
    if not isinstance(how, str) or not (found := HOW.fullmatch(how)) or int(found[1] or 1) > 65535:
        raise LabError("no_sense", _("It is tried by ping, by a TCP port, or by name."), "")
    return who, how


def _said(predicted: Any, a: int, b: int) -> bool | None:
    try:
        said = predicted[a][b]
    except (LookupError, TypeError):
        return None
    return said if isinstance(said, bool) else None
