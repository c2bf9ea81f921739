"""The network of one sandbox while somebody looks at it: what its hosts say becomes a graph, and each change of it is written once.

The newest of each host counts; what it replaced is not looked at. Which commands a change answers for is known by their numbers: a host says
the last one of each shell that had ended, and up to which it was answered stands in Redis in one step with the change. So a carrier that
follows a killed one answers for just those that are left. What was seen while a command ran is told again with it, whole. Must not know: sockets,
viewers, pages.
"""
import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from netcontrol import connection
from netcontrol.agent.limits import MAX_PAST, MAX_PLACES, MAX_UNSEEN
from netcontrol.fair import Pace
from netcontrol.network.change import NOTHING
from netcontrol.network.live import store
from netcontrol.network.live.artist import artist
from netcontrol.network.live.picture import Bodies, Step, dump, parse
from netcontrol.network.live.store import Head

log = logging.getLogger(__name__)

A_SECOND = 10  # changes, in the long run
BURST_SECONDS = 1.0  # of that may come at once
SHARE = 0.2  # of a processor may be spent on one sandbox
FIRST_SECONDS = 0.5  # that the first graph waits for all hosts
AWAY_SECONDS = 4.0  # that a host may say nothing at first
ANSWERS = 20  # commands that one change answers for
RUNS_SECONDS = 60.0  # of a command that it is given what was seen while it ran

PAST = ("version", "at", "after_command", "instead_of", "lines")  # what is kept of a message
NO_CHANGE = dump(NOTHING)


@dataclass
class Heard:
    """What a host said that was not looked at yet."""

    boot: str
    after: list[list[Any]]
    body: bytes = b""
    replaced: int = 0
    taken: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Begun:
    """What there was when a command began."""

    number: int
    version: int
    graph: bytes
    at: float


Command = tuple[str, str, int]  # host, shell, number


