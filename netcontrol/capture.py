"""What one running command has printed: its beginning, its end, and how much it was. Bytes only, by their offsets.

Must not know: shells, Redis, the database, what the bytes mean (plain.py makes text of them).
"""
from typing import NamedTuple

from netcontrol.agent.limits import HEAD, TAIL


class Printed(NamedTuple):
    """`head` is the beginning and `tail` what is kept after it, up to the end; `total` counts what is not kept too."""

    head: bytes = b""
    tail: bytes = b""
    total: int = 0

    @property
    def kept(self) -> int:
        return len(self.head) + len(self.tail)

    @property
    def left_out(self) -> int:
        return max(0, self.total - self.kept)

    @property
    def head_is_whole(self) -> bool:
        return len(self.head) == HEAD


class Capture:
    """Fed in order of offsets, whatever the pieces are. What came before is dropped, and a gap is counted."""

    def __init__(self, id: str, begin: int):
        self.id, self.begin = id, begin  # the command's, and where its output begins
        self.end = begin
        self.head, self.tail = bytearray(), bytearray()
        self.in_one_piece = True  # from the beginning on; after a gap, what comes is not the beginning
        self.told = False  # that the head is full

    def add(self, offset: int, data: bytes) -> bool:
        """Take what was printed at `offset`. True once: when the head is full, so that it may be written down."""
        if offset != self.end:
            if offset < self.end:
                data = data[self.end - offset :]
            else:
                self._gap(offset)
        if not data:
            return False
        self.end += len(data)
        rest = data
        if self.in_one_piece and len(self.head) < HEAD:
            room = HEAD - len(self.head)
            self.head += data[:room]
            rest = data[room:]
        if rest:
            self.tail += rest[-TAIL:]
            if len(self.tail) > 2 * TAIL:
                del self.tail[:-TAIL]
        if len(self.head) == HEAD and not self.told:
            self.told = True
            return True
        return False

    def printed(self, end: int | None = None) -> Printed:
        """So far; or in all, when the command's output ended at `end`."""
        if end is not None and end > self.end:
            self._gap(end)
        return Printed(bytes(self.head), bytes(self.tail[-TAIL:]), (self.end if end is None else max(self.begin, end)) - self.begin)

    def _gap(self, to: int) -> None:
        self.in_one_piece = False
        self.tail.clear()  # the tail is what was printed last, without holes
        self.end = to
