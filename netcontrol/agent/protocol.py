"""Frames of the agent's socket. See docs/protocol.md, section 4.

Must not know: sockets, Django. The worker imports this module too.
"""
import json
from collections.abc import Iterator

from .limits import MAX_FRAME, MAX_HEAD, MAX_SNAPSHOT
from .untrusted import Unreadable, read_object


class BadFrame(ValueError):
    """The other side does not speak this protocol."""


def pack(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body


def message(type: str, **fields) -> bytes:
    """A frame with one JSON message."""
    return pack(b"J", json.dumps({"type": type, **fields}, separators=(",", ":")).encode())


def output_body(shell: str, offset: int, data: bytes) -> bytes:
    """Output as the browser gets it too, after its kind byte."""
    name = shell.encode()
    return bytes((len(name),)) + name + offset.to_bytes(8, "big") + data


def output(shell: str, offset: int, data: bytes) -> bytes:
    return pack(b"O", output_body(shell, offset, data))


def network(head: dict, body: bytes = b"") -> bytes:
    """What the observer saw: `body` is JSON, and empty when it is the same as before. It is a frame of its own kind so that nobody parses it on the way."""
    said = json.dumps({"type": "network.snapshot", **head}, separators=(",", ":")).encode()
    return pack(b"N", len(said).to_bytes(4, "big") + said + body)


def parse_network(frame: bytes) -> tuple[dict, bytes]:
    """The head, as a message, and the body as it came."""
    size = int.from_bytes(frame[:4], "big")
    if not 0 < size <= min(len(frame) - 4, MAX_HEAD) or len(frame) - 4 - size > MAX_SNAPSHOT:
        raise BadFrame("what the observer saw has no head, or too much of it")
    return parse_message(frame[4 : 4 + size]), frame[4 + size :]


def parse_output(body: bytes) -> tuple[str, int, bytes]:
    n = body[0] if body else 0
    if not 0 < n <= 32 or len(body) < 1 + n + 8:
        raise BadFrame("short output frame")
    try:
        name = body[1 : 1 + n].decode("ascii")
    except UnicodeDecodeError:
        raise BadFrame("a shell's name is not ASCII") from None
    return name, int.from_bytes(body[1 + n : 9 + n], "big"), body[9 + n :]


def parse_message(body: bytes) -> dict:
    try:
        value = read_object(body, MAX_FRAME)
    except Unreadable as odd:
        raise BadFrame(str(odd)) from None
    if not isinstance(value.get("type"), str):
        raise BadFrame("not a message")
    return value


class Frames:
    """Cuts a stream of bytes into frames, whatever the pieces it comes in. Holds at most one frame and one read."""

    def __init__(self, kinds: bytes = b"J"):
        self.buffer, self.kinds = bytearray(), kinds

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """What is whole now, each cut when it is asked for: one read may hold tens of thousands. To be asked for all, before more is fed."""
        buffer, at = self.buffer, 0
        buffer += data
        try:
            while len(buffer) - at >= 5:
                size = int.from_bytes(buffer[at : at + 4], "big")
                if size > MAX_FRAME or buffer[at + 4] not in self.kinds:
                    raise BadFrame("too long, or of an unknown kind")
                if len(buffer) - at < 5 + size:
                    break
                at += 5 + size
                yield chr(buffer[at - size - 1]), bytes(buffer[at - size : at])
        finally:
            del buffer[:at]
