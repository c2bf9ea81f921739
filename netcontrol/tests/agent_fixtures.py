"""A real agent on this machine, a real Redis on a socket of its own, and a page without a browser. Nothing is mocked but Celery."""
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.db import OperationalError
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from netcontrol import attach
from netcontrol.agent.protocol import message, parse_output
from netcontrol.cancel import cancel
from netcontrol.consumers import LabConsumer
from netcontrol.dial import Link, dial, dock_path
from netcontrol.models import Host, Machine, Sandbox

AGENT = Path(__file__).parent.parent / "agent" / "__main__.py"
PATIENCE = 10.0


def db(call):
    """As database_sync_to_async; SQLite in memory refuses where a file would wait, so it is tried again."""

    async def tried(*arguments, **named):
        for _ in range(50):
            try:
                return await database_sync_to_async(call)(*arguments, **named)
            except OperationalError as locked:
                if "locked" not in str(locked):
                    raise
                await asyncio.sleep(0.02)
        raise AssertionError("the database stays locked")

    return tried


async def until(true, seconds: float = PATIENCE):
    """Wait for a condition that nothing announces."""
    async with asyncio.timeout(seconds):
        while not (value := true()):
            await asyncio.sleep(0.01)
        return value


class AgentProcess:
    """The agent as it runs in a host, but with a home and a socket folder of the test's."""

    def __init__(self, dock: Path, home: Path, world: tuple[str, ...] = ()):
        """`world`: what the agent is started by."""
        self.dock, self.home, self.world, self.process = dock, home, world, None
        dock.mkdir(parents=True, exist_ok=True)
        home.mkdir(parents=True, exist_ok=True)

    def start(self) -> "AgentProcess":
        path = self.dock / "agent.sock"
        path.unlink(missing_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.process = subprocess.Popen([*self.world, sys.executable, "-IS", str(AGENT), "--socket", str(path)], env=environment)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                return self
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.01)

    def stop(self, how: int = signal.SIGKILL) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(5)


class Redis:
    """A private redis-server that forgets everything when it is killed."""

    def __init__(self, folder: Path):
        self.socket = folder / "redis.sock"
        self.process = None

    def start(self) -> "Redis":
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no", "--dir", str(self.socket.parent)],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE
        client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))
        while True:
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                return self
            assert time.monotonic() < end
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(5)
            self.process = None
            self.socket.unlink(missing_ok=True)


@pytest.fixture
def private_redis(tmp_path, settings):
    server = Redis(tmp_path).start()
    settings.REDIS_URL = f"unix://{server.socket}"
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [settings.REDIS_URL], "prefix": "pb:test"}}
    }
    yield server
    server.kill()


@pytest.fixture
def agent(tmp_path):
    process = AgentProcess(tmp_path / "dock", tmp_path / "home").start()
    yield process
    process.stop()


def make_sandbox(owner, layout: str = "lab") -> Sandbox:
    machine, _ = Machine.objects.get_or_create(name="here", defaults={"capacity": 10, "wires": 10})
    now = timezone.now()
    wire = Sandbox.objects.count()
    sandbox = Sandbox.objects.create(
        machine=machine, owner=owner, state=Sandbox.State.CLAIMED, layout=layout, wire=wire, claimed_at=now, active_at=now, ends_at=now + timedelta(hours=1)
    )
    for n, name in enumerate(sandbox.host_names):
        Host.objects.create(sandbox=sandbox, name=name, address=f"10.73.0.{2 + n}")
    return sandbox


@pytest.fixture
def docks(tmp_path, settings):
    settings.DOCKS = tmp_path / "docks"
    started: list[AgentProcess] = []

    def start(sandbox: Sandbox, host: str = "lab") -> AgentProcess:
        started.append(AgentProcess(dock_path(sandbox.pk, host), tmp_path / "home").start())
        return started[-1]

    yield start
    for process in started:
        process.stop()


