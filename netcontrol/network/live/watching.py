"""Tells one page of the network of one sandbox: first the whole, then what changes, in order and each once; and what cannot be seen.

A page that cannot follow (Redis was away or forgot, too much came at once, a change is larger than the whole) is told the whole again.
To say much takes milliseconds in which nobody's keys go on, so the pages of one sandbox are told only so much. Must not know: the WebSocket,
workers, agents, what is in a graph.
"""
import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import redis
from django.utils.translation import gettext as _

from netcontrol import connection
from netcontrol.agent.limits import TOLD_A_SECOND, TOLD_AT_ONCE, WHOLE_COST
from netcontrol.fair import Pace
from netcontrol.network.live import store
from netcontrol.network.live.store import Seen
from netcontrol.network.tell.words import say_line
from netcontrol.templatetags.said import in_a_row, listed

log = logging.getLogger(__name__)

_paces: dict[str, Pace] = {}  # sandbox -> what all its pages together are told


def _pay(sandbox: str, size: int) -> None:
    for other in [other for other, pace in _paces.items() if pace.idle]:
        del _paces[other]
    _paces.setdefault(sandbox, Pace(TOLD_A_SECOND, TOLD_AT_ONCE)).pay(size)


async def _affordable(sandbox: str) -> bool:
    """Whether it was at once; else it is now."""
    at_once = True
    while sandbox in _paces and (wait := _paces[sandbox].wait()):
        at_once = False
        await asyncio.sleep(wait)
    return at_once


class Watching:
    """`tell` sends a message: a dict, or JSON as text."""

    def __init__(self, sandbox: str, tell: Callable[[Any], Awaitable[None]]):
        self.sandbox, self.tell = sandbox, tell
        self.away: dict[str, str] = {}  # as the page knows it

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            line = connection.Line()
            try:
                while True:
                    await self._follow(line)
            except (*connection.Unreachable, redis.ResponseError) as down:
                log.info("a page waits for its network: %s", down)
                await asyncio.sleep(0.3)
            finally:
                await line.close()

    async def _follow(self, line: connection.Line) -> None:
        """From the whole on, until this page cannot follow."""
        await _affordable(self.sandbox)
        _pay(self.sandbox, WHOLE_COST)
        seen = await store.read(line, self.sandbox)
        if not seen.head.awake:  # nobody looked until now
            await store.changes(line, self.sandbox, seen.last)
            return
        if seen.graph:
            await self._tell_whole(seen)
        await self._tell_away(seen.head.away)
        version, after = seen.head.version, seen.last
        while True:
            for id, m, change in await store.changes(line, self.sandbox, after):
                after = id
                if m["version"] > version:
                    if m["from"] != version or not change or not seen.graph or not await _affordable(self.sandbox):
                        return
                    await self._tell_change(m, change)
                    version = m["version"]
                await self._tell_away(m["away"])

    async def _tell_whole(self, seen: Seen) -> None:
        instead = {version for entry in seen.past for version in entry.get("instead_of", ())}
        past = [{**entry, "lines": [say_line(line) for line in entry["lines"]]} for entry in seen.past if entry["version"] not in instead]
        m = {"type": "network.snapshot", "version": seen.head.version, "read_at": seen.head.read_at, "past": past}
        await self._say(_with(m, "graph", seen.graph))
        self.away = {}  # for the page, a whole is what is seen

    async def _tell_change(self, m: dict[str, Any], change: bytes) -> None:
        fields = ("version", "from", "at", "read_at", "after_command", "also_after", "instead_of")
        said = {"type": "network.change", **{name: m[name] for name in fields}, "lines": [say_line(line) for line in m["lines"]]}
        await self._say(_with(said, "change", change))

    async def _say(self, text: str) -> None:
        _pay(self.sandbox, len(text))
        await self.tell(text)

    async def _tell_away(self, away: dict[str, str]) -> None:
        if away != self.away:
            self.away = away
            await self.tell({"type": "network.away", "hosts": sorted(away), "why": why(away)})


def why(away: dict[str, str]) -> str:
    """A sentence for each reason; nothing when all hosts are seen."""
    said = {
        "silent": _("The network of %(hosts)s cannot be seen: nothing there answers."),
        "failed": _("The network of %(hosts)s cannot be seen: what looks at it there does not run."),
        "forged": _("The network of %(hosts)s cannot be seen: what comes from there is not understood."),
    }
    hosts = {code: sorted(host for host, other in away.items() if other == code) for code in said}
    return in_a_row(*(sentence % {"hosts": listed(hosts[code])} for code, sentence in said.items() if hosts[code]))


def _with(m: dict[str, Any], name: str, value: bytes) -> str:
    """The message as JSON, with a field that is JSON already: it is passed on as it is, unread."""
    return f"{json.dumps(m, separators=(',', ':'))[:-1]},{json.dumps(name)}:{value.decode()}}}"
