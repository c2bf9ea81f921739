"""The rows of the commands that ran, written behind the bytes: a shell never waits for the database.

When the database is away for long, a row or its output is missing at worst; a carrier that dies before it has written leaves it to the next
one, which is told how far the record goes (`written`). What a command printed is made readable here, in the database's thread: it is work
that a keystroke must not wait for. Must not know: agents, Redis.
"""
import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from django.db import close_old_connections, transaction
from django.db.models import F, Sum
from django.utils import timezone

from netcontrol.agent.limits import (
    COMMANDS_A_MINUTE,
    COMMANDS_AT_ONCE,
    HEAD,
    MAX_COMMAND,
    MAX_COMMANDS,
    MAX_OUTPUT,
    MAX_OUTPUT_WAITING,
    MAX_WAITING,
)
from netcontrol.capture import Printed
from netcontrol.counts import count
from netcontrol.fair import Pace
from netcontrol.models import Command, Sandbox
from netcontrol.plain import read

log = logging.getLogger(__name__)

TRIES = 3
SETTLE_SECONDS = 2.0
BATCH, PACE = 40, 0.05  # changes in one transaction, seconds between two: the database's threads share the interpreter with everybody's keys

_database = ThreadPoolExecutor(2, "attach-db")


async def in_thread(call: Callable[[], Any]) -> Any:
    """Ask the database without holding up the loop. Connections are of the thread, and may have died since."""

    def work():
        close_old_connections()
        try:
            return call()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_database, work)


