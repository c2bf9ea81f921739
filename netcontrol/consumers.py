"""The lab's WebSocket: one per page. Who are you; where does your lab stand; what does it print; and what you type, to its worker.

What a page may say is checked in messages.py, what it misses is told by replay.py; every sandbox is the student's own
(`lab_state`). Redis or the worker may be away at any time: the page is told. Must not know: agents, Docker, lessons.
"""
import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from channels.auth import get_user
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone, translation
from kombu.exceptions import OperationalError
from structlog.contextvars import bind_contextvars

from netcontrol import connection, lease, messages, notices, orders, stream
from netcontrol.agent.limits import MAX_BAD, MAX_PAGES, MESSAGES_A_SECOND, MESSAGES_AT_ONCE
from netcontrol.cancel import cancel
from netcontrol.counts import count
from netcontrol.errors import LabError
from netcontrol.fair import Pace
from netcontrol.messages import BadMessage
from netcontrol.models import Sandbox
from netcontrol.network.live.questions import ANSWERS, QUESTIONS, Questions
from netcontrol.network.live.watching import Watching
from netcontrol.replay import Replay
from netcontrol.state import lab_state

log = logging.getLogger(__name__)

OUTPUT = b"\x01"
TOO_MANY_PAGES = 4429  # the page comes again after a while: others may have gone
SESSION_OVER = 4403  # the page comes again, as whoever its cookie then says
STATE_SECONDS = 3.0  # without a notice, while none can come
QUIET_SECONDS = 15.0  # the same while they can, and the lab is there
LOOK_SECONDS = 5.0  # that a page's first words may wait for the first state
PRESENT_SECONDS = 5.0
STARTING_SECONDS = 10.0  # that a first worker may take before it counts as down
ACTIVE_SECONDS = 20.0
CONNECT_COST = 30.0  # messages that a new connection counts as: it is told all that it missed
COSTS = {"shell.ack": 0.2, "sandbox.extend": 50.0, "follow": 20.0, "reach": 20.0}  # messages that one counts as; a terminal that draws fast says much
LOOKS_A_SECOND, LOOKS_AT_ONCE = 0.5, 6  # how often a page may begin or end to show the network: hosts then begin or end to look
WRITE_SECONDS = 4.0  # that a page waits for the database to take what it said
PATIENCE = 1.0  # for the worker to take what waits, before a page's message is refused


@dataclass
class Pages:
    """All that one student has open in this process."""

    open: int = 0
    pace: Pace = field(default_factory=lambda: Pace(MESSAGES_A_SECOND, MESSAGES_AT_ONCE))


_pages: dict[int, Pages] = {}  # student -> theirs


def pages_of(student: int) -> Pages:
    for other in [other for other, pages in _pages.items() if not pages.open and pages.pace.idle]:
        del _pages[other]
    return _pages.setdefault(student, Pages())


_writers = ThreadPoolExecutor(2, "pages-write")  # a database that is locked holds these up, and nobody who reads


def in_writer(call: Callable[..., Any]) -> Callable[..., Any]:
    return database_sync_to_async(call, thread_sensitive=False, executor=_writers)


