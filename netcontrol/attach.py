"""Carries the shells of one sandbox between Redis and the agents of its hosts. Run by Celery, one task a sandbox.

All carriers of a process share one asyncio loop in one thread; the Celery thread only waits. Whoever holds the lease
carries; every write of output checks it. Where the log ends is written together with the log, so a carrier that follows
a killed one asks each agent for just what is missing. Must not know: browsers, lessons, Docker.
"""
import asyncio
import json
import logging
import threading
import time
import uuid
from collections import OrderedDict
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

from celery.signals import worker_shutting_down
from django.db import close_old_connections
from django.utils import timezone

from netcontrol import stream
from netcontrol.agent.protocol import MAX_CHUNK, BadFrame
from netcontrol.dial import Link, dial, dock_path
from netcontrol.models import Command, Sandbox
from netcontrol.stream import Entry, LeaseLost, Tail

log = logging.getLogger(__name__)

NOBODY_SECONDS = 120.0  # without a viewer
VIEWER_SECONDS = 15.0  # a viewer that was not heard of for so long is gone
BEHIND_SECONDS = 10.0  # a viewer that stands still for so long no longer holds back the others
CHECK_SECONDS = 3.0  # is it still claimed?
REDIAL_SECONDS = 0.25
MAX_PENDING = 2 * 1024 * 1024  # output that Redis has not taken; then the agents are not read
MAX_HELD = 256  # messages for a host that does not answer
MAX_PLACES = 32  # names of shells, closed ones included
MAX_COMMANDS = 10_000  # rows of one sandbox; a host may be hostile
REDIS_PATIENCE = 60.0


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()
_database = ThreadPoolExecutor(2, "attach-db")


def loop() -> asyncio.AbstractEventLoop:
    """The one loop of this process' carriers."""
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="attach", daemon=True).start()
            worker_shutting_down.connect(stop_all, weak=False)
        return _loop


_carrying: set[asyncio.Task] = set()


def stop_all(**_: Any) -> None:
    """This worker is to end: let go of every sandbox, or it would wait for them."""
    if _loop:
        _loop.call_soon_threadsafe(lambda: [task.cancel() for task in _carrying])


def carry(sandbox_id: str) -> None:
    """Carry this sandbox until it is over, until nobody looks, or until somebody else does. Blocks."""
    try:
        asyncio.run_coroutine_threadsafe(carry_async(sandbox_id), loop()).result()
    except CancelledError:
        log.info("%s is let go: this worker ends", sandbox_id)


async def carry_async(sandbox_id: str) -> None:
    """As `carry`. When Redis goes away, carries on with the Redis that comes back."""
    this = asyncio.current_task()
    assert this
    _carrying.add(this)
    this.add_done_callback(_carrying.discard)
    gave_up = time.monotonic() + REDIS_PATIENCE
    while time.monotonic() < gave_up:
        carrier = Carrier(sandbox_id)
        try:
            await carrier.run()
            return
        except LeaseLost:  # somebody else's, and then the next try returns; or it ran out, and is nobody's
            log.info("%s: the lease is lost", sandbox_id)
            await asyncio.sleep(0.05)
        except stream.Unreachable as down:
            log.warning("%s: Redis does not answer: %s", sandbox_id, down)
            if carrier.carried:
                gave_up = time.monotonic() + REDIS_PATIENCE
            await asyncio.sleep(0.2)


class Over(Exception):
    """There is nothing to carry any more."""


async def _in_thread(call, *arguments, **named) -> Any:
    def work():
        close_old_connections()
        try:
            return call(*arguments, **named)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_database, work)


