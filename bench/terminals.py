"""Terminals as a benchmark sees them: text goes in, bytes come out. `Ours` over the page's own WebSocket, `Peer` over terminado's.

Both are driven by the same client library in one event loop, and both count only what is in the client's hands.
"""
import asyncio
import contextlib
import json
import os
import socket as sockets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import uvloop
import websockets
from django.conf import settings

from bench.lab import BASE
from labsite import processes
from labsite.client import Guest
from netcontrol.agent.limits import ACK_EVERY
from netcontrol.errors import LabError

KEPT = 8192  # of what came, to look for a word in
MAX_FRAME = 16 * 2**20
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """In an event loop of its own: whoever calls is not in one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class Terminal:
    def __init__(self, socket: websockets.ClientConnection):
        self.socket = socket
        self.bytes, self.kept = 0, b""

    def took(self, data: bytes) -> None:
        self.bytes += len(data)
        self.kept = (self.kept + data[-KEPT:])[-KEPT:]

    async def until(self, word: bytes, seconds: float = 10) -> None:
        """Until this was printed after the last `type`."""
        async with asyncio.timeout(seconds):
            while word not in self.kept:
                await self.read()

    async def type(self, text: str) -> None:
        self.kept = b""
        await self.send(text)

    async def quiet(self, seconds: float = 0.3) -> None:
        """Until nothing has come for so long."""
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(seconds):
                    await self.read()

    async def read(self) -> None:
        raise NotImplementedError

    async def send(self, text: str) -> None:
        raise NotImplementedError

    async def echo(self, key: str) -> float:
        """Milliseconds from this key to its echo."""
        began = time.perf_counter()
        await self.type(key)
        await self.until(key.encode())
        return (time.perf_counter() - began) * 1000


class Ours(Terminal):
    drawn = acked = finished = 0

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def send(self, text: str) -> None:
        await self.say(type="shell.input", shell="lab", data=text)

    async def read(self) -> None:
        frame = await self.socket.recv()
        if isinstance(frame, bytes):
            name = 2 + frame[1]
            self.took(frame[name + 8 :])
            self.drawn = int.from_bytes(frame[name : name + 8], "big") + len(frame) - name - 8
            if self.drawn - self.acked >= ACK_EVERY:
                self.acked = self.drawn
                await self.say(type="shell.ack", shell="lab", offset=self.drawn)
        elif json.loads(frame)["type"] == "command.finished":
            self.finished += 1


class Peer(Terminal):
    async def send(self, text: str) -> None:
        await self.socket.send(json.dumps(["stdin", text]))

    async def read(self) -> None:
        kind, *rest = json.loads(await self.socket.recv())
        if kind == "stdout":
            self.took(rest[0].encode())


@contextlib.asynccontextmanager
async def ours(guest: Guest) -> AsyncIterator[Ours]:
    """The first shell of this guest's lab, which is claimed already, at its prompt."""
    async with websockets.connect(**guest.handshake(), max_size=MAX_FRAME) as socket:
        terminal = Ours(socket)
        await terminal.say(type="hello", since={})
        await terminal.say(type="shell.open", host="lab", shell="lab", cols=80, rows=24)
        await terminal.until(b"# ", 20)
        yield terminal


@contextlib.contextmanager
def peer_server() -> Iterator[int]:
    """terminado on a port of its own, as a process of its own, with the engine that ours has."""
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "DOCKER_HOST": f"unix://{settings.ENGINE_SOCKET}"}
    server = subprocess.Popen([sys.executable, "-m", "bench.terminado_server", str(port)], cwd=BASE, env=env)
    try:
        processes.wait(lambda: listens(port), 20, LabError("peer", "terminado did not start.", "See what it said above."))
        yield port
    finally:
        server.terminate()
        server.wait(10)


def listens(port: int) -> bool:
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def peer(port: int, host: str) -> AsyncIterator[Peer]:
    async with websockets.connect(f"ws://127.0.0.1:{port}/{host}", compression=None, max_size=MAX_FRAME, open_timeout=20) as socket:
        terminal = Peer(socket)
        await socket.send(json.dumps(["set_size", 24, 80]))
        await terminal.until(b"# ", 20)
        yield terminal
