"""A page that stays: keeps every byte of every shell by its offset, comes back by itself, and may be mistreated on the way.

It holds the server to the protocol with every frame: on one connection bytes follow on bytes, and on what the page said it has.
Must not know more than a browser would.
"""
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from labsite.client import Guest, Network
from netcontrol.agent.limits import ACK_EVERY
from netcontrol.agent.protocol import parse_output

Event = dict[str, Any]
RECONNECT = 0.1  # seconds between two attempts


class Broken(AssertionError):
    """The server broke the protocol."""


class Page:
    """One page of this guest. `begin` and `kept`: what each shell printed, and from which offset on."""

    def __init__(self, guest: Guest, *shells: str, host: str = "lab", forgets: bool = False, since: dict[str, int] | None = None, watches: bool = False):
        self.watches, self.network = watches, Network()  # it shows the network
        self.forgets = forgets  # its host is hostile: it may be told that a shell is another one, and more than once how it ended
        self.handshake, self.host, self.shells = guest.handshake(), host, shells
        self.begin: dict[str, int] = dict(since or {})
        self.kept: dict[str, bytearray] = {shell: bytearray() for shell in self.begin}
        self.acked: dict[str, int] = {}
        self.gaps: list[Event] = []
        self.events: list[Event] = []
        self.started: dict[str, Event] = {}  # command's id -> how it started
        self.finished: dict[str, Event] = {}
        self.opened: set[str] = set()  # shells, on this connection
        self.connections, self.broken = 0, None
        self.socket: Any = None
        self.may_connect, self.may_read, self.over = threading.Event(), threading.Event(), threading.Event()
        self.may_connect.set(), self.may_read.set()
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._live, daemon=True, name=f"page {id(self):x}")
        self.thread.start()

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set(), self.may_read.set(), self.may_connect.set()
        self.drop()
        self.thread.join(10)

    # What it has

    def end(self, shell: str) -> int:
        return self.begin.get(shell, 0) + len(self.kept.get(shell, b""))

    def until(self, true: Callable[[], Any], seconds: float = 30, what: str = "it") -> Any:
        """Wait for something in what came. Fails when it does not come, or when the server broke the protocol."""
        end = time.monotonic() + seconds
        with self.news:
            while not (value := true()):
                self.sound()
                if not self.news.wait(max(0.0, end - time.monotonic())):
                    raise TimeoutError(f"{what} did not come within {seconds:g} s; {self.connections} connections, errors: {[m for m in self.events if m['type'] == 'error']}; the end of what did: { {s: bytes(k[-200:]) for s, k in self.kept.items()} }")
            return value

    def sound(self) -> None:
        if self.broken:
            raise self.broken

    def see(self, wanted: bytes, shell: str, seconds: float = 30, after: int = 0) -> None:
        """Wait until these bytes are there, at `after` or later."""
        self.until(lambda: wanted in self.kept.get(shell, b"")[max(0, after - self.begin.get(shell, 0)) :], seconds, f"{wanted!r} in {shell}")

    def ran(self, text: str) -> str:
        """The id of the command with this text that started, or ""."""
        return next((id for id, event in list(self.started.items()) if event["text"] == text), "")

    def changed_by(self, command: str) -> Event | None:
        """The change of the network after which it was answered for this command (its id)."""
        return next((m for m in self.network.changes if command == m["after_command"] or command in m["also_after"]), None)

    # What it says

    def send(self, type: str, **fields: Any) -> bool:
        """True when it went out. What cannot go out is refused, never kept."""
        line = self.socket
        if line is None:
            return False
        try:
            line.send(json.dumps({"type": type, **fields}))
            return True
        except (ConnectionClosed, OSError):
            self.socket = None
            return False

    # What may be done to it

    def drop(self, politely: bool = True) -> None:
        """Lose the connection, with a close frame or without a word."""
        line = self.socket
        if line is None:
            return
        if politely:
            with contextlib.suppress(Exception):
                line.close()
            return
        with contextlib.suppress(OSError):
            line.socket.shutdown(socket.SHUT_RDWR)

    # Its life

    def _live(self) -> None:
        while not self.over.is_set():
            self.may_connect.wait()
            try:
                line = connect(**self.handshake, max_size=2**21, open_timeout=5, close_timeout=0.5, max_queue=2, proxy=None, legacy=True)
            except Exception:  # whatever a dying or starting web answers
                self.over.wait(RECONNECT)
                continue
            try:
                line.send(json.dumps({"type": "hello", "since": {shell: self.end(shell) for shell in self.kept}}))
                if self.watches:
                    line.send(json.dumps({"type": "network.watch", "on": True}))
                    self.network.graph = None  # a page that comes back begins with the whole
                self.opened.clear()
                self.told: set[tuple[str, str]] = set()  # (id, type) of events of commands, on this connection
                self.socket = line
                self.connections += 1
                if self.over.is_set():
                    line.close()
                while True:
                    self.may_read.wait()
                    self._take(line.recv())
            except (ConnectionClosed, OSError):
                pass
            except Exception as broken:
                self.broken = broken
                self.over.set()
            finally:
                self.socket = None
                with contextlib.suppress(Exception):
                    line.close()
                with self.news:
                    self.news.notify_all()

    def _take(self, frame: str | bytes) -> None:
        with self.news:
            if isinstance(frame, str):
                self._event(json.loads(frame))
            else:
                self._output(frame)
            self.news.notify_all()

    def _output(self, frame: bytes) -> None:
        shell, offset, data = parse_output(frame[1:])
        if shell not in self.kept:
            self.begin[shell], self.kept[shell] = offset, bytearray()
        if offset != self.end(shell) or not data:
            raise Broken(f"{shell}: {len(data)} bytes at {offset} came where {self.end(shell)} follows")
        self.kept[shell] += data
        if self.end(shell) - self.acked.setdefault(shell, offset) >= ACK_EVERY:
            self.acked[shell] = self.end(shell)
            self.send("shell.ack", shell=shell, offset=self.end(shell))

    def _event(self, m: Event) -> None:
        self.events.append(m)
        try:
            self.network.hear(m)
        except ValueError as wrong:
            raise Broken(str(wrong)) from wrong
        match m["type"]:
            case "sandbox.state":
                if m["state"] == "claimed" and m["worker"] == "up":
                    for shell in self.shells:
                        if shell not in self.opened:
                            self.send("shell.open", shell=shell, host=self.host, cols=200, rows=50)
            case "shell.opened":
                if m["end"] < self.end(m["shell"]) and self.forgets:
                    self.begin[m["shell"]], self.kept[m["shell"]] = m["offset"], bytearray()
                elif m["end"] < self.end(m["shell"]):
                    raise Broken(f"told to forget what was drawn of {m['shell']}, {self.end(m['shell'])} bytes: {m}")
                self.opened.add(m["shell"])
            case "shell.closed":
                self.opened.discard(m["shell"])
            case "shell.gap":
                if m["from"] < self.end(m["shell"]) or m["to"] <= m["from"]:
                    raise Broken(f"a gap in what came already, at {self.end(m['shell'])}: {m}")
                self.gaps.append(m)
                self.begin[m["shell"]], self.kept[m["shell"]] = m["to"], bytearray()
            case "commands":
                for row in m["commands"]:
                    over = row["duration_ms"] is not None
                    self.started.setdefault(row["id"], row)
                    self.told |= {(row["id"], "command.started"), *([(row["id"], "command.finished")] if over else [])}
                    if over:
                        self.finished.setdefault(row["id"], row)
            case "command.started" | "command.finished":
                if (m["id"], m["type"]) in self.told and not self.forgets:
                    raise Broken(f"told twice on one connection: {m}")
                self.told.add((m["id"], m["type"]))
                (self.started if m["type"] == "command.started" else self.finished)[m["id"]] = m
