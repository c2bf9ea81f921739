"""The worker's end of an agent's socket. Everything that comes from there is written by a student who is root.

The socket is found safely (the folder is the student's to write), each frame is held to its schema, and one that breaks
it ends the connection. Must not know: Redis, the database.
"""
import asyncio
import os
import select
import socket
import stat
import uuid
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from netcontrol.agent.limits import MAX_BLOCK, MAX_NAME, MAX_OFFSET, MAX_PLACES, MAX_SHELLS, MAX_TEXT, READ_AGENT
from netcontrol.agent.protocol import BadFrame, Frames, message, parse_message, parse_network, parse_output

DIAL_SECONDS = 5.0
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def dock_path(sandbox_id: uuid.UUID, host_name: str) -> Path:
    """The folder that is /run/patchbay in this host."""
    return settings.DOCKS / f"{sandbox_id.hex[:12]}-{host_name}"


def open_socket(dock: Path) -> socket.socket:
    """Connect to the agent's socket, and to nothing that a student may have put in its place. Raises OSError."""
    folder = os.open(dock, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.open("agent.sock", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        if not stat.S_ISSOCK(os.fstat(found).st_mode):
            raise FileNotFoundError(f"no socket in {dock}")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(f"/proc/self/fd/{found}")
        except BaseException:
            sock.close()
            raise
        return sock
    finally:
        os.close(found)


class Link:
    """One connection to an agent: `send` messages, iterate over `frames`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer
        self.cutter = Frames(b"JON")

    def send(self, type: str, **fields: Any) -> None:
        """Into nothing when the connection has just been lost: whoever reads is told, and says what matters on the next one."""
        if not self.writer.is_closing():
            self.writer.write(message(type, **fields))

    async def drain(self) -> None:
        await self.writer.drain()

    async def read(self) -> Iterator[tuple[str, Any]]:
        """What came: ("O", (shell, offset, data)), ("J", message) and ("N", (head, body)), each checked when it is asked for: thousands of tiny
        ones would take long at once. A body is as it came: it is read elsewhere. Raises BadFrame (also while iterating), EOFError, OSError."""
        data = await self.reader.read(READ_AGENT)
        if not data:
            raise EOFError("the agent closed the connection")
        return ((kind, READ[kind](body)) for kind, body in self.cutter.feed(data))

    @property
    def hung_up(self) -> bool:
        """The other end has been closed, though what it said before may not all be read."""
        sock = self.writer.get_extra_info("socket")
        if sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def close(self) -> None:
        self.writer.close()


async def dial(dock: Path) -> Link:
    """A connection to the agent of this dock. Raises OSError or TimeoutError."""
    sock = open_socket(dock)
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            reader, writer = await asyncio.open_unix_connection(sock=sock, limit=READ_AGENT)
    except BaseException:
        sock.close()
        raise
    writer.transport.set_write_buffer_limits(high=READ_AGENT)
    return Link(reader, writer)


async def execute(dock: Path, seconds: float, script: str | None = None, argv: list[str] | None = None) -> dict[str, Any]:
    """Run a shell snippet, or a program, in a host outside of any terminal.

    Returns {"exit_code" (None: its time was over), "timed_out", "truncated", "duration_ms", "out": bytes, "err": bytes}.
    Raises OSError, TimeoutError, BadFrame, EOFError when the host does not answer.
    """
    link = await dial(dock)
    try:
        what: dict[str, Any] = {"script": script} if script is not None else {"argv": argv}
        link.send("execute", request="1", seconds=seconds, **what)
        async with asyncio.timeout(seconds + DIAL_SECONDS):
            while True:
                for kind, m in await link.read():
                    if kind == "J" and m["type"] == "execute.done":
                        try:
                            return {**m, "out": b64decode(m["out"], validate=True), "err": b64decode(m["err"], validate=True)}
                        except ValueError:
                            raise BadFrame("output that is not base64") from None
                    if kind == "J" and m["type"] == "execute.refused":
                        raise OSError(m["why"])
                    raise BadFrame("it was asked one thing, and says another")
    finally:
        link.close()


# What an agent may say: type -> field -> test

def _number(most: float):
    return lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= most


def _count(most: int):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= most


def _text(most: int):
    return lambda v: isinstance(v, str) and len(v) <= most


def _name(v: Any) -> bool:
    return isinstance(v, str) and 0 < len(v) <= 32 and NAME.issuperset(v)


def _shells(v: Any) -> bool:
    return isinstance(v, list) and len(v) <= MAX_SHELLS and all(isinstance(s, dict) and _fits(s, SHELL) for s in v)


def _input_id(v: Any) -> bool:
    parts = v.split("-") if isinstance(v, str) and len(v) < 42 else []
    return len(parts) == 2 and all(p.isascii() and p.isdigit() for p in parts)


def _ended(v: Any) -> bool:
    """The last command of each shell that had ended: [[shell, number], …]."""
    return isinstance(v, list) and len(v) <= MAX_PLACES and all(isinstance(pair, list) and len(pair) == 2 and _name(pair[0]) and SEQ(pair[1]) for pair in v)


ERRORS = ("busy", "unknown_shell", "too_many_shells", "too_long")
OFFSET, SEQ, CODE, PID = _count(MAX_OFFSET), _count(MAX_OFFSET), lambda v: v is None or _count(255)(v), _count(2**31)
FLAG = lambda v: isinstance(v, bool)  # noqa: E731
TITLE = lambda v: _text(MAX_NAME)(v) and v.isprintable()  # noqa: E731
SHELL = {"shell": _name, "name": TITLE, "pid": PID, "open": FLAG, "begin": OFFSET, "end": OFFSET, "running": lambda v: v is None or SEQ(v)}
SCHEMA: dict[str, dict[str, Any]] = {
    "welcome": {"boot": lambda v: _text(32)(v) and v.isalnum(), "last_input": _input_id, "shells": _shells},
    "displaced": {},
    "taken": {"id": _input_id},
    "shell.opened": {"shell": _name, "offset": OFFSET, "end": OFFSET, "pid": PID, "seq": SEQ},
    "shell.closed": {"shell": _name, "exit_code": CODE, "asked": FLAG, "seq": SEQ},
    "shell.named": {"shell": _name, "name": TITLE, "seq": SEQ},
    "shell.gap": {"shell": _name, "from": OFFSET, "to": OFFSET},
    "command.started": {"shell": _name, "id": SEQ, "block": _text(MAX_BLOCK), "text": _text(MAX_TEXT), "started_at": _number(2**33), "offset": OFFSET, "seq": SEQ},
    "command.finished": {"shell": _name, "id": SEQ, "block": _text(MAX_BLOCK), "exit_code": CODE, "duration_ms": _number(2**40), "offset": OFFSET, "seq": SEQ},
    "error": {"code": lambda v: v in ERRORS, "shell": _name, "block": _text(MAX_BLOCK)},
    "execute.done": {
        "request": _text(64), "exit_code": CODE, "timed_out": FLAG, "truncated": FLAG, "duration_ms": _number(2**40), "out": _text(2**19), "err": _text(2**19)
    },
    "execute.refused": {"request": _text(64), "why": _text(1000)},
    "network.snapshot": {"n": SEQ, "taken_at": _number(2**33), "took_ms": _number(2**40), "after": _ended, "failed": _text(200)},
}  # fmt: skip


def _output(body: bytes) -> tuple[str, int, bytes]:
    shell, offset, data = parse_output(body)
    if not _name(shell) or offset > MAX_OFFSET:
        raise BadFrame("output of no shell, or at no offset")
    return shell, offset, data


def _fits(value: dict, schema: dict) -> bool:
    return all(field in value and test(value[field]) for field, test in schema.items())


def validate(m: dict[str, Any]) -> dict[str, Any]:
    """The message with the fields that it may have. Raises BadFrame."""
    schema = SCHEMA.get(m["type"])
    if schema is None or not _fits(m, schema):
        raise BadFrame(f"the agent said something that is not in the protocol: {m['type'][:40]!r}")
    kept = {"type": m["type"], **{field: m[field] for field in schema}}
    if m["type"] == "error" and isinstance(m.get("seq"), int):
        kept["seq"] = m["seq"]
    if m["type"] == "welcome":
        kept["watches"] = m.get("watches") is True
    return kept


def _network(frame: bytes) -> tuple[dict[str, Any], bytes]:
    head, body = parse_network(frame)
    if head["type"] != "network.snapshot":
        raise BadFrame("a body without what it is the body of")
    return validate(head), body


def _message(frame: bytes) -> dict[str, Any]:
    m = validate(parse_message(frame))
    if m["type"] == "network.snapshot":
        raise BadFrame("what an observer saw comes in a frame of its own kind")
    return m


READ = {"O": _output, "J": _message, "N": _network}
