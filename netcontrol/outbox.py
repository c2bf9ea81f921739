"""What the agents of one sandbox said, until Redis has taken it; and each shell's place, which is how far its log goes.

Everything that has gathered is appended in one step, and the places with it: so a carrier that follows a killed one knows just
what is missing. Must not know: agents, viewers, the database.
"""
import asyncio
import json
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from netcontrol import stream
from netcontrol.agent.protocol import MAX_CHUNK
from netcontrol.stream import Entry, Tail

MAX_PENDING = 2 * 1024 * 1024  # output that Redis has not taken; then the agents are not read
EVENT_BYTES = 2048  # what an entry counts besides its data: so many entries in one step would keep everybody waiting
MAX_PLACES = 32  # names of shells in a sandbox, closed ones included


@dataclass
class Place:
    """How far the log of one shell goes; its fields are what stands in Redis."""

    host: str
    boot: str  # of the agent that counted `offset` and `seq`
    offset: int = 0  # output
    seq: int = 0  # events
    recorded: int = 0  # events whose rows are in the database: those after it are asked for again, and recorded again
    pid: int = 0
    open: bool = False


class Outbox:
    def __init__(self, r: redis.asyncio.Redis, sandbox: str, token: str):
        self.redis, self.sandbox, self.token = r, sandbox, token
        self.places: dict[str, Place] = {}
        self.moved: set[str] = set()  # shells whose place is to be written
        self.tails: dict[str, Tail] = {}
        self.pending: list[Entry] = []
        self.pending_bytes = 0
        self.work, self.room = asyncio.Event(), asyncio.Event()

    async def load(self, own: redis.asyncio.Redis) -> str:
        """Go on where the log ends. Returns the epoch: which memory of Redis it is that `own`, the reader of the input, is connected to."""
        epoch, places = await stream.positions(own, self.sandbox)
        self.places = {shell: Place(**place) for shell, place in places.items()}
        self.tails = await stream.old_tails(self.redis, self.sandbox, places)
        return epoch

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
                await stream.append(self.redis, self.sandbox, self.token, entries, places, self.tails)
                self.pending_bytes -= size
                self.room.set()