class Viewers:
    """Who looks at which shell, and how far each has drawn."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Any]] = {}
        self.left_at = time.monotonic()  # when the last one went

    def hear(self, name: str, acks: dict[str, int], gone: bool) -> None:
        now = time.monotonic()
        if gone:
            self.of.pop(name, None)
        else:
            seen = self.of.setdefault(name, {"acks": {}, "moved": {}})
            for shell, offset in acks.items():
                if seen["acks"].get(shell) != offset:
                    seen["moved"][shell] = now
            seen["acks"], seen["at"] = acks, now
        self.left_at = now if not self.of else float("inf")

    def sweep(self) -> None:
        now = time.monotonic()
        for name in [name for name, seen in self.of.items() if now - seen["at"] > VIEWER_SECONDS]:
            del self.of[name]
        if not self.of:
            self.left_at = min(self.left_at, now)

    def acks(self, ends: dict[str, int]) -> dict[str, int]:
        """Shell -> what its slowest viewer has drawn. One that stands still counts only while it is alone."""
        now, slowest = time.monotonic(), {}
        for shell in {shell for seen in self.of.values() for shell in seen["acks"]}:
            drawn = [(seen["acks"][shell], now - seen["moved"].get(shell, now)) for seen in self.of.values() if shell in seen["acks"]]
            awake = [offset for offset, still in drawn if still < BEHIND_SECONDS or offset >= ends.get(shell, 0)]
            slowest[shell] = min(awake) if awake else max(offset for offset, _ in drawn)
        return slowest


class HostEnd:
    """One host: its link while there is one, and the input that its agent has not taken yet."""

    def __init__(self, name: str):
        self.name, self.link, self.boot = name, None, ""  # type: str, Link | None, str
        self.held: OrderedDict[str, dict[str, Any]] = OrderedDict()


class Carrier:
    """One sandbox, for as long as one lease and one connection to Redis last."""

    def __init__(self, sandbox_id: str):
        self.id, self.uuid, self.token = sandbox_id, uuid.UUID(sandbox_id), stream.new_token()
        self.carried, self.began = False, time.monotonic()
        self.hosts: dict[str, HostEnd] = {}
        self.places: dict[str, dict[str, Any]] = {}  # shell -> {"host", "boot", "offset", "seq", "pid", "open"}, as in Redis
        self.again_to: dict[str, int] = {}  # what the agent had printed when we began, of shells whose log is not in Redis
        self.tails: dict[str, Tail] = {}
        self.pending: list[Entry] = []
        self.moved: set[str] = set()  # shells whose place is to be written
        self.pending_bytes = 0
        self.work, self.room = asyncio.Event(), asyncio.Event()
        self.viewers = Viewers()
        self.told_acks: dict[str, int] | None = None
        self.read_to = self.trimmed_to = "0-0"
        self.trim = asyncio.Event()
        self.rows: asyncio.Queue = asyncio.Queue(maxsize=5000)
        self.row_budget = MAX_COMMANDS

    async def run(self) -> None:
        self.redis = stream.client()
        owner = await _in_thread(self._look_up)
        if owner is None or not await stream.take_lease(self.redis, self.id, self.token):
            return
        self.carried = True
        own = stream.connect()
        tasks: list[asyncio.Task] = []
        try:
            self.epoch, self.places = await stream.positions(self.redis, self.id)
            self.tails = await stream.old_tails(self.redis, self.id, self.places)
            jobs = [self._renew(), self._write(), self._read_input(own), self._trim(), self._check(), *(self._host(h) for h in self.hosts.values())]
            tasks = [asyncio.create_task(job) for job in jobs]
            rows = asyncio.create_task(self._write_rows())
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (error := task.exception()):
                    raise error
        except Over as why:
            log.info("%s: %s", self.id, why)
        finally:
            await self._stop(tasks, rows if tasks else None, own)

    async def _stop(self, tasks: list[asyncio.Task], rows: asyncio.Task | None, own) -> None:
        await stream.cancel(tasks)
        for host in self.hosts.values():
            if host.link:
                host.link.close()
        if rows:
            try:
                await asyncio.wait_for(self.rows.join(), 2)
            except TimeoutError:
                pass
            rows.cancel()
        try:
            await own.aclose()
            await stream.release_lease(self.redis, self.id, self.token)
        except stream.Unreachable:
            pass

    def _look_up(self) -> Any:
        sandbox = Sandbox.objects.filter(pk=self.uuid, state=Sandbox.State.CLAIMED).first()
        if sandbox is None:
            return None
        self.hosts = {name: HostEnd(name) for name in sandbox.host_names}
        self.row_budget = MAX_COMMANDS - sandbox.commands.count()
        return sandbox.owner_id

    # The lease, and when to stop

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(stream.RENEW_SECONDS)
            if not await stream.renew_lease(self.redis, self.id, self.token):
                raise LeaseLost

    async def _check(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(1)
            self.viewers.sweep()
            self._tell_acks()
            if time.monotonic() - self.viewers.left_at > NOBODY_SECONDS:
                raise Over("nobody looks")
            if time.monotonic() - looked > CHECK_SECONDS:
                looked = time.monotonic()
                try:
                    claimed = await _in_thread(Sandbox.objects.filter(pk=self.uuid, state=Sandbox.State.CLAIMED).exists)
                except Exception as trouble:  # the database does not answer: the shells go on
                    log.warning("%s: %s", self.id, trouble)
                    continue
                if not claimed:
                    raise Over("it is no longer claimed")

    # Browser to agent

    async def _read_input(self, own) -> None:
        while True:
            for id, m in await stream.read_input(own, self.id, self.read_to):
                self.read_to = id
                self._route(id, m)
            self.trim.set()

    def _route(self, id: str, m: dict[str, Any]) -> None:
        kind = m.get("type")
        if kind == "view":
            self.viewers.hear(m["viewer"], m["acks"], m["gone"])
            self._tell_acks()
            return
        shell = m.get("shell", "")
        place = self.places.get(shell)
        host = self.hosts.get(m.get("host", "") if kind == "shell.open" else place["host"] if place else "")
        if host is None or (place and place["host"] != host.name):
            self._refuse("no_host" if kind == "shell.open" and host is None else "unknown_shell", shell, m.get("block", ""))
            return
        if place is None and len(self.places) >= MAX_PLACES:
            self._refuse("too_many_shells", shell, "")
            return
        if place is None:
            self.places[shell] = {"host": host.name, "boot": host.boot, "offset": 0, "seq": 0, "pid": 0, "open": False}
        if len(host.held) >= MAX_HELD:
            self._refuse("not_now", shell, m.get("block", ""))
            return
        host.held[id] = m
        if host.link:
            self._give(host.link, id, m)

    def _give(self, link: Link, id: str, m: dict[str, Any]) -> None:
        link.send(**{key: value for key, value in m.items() if key != "host"}, id=id)

    def _refuse(self, code: str, shell: str, block: str) -> None:
        self._log(Entry("", message={"type": "error", "code": code, "shell": shell, "block": block}))

    def _tell_acks(self) -> None:
        acks = self.viewers.acks({shell: place["offset"] for shell, place in self.places.items()})
        if not self.viewers.of and self.told_acks is None and time.monotonic() - self.began < VIEWER_SECONDS:
            return  # the agent holds to what the carrier before this one told it, until viewers had the time to speak
        if acks != self.told_acks:
            self.told_acks = acks
            for host in self.hosts.values():
                if host.link:
                    host.link.send("view", acks=acks)

    async def _trim(self) -> None:
        """Input that every agent has taken need not be kept. At most every 50 ms: it is not urgent."""
        while True:
            await self.trim.wait()
            self.trim.clear()
            waiting = [next(iter(host.held)) for host in self.hosts.values() if host.held]
            if waiting:
                high, _, low = min(waiting, key=_number).partition("-")
                taken = f"{high}-{int(low) - 1}" if int(low) else f"{int(high) - 1}-{2**63}"
            else:
                taken = self.read_to
            if _number(taken) > _number(self.trimmed_to):
                self.trimmed_to = taken
                await stream.trim_input(self.redis, self.id, taken)
            await asyncio.sleep(0.05)

    # Agent to browser

    async def _host(self, host: HostEnd) -> None:
        """Keep one agent on the line."""
        pause = REDIAL_SECONDS
        while True:
            try:
                host.link = None
                link = await dial(dock_path(self.uuid, host.name))
                try:
                    await self._talk(host, link)
                finally:
                    host.link = None
                    link.close()
            except (OSError, EOFError, BadFrame) as away:
                if host.boot:
                    log.info("%s, %s: %s", self.id, host.name, str(away) or type(away).__name__)
                    pause = REDIAL_SECONDS / 4
                host.boot = ""
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _talk(self, host: HostEnd, link: Link) -> None:
        mine = {shell: place for shell, place in self.places.items() if place["host"] == host.name}
        known = {place["boot"] for place in mine.values()}
        link.send(
            "attach", epoch=self.epoch, boot=known.pop() if len(known) == 1 else "", since={s: [p["offset"], p["seq"]] for s, p in mine.items()}
        )
        while True:
            for kind, value in await link.read():
                if kind == "O":
                    self._output(host, *value)
                elif value["type"] == "welcome":
                    self._welcome(host, link, value)
                elif value["type"] == "displaced":
                    raise LeaseLost
                elif value["type"] == "taken":
                    self._taken(host, value["id"])
                else:
                    self._event(host, value)
            while self.pending_bytes > MAX_PENDING:
                self.room.clear()
                await self.room.wait()
            await link.drain()

    def _welcome(self, host: HostEnd, link: Link, m: dict[str, Any]) -> None:
        alive = {shell["shell"]: shell for shell in m["shells"]}
        for name in alive:
            if self.places.get(name, {}).get("host", host.name) != host.name:
                raise BadFrame("it claims the shell of another host")
        host.boot = m["boot"]
        over: list[str] = []
        for name, place in self.places.items():
            if place["host"] != host.name:
                continue
            if place["boot"] != host.boot and place["open"]:  # its agent, or its host, was started again: the shell is gone
                over.append(name)
                if name not in alive:
                    place["open"] = False
                    self._log(Entry(name, message={"type": "shell.closed", "shell": name, "exit_code": None}))
            if place["boot"] != host.boot and name in alive:
                place.update(offset=0, seq=0)
                self.again_to[name] = alive[name]["end"]
            place["boot"] = host.boot
            self.moved.add(name)
        for name, shell in alive.items():
            if name not in self.places:
                self.places[name] = {"host": host.name, "boot": host.boot, "offset": 0, "seq": 0, "pid": shell["pid"], "open": shell["open"]}
                self.again_to[name] = shell["end"]
                self._log(Entry("", message={"type": "shell.known", "shell": name}))
        if over:
            self._queue_row(partial(self._close_commands, host.name, over))
        self._taken(host, m["last_input"])
        host.link = link
        for id, held in host.held.items():
            self._give(link, id, held)
        if self.told_acks is not None:
            link.send("view", acks=self.told_acks)

    def _taken(self, host: HostEnd, id: str) -> None:
        while host.held and _number(next(iter(host.held))) <= _number(id):
            host.held.popitem(last=False)
        self.trim.set()

    def _place(self, host: HostEnd, shell: str) -> dict[str, Any]:
        place = self.places.get(shell)
        if place is None or place["host"] != host.name:
            raise BadFrame("it speaks of a shell that is not its own")
        return place

    def _output(self, host: HostEnd, shell: str, offset: int, data: bytes) -> None:
        place = self._place(host, shell)
        skip = place["offset"] - offset
        if skip >= len(data) or len(data) > MAX_CHUNK:
            return
        if skip > 0:
            offset, data = offset + skip, data[skip:]
        place["offset"] = offset + len(data)
        last = self.pending[-1] if self.pending else None
        if last and last.shell == shell and last.message is None and last.offset + len(last.data) == offset and len(last.data) + len(data) <= MAX_CHUNK:
            last.data += data
            self.pending_bytes += len(data)
            self.moved.add(shell)
            return
        self._log(Entry(shell, offset, data))

    def _event(self, host: HostEnd, m: dict[str, Any]) -> None:
        shell = m["shell"]
        if m["type"] == "error" and "seq" not in m:
            self._refuse(m["code"], shell if shell in self.places else "", m["block"])
            return
        if m["type"] == "execute.done" or m["type"] == "execute.refused":
            return
        place = self._place(host, shell)
        if "seq" in m:
            if m["seq"] <= place["seq"]:
                return
            place["seq"] = m["seq"]
            m["again"] = place["offset"] < self.again_to.get(shell, 0)  # Redis lost it, so it is written once more
            m["boot"] = host.boot  # with seq: which event this is, for readers of a log that is written anew
        match m["type"]:
            case "shell.opened":
                if not place["pid"]:
                    self._log(Entry("", message={"type": "shell.known", "shell": shell}))
                place.update(pid=m["pid"], open=True, boot=host.boot)
                m["host"] = host.name
            case "shell.closed":
                place["open"] = False
            case "shell.gap":
                if m["to"] <= place["offset"]:
                    return
                place["offset"] = m["to"]
            case "command.started" | "command.finished":
                row = uuid.uuid5(self.uuid, f"{host.name}/{host.boot}/{shell}/{m['id']}/{place['pid']}")
                m["id"] = str(row)
                self._command(host, row, m)
        self._log(Entry(shell, message=m))

    def _log(self, entry: Entry) -> None:
        self.pending.append(entry)
        self.pending_bytes += len(entry.data) + 256
        if entry.shell:
            self.moved.add(entry.shell)
        self.work.set()

    async def _write(self) -> None:
        """Append what is there, in one step; what comes meanwhile is the next step."""
        while True:
            await self.work.wait()
            self.work.clear()
            while self.pending:
                entries, moved, size = self.pending, self.moved, self.pending_bytes
                self.pending, self.moved = [], set()
                places = {shell: json.dumps(self.places[shell]) for shell in moved}
                await stream.append(self.redis, self.id, self.token, entries, places, self.tails)
                self.pending_bytes -= size
                self.room.set()

    # The database, behind the bytes

    def _command(self, host: HostEnd, row: uuid.UUID, m: dict[str, Any]) -> None:
        if m["type"] == "command.started":
            m["host"] = host.name
            at = datetime.fromtimestamp(m["started_at"], UTC)
            m["started_at"] = at.isoformat()
            if self.row_budget <= 0:
                return
            self.row_budget -= 1
            fields = {"sandbox_id": self.uuid, "host": host.name, "shell": m["shell"], "block": m["block"], "text": m["text"].replace("\0", ""), "started_at": at}
            self._queue_row(partial(Command.objects.get_or_create, pk=row, defaults=fields))
        else:
            self._queue_row(partial(self._finished, row, m["exit_code"], m["duration_ms"]))

    def _finished(self, row: uuid.UUID, exit_code: int | None, duration_ms: float) -> None:
        Command.objects.filter(pk=row, sandbox=self.uuid).update(exit_code=exit_code, duration_ms=duration_ms)
        Sandbox.objects.filter(pk=self.uuid, state=Sandbox.State.CLAIMED).update(active_at=timezone.now())

    def _close_commands(self, host: str, shells: list[str]) -> list[Entry]:
        """Commands of shells that are gone: they ended, and nobody can know how. Returns what to log."""
        ended = []
        for command in Command.objects.filter(sandbox=self.uuid, host=host, shell__in=shells, duration_ms=None):
            took = max(0.0, (timezone.now() - command.started_at).total_seconds() * 1000)
            Command.objects.filter(pk=command.pk, duration_ms=None).update(duration_ms=took)
            m = {
                "type": "command.finished", "id": str(command.pk), "shell": command.shell, "block": command.block,
                "exit_code": None, "duration_ms": took,
            }  # fmt: skip
            ended.append(Entry(command.shell, message=m))
        return ended

    def _queue_row(self, change) -> None:
        try:
            self.rows.put_nowait(change)
        except asyncio.QueueFull:
            log.warning("%s: a command is not recorded, the database is behind", self.id)

    async def _write_rows(self) -> None:
        while True:
            change = await self.rows.get()
            try:
                for attempt in range(3):
                    try:
                        to_log = await _in_thread(change)
                        for entry in to_log if isinstance(to_log, list) else ():
                            self._log(entry)
                        break
                    except Exception as trouble:  # locked, full or away: the shells go on, the record has a hole at worst
                        log.warning("%s: a command is not recorded: %s", self.id, trouble)
                        await asyncio.sleep(0.2 * (attempt + 1))
            finally:
                self.rows.task_done()


def _number(id: str) -> tuple[int, int]:
    high, _, low = id.partition("-")
    return int(high), int(low)
