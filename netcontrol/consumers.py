"""The lab's WebSocket: one per page. Says where the lab stands, passes on what the page types and what the shells print.

Every message of the page is checked here; every sandbox is the student's own (`lab_state`). Redis or the worker may be
away at any time: the page is told, and what it has drawn tells where to go on. Must not know: agents, Docker, lessons.
"""
import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.db import DatabaseError
from django.utils import timezone

from netcontrol import stream
from netcontrol.agent.protocol import MAX_CHUNK, MAX_TEXT, output_body
from netcontrol.errors import LabError
from netcontrol.models import Command, Sandbox
from netcontrol.state import lab_state
from netcontrol.stream import Entry

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z0-9-]{1,32}\Z")
MAX_BAD = 8  # messages that break the protocol before the connection is closed
OUTPUT = b"\x01"
STATE_SECONDS = 3.0  # without a notice
PRESENT_SECONDS = 5.0
STARTING_SECONDS = 10.0  # that a first worker may take before it counts as down
ACTIVE_SECONDS = 20.0

# What a page is told, by code
ERRORS = {
    "no_sandbox": ("You have no lab.", "Start one with the lesson's Start button."),
    "too_long": ("That is longer than the 64 KiB that a terminal takes at once.", "Send it in pieces, or put it into a file."),
    "bad_message": ("The page said something that the lab does not understand.", "Reload the page."),
    "no_host": ("There is no host of that name in this lab.", "The lesson says which hosts it has; the first one is `lab`."),
    "unknown_shell": ("This terminal is not open.", "Open it again."),
    "too_many_shells": ("No more terminals can be opened on this host.", "Close one with `exit` first."),
    "busy": ("Another command runs in this terminal.", "Wait until it ends, or end it with Ctrl-C."),
    "not_now": ("The lab does not answer at the moment.", "It comes back by itself: try again in a few seconds."),
}


class BadMessage(Exception):
    """The page broke the protocol; `code` says how."""

    def __init__(self, code: str = "bad_message"):
        super().__init__(code)
        self.code = code


def _check(condition: bool, code: str = "bad_message") -> None:
    if not condition:
        raise BadMessage(code)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _name(m: dict, field: str = "shell") -> str:
    value = m.get(field)
    _check(isinstance(value, str) and NAME.match(value) is not None)
    return value  # type: ignore[return-value]


def _size(m: dict) -> dict[str, int]:
    _check(_is_int(m.get("cols"), 2, 500) and _is_int(m.get("rows"), 2, 200))
    return {"cols": m["cols"], "rows": m["rows"]}


def _text(m: dict, field: str, most: int = MAX_TEXT) -> str:
    value = m.get(field)
    _check(isinstance(value, str))
    _check(len(value.encode("utf-8", "replace")) <= most, "too_long")  # type: ignore[union-attr]
    return value  # type: ignore[return-value]