class Talk:
    """One worker's conversation with an agent, with what came kept in order."""

    def __init__(self, link: Link):
        self.link, self.came, self.text, self.n = link, [], {}, 0

    @classmethod
    async def to(cls, dock: Path, **attach_fields) -> "Talk":
        talk = cls(await dial(dock))
        talk.link.send("attach", **{"epoch": "e", "boot": "", "since": {}, **attach_fields})
        talk.welcome = await talk.get("welcome")
        return talk

    def send(self, type: str, **fields) -> None:
        self.n += 1
        self.link.send(type, id=f"{time.time_ns()}-{self.n}", **fields)

    async def more(self) -> None:
        for kind, value in await self.link.read():
            self.came.append((kind, value))
            if kind == "O":
                shell, offset, data = value
                before = self.text.setdefault(shell, (offset, b""))
                assert before[0] + len(before[1]) == offset, "a byte is missing, or came twice"
                self.text[shell] = (before[0], before[1] + data)

    async def get(self, type: str, seconds: float = PATIENCE, **fields):
        async with asyncio.timeout(seconds):
            while True:
                for at, (kind, value) in enumerate(self.came):
                    if kind == "J" and value["type"] == type and all(value.get(key) == wanted for key, wanted in fields.items()):
                        del self.came[at]
                        return value
                await self.more()

    def printed(self, shell: str = "main") -> bytes:
        return self.text.get(shell, (0, b""))[1]

    async def see(self, wanted: bytes, shell: str = "main", seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while wanted not in self.printed(shell):
                await self.more()

    async def open(self, shell: str = "main") -> dict:
        self.send("shell.open", shell=shell, cols=80, rows=24)
        opened = await self.get("shell.opened", shell=shell)
        await self.see(b"# ", shell)
        return opened

    async def run(self, text: str, shell: str = "main", block: str = "b", seconds: float = PATIENCE) -> dict:
        self.send("run", shell=shell, block=block, text=text)
        return await self.get("command.finished", shell=shell, seconds=seconds)


class Carrying:
    """`carry` on this loop, to be killed as a process would be."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox, self.task = sandbox, None

    def start(self) -> "Carrying":
        self.task = asyncio.create_task(attach.carry_async(str(self.sandbox.pk)))
        return self

    async def kill(self) -> None:
        assert self.task
        async with asyncio.timeout(PATIENCE):
            await cancel([self.task])


class Page:
    """What the browser does: keeps what it has drawn, acknowledges it, remembers events."""

    def __init__(self, communicator):
        self.socket, self.events, self.drawn, self.begun, self.acknowledges = communicator, [], {}, {}, True
        self.changed = asyncio.Event()
        self.task = None

    @classmethod
    async def open(cls, user, since: dict | None = None, hello: bool = True, **scope) -> "Page":
        communicator = ApplicationCommunicator(LabConsumer.as_asgi(), {"type": "websocket", "path": "/ws/lab/", "user": user, **scope})
        await communicator.send_input({"type": "websocket.connect"})
        assert (await communicator.receive_output(5))["type"] == "websocket.accept"
        page = cls(communicator)
        page.task = asyncio.create_task(page._listen())
        if hello:
            await page.send("hello", since=since or {})
        return page

    async def _listen(self) -> None:
        try:
            await self._take()
        finally:
            self.changed.set()

    async def _take(self) -> None:
        while True:
            got = await self.socket.receive_output(timeout=1000)
            if got["type"] == "websocket.close":
                self.events.append({"type": "closed", "code": got.get("code")})
            elif got.get("bytes"):
                assert got["bytes"][0] == 1
                shell, offset, data = parse_output(got["bytes"][1:])
                at = self.begun.setdefault(shell, offset) + len(self.drawn.get(shell, b""))
                assert offset == at, f"{shell}: {offset} came where {at} follows"
                self.drawn[shell] = self.drawn.get(shell, b"") + data
                if self.acknowledges:
                    await self.send("shell.ack", shell=shell, offset=offset + len(data))
            else:
                m = json.loads(got["text"])
                if m["type"] == "shell.gap" and m["shell"] in self.begun:  # what follows goes on behind it
                    self.begun[m["shell"]] = m["to"] - len(self.drawn[m["shell"]])
                self.events.append(m)
            self.changed.set()

    async def send(self, type: str, **fields) -> None:
        await self.socket.send_input({"type": "websocket.receive", "text": json.dumps({"type": type, **fields})})

    async def get(self, type: str, seconds: float = PATIENCE, **fields) -> dict:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for at, event in enumerate(self.events):
                        if event["type"] == type and all(event.get(key) == wanted for key, wanted in fields.items()):
                            return self.events.pop(at)
                    assert not self.task.done(), self.task.exception()
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {type} {fields} within {seconds:g} s, but {self.events} and {self.drawn}") from None

    async def see(self, wanted: bytes, shell: str = "main", seconds: float = PATIENCE) -> bytes:
        async with asyncio.timeout(seconds):
            while wanted not in self.drawn.get(shell, b""):
                assert not self.task.done(), self.task.exception()
                self.changed.clear()
                await self.changed.wait()
        return self.drawn[shell]

    async def shell(self, shell: str = "main", host: str = "lab") -> dict:
        await self.send("shell.open", host=host, shell=shell, cols=80, rows=24)
        opened = await self.get("shell.opened", shell=shell)
        await self.see(b"# ", shell)
        return opened

    async def run(self, text: str, shell: str = "main", block: str = "b", seconds: float = PATIENCE) -> dict:
        await self.send("run", shell=shell, block=block, text=text)
        return await self.get("command.finished", seconds=seconds, shell=shell, block=block)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.socket.wait(5)


__all__ = ["AgentProcess", "Carrying", "Page", "Redis", "Talk", "agent", "db", "docks", "make_sandbox", "message", "private_redis", "until", "uuid"]
