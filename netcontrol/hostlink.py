"""Carries the shells of one host: keeps its agent on the line, gives it input until it took it, and takes what it says.

The agent is a student's to replace: it may speak of its own shells only, and what it says again is dropped by offset and number.
Must not know: how Redis and the database are written (the outbox and the record do), who looks.
"""
import asyncio
import logging
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from netcontrol.agent.protocol import MAX_CHUNK, BadFrame
from netcontrol.dial import MOST, Link, dial, dock_path
from netcontrol.outbox import MAX_PLACES, Outbox, Place
from netcontrol.record import CommandRecord
from netcontrol.stream import Entry, LeaseLost, number

log = logging.getLogger(__name__)

REDIAL_SECONDS = 0.25
SANE = MOST // 2  # how much a shell may have printed
TURN = 50  # frames handled in one go
MAX_HELD = 256  # messages for a host that does not answer


class HostLink:
    def __init__(self, name: str, sandbox: uuid.UUID, epoch: str, outbox: Outbox, record: CommandRecord, took: asyncio.Event):
        self.name, self.sandbox, self.epoch = name, sandbox, epoch
        self.outbox, self.record = outbox, record
        self.took = took  # set when the agent took input
        self.link: Link | None = None  # once the agent said `welcome`
        self.boot = ""
        self.met = asyncio.Event()  # it said `welcome`: its shells are known
        self.held: deque[tuple[str, dict[str, Any]]] = deque()  # (id, input) that the agent has not taken yet, oldest first
        self.acks: dict[str, int] | None = None
        self.again_to: dict[str, int] = {}  # of shells whose log Redis does not have: what they had printed when we began

    # To the agent

    @property
    def full(self) -> bool:
        return len(self.held) >= MAX_HELD

    def give(self, id: str, m: dict[str, Any]) -> None:
        """Input, now or when the agent answers again."""
        self.held.append((id, m))
        if self.link:
            self._send(self.link, id, m)

    def view(self, acks: dict[str, int]) -> None:
        """Which shells somebody looks at, and what the slowest has drawn."""
        if acks != self.acks:
            self.acks = acks
            if self.link:
                self.link.send("view", acks=acks)

    def _send(self, link: Link, id: str, m: dict[str, Any]) -> None:
        link.send(**{key: value for key, value in m.items() if key != "host"}, id=id)

    def _taken(self, id: str) -> None:
        while self.held and number(self.held[0][0]) <= number(id):
            self.held.popleft()
        self.took.set()

    # The line

    async def keep(self) -> None:
        """Dial, talk, and dial again. Raises LeaseLost when the agent was taken over."""
        pause = REDIAL_SECONDS
        while True:
            try:
                link = await dial(dock_path(self.sandbox, self.name))
                try:
                    await self._talk(link)
                finally:
                    self.link = None
                    link.close()
            except (OSError, EOFError, BadFrame) as away:
                if self.boot:  # it had answered
                    log.info("%s, %s: %s", self.sandbox, self.name, str(away) or type(away).__name__)
                    pause = 1.0 if isinstance(away, BadFrame) else REDIAL_SECONDS / 4  # one that breaks the protocol would do so again at once
                self.boot = ""
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _talk(self, link: Link) -> None:
        mine = self._places()
        for place in mine.values():
            if max(place.offset, place.seq) > SANE:  # nobody printed so much: the agent lied, and an honest one could not go on from there
                place.offset = place.seq = place.recorded = 0
        boots = {place.boot for place in mine.values()}
        since = {shell: [place.offset, place.seq, place.recorded] for shell, place in mine.items()}
        link.send("attach", epoch=self.epoch, boot=boots.pop() if len(boots) == 1 else "", since=since)
        while True:
            for n, (kind, value) in enumerate(await link.read(), 1):
                if n % TURN == 0:  # a read may hold a thousand tiny frames, and other students' keys wait for this loop
                    await self.outbox.until_room()
                    await asyncio.sleep(0)
                if kind == "O":
                    self._output(*value)
                    continue
                match value["type"]:
                    case "welcome":
                        if self.link:
                            raise BadFrame("it says welcome twice")
                        self._welcome(link, value)
                    case "displaced":
                        raise LeaseLost
                    case "taken":
                        self._taken(value["id"])
                    case "execute.done" | "execute.refused":
                        pass  # we asked for none
                    case _:
                        self._event(value)
            await self.outbox.until_room()
            await link.drain()

    # From the agent

    def _places(self) -> dict[str, Place]:
        return {shell: place for shell, place in self.outbox.places.items() if place.host == self.name}

    def _place(self, shell: str) -> Place:
        place = self.outbox.places.get(shell)
        if place is None or place.host != self.name:
            raise BadFrame("it speaks of a shell that is not its own")
        return place

    def _welcome(self, link: Link, m: dict[str, Any]) -> None:
        """What runs there now, held to what the log knows. Shells of another boot are gone, whatever has their names now."""
        alive = {shell["shell"]: shell for shell in m["shells"]}
        mine = self._places()
        if any(name in self.outbox.places and name not in mine for name in alive):
            raise BadFrame("it claims the shell of another host")
        if len(self.outbox.places.keys() | alive.keys()) > MAX_PLACES:
            raise BadFrame("it claims more shells than a sandbox may have")
        self.boot = m["boot"]
        gone = []
        for name, place in mine.items():
            if place.boot != self.boot:
                if place.open:
                    gone.append(name)
                    if name not in alive:
                        place.open = False
                        self.outbox.add(Entry(name, message={"type": "shell.closed", "shell": name, "exit_code": None}))
                if name in alive:
                    place.offset = place.seq = place.recorded = 0
                    self.again_to[name] = alive[name]["end"]
                place.boot = self.boot
            self.outbox.moved.add(name)
        for name, shell in alive.items():
            if name not in mine:
                self.outbox.places[name] = Place(self.name, self.boot, pid=shell["pid"], open=shell["open"])
                self.again_to[name] = shell["end"]
                self.outbox.event(name, "shell.known")
                self.outbox.moved.add(name)  # in one step with its name: a page that comes between the two would never hear of it
        if gone:
            self.record.lost(self.name, gone)
        self._taken(m["last_input"])
        self.link = link
        self.met.set()
        for id, held in self.held:
            self._send(link, id, held)
        if self.acks is not None:
            link.send("view", acks=self.acks)

    def _output(self, shell: str, offset: int, data: bytes) -> None:
        skip = self._place(shell).offset - offset
        if skip >= len(data) or len(data) > MAX_CHUNK:
            return
        if skip > 0:
            offset, data = offset + skip, data[skip:]
        self.outbox.output(shell, offset, data)

    def _event(self, m: dict[str, Any]) -> None:
        shell = m["shell"]
        if m["type"] == "error" and "seq" not in m:
            self.outbox.event(shell if shell in self.outbox.places else "", "error", code=m["code"], block=m["block"])
            return
        place = self._place(shell)
        if "seq" in m:
            if m["seq"] <= place.seq:
                if m["seq"] > place.recorded:  # the log has it, but the carrier that wrote it died before the database had its row
                    self._record(m, place)
                return
            place.seq = m["seq"]
            if place.recorded == m["seq"] - 1 and not m["type"].startswith("command."):
                place.recorded = m["seq"]  # no row is made of it
            m["again"] = place.offset < self.again_to.get(shell, 0)  # Redis lost it, so it is written once more
            m["boot"] = self.boot  # with seq: which event this is, for readers of a log that is written anew
        match m["type"]:
            case "shell.opened":
                if not place.pid:
                    self.outbox.event(shell, "shell.known")
                place.pid, place.open, place.boot = m["pid"], True, self.boot
                m["host"] = self.name
            case "shell.closed":
                place.open = False
            case "shell.gap":
                if m["to"] <= place.offset:
                    return
                place.offset = m["to"]
            case "command.started" | "command.finished":
                self._record(m, place)
        self.outbox.add(Entry(shell, message=m))

    def _record(self, m: dict[str, Any], place: Place) -> None:
        """Have its row written, behind the bytes. The row's id is made of what the agent says each time: so a command has one, whoever carries it."""
        seq, boot, shell = m.get("seq", 0), self.boot, m["shell"]

        def written() -> None:
            if place.boot == boot:
                place.recorded = max(place.recorded, seq)
                self.outbox.moved.add(shell)

        match m["type"]:
            case "command.started":
                at = datetime.fromtimestamp(m["started_at"], UTC)
                m.update(id=self._command_id(m), host=self.name, started_at=at.isoformat())
                self.record.started(m, at, written)
            case "command.finished":
                m["id"] = self._command_id(m)
                self.record.finished(m, written)

    def _command_id(self, m: dict[str, Any]) -> str:
        return str(uuid.uuid5(self.sandbox, f"{self.name}/{self.boot}/{m['shell']}/{m['id']}"))
