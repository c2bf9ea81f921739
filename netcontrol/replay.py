"""Tells one page everything of one sandbox's shells that it does not have: first what it missed, then what is printed.

A page has drawn each shell up to an offset, and heard each event by its number: so nothing is lost and nothing comes twice, whatever
happens to Redis and to who writes the log. Must not know: the WebSocket, workers, agents.
"""
import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError

from netcontrol import connection, messages, stream
from netcontrol.agent.limits import MAX_CHUNK, MAX_HEARD, TOLD_COMMANDS
from netcontrol.agent.protocol import output_body
from netcontrol.models import Command
from netcontrol.stream import Entry, Place

log = logging.getLogger(__name__)

TURN = 50  # entries told in one go


class Replay:
    """`tell` sends a message (a dict) or output (bytes); `moved` is set whenever `acks` may have changed."""

    def __init__(self, sandbox: str, since: dict[str, int], tell: Callable[[Any], Awaitable[None]], moved: asyncio.Event):
        self.sandbox, self.tell, self.moved = sandbox, tell, moved
        self.drawn = dict(since)  # shell -> what was sent to the page; then comes what follows
        self.acks: dict[str, int] = {}  # shell -> what the page has drawn
        self.begun = asyncio.Event()  # from here on it is known what is news: what is asked now is answered to this page
        self.news: dict[str, tuple[str, int]] = {}  # shell -> (boot, seq) behind which errors are news
        self.heard: dict[tuple[str, str], None] = {}  # events of commands that the page has, oldest first
        self.seen: dict[str, tuple[str, int]] = {}  # shell -> (boot, seq) of the last event
        self.read_to: dict[str, int] = {}  # shell -> how far its log was read; behind `drawn` while the log repeats what the page has

    def ack(self, shell: str, offset: int) -> None:
        """The page has drawn this much; it cannot have drawn more than it was sent."""
        if shell in self.drawn:
            self.acks[shell] = max(self.acks.get(shell, 0), min(offset, self.drawn[shell]))
            self.moved.set()

    async def follow(self, owner) -> None:
        """Until cancelled."""
        replayed = False
        while True:
            line, r = connection.Line(), connection.client()
            try:
                end = await stream.log_end(r, self.sandbox)  # of what belongs to no shell, only what comes now is news
                shells = await stream.known_shells(r, self.sandbox)
                after = {"": end or "0-0", **{shell: "0-0" for shell in {*shells, *self.drawn}}}
                if not replayed:
                    await self._tell_commands(owner)
                for shell, place in shells.items():
                    self.news[shell] = place["boot"], place["seq"]
                    await self.tell({"type": "shell.known", "shell": shell, **Place(**place).known()})
                self.begun.set()
                while entries := await stream.read_log(line, self.sandbox, after, wait=False):
                    await self._relay(entries, after, replay=True)
                replayed = True
                while True:
                    await self._relay(await stream.read_log(line, self.sandbox, after), after)
            except (*connection.Unreachable, DatabaseError) as down:
                log.info("a page waits for its shells: %s", down)
                await asyncio.sleep(0.3)
            finally:
                await line.close()

    async def _tell_commands(self, owner) -> None:
        fields = ("id", "shell", "host", "block", "text", "started_at", "exit_code", "duration_ms")
        rows = Command.objects.filter(sandbox_id=self.sandbox, sandbox__owner=owner).order_by("-started_at")
        newest = await database_sync_to_async(lambda: list(rows.values(*fields)[:TOLD_COMMANDS]))()
        commands = [{**row, "id": str(row["id"]), "started_at": row["started_at"].isoformat()} for row in reversed(newest)]
        for row in commands:
            self.heard[row["id"], "command.started"] = None
            if row["duration_ms"] is not None:
                self.heard[row["id"], "command.finished"] = None
        await self.tell({"type": "commands", "commands": commands})

    async def _relay(self, entries: list[Entry], after: dict[str, str], replay: bool = False) -> None:
        """Send these entries in order, output that follows on output in one frame. New shells are added to `after`."""
        shell, offset, data = "", 0, bytearray()
        before = dict(self.acks)

        async def flush() -> None:
            if data:
                await self.tell(output_body(shell, offset, bytes(data)))
                data.clear()

        for n, entry in enumerate(entries, 1):
            if n % TURN == 0:
                await asyncio.sleep(0)  # other pages' keys wait for this loop
            if entry.message is not None:
                await flush()
                await self._event(entry.message, after, replay)
                continue
            self.read_to[entry.shell] = entry.offset + len(entry.data)
            known = self.drawn.get(entry.shell)
            fresh = entry.data[max(0, (known or 0) - entry.offset) :]
            if not fresh:
                continue
            begin = entry.offset + len(entry.data) - len(fresh)
            if entry.shell != shell or len(data) + len(fresh) > MAX_CHUNK:
                await flush()
            if known is not None and begin > known:
                await flush()
                await self.tell({"type": "shell.gap", "shell": entry.shell, "from": known, "to": begin})
            if not data:
                shell, offset = entry.shell, begin
            data += fresh
            self.drawn[entry.shell] = begin + len(fresh)
            if self.acks.setdefault(entry.shell, begin) < begin and known != begin:
                self.acks[entry.shell] = begin  # it cannot draw what is not kept
        await flush()
        if self.acks != before:
            self.moved.set()

    async def _event(self, m: dict[str, Any], after: dict[str, str], replay: bool) -> None:
        kind, shell = m["type"], m.get("shell", "")
        boot, seq, again = m.pop("boot", None), m.pop("seq", 0), m.pop("again", False) or replay
        if boot:
            known = self.seen.get(shell)
            if known and known[0] == boot and seq <= known[1]:
                return  # Redis came back empty, and everything that is kept is written again
            self.seen[shell] = (boot, seq)
        match kind:
            case "shell.known":
                after.setdefault(shell, "0-0")
            case "error":
                begun, before = self.news.get(shell, (boot, 0))
                if not replay or not boot or (boot == begun and seq > before):  # what no agent numbers is read from the end on
                    await self.tell(messages.error(m["code"], shell=shell, block=m["block"]))
                return
            case "shell.opened":
                self.read_to[shell] = m["end"]
                past = m["end"] < self.drawn.get(shell, 0)
                if past and not again:  # another agent, and nobody could tell it where the old one ended
                    self.drawn[shell] = self.acks[shell] = m["offset"]
                self.drawn.setdefault(shell, m["offset"])
                self.acks[shell] = max(self.acks.get(shell, self.drawn[shell]), m["offset"])  # what it had before it came is drawn
                if past and again:
                    return  # the page has what came after, so it was told; told again, it would forget all that it has
            case "shell.closed" | "shell.named":
                if again and self.read_to.get(shell, 0) < self.drawn.get(shell, 0):
                    return  # as above: the page has what was printed after it
            case "shell.gap":
                self.read_to[shell] = m["to"]
                if self.drawn.get(shell, 0) >= m["to"]:
                    return
                m["from"] = max(m["from"], self.drawn.get(shell, 0))
                self.drawn[shell] = self.acks[shell] = m["to"]
            case "command.started" | "command.finished":
                if (m["id"], kind) in self.heard:
                    return
                self.heard[m["id"], kind] = None
                if len(self.heard) > MAX_HEARD:
                    del self.heard[next(iter(self.heard))]
        await self.tell(m)