class Live:
    def __init__(self, sandbox: uuid.UUID, token: str):
        self.sandbox, self.id, self.token = sandbox, str(sandbox), token
        self.hosts: list[dict[str, str]] = []  # name and address
        self.line = connection.Line()
        self.head = Head()
        self.drawn, self.bodies = b"", Bodies()  # the graph as JSON, and what it was drawn from
        self.artist = artist()
        self.on: bool | None = None  # somebody looks; None: not known yet
        self.news = asyncio.Event()
        self.heard: dict[str, Heard] = {}
        self.away: dict[str, str] = {}
        self.failed: dict[str, str] = {}  # hosts that said something, but not what there is
        self.told = False  # this carrier has written something
        self.begun: dict[tuple[str, str], Begun] = {}  # (host, shell) -> of the command that runs there
        self.unclaimed: deque[int] = deque(maxlen=MAX_PAST)  # versions that no command was told with
        self.woke_at = 0.0
        self.pace = Pace(1.0, BURST_SECONDS)  # seconds of each second

    # Told by the carrier and its hosts

    def watch(self, on: bool) -> None:
        if on != self.on:
            self.on = on
            self.woke_at = time.monotonic()
            if on:
                self.artist.wake()
            self.news.set()

    async def hear(self, host: str, boot: str, head: dict[str, Any], body: bytes) -> None:
        """What an agent says; one that says it faster than it can be looked at is held back."""
        if not self.on:
            return
        if head["failed"]:
            if self.failed.get(host) != "failed":  # an agent may say so as often as it likes
                log.info("%s, %s: the network cannot be seen", self.id, host)
                self._fail(host, "failed")
            return
        old = self.heard.get(host)
        new = Heard(boot, head["after"], body)
        if old and old.boot == boot:
            new = replace(old, after=new.after, body=body or old.body, replaced=old.replaced + 1)
        self.heard[host] = new
        self.news.set()
        if new.replaced > MAX_UNSEEN:
            await new.taken.wait()

    def begin(self, host: str, shell: str, number: int) -> None:
        """A command begins."""
        if self.on and self.drawn:
            self.begun[host, shell] = Begun(number, self.head.version, self.drawn, time.monotonic())

    def look(self, unseen: dict[str, float | None]) -> None:
        """Which hosts cannot be seen now. `unseen`: since when each was asked, and has said nothing."""
        now = time.monotonic()
        away = dict(self.failed)
        for host, since in unseen.items():
            if since is not None and now - since > AWAY_SECONDS:
                away[host] = "silent"
        if away != self.away:
            self.away = away
            self.news.set()

    def _fail(self, host: str, code: str) -> None:
        self.failed[host] = code
        self.away = {**self.away, host: code}
        self.news.set()

    async def graph(self) -> dict[str, Any] | None:
        """As it is now; None when there is none."""
        return await asyncio.to_thread(parse, self.drawn) if self.on and self.drawn else None

    # The work

    async def work(self) -> None:
        """Until cancelled. Raises LeaseLost."""
        try:
            await self._load()
            while True:
                await self.news.wait()
                self.news.clear()
                if self.on:
                    await self._turn()
                elif self.on is False and self.head.awake:
                    await self._close()
        finally:
            self._take(self.heard)
            await self.line.close()

    async def _load(self) -> None:
        self.head, self.drawn, self.bodies = await store.load(self.line, self.id)
        self.head.token = self.token

    async def _close(self) -> None:
        self._take(self.heard)
        self.drawn, self.bodies, self.heard, self.failed, self.away = b"", {}, {}, {}, {}
        self.begun.clear()
        self.head = Head(self.token, self.head.version)
        await store.close(self.line, self.id, self.head)

    @staticmethod
    def _take(heard: dict[str, Heard]) -> None:
        """Whoever was held back may go on."""
        for each in heard.values():
            each.taken.set()

    async def _turn(self) -> None:
        if not self.drawn:
            await self._all_hosts()
        await asyncio.sleep(self.pace.wait())
        heard, self.heard = self.heard, {}
        bodies = {host: each.body for host, each in heard.items() if each.body}
        commands = [command for host, each in heard.items() for command in self._answered(host, each)][-ANSWERS:]
        began = self._began(commands[-1]) if commands else None
        done, took = await self.artist.draw(self.id, self.hosts, self.drawn, self.bodies, bodies, began.graph if began else b"") if bodies or began else (Step(), 0.0)
        self.pace.pay(max(1 / A_SECOND, took / SHARE))
        self._take(heard)
        if not self.on:
            return self.news.set()
        for host in done.forged:
            self._fail(host, "forged")
        for host in heard.keys() - done.forged:
            self.failed.pop(host, None)
            self.away = {other: code for other, code in self.away.items() if other != host}
        await self._write(done, heard, commands, began, {host: body for host, body in bodies.items() if host not in done.forged})

    async def _all_hosts(self) -> None:
        """The first graph is of all hosts, if they answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self.woke_at + FIRST_SECONDS - time.monotonic())):
                while self.on and (self.heard.keys() | self.away.keys()) < {host["name"] for host in self.hosts}:
                    await self.news.wait()
                    self.news.clear()

    async def _write(self, done: Step, heard: dict[str, Heard], commands: list[Command], began: Begun | None, bodies: Bodies) -> None:
        self.bodies |= bodies
        head, ids = replace(self.head, awake=True, away=self.away, marks=dict(self.head.marks)), [self._id(heard, *command) for command in commands]
        for host, each in heard.items():
            head.marks[host] = [each.boot, self._answered_to(host, each)]
        if self.told and not done.graph and not ids and head == self.head:
            return
        at = datetime.now(UTC).isoformat()
        head.read_at = at if heard else head.read_at
        if done.graph or ids:
            head.version += 1
        m: dict[str, Any] = {"version": head.version, "from": self.head.version, "at": at, "read_at": head.read_at}
        m |= {"after_command": ids[-1] if ids else None, "also_after": ids[:-1], "lines": done.lines, "away": head.away}
        m["instead_of"] = [version for version in self.unclaimed if began and version > began.version]
        past = {name: m[name] for name in PAST} if done.lines or m["instead_of"] else None
        await store.write(self.line, self.id, head, m, done.change if done.graph else NO_CHANGE, past, done.graph, bodies if done.graph else {})
        self.head, self.drawn, self.told = head, done.graph or self.drawn, True
        self._claim(commands, bool(done.lines))

    # Which commands

    def _marks(self, host: str, boot: str) -> dict[str, int] | None:
        """Up to which of each shell's commands was answered for; None when this host is heard for the first time."""
        mark = self.head.marks.get(host)
        return None if mark is None else mark[1] if mark[0] == boot else {}

    def _answered_to(self, host: str, heard: Heard) -> dict[str, int]:
        marks = self._marks(host, heard.boot) or {}
        newest = {shell: max(number, marks.get(shell, 0)) for shell, number in heard.after}  # one that counts backwards is believed once
        return dict(list({**marks, **newest}.items())[-MAX_PLACES:])

    def _answered(self, host: str, heard: Heard) -> list[Command]:
        """The commands that ended since then, the newest last. Those that ended before anybody looked are no one's question."""
        marks = self._marks(host, heard.boot)
        if marks is None:
            return []
        return [(host, shell, number) for shell, newest in heard.after for number in range(max(marks.get(shell, 0), newest - ANSWERS) + 1, newest + 1)]

    def _id(self, heard: dict[str, Heard], host: str, shell: str, number: int) -> str:
        return command_id(self.sandbox, host, heard[host].boot, shell, number)

    # What was seen while one ran

    def _began(self, command: Command) -> Begun | None:
        """What there was when this one began, if something else was told since."""
        host, shell, number = command
        begun = self.begun.get((host, shell))
        known = begun and begun.number == number and begun.version != self.head.version and time.monotonic() - begun.at < RUNS_SECONDS
        return begun if known else None

    def _claim(self, commands: list[Command], something: bool) -> None:
        """Something, or nothing, was told with these commands. What one was given, those that run still have not brought about. A graph from before one
        that goes on for long is of no use any more, and large."""
        over, now = {(host, shell): number for host, shell, number in commands}, time.monotonic()
        self.begun = {place: begun for place, begun in self.begun.items() if begun.number > over.get(place, 0) and now - begun.at < RUNS_SECONDS}
        if something and commands:
            self.unclaimed.clear()
            self.begun = {place: replace(begun, version=self.head.version, graph=self.drawn) for place, begun in self.begun.items()}
        elif something:
            self.unclaimed.append(self.head.version)


def command_id(sandbox: uuid.UUID, host: str, boot: str, shell: str, number: int) -> str:
    """A command's name in pages, the log and the database, made of what its agent calls it: so it is the same, whoever carries it."""
    return str(uuid.uuid5(sandbox, f"{host}/{boot}/{shell}/{number}"))
