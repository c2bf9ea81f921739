"""What the agents of one sandbox said, until Redis has taken it; and each shell's place, which is how far its log goes.

Everything that has gathered is appended in one step, and the places with it: so a carrier that follows a killed one knows just
what is missing; the beginning and end of what a running command printed are read from the log again. Must not know: agents, viewers,
the database.
"""
import asyncio
import json
from typing import Any

import redis.asyncio

from netcontrol import connection, stream
from netcontrol.agent.limits import EVENT_COST, MAX_CHUNK, MAX_PENDING
from netcontrol.capture import Capture, Printed
from netcontrol.stream import Entry, Place, Tail


class Outbox:
    def __init__(self, r: redis.asyncio.Redis, sandbox: str, token: str):
        self.redis, self.line, self.sandbox, self.token = r, connection.Line(), sandbox, token
        self.places: dict[str, Place] = {}
        self.moved: set[str] = set()  # shells whose place is to be written
        self.tails: dict[str, Tail] = {}
        self.captures: dict[str, Capture] = {}  # of shells in which a command runs
        self.unrecorded: dict[str, Printed] = {}  # command -> its output, of those that the carrier before may not have recorded
        self.pending: list[Entry] = []
        self.pending_bytes = 0
        self.work, self.room = asyncio.Event(), asyncio.Event()

    async def load(self, line: connection.Line) -> str:
        """Go on where the log ends. Returns the epoch: which memory of Redis it is that `line`, which reads the input, is connected to."""
        epoch, places = await stream.positions(line, self.sandbox)
        self.places = {shell: Place(**place) for shell, place in places.items()}
        self.tails = await stream.old_tails(self.redis, self.sandbox, places)
        for shell, place in self.places.items():
            if place.command or place.recorded < place.seq:
                await self._reread(shell, place)
        return epoch

    async def _reread(self, shell: str, place: Place) -> None:
        """What the log still has of the output of the command that runs, and of those whose rows a killed carrier may not have written."""
        running, capture, after = Capture(place.command, place.began), Capture("", 0), {shell: "0-0"}
        while entries := await stream.read_log(self.line, self.sandbox, after, wait=False):
            for entry in entries:
                m = entry.message
                if m is None:
                    running.add(entry.offset, entry.data)
                    capture.add(entry.offset, entry.data)
                elif m["type"] == "command.started":
                    capture = Capture(m["id"], m["offset"])
                    if m["id"] == place.command:  # before it, another agent may have counted
                        running = Capture(place.command, place.began)
                elif m["type"] == "command.finished" and "end" in m and m["boot"] == place.boot and m["seq"] > place.recorded:
                    printed = capture.printed(m["end"])
                    whole = capture.id == m["id"]  # else it began before the log does
                    self.unrecorded[m["id"]] = printed if whole else Printed(tail=printed.tail, total=m["end"] - m["offset"])
        if place.command:
            running.told = False  # the one who heard that the head is full may not have lived to write it
            self.captures[shell] = running

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
        self.pending_bytes += len(entry.data) + EVENT_COST + len((entry.message or {}).get("text", ""))
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
