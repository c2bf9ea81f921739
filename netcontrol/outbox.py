"""What the agents of one sandbox said, until Redis has taken it; and each shell's place, which is how far its log goes.

Everything that has gathered is appended in one step, and the places with it: so a carrier that follows a killed one knows just
what is missing; the beginning and end of what a running command printed are read from the log again. Must not know: agents, viewers,
the database.
"""
import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis.asyncio

from netcontrol import stream
from netcontrol.agent.protocol import MAX_CHUNK
from netcontrol.capture import Capture, Printed
from netcontrol.stream import Entry, Tail

MAX_PENDING = 2 * 1024 * 1024  # output that Redis has not taken; then the agents are not read
EVENT_BYTES = 256  # what an entry counts besides its data
LATELY = 50  # commands of a shell that a killed carrier may not have written to the database
MAX_PLACES = 32  # names of shells in a sandbox, closed ones included


class Lately(NamedTuple):
    """A command in the log: its events, if they are there, and what it printed."""

    started: dict[str, Any] | None
    finished: dict[str, Any] | None = None
    printed: Printed = Printed()

    @property
    def id(self) -> str:
        return (self.started or self.finished or {})["id"]


@dataclass
class Place:
    """How far the log of one shell goes; its fields are what stands in Redis."""

    host: str
    boot: str  # of the agent that counted `offset` and `seq`
    offset: int = 0  # output
    seq: int = 0  # events
    pid: int = 0
    open: bool = False
    command: str = ""  # the row of the one that runs
    began: int = 0  # where its output begins


class Outbox:
    def __init__(self, r: redis.asyncio.Redis, sandbox: str, token: str):
        self.redis, self.line, self.sandbox, self.token = r, stream.Line(), sandbox, token
        self.places: dict[str, Place] = {}
        self.moved: set[str] = set()  # shells whose place is to be written
        self.tails: dict[str, Tail] = {}
        self.captures: dict[str, Capture] = {}  # of shells in which a command runs
        self.pending: list[Entry] = []
        self.pending_bytes = 0
        self.work, self.room = asyncio.Event(), asyncio.Event()

    async def load(self) -> str:
        """Go on where the log ends. Returns the epoch: which memory of Redis this is."""
        epoch, places = await stream.positions(self.redis, self.sandbox)
        self.places = {shell: Place(**place) for shell, place in places.items()}
        self.tails = await stream.old_tails(self.redis, self.sandbox, places)
        for shell, place in self.places.items():
            if place.command:
                self.captures[shell] = await self._recapture(shell, place)
        return epoch

    async def _log(self, shell: str) -> AsyncIterator[Entry]:
        after = {shell: "0-0"}
        while entries := await stream.read_log(self.line, self.sandbox, after, wait=False):
            for entry in entries:
                yield entry

    async def _recapture(self, shell: str, place: Place) -> Capture:
        """What the running command has printed so far, as far as the log goes back."""
        capture = Capture(place.command, place.began)
        async for entry in self._log(shell):
            m = entry.message
            if m is None:
                capture.add(entry.offset, entry.data)
            elif m["type"] == "command.started" and m["id"] == place.command:  # before it, another agent may have counted
                capture = Capture(place.command, place.began)
        capture.told = False  # the one who heard that the head is full may not have lived to write it
        return capture

    async def lately(self, shell: str) -> list[Lately]:
        """The newest commands of this shell as the log tells of them: a carrier that was killed may not have written their rows."""
        found: deque[Lately] = deque(maxlen=LATELY)
        capture: Capture | None = None
        async for entry in self._log(shell):
            m = entry.message
            if m is None:
                capture = capture or Capture("", entry.offset)  # of a command that began before the log does
                capture.add(entry.offset, entry.data)
            elif m["type"] == "command.started":
                capture = Capture(m["id"], m["offset"])
                found.append(Lately(m))
            elif m["type"] == "command.finished" and "end" in m:
                capture = capture or Capture("", m["end"])
                printed = capture.printed(m["end"])
                if found and found[-1].id == m["id"] == capture.id:
                    found[-1] = Lately(found[-1].started, m, printed)
                else:
                    found.append(Lately(None, m, Printed(tail=printed.tail, total=m["end"] - m["offset"])))
                capture = None
        return list(found)

    def begin(self, shell: str, command: str, offset: int) -> None:
        """A command begins to print here. It stands in the place, so it is known when its first output is."""
        place = self.places[shell]
        place.command, place.began = command, offset
        self.captures[shell] = Capture(command, offset)

    def end(self, shell: str, command: str = "") -> Capture | None:
        """The command of this shell has printed what it prints. None when it is not the one that ran, as far as is known."""
        place = self.places[shell]
        if command and command != place.command:
            return None
        place.command, place.began = "", 0
        return self.captures.pop(shell, None)

    def output(self, shell: str, offset: int, data: bytes) -> None:
        """What follows on this shell's place. Joined to what is still to be written: a program's many writes are one entry."""
        self.places[shell].offset = offset + len(data)
        last = self.pending[-1] if self.pending else None
        follows = last and last.shell == shell and last.message is None and last.offset + len(last.data) == offset
        if last and follows and len(last.data) + len(data) <= MAX_CHUNK:
            last.data += data
            self.pending_bytes += len(data)
            self.moved.add(shell)
        else:
            self.add(Entry(shell, offset, data))

    def event(self, shell: str, type: str, **fields: Any) -> None:
        self.add(Entry("", message={"type": type, "shell": shell, **fields}))

    def add(self, entry: Entry) -> None:
        self.pending.append(entry)
        self.pending_bytes += len(entry.data) + EVENT_BYTES + len((entry.message or {}).get("text", ""))
        if entry.shell:
            self.moved.add(entry.shell)
        self.work.set()

    async def until_room(self) -> None:
        while self.pending_bytes > MAX_PENDING:
            self.room.clear()
            await self.room.wait()

    async def write(self) -> None:
        """Append what is there, in one step; what comes meanwhile is the next step. Raises LeaseLost."""
        while True:
            await self.work.wait()
            self.work.clear()
            while self.pending:
                entries, moved, size = self.pending, self.moved, self.pending_bytes
                self.pending, self.moved = [], set()
                places = {shell: json.dumps(vars(self.places[shell])) for shell in moved}
                await stream.append(self.line, self.sandbox, self.token, entries, places, self.tails)
                self.pending_bytes -= size
                self.room.set()