class LabConsumer(AsyncWebsocketConsumer):
    channel_layer_alias = "none: `_listen` holds it itself, and survives when it is away"

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels' own, which first goes to a thread to look after the database's connections: a keystroke waits for none."""
        await getattr(self, get_handler_name(message))(message)

    # Who are you

    async def connect(self) -> None:
        await self.accept()
        translation.activate(language_of(self.scope))  # for this task and those that it starts, which are this page's
        self.tasks: list[asyncio.Task] = []
        self.user = self.scope["user"]
        self.known = self.user.is_authenticated  # asked once: the user is a lazy object
        self.viewer = secrets.token_hex(6)
        self.line = connection.Line()  # what this page says, in its order
        self.since: dict[str, int] | None = None  # what the page had drawn when it came; None before `hello`
        self.state: dict[str, Any] = {}
        self.said: dict[str, Any] = {}  # the state as the page knows it
        self.machine = ""
        self.replay: Replay | None = None  # of the sandbox that this page follows
        self.reader: asyncio.Task | None = None
        self.wishes = self.shows = False  # whether the page wants to show the network, and whether that was seen to
        self.shown = ""  # of which sandbox's it is told
        self.watcher: asyncio.Task | None = None
        self.questions = Questions(self.viewer, self.tell)
        self.worker, self.was_up, self.sandbox_at = "starting", False, 0.0
        self.silent: list[str] = []  # its hosts that do not answer
        self.look, self.looked, self.view_due = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.bad, self.active_at, self.listening, self.refusing = 0, 0.0, False, False
        self.looks, self.pages = Pace(LOOKS_A_SECOND, LOOKS_AT_ONCE), Pages()
        if not self.known:
            return await self.close(4401)
        pages = pages_of(self.user.pk)
        pages.pace.pay(CONNECT_COST)
        if pages.open >= MAX_PAGES:
            self.known = False
            count("refused", what="too_many_pages")
            await self.tell(messages.error("too_many_pages"))
            return await self.close(TOO_MANY_PAGES)
        self.pages = pages
        pages.open += 1

    @property
    def sandbox(self) -> str | None:
        return self.replay.sandbox if self.replay else None

    async def disconnect(self, code: int) -> None:
        self.pages.open -= 1
        await cancel(task for task in (*self.tasks, self.reader, self.watcher) if task)
        await self.questions.end()
        await self._tell_view({}, gone=True)
        await self.line.close()

    async def tell(self, what: dict[str, Any] | str | bytes) -> None:
        """A message (as JSON, when it is text), or output."""
        if isinstance(what, bytes):
            await self.send(bytes_data=OUTPUT + what)
        else:
            await self.send(text_data=what if isinstance(what, str) else json.dumps(what, separators=(",", ":")))

    # From the page

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.known:
            return
        try:
            m = messages.parse(text_data, first=self.since is None)
            await self._hold_back(COSTS.get(m["type"], 1.0))
            match m["type"]:
                case "hello":
                    self.since = m["since"]
                    self.tasks = [asyncio.create_task(job) for job in (self._watch(), self._listen(), self._present())]
                case "shell.ack":
                    if self.replay:
                        self.replay.ack(m["shell"], m["offset"])
                case "sandbox.extend":
                    await self._extend()
                case "active":
                    await self._active()
                case "network.watch":
                    self.wishes = m["on"]
                    await self._see_to_network()
                case question if question in QUESTIONS:
                    await self._ask(m)
                case _:
                    await self._forward(m)
        except BadMessage as bad:
            count("refused", what=bad.code)
            await self.tell(messages.error(bad.code))
            self.bad += bad.code == "bad_message"
            if self.bad >= MAX_BAD:
                await self.close(4400)
        except LabError as error:
            count("refused", what=error.code)
            await self.tell(error.as_event())
        except stream.TooMuchInput:
            count("refused", what="not_now")
            await self.tell(messages.error("not_now"))
        except (*connection.Unreachable, DatabaseError) as down:
            count("refused", what="not_now")
            log.warning("a page's message is refused: %s", down, extra={"sandbox": self.sandbox})
            await self.tell(messages.error("not_now"))

    async def _hold_back(self, cost: float) -> None:
        """A student whose pages say more than a person and a fast terminal do is not heard for a moment."""
        self.pages.pace.pay(cost)
        if wait := self.pages.pace.wait():
            count("held_back", what="page")
            await asyncio.sleep(wait)

    async def _forward(self, m: dict[str, Any]) -> None:
        """To the worker that carries the sandbox, and by it to the agent."""
        if not self.looked.is_set() or (self.replay and not self.replay.begun.is_set()):  # it said hello a moment ago
            async with asyncio.timeout(LOOK_SECONDS):
                await self.looked.wait()
                if self.replay:
                    await self.replay.begun.wait()
        if self.sandbox is None:
            raise BadMessage("no_sandbox")
        await self._send_patiently(self.sandbox, m)
        if time.monotonic() - self.active_at > ACTIVE_SECONDS:
            self.tasks = [*(task for task in self.tasks if not task.done()), asyncio.create_task(self._active())]  # behind the keys: the database may be slow

    async def _ask(self, m: dict[str, Any]) -> None:
        """As any other message; and its answer may not come."""
        if await self.questions.too_many(m):
            return
        try:
            await self._forward(self.questions.asked(m))
        except BaseException:
            self.questions.forget(m)
            raise

    async def _hear(self, what: dict[str, Any] | bytes) -> None:
        """What stands in the log."""
        if isinstance(what, dict) and what["type"] in ANSWERS:
            await self.questions.answered(what)
        else:
            await self.tell(what)

    async def _send_patiently(self, sandbox: str, m: dict[str, Any]) -> None:
        """A page that says more than the worker takes is not read for a moment, which holds it back; only then it is refused, and at once from then on."""
        until = time.monotonic() + (0 if self.refusing else PATIENCE)
        while True:
            try:
                await stream.send_input(self._line(), sandbox, m)
                self.refusing = False
                return
            except stream.TooMuchInput:
                if time.monotonic() >= until:
                    self.refusing = True
                    raise
                await asyncio.sleep(0.01)

    def _line(self) -> connection.Line:
        if self.line.gone:
            self.line = connection.Line()
        return self.line

    async def _extend(self) -> None:
        def extend() -> None:
            mine = Sandbox.of(self.user)
            if mine is None:
                raise BadMessage("no_sandbox")
            mine.extend()

        async with asyncio.timeout(WRITE_SECONDS):
            await in_writer(extend)()
        self.look.set()
        await notices.anotify(self.user.pk)

    async def _active(self) -> None:
        if self.sandbox and time.monotonic() - self.active_at > ACTIVE_SECONDS / 2:
            self.active_at = time.monotonic()
            rows = Sandbox.objects.filter(pk=self.sandbox, owner=self.user, state=Sandbox.State.CLAIMED)
            with contextlib.suppress(DatabaseError):
                await in_writer(rows.update)(active_at=timezone.now())

    # Where the lab stands

    async def _watch(self) -> None:
        """Read the state on notices and every few seconds, the lease every second; the page gets what changed."""
        read_at = 0.0
        while True:
            try:
                if self.look.is_set() or time.monotonic() - read_at > (QUIET_SECONDS if self.listening and self.sandbox else STATE_SECONDS):
                    self.look.clear()
                    if not await self._still_me():
                        return await self.close(SESSION_OVER)
                    self.state = await database_sync_to_async(self._read_state)()
                    read_at = time.monotonic()
                    await self._follow(self.state["sandbox"] if self.state["state"] == "claimed" else None)
                    self.looked.set()
                if self.sandbox:
                    await self._see_to_worker(self.sandbox)
                await self._tell_state()
            except (*connection.Unreachable, DatabaseError) as down:
                log.warning("a page waits: %s", down)
                await self.line.close()  # it would notice with the next key only, and lose it
                if self.sandbox and self.state:
                    self.worker = "down"
                    await self._tell_state()
            hurry = self.sandbox and self.worker == "starting"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1 if hurry else 1.0):
                    await self.look.wait()

    async def _still_me(self) -> bool:
        """Whether the session that this page came with is still its student's: signing out, another password or another name ends it."""
        session = self.scope.get("session")
        if session is None or not session.session_key:
            return True
        user = await get_user({"session": session.__class__(session.session_key)})
        return bool(user.pk == self.user.pk)

    def _read_state(self) -> dict[str, Any]:
        state = lab_state(self.user, worker="up")
        if state["state"] == "claimed":
            self.machine = Sandbox.objects.values_list("machine__name", flat=True).get(pk=state["sandbox"])
        return state

    async def _tell_state(self) -> None:
        now = {**self.state, "worker": self.worker, "silent": self.silent} if self.state["state"] == "claimed" else self.state
        if now != self.said:
            self.said = now
            await self.tell(now)
        await self._see_to_network()

    async def _follow(self, sandbox: str | None) -> None:
        """Read this sandbox's log from now on. The first may be one that the page knows; a new one begins with nothing drawn."""
        if sandbox == self.sandbox:
            return
        if self.reader:
            await cancel([self.reader])
        self.replay = self.reader = None
        since, self.since = self.since or {}, {}
        bind_contextvars(sandbox=sandbox)  # for `_watch`, and what it starts
        if sandbox:
            self.worker, self.was_up, self.sandbox_at, self.silent = "starting", False, time.monotonic(), []
            self.replay = Replay(sandbox, since, self._hear, self.view_due)
            self.reader = asyncio.create_task(self.replay.follow(self.user))

    async def _see_to_network(self) -> None:
        """Tell this page of the network of the sandbox that it was told it has: a new one comes after the page knows of it."""
        if self.wishes != self.shows and self.looks.spare():  # else it is seen to a moment later, and only what the page wants then
            self.shows = self.wishes
            self.view_due.set()
        shown = self.sandbox or "" if self.shows and self.said.get("sandbox") == self.sandbox else ""
        if shown != self.shown:
            self.shown, watcher = shown, self.watcher
            self.watcher = asyncio.create_task(Watching(shown, self.tell).follow()) if shown else None
            if watcher:
                await cancel([watcher])

    async def _see_to_worker(self, sandbox: str) -> None:
        """Whether somebody carries the sandbox; if not, ask for it."""
        r = connection.client()
        carried, self.silent = await lease.look(r, sandbox)
        if carried:
            if self.worker != "up":
                self.view_due.set()  # a new worker does not know who looks
            self.worker, self.was_up = "up", True
            return
        late = time.monotonic() - self.sandbox_at > STARTING_SECONDS
        self.worker = "down" if self.was_up or late else "starting"
        if await lease.may_ask(r, sandbox):
            await database_sync_to_async(start_attach, thread_sensitive=False)(sandbox, self.machine)

    async def _listen(self) -> None:
        """Notices through the channel layer; while it is away, `_watch` looks by itself."""
        layer = get_channel_layer()
        while layer is not None:
            channel = ""
            try:
                channel = await layer.new_channel()
                await layer.group_add(notices.group(self.user.pk), channel)
                self.listening = True
                self.look.set()
                while True:
                    await layer.receive(channel)
                    self.look.set()
            except Exception as down:  # whatever is behind the layer has errors of its own
                log.info("no notices for a page: %s", down)
                await asyncio.sleep(1)
            finally:
                self.listening = False
                if channel:
                    with contextlib.suppress(Exception):
                        async with asyncio.timeout(1):  # without Redis it would wait for it
                            await layer.group_discard(notices.group(self.user.pk), channel)

    # Who looks

    async def _present(self) -> None:
        """Tell the worker that this page looks, and how far it has drawn: what came meanwhile goes in one message."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PRESENT_SECONDS):
                    await self.view_due.wait()
            self.view_due.clear()
            if self.replay:
                await self._tell_view(self.replay.acks)

    async def _tell_view(self, acks: dict[str, int], gone: bool = False) -> None:
        if self.sandbox:
            with contextlib.suppress(stream.TooMuchInput, *connection.Unreachable):
                await stream.send_input(self._line(), self.sandbox, {"type": "view", "viewer": self.viewer, "acks": acks, "gone": gone, "network": self.shows})


def language_of(scope: dict[str, Any]) -> str:
    """In which the page of this socket speaks: by the cookie of its choice, or as its browser says."""
    request = HttpRequest()
    request.COOKIES = scope.get("cookies", {})
    request.META["HTTP_ACCEPT_LANGUAGE"] = dict(scope.get("headers", [])).get(b"accept-language", b"").decode("latin-1")
    return translation.get_language_from_request(request)


def start_attach(sandbox: str, machine: str) -> None:
    """Have the sandbox's own machine carry it. Stale requests are worth nothing: a page asks again."""
    try:
        orders.ATTACH.apply_async((sandbox,), queue=f"attach@{machine}", expires=10, retry=False)
    except OperationalError as down:
        raise ConnectionError(str(down)) from down
