"""Carries the shells of one host: keeps its agent on the line, gives it input until it took it, and takes what it says.

The agent is a student's to replace: it may speak of its own shells only, and what it says again is dropped by offset and number.
Must not know: how Redis and the database are written (the outbox and the record do), who looks.
"""
import asyncio
import logging
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from netcontrol.agent.limits import (
    BESIDE_A_SECOND,
    BESIDE_AT_ONCE,
    DIAL_FRAMES,
    EVENT_FRAMES,
    FRAMES_A_SECOND,
    FRAMES_AT_ONCE,
    MAX_CHUNK,
    MAX_HELD,
    MAX_OFFSET,
    MAX_PLACES,
)
from netcontrol.agent.protocol import BadFrame
from netcontrol.capture import Printed
from netcontrol.counts import count, observe
from netcontrol.dial import Link, dial, dock_path
from netcontrol.fair import Lately, Pace
from netcontrol.lease import LeaseLost
from netcontrol.network.live.live import Live, command_id
from netcontrol.outbox import Outbox
from netcontrol.record import CommandRecord
from netcontrol.stream import Entry, Place, number

log = logging.getLogger(__name__)

REDIAL_SECONDS = 0.25
SILENT_SECONDS = 1.5
SANE = MAX_OFFSET // 2  # how much a shell may have printed
TURN = 50  # frames handled in one go
TYPED_SECONDS = 0.5
BREAK, BREAK_SECONDS = "\x03", 1.0

typed = Lately(TYPED_SECONDS)  # in the sandboxes of this process


