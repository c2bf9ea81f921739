"""Frames of the agent's socket. See docs/protocol.md, section 4.

Must not know: sockets, Django. The worker imports this module too.
"""
import json

from .limits import MAX_FRAME


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
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadFrame("not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise BadFrame("not a message")
    return value


class Frames:
    """Cuts a stream of bytes into frames, whatever the pieces it comes in. Holds at most one frame and one read."""

    def __init__(self, kinds: bytes = b"J"):
        self.buffer, self.kinds = bytearray(), kinds

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        buffer, found, at = self.buffer, [], 0
        buffer += data
        while len(buffer) - at >= 5:
            size = int.from_bytes(buffer[at : at + 4], "big")
            if size > MAX_FRAME or buffer[at + 4] not in self.kinds:
                raise BadFrame("too long, or of an unknown kind")
            if len(buffer) - at < 5 + size:
                break
            found.append((chr(buffer[at + 4]), bytes(buffer[at + 5 : at + 5 + size])))
            at += 5 + size
        del buffer[:at]
        return found