class CommandRecord:
    """One sandbox's. Messages are those of the protocol, with the row's id. `ended` is told the messages of commands that `lost` ended."""

    def __init__(self, sandbox: uuid.UUID, ended: Callable[[dict[str, Any]], None]):
        self.sandbox, self.ended = sandbox, ended
        self.room_for, self.full = MAX_COMMANDS, False
        self.pace = Pace(COMMANDS_A_MINUTE / 60, COMMANDS_AT_ONCE)
        self.output_room: int | None = None  # bytes; None: the database was not asked yet
        self.changes: asyncio.Queue[tuple[Callable[[], Any], int, Callable[[], None]]] = asyncio.Queue(MAX_WAITING)  # change, bytes of output in it, written
        self.output_waiting = 0

    def started(self, m: dict[str, Any], at: datetime, written: Callable[[], None]) -> None:
        if self.room_for <= 0 or not self.pace.spare():
            return count("dropped", what="commands")
        self.room_for -= 1
        self._queue(partial(self._start, m, at), written=written)

    def printed(self, id: str, printed: Printed) -> None:
        """What a command that still runs has printed so far."""
        self._queue_output(partial(self._print, id), printed)

    def finished(self, m: dict[str, Any], printed: Printed, written: Callable[[], None]) -> None:
        self._queue_output(partial(self._finish, m["id"], m["exit_code"], m["duration_ms"]), printed, written)

    def lost(self, host: str, shells: list[str]) -> None:
        """These shells are gone, and with them what ran: nobody can know how it ended."""
        self._queue(partial(self._lose, host, shells))

    async def write(self) -> None:
        while True:
            batch = [await self.changes.get()]
            while len(batch) < BATCH and not self.changes.empty():
                batch.append(self.changes.get_nowait())
            try:
                if await self._try([change for change, _, _ in batch]):
                    for _, _, written in batch:
                        written()
                if not self.changes.empty():
                    await asyncio.sleep(PACE)
            finally:
                self.output_waiting -= sum(size for _, size, _ in batch)
                for _ in batch:
                    self.changes.task_done()

    async def settle(self) -> None:
        """Wait a moment for what is still to be written."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):  # not wait_for: until Python 3.12 it can swallow a cancellation
                await self.changes.join()

    def _queue(self, change: Callable[[], Any], size: int = 0, written: Callable[[], None] = lambda: None) -> None:
        try:
            self.changes.put_nowait((change, size, written))
            self.output_waiting += size
            self.full = False
        except asyncio.QueueFull:
            if not self.full:  # said once: a host that floods would fill the log as well
                log.warning("%s: commands are not recorded, the database is behind", self.sandbox)
            self.full = True

    def _queue_output(self, change: Callable[[Printed], Any], printed: Printed, written: Callable[[], None] = lambda: None) -> None:
        if self.output_waiting + printed.kept > MAX_OUTPUT_WAITING:
            printed = Printed(total=printed.total)
        self._queue(partial(change, printed), printed.kept, written)

    async def _try(self, changes: list[Callable[[], Any]]) -> bool:
        """All of these changes or none. False when the database did not take them."""

        def work() -> list[dict[str, Any]]:
            with transaction.atomic():
                return [m for change in changes for m in change() or ()]

        for attempt in range(TRIES):
            try:
                for m in await in_thread(work):
                    self.ended(m)
                return True
            except Exception as trouble:  # locked, full or away: the shells go on
                log.warning("%s: %d changes to commands are not recorded: %s", self.sandbox, len(changes), trouble)
                self.output_room = None  # what was taken of it was not used
                await asyncio.sleep(0.2 * (attempt + 1))
        return False

    # In the thread

    def _start(self, m: dict[str, Any], at: datetime) -> None:
        text = m["text"][:MAX_COMMAND].replace("\0", "").encode("utf-8", "replace").decode()  # half a surrogate is no text for a database
        fields = {"host": m["host"], "shell": m["shell"], "block": m["block"], "text": text, "started_at": at}
        Command.objects.get_or_create(pk=m["id"], defaults={"sandbox_id": self.sandbox, **fields})

    def _print(self, id: str, printed: Printed) -> None:
        if output := self._output(id, printed):
            Command.objects.filter(pk=id, sandbox=self.sandbox).update(**output)

    def _finish(self, id: str, exit_code: int | None, duration_ms: float, printed: Printed) -> None:
        output = self._output(id, printed)
        Command.objects.filter(pk=id, sandbox=self.sandbox).update(exit_code=exit_code, duration_ms=duration_ms, **output)
        Sandbox.objects.filter(pk=self.sandbox, state=Sandbox.State.CLAIMED).update(active_at=timezone.now())

    def _output(self, id: str, printed: Printed) -> dict[str, Any]:
        """The fields of the row that this changes: none when the row has as much already.

        A beginning that is in the row stays there when `printed` has lost it: to a log that was cut, or to a Redis that forgot.
        """
        if not printed.total:
            return {}
        row = Command.objects.filter(pk=id, sandbox=self.sandbox).defer("text", "output_tail").first()
        if row is None or (printed.total, -printed.left_out) <= (row.output_bytes, -row.output_left_out):
            return {}
        if not self._take_room(printed.kept):
            printed = Printed(total=printed.total)
        head, tail, left_out = "", "", printed.left_out
        if not left_out:
            head, _ = read(printed.head + printed.tail)
        elif printed.head_is_whole or not row.output_head:
            head, drawing = read(printed.head)
            tail, _ = read(printed.tail, cut=True, drawing=drawing)
        else:
            head = row.output_head
            tail, _ = read(printed.tail, cut=True)
            there = min(HEAD, row.output_bytes - row.output_left_out) if row.output_left_out else row.output_bytes
            left_out = max(0, printed.total - there - len(printed.tail))
        return {"output_head": head, "output_tail": tail, "output_bytes": printed.total, "output_left_out": left_out}

    def _take_room(self, size: int) -> bool:
        if self.output_room is None:
            kept = Command.objects.filter(sandbox=self.sandbox).aggregate(all=Sum(F("output_bytes") - F("output_left_out")))["all"]
            self.output_room = MAX_OUTPUT - (kept or 0)
        if size > self.output_room:
            return False
        self.output_room -= size
        return True

    def _lose(self, host: str, shells: list[str]) -> list[dict[str, Any]]:
        ended = []
        for command in Command.objects.filter(sandbox=self.sandbox, host=host, shell__in=shells, duration_ms=None).defer(*Command.OUTPUT):
            took = max(0.0, (timezone.now() - command.started_at).total_seconds() * 1000)
            Command.objects.filter(pk=command.pk, duration_ms=None).update(duration_ms=took)
            ended.append({
                "type": "command.finished", "id": str(command.pk), "shell": command.shell, "block": command.block,
                "exit_code": None, "duration_ms": took,
            })  # fmt: skip
        return ended