class LabConsumer(AsyncWebsocketConsumer):
    channel_layer_alias = "none: `_listen` holds it itself, and survives when it is away"

    async def connect(self) -> None:
        await self.accept()
        self.tasks: list[asyncio.Task] = []
        self.reader: asyncio.Task | None = None
        self.user = self.scope["user"]
        self.viewer = secrets.token_hex(6)
        self.since: dict[str, int] | None = None
        self.sandbox: str | None = None
        self.machine = ""
        self.state: dict[str, Any] = {}
        self.worker, self.was_up, self.sandbox_at = "starting", False, 0.0
        self.drawn: dict[str, int] = {}  # shell -> what was sent to the page; then comes what follows
        self.acks: dict[str, int] = {}  # shell -> what the page has drawn
        self.heard: dict[tuple[str, str], None] = {}  # events of commands that the page has
        self.seen: dict[str, tuple[str, int]] = {}  # shell -> (boot, seq) of the last event
        self.look, self.view_due = asyncio.Event(), asyncio.Event()
        self.bad, self.active_at = 0, 0.0
        if not self.user.is_authenticated:
            await self.close(4401)

    async def disconnect(self, code: int) -> None:
        await stream.cancel(task for task in (*self.tasks, self.reader) if task)
        if self.sandbox:
            with contextlib.suppress(*stream.Unreachable, stream.TooMuchInput):
                await stream.send_input(stream.client(), self.sandbox, {"type": "view", "viewer": self.viewer, "acks": {}, "gone": True})

    async def say(self, type: str, **fields: Any) -> None:
        await self.send(text_data=json.dumps({"type": type, **fields}, separators=(",", ":")))

    async def say_error(self, code: str, **more: Any) -> None:
        message, what_to_do = ERRORS[code]
        await self.say("error", code=code, message=message, what_to_do=what_to_do, **more)

    # From the page

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.user.is_authenticated:
            return
        try:
            _check(text_data is not None)
            assert text_data is not None
            _check(len(text_data) <= 8 * MAX_TEXT, "too_long")
            try:
                m = json.loads(text_data)
            except (ValueError, RecursionError):
                raise BadMessage from None
            _check(isinstance(m, dict) and isinstance(m.get("type"), str))
            handler = HANDLERS.get(m["type"])
            _check(handler is not None and (self.since is not None or m["type"] == "hello"))
            await handler(self, m)  # type: ignore[misc]
        except BadMessage as bad:
            await self.say_error(bad.code)
            self.bad += bad.code == "bad_message"
            if self.bad >= MAX_BAD:
                await self.close(4400)
        except LabError as error:
            await self.send(text_data=json.dumps(error.as_event()))
        except stream.TooMuchInput:
            await self.say_error("not_now")
        except (*stream.Unreachable, DatabaseError) as down:
            log.warning("a page's message is refused: %s", down)
            await self.say_error("not_now")

    async def hello(self, m: dict) -> None:
        since = m.get("since")
        _check(self.since is None and isinstance(since, dict) and len(since) <= 64)
        assert isinstance(since, dict)
        _check(all(NAME.match(shell) and _is_int(offset, 0, 2**62) for shell, offset in since.items()))
        self.since = since
        self.tasks = [asyncio.create_task(job) for job in (self._watch(), self._listen(), self._present())]

    async def _to_agent(self, m: dict[str, Any]) -> None:
        _check(self.sandbox is not None, "no_sandbox")
        assert self.sandbox
        await stream.send_input(stream.client(), self.sandbox, m)
        if time.monotonic() - self.active_at > ACTIVE_SECONDS:
            self.tasks = [*(task for task in self.tasks if not task.done()), asyncio.create_task(self._seen())]  # behind the keys: the database may be slow

    async def shell_open(self, m: dict) -> None:
        host = _name(m, "host")
        await self._to_agent({"type": "shell.open", "host": host, "shell": _name(m), **_size(m)})

    async def shell_input(self, m: dict) -> None:
        await self._to_agent({"type": "shell.input", "shell": _name(m), "data": _text(m, "data")})

    async def shell_resize(self, m: dict) -> None:
        await self._to_agent({"type": "shell.resize", "shell": _name(m), **_size(m)})

    async def shell_ack(self, m: dict) -> None:
        shell = _name(m)
        _check(_is_int(m.get("offset"), 0, 2**62))
        if shell in self.drawn:
            self.acks[shell] = max(self.acks.get(shell, 0), min(m["offset"], self.drawn[shell]))
            self.view_due.set()

    async def run(self, m: dict) -> None:
        await self._to_agent({"type": "run", "shell": _name(m), "block": _text(m, "block", 64), "text": _text(m, "text")})

    async def sandbox_extend(self, m: dict) -> None:
        def extend() -> None:
            mine = Sandbox.of(self.user)
            if mine is None:
                raise LabError("no_sandbox", *ERRORS["no_sandbox"])
            mine.extend()

        await database_sync_to_async(extend)()
        self.look.set()
        await stream.anotify(self.user.pk)

    async def active(self, m: dict) -> None:
        await self._seen()

    async def _seen(self) -> None:
        if self.sandbox and time.monotonic() - self.active_at > ACTIVE_SECONDS / 2:
            self.active_at = time.monotonic()
            rows = Sandbox.objects.filter(pk=self.sandbox, owner=self.user, state=Sandbox.State.CLAIMED)
            with contextlib.suppress(DatabaseError):
                await database_sync_to_async(rows.update)(active_at=timezone.now())

    # Where the lab stands

    async def _watch(self) -> None:
        """Read the state on notices and every few seconds, the lease every second; the page gets what changed."""
        read_at = 0.0
        while True:
            try:
                if self.look.is_set() or time.monotonic() - read_at > STATE_SECONDS:
                    self.look.clear()
                    self.state = await database_sync_to_async(self._read_state)()
                    read_at = time.monotonic()
                    await self._follow(self.state["sandbox"] if self.state["state"] == "claimed" else None)
                if self.sandbox:
                    await self._see_to_worker()
                await self._say_state()
            except (*stream.Unreachable, DatabaseError) as down:
                log.warning("a page waits: %s", down)
                if self.sandbox and self.state:
                    self.worker = "down"
                    await self._say_state()
            hurry = self.sandbox and self.worker == "starting"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.look.wait(), 0.1 if hurry else 1.0)

    def _read_state(self) -> dict[str, Any]:
        state = lab_state(self.user, worker="up")
        if state["state"] == "claimed":
            self.machine = Sandbox.objects.values_list("machine__name", flat=True).get(pk=state["sandbox"])
        return state

    async def _say_state(self) -> None:
        now = {**self.state, "worker": self.worker} if self.state["state"] == "claimed" else self.state
        if now != getattr(self, "said", None):
            self.said = now
            await self.say(**now)

    async def _follow(self, sandbox: str | None) -> None:
        """Read this sandbox's log from now on; a new one begins with nothing drawn."""
        if sandbox == self.sandbox:
            return
        if self.reader:
            await stream.cancel([self.reader])
        known, self.since = self.since, {}
        self.sandbox, self.drawn, self.acks, self.heard, self.seen = sandbox, dict(known or {}), {}, {}, {}
        self.reader, self.worker, self.was_up, self.sandbox_at = None, "starting", False, time.monotonic()
        if sandbox:
            self.reader = asyncio.create_task(self._read_log(sandbox))

    async def _see_to_worker(self) -> None:
        assert self.sandbox
        r = stream.client()
        if await stream.lease_alive(r, self.sandbox):
            if self.worker != "up":
                self.view_due.set()  # a new worker does not know who looks
            self.worker, self.was_up = "up", True
            return
        late = time.monotonic() - self.sandbox_at > STARTING_SECONDS
        self.worker = "down" if self.was_up or late else "starting"
        if await stream.may_ask(r, self.sandbox):
            await database_sync_to_async(start_attach, thread_sensitive=False)(self.sandbox, self.machine)

    async def _listen(self) -> None:
        """Notices through the channel layer; while it is away, `_watch` looks by itself."""
        layer = get_channel_layer()
        while layer is not None:
            channel = ""
            try:
                channel = await layer.new_channel()
                await layer.group_add(stream.group(self.user.pk), channel)
                self.look.set()
                while True:
                    await layer.receive(channel)
                    self.look.set()
            except Exception as down:  # whatever is behind the layer has errors of its own
                log.info("no notices for a page: %s", down)
                await asyncio.sleep(1)
            finally:
                if channel:
                    with contextlib.suppress(Exception):
                        async with asyncio.timeout(1):  # without Redis it would wait for it
                            await layer.group_discard(stream.group(self.user.pk), channel)

    # What the shells print

    async def _read_log(self, sandbox: str) -> None:
        """Everything that the page has not drawn, in order, whatever happens to Redis."""
        own = None
        first = True
        while True:
            try:
                own = stream.connect()
                end = await stream.log_now(own, sandbox)
                shells = await stream.known_shells(own, sandbox)
                after = {"": end, **{shell: "0-0" for shell in {*shells, *self.drawn}}}
                if first:
                    await self._say_commands(sandbox)
                while entries := await stream.read_log(own, sandbox, after, block_ms=None):
                    await self._relay(entries, after, replay=True)
                first = False
                while True:
                    await self._relay(await stream.read_log(own, sandbox, after), after)
            except (*stream.Unreachable, DatabaseError) as down:
                log.info("a page waits for its shells: %s", down)
                await asyncio.sleep(0.3)
            finally:
                if own:
                    with contextlib.suppress(Exception):
                        await own.aclose()

    async def _say_commands(self, sandbox: str) -> None:
        fields = ("id", "shell", "host", "block", "text", "started_at", "exit_code", "duration_ms")
        rows = Command.objects.filter(sandbox_id=sandbox, sandbox__owner=self.user).order_by("-started_at")
        newest = await database_sync_to_async(lambda: list(rows.values(*fields)[:200]))()
        commands = [{**row, "id": str(row["id"]), "started_at": row["started_at"].isoformat()} for row in reversed(newest)]
        for row in commands:
            self.heard[row["id"], "command.started"] = None
            if row["duration_ms"] is not None:
                self.heard[row["id"], "command.finished"] = None
        await self.say("commands", commands=commands)

    async def _relay(self, entries: list[Entry], after: dict[str, str], replay: bool = False) -> None:
        shell, offset, data = "", 0, bytearray()

        async def flush() -> None:
            if data:
                await self.send(bytes_data=OUTPUT + output_body(shell, offset, bytes(data)))
                data.clear()

        for entry in entries:
            if entry.message is not None:
                await flush()
                await self._event(entry, after, replay)
                continue
            fresh = self._fresh(entry)
            if not fresh:
                continue
            begin = entry.offset + len(entry.data) - len(fresh)
            if data and (entry.shell != shell or len(data) + len(fresh) > MAX_CHUNK):
                await flush()
            known = self.drawn.get(entry.shell)
            if known is not None and begin > known:
                await flush()
                await self.say("shell.gap", shell=entry.shell, **{"from": known, "to": begin})
            if not data:
                shell, offset = entry.shell, begin
            data += fresh
            self.drawn[entry.shell] = begin + len(fresh)
            if self.acks.setdefault(entry.shell, begin) < begin and known != begin:
                self.acks[entry.shell] = begin
        await flush()
        self.view_due.set()

    def _fresh(self, entry: Entry) -> bytes:
        """What of this output was not sent yet."""
        return entry.data[max(0, self.drawn.get(entry.shell, 0) - entry.offset) :]

    async def _event(self, entry: Entry, after: dict[str, str], replay: bool) -> None:
        m = entry.message
        assert m
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
                return
            case "error":
                if not replay:
                    await self.say_error(m["code"], shell=shell, block=m["block"])
                return
            case "shell.opened":
                if m["end"] < self.drawn.get(shell, 0) and not again:  # another agent, and nobody could tell it where the old one ended
                    self.drawn[shell] = self.acks[shell] = m["offset"]
                self.drawn.setdefault(shell, m["offset"])
                self.acks[shell] = max(self.acks.get(shell, 0), m["offset"])
            case "shell.gap":
                if self.drawn.get(shell, 0) >= m["to"]:
                    return
                m["from"] = max(m["from"], self.drawn.get(shell, 0))
                self.drawn[shell] = self.acks[shell] = m["to"]
            case "command.started" | "command.finished":
                if (m["id"], kind) in self.heard:
                    return
                self.heard[m["id"], kind] = None
                if len(self.heard) > 2000:
                    del self.heard[next(iter(self.heard))]
        await self.say(**m)

    async def _present(self) -> None:
        """Tell the worker that this page looks, and how far it has drawn: what came meanwhile goes in one message."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.view_due.wait(), PRESENT_SECONDS)
            self.view_due.clear()
            if self.sandbox:
                with contextlib.suppress(stream.TooMuchInput, *stream.Unreachable):
                    await stream.send_input(stream.client(), self.sandbox, {"type": "view", "viewer": self.viewer, "acks": self.acks, "gone": False})


HANDLERS = {
    "hello": LabConsumer.hello,
    "shell.open": LabConsumer.shell_open,
    "shell.input": LabConsumer.shell_input,
    "shell.resize": LabConsumer.shell_resize,
    "shell.ack": LabConsumer.shell_ack,
    "run": LabConsumer.run,
    "sandbox.extend": LabConsumer.sandbox_extend,
    "active": LabConsumer.active,
}


def start_attach(sandbox: str, machine: str) -> None:
    """Have the sandbox's own machine carry it. Stale requests are worth nothing: a page asks again."""
    from kombu.exceptions import OperationalError

    from netcontrol.tasks import attach

    try:
        attach.apply_async((sandbox,), queue=f"attach@{machine}", expires=10, retry=False)
    except OperationalError as down:
        raise ConnectionError(str(down)) from down
