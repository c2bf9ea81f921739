"""The rows of the commands that ran, written behind the bytes: a shell never waits for the database.

When the database is away for long, a row is missing at worst; a carrier that dies before it has written leaves it to the next one,
which is told how far the record goes (`written`). Must not know: agents, Redis.
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
from django.utils import timezone

from netcontrol.models import Command, Sandbox

log = logging.getLogger(__name__)

MAX_COMMANDS = 10_000  # rows of one sandbox; a host may be hostile
MAX_TEXT = 4096  # characters of a command that are kept
MAX_WAITING = 5000  # changes that the database has not taken
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
        self.changes: asyncio.Queue[tuple[Callable[[], Any], Callable[[], None]]] = asyncio.Queue(MAX_WAITING)

    def started(self, m: dict[str, Any], at: datetime, written: Callable[[], None]) -> None:
        if self.room_for <= 0:
            return
        self.room_for -= 1
        fields = {"host": m["host"], "shell": m["shell"], "block": m["block"], "text": m["text"][:MAX_TEXT].replace("\0", ""), "started_at": at}
        self._queue(partial(self._start, m["id"], fields), written)

    def finished(self, m: dict[str, Any], written: Callable[[], None]) -> None:
        self._queue(partial(self._finish, m["id"], m["exit_code"], m["duration_ms"]), written)

    def lost(self, host: str, shells: list[str]) -> None:
        """These shells are gone, and with them what ran: nobody can know how it ended."""
        self._queue(partial(self._lose, host, shells))

    async def write(self) -> None:
        while True:
            batch = [await self.changes.get()]
            while len(batch) < BATCH and not self.changes.empty():
                batch.append(self.changes.get_nowait())
            try:
                await self._try([change for change, _ in batch])
                for _, written in batch:
                    written()
                if not self.changes.empty():
                    await asyncio.sleep(PACE)
            finally:
                for _ in batch:
                    self.changes.task_done()

    async def settle(self) -> None:
        """Wait a moment for what is still to be written."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):  # not wait_for: until Python 3.12 it can swallow a cancellation
                await self.changes.join()

    def _queue(self, change: Callable[[], Any], written: Callable[[], None] = lambda: None) -> None:
        try:
            self.changes.put_nowait((change, written))
            self.full = False
        except asyncio.QueueFull:
            if not self.full:  # said once: a host that floods would fill the log as well
                log.warning("%s: commands are not recorded, the database is behind", self.sandbox)
            self.full = True

    async def _try(self, changes: list[Callable[[], Any]]) -> None:
        def work() -> list[dict[str, Any]]:
            with transaction.atomic():
                return [m for change in changes for m in change() or ()]

        for attempt in range(TRIES):
            try:
                for m in await in_thread(work):
                    self.ended(m)
                return
            except Exception as trouble:  # locked, full or away: the shells go on
                log.warning("%s: %d changes to commands are not recorded: %s", self.sandbox, len(changes), trouble)
                await asyncio.sleep(0.2 * (attempt + 1))

    # In the thread

    def _start(self, id: str, fields: dict[str, Any]) -> None:
        Command.objects.get_or_create(pk=id, defaults={"sandbox_id": self.sandbox, **fields})

    def _finish(self, id: str, exit_code: int | None, duration_ms: float) -> None:
        Command.objects.filter(pk=id, sandbox=self.sandbox).update(exit_code=exit_code, duration_ms=duration_ms)
        Sandbox.objects.filter(pk=self.sandbox, state=Sandbox.State.CLAIMED).update(active_at=timezone.now())

    def _lose(self, host: str, shells: list[str]) -> list[dict[str, Any]]:
        ended = []
        for command in Command.objects.filter(sandbox=self.sandbox, host=host, shell__in=shells, duration_ms=None):
            took = max(0.0, (timezone.now() - command.started_at).total_seconds() * 1000)
            Command.objects.filter(pk=command.pk, duration_ms=None).update(duration_ms=took)
            ended.append({
                "type": "command.finished", "id": str(command.pk), "shell": command.shell, "block": command.block,
                "exit_code": None, "duration_ms": took,
            })  # fmt: skip
        return ended