class HostLink:
    def __init__(self, name: str, sandbox: uuid.UUID, epoch: str, outbox: Outbox, record: CommandRecord, network: Live | None = None):
        self.name, self.sandbox, self.epoch = name, sandbox, epoch
        self.outbox, self.record, self.network = outbox, record, network
        self.link: Link | None = None  # once the agent said `welcome`
        self.boot = ""
        self.met = asyncio.Event()  # it said `welcome`: its shells are known
        self.silent_since: float | None = time.monotonic()  # no agent answers
        self.held: deque[tuple[str, dict[str, Any]]] = deque()  # (id, input) that the agent has not taken yet, oldest first
        self.pace, self.beside = Pace(FRAMES_A_SECOND, FRAMES_AT_ONCE), Pace(BESIDE_A_SECOND, BESIDE_AT_ONCE)
        self.printed = 0  # bytes since our last turn
        self.broke_off = 0.0  # when the student last typed Ctrl-C, which is to be seen at once
        self.acks: dict[str, int] | None = None
        self.watched = False  # somebody looks at the network
        self.watches = False  # the agent can: one that runs since before an upgrade would hang up
        self.unseen_since: float | None = None  # since when they wait for what there is
        self.again_to: dict[str, int] = {}  # of shells whose log Redis does not have: what they had printed when we began

    # To the agent

    @property
    def silent(self) -> bool:
        """Nothing there answers, for longer than an agent takes to be started again."""
        return self.silent_since is not None and time.monotonic() - self.silent_since > SILENT_SECONDS

    @property
    def full(self) -> bool:
        return len(self.held) >= MAX_HELD

    def give(self, id: str, m: dict[str, Any]) -> None:
        """Input, now or when the agent answers again."""
        if m["type"] in ("shell.input", "run"):
            typed.did(self.sandbox)
            if BREAK in m.get("data", ""):
                self.broke_off = time.monotonic()
        self.held.append((id, m))
        if self.link:
            self._send(self.link, id, m)

    def view(self, acks: dict[str, int]) -> None:
        """Which shells somebody looks at, and what the slowest has drawn."""
        if acks != self.acks:
            self.acks = acks
            if self.link:
                self.link.send("view", acks=acks)

    def watch(self, on: bool) -> None:
        """Whether somebody looks at the network."""
        if on != self.watched:
            self.watched, self.unseen_since = on, time.monotonic() if on else None
            if self.link and self.watches:
                self.link.send("watch", on=on)

    def _send(self, link: Link, id: str, m: dict[str, Any]) -> None:
        link.send(**{key: value for key, value in m.items() if key != "host"}, id=id)

    def _taken(self, id: str) -> None:
        while self.held and number(self.held[0][0]) <= number(id):
            self.held.popleft()

    # The line

    async def keep(self) -> None:
        """Dial, talk, and dial again. Raises LeaseLost when the agent was taken over."""
        try:
            await self._keep()
        finally:
            self._record_so_far()

    async def _keep(self) -> None:
        pause = REDIAL_SECONDS
        while True:
            try:
                self.pace.pay(DIAL_FRAMES)
                await asyncio.sleep(self.pace.wait())
                link = await dial(dock_path(self.sandbox, self.name))
                try:
                    await self._talk(link)
                finally:
                    if self.link:
                        self.link, self.silent_since = None, time.monotonic()
                    link.close()
                    if self.watched and self.unseen_since is None:
                        self.unseen_since = time.monotonic()
            except (OSError, EOFError, BadFrame) as away:
                if self.boot:  # it had answered
                    log.info("%s, %s: %s", self.sandbox, self.name, away)
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
                self.pace.pay(EVENT_FRAMES if kind == "J" else 1)
                if n % TURN == 0:  # a read may hold ten thousand tiny frames, and other students' keys wait for this loop
                    await self.outbox.until_room()
                    await self._wait_our_turn(link)
                if kind == "O":
                    self._output(*value)
                    continue
                if kind == "N":
                    await self._seen(*value)
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
            await self._wait_our_turn(link)
            await link.drain()

    async def _wait_our_turn(self, link: Link) -> None:
        """Everybody's shells are carried by this loop: each agent has its turn, and one that says much in little is not read for a while. An honest
        one then says the same in fewer frames. While others type, who prints much prints more slowly: it passes through the processes of their keys.
        Of one that is gone no more is read than its share: another may stand there, and nobody heard it."""
        wait = self.pace.wait()
        if wait:
            count("held_back", what="agent")
            if link.hung_up:
                raise EOFError("the agent is gone, and left more to read than its share")
        if typed.others(self.sandbox) and time.monotonic() - self.broke_off > BREAK_SECONDS:
            self.beside.pay(self.printed)
            wait = max(wait, self.beside.wait())
        self.printed = 0
        await asyncio.sleep(wait)

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
                if capture := self.outbox.end(name):
                    self.record.printed(capture.id, capture.printed())
                if place.open:
                    gone.append(name)
                    if name not in alive:
                        place.open, place.name = False, ""
                        self.outbox.add(Entry(name, message={"type": "shell.closed", "shell": name, "exit_code": None, "asked": False}))
                if name in alive:
                    place.offset, place.seq, place.recorded, place.name = 0, 0, 0, alive[name]["name"]
                    self.again_to[name] = alive[name]["end"]
                place.boot = self.boot
            self.outbox.moved.add(name)
        for name, shell in alive.items():
            if name not in mine:
                self.outbox.places[name] = Place(self.name, self.boot, pid=shell["pid"], open=shell["open"], name=shell["name"])
                self.again_to[name] = shell["end"]
                self.outbox.event(name, "shell.known", **self.outbox.places[name].known())
                self.outbox.moved.add(name)  # in one step with its name: a page that comes between the two would never hear of it
        if gone:
            self.record.lost(self.name, gone)
        self._taken(m["last_input"])
        self.link, self.watches, self.silent_since = link, m.get("watches", False), None
        self.met.set()
        for id, held in self.held:
            self._send(link, id, held)
        if self.acks is not None:
            link.send("view", acks=self.acks)
        if self.watched and self.watches:
            link.send("watch", on=True)

    async def _seen(self, head: dict[str, Any], body: bytes) -> None:
        """What there is of the network. Said unasked, or a moment after nobody looks any more, it is not heard."""
        if self.link and self.watched and self.network:
            self.unseen_since = None
            await self.network.hear(self.name, self.boot, head, body)

    def _output(self, shell: str, offset: int, data: bytes) -> None:
        skip = self._place(shell).offset - offset
        if skip >= len(data) or len(data) > MAX_CHUNK:
            return
        if skip > 0:
            offset, data = offset + skip, data[skip:]
        self.printed += len(data)
        self.outbox.output(shell, offset, data)
        capture = self.outbox.captures.get(shell)
        if capture and capture.add(offset, data):
            self.record.printed(capture.id, capture.printed())  # once, as soon as the beginning is whole: the log forgets it

    def _record_so_far(self) -> None:
        """Nobody may carry this host again: its lab is over, most likely."""
        for shell in self._places():
            if capture := self.outbox.captures.get(shell):
                self.record.printed(capture.id, capture.printed())

    def _event(self, m: dict[str, Any]) -> None:
        shell = m["shell"]
        if m["type"] == "error" and "seq" not in m:
            count("refused", what=m["code"])
            self.outbox.event(shell if shell in self.outbox.places else "", "error", code=m["code"], block=m["block"])
            return
        place = self._place(shell)
        if "seq" in m:
            if m["seq"] <= place.seq:
                if m["seq"] > place.recorded and m["type"].startswith("command."):
                    self._record(m, place, again=True)
                return
            place.seq = m["seq"]
            if place.recorded == m["seq"] - 1 and not m["type"].startswith("command."):
                place.recorded = m["seq"]  # no row is made of it
            m["again"] = place.offset < self.again_to.get(shell, 0)  # Redis lost it, so it is written once more
            m["boot"] = self.boot  # with seq: which event this is, for readers of a log that is written anew
        match m["type"]:
            case "shell.opened":
                if not place.pid:
                    self.outbox.event(shell, "shell.known", **place.known())
                place.pid, place.open, place.boot = m["pid"], True, self.boot
                m["host"] = self.name
            case "shell.closed":
                place.open, place.name = False, ""
            case "shell.named":
                place.name = m["name"]
            case "shell.gap":
                if m["to"] <= place.offset:
                    return
                count("dropped", what="output")
                place.offset = m["to"]
            case "command.started" | "command.finished":
                if m["type"] == "command.started" and self.network:
                    self.network.begin(self.name, shell, m["id"])
                self._record(m, place)
        self.outbox.add(Entry(shell, message=m))

    def _record(self, m: dict[str, Any], place: Place, again: bool = False) -> None:
        """Have the command's row written, behind the bytes. `again`: the log has this event, but the carrier that wrote it may have died before the
        row was there. The row's id is made of what the agent says each time: so a command has one row, whoever carries it."""
        seq, boot, shell = m["seq"], self.boot, m["shell"]

        def written() -> None:
            if place.boot == boot:
                place.recorded = max(place.recorded, seq)
                self.outbox.moved.add(shell)  # told with what is appended next

        m["id"] = command_id(self.sandbox, self.name, boot, shell, m["id"])
        if m["type"] == "command.started":
            at = datetime.fromtimestamp(m["started_at"], UTC)
            m.update(host=self.name, started_at=at.isoformat())
            self.record.started(m, at, written)
            if not again:
                self.outbox.begin(shell, m["id"], m["offset"])
        elif again:
            self.record.finished(m, self.outbox.unrecorded.pop(m["id"], Printed()), written)
        else:
            observe("command_seconds", m["duration_ms"] / 1000)
            capture = self.outbox.end(shell, m["id"])
            m.update(offset=capture.begin if capture else m["offset"], end=m["offset"])
            self.record.finished(m, capture.printed(m["end"]) if capture else Printed(), written)
