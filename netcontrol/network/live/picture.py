"""From what the hosts said to what pages are told: one pure step, from bytes to bytes. It takes milliseconds, so it is done elsewhere (artist.py).

What a host says may have any shape: what is no JSON, or has no network in it, is `forged`, and the host is left as it was; the graph sees to
the rest. Must not know: Redis, agents, event loops.
"""
import json
import logging
from dataclasses import dataclass, field
from typing import Any

from netcontrol.agent.limits import MAX_CHANGE, MAX_GRAPH
from netcontrol.agent.untrusted import read_object
from netcontrol.network.change import change
from netcontrol.network.graph import graph
from netcontrol.network.tell.lines import lines

log = logging.getLogger(__name__)

Bodies = dict[str, bytes]  # host -> what it said, as JSON


@dataclass(frozen=True)
class Step:
    """From one graph to the next."""

    forged: set[str] = field(default_factory=set)  # hosts whose new body is not understood
    graph: bytes = b""  # the next one as JSON; nothing: it is the same
    change: bytes = b""  # as JSON; nothing: the whole is to be told
    lines: list[dict[str, Any]] = field(default_factory=list)  # what it is, for words.py to say


def step(hosts: list[dict[str, str]], before: bytes, known: Bodies, news: Bodies, since: bytes = b"") -> Step:
    """`before` is the graph of what is `known`; `news` replaces some of that. The words tell of all that is different `since` an older graph."""
    said, forged = {}, set()
    for host, body in news.items():
        try:
            said[host] = parse(body)
        except ValueError:
            forged.add(host)
    for old, older in ((before, since), (b"", b"")):  # an older program may have drawn another kind of graph: then this is the first one
        try:
            return _step(hosts, parse(old) if old else None, known, said, forged, older)
        except Exception:  # a fault of ours, which a host that says something unheard-of may bring to light: everybody else's network goes on
            log.exception("a network cannot be drawn")
    return Step(set(news))


def _step(hosts: list[dict[str, str]], before: dict[str, Any] | None, known: Bodies, said: dict[str, Any], forged: set[str], since: bytes) -> Step:
    if not said:
        return Step(forged, lines=lines(parse(since), before) if since and before else [])
    after = graph(hosts, {**{host: parse(body) for host, body in known.items() if host not in said}, **said})
    if empty := said.keys() & after["unseen"]:  # an object, and nothing of a network in it
        return _step(hosts, before, known, {host: body for host, body in said.items() if host not in empty}, forged | empty, since)
    if after == before:
        return _step(hosts, before, known, {}, forged, since)
    text = dump(after)
    if len(text) > MAX_GRAPH:
        return Step(forged | said.keys())
    if before is None or before["unseen"] != after["unseen"]:  # seen for the first time: nothing has changed by that
        return Step(forged, text)
    told = dump(change(before, after))
    return Step(forged, text, told if len(told) <= MAX_CHANGE else b"", lines(parse(since) if since else before, after))


def parse(text: bytes) -> dict[str, Any]:
    """What a host said, or a graph. Raises ValueError."""
    return read_object(text, MAX_GRAPH)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
