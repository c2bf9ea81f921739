"""Finds the shell's own marks (OSC 133 with the shell's nonce) in what a PTY prints, and takes them out.

A mark is `ESC ] 133 ; letter ; nonce ; field ; … BEL`. Printed text cannot know the nonce, so it can neither fake a mark
nor end one early: whatever is not ours stays in the output as it is. Must not know what a mark means.
"""

from .limits import MAX_MARK

ESC = 0x1B


class Marks:
    """Feed it what the PTY gave; get back text (bytes) and marks (lists of fields, letter first), in order."""

    def __init__(self, nonce: str):
        self.start = b"\x1b]133;"
        self.nonce = nonce.encode()
        self.held = b""  # the beginning of what may be a mark

    def feed(self, data: bytes) -> list:
        if not self.held and ESC not in data:
            return [data] if data else []
        data, self.held = self.held + data, b""
        parts: list = []
        text, at = bytearray(), 0
        head = len(self.start) + 2 + len(self.nonce)  # through the nonce: `ESC]133;C;nonce`
        while True:
            esc = data.find(b"\x1b", at)
            if esc < 0:
                text += data[at:]
                break
            text += data[at:esc]
            seen = data[esc : esc + head + 1]
            if not self._ours(seen):
                text.append(ESC)
                at = esc + 1
                continue
            end = data.find(b"\x07", esc + head) if len(seen) > head else -1
            if end < 0 or end - esc > MAX_MARK:
                if len(data) - esc > MAX_MARK:  # never ends: not a mark after all, and its nonce is not to be seen
                    at = esc + head
                    continue
                self.held = data[esc:]
                break
            if text:
                parts.append(bytes(text))
                text.clear()
            fields = data[esc + len(self.start) : end].split(b";")
            parts.append([fields[0].decode("latin-1"), *fields[2:]])
            at = end + 1
        if text:
            parts.append(bytes(text))
        return parts

    def rest(self) -> bytes:
        """Nothing more will come: what was held after all, unless it shows the nonce."""
        held, self.held = self.held, b""
        return b"" if self.nonce in held else held

    def _ours(self, seen: bytes) -> bool:
        """Whether this, as far as it goes, begins one of our marks."""
        n = len(self.start)
        if seen[:n] != self.start[: len(seen)]:
            return False
        rest = seen[n:]
        if len(rest) >= 2 and rest[1:2] != b";":
            return False
        given, wanted = rest[2:], self.nonce + b";"
        return given == wanted[: len(given)] and (len(given) <= len(self.nonce) or given[len(self.nonce) :] in (b";", b""))


def unescape(field: bytes) -> str:
    """Undo the rcfile's %XX for the characters that cannot stand in a mark."""
    first, *rest = field.split(b"%")
    whole = [first]
    for part in rest:
        try:
            whole.append(bytes((int(part[:2], 16),)) + part[2:])
        except ValueError:
            whole.append(b"%" + part)
    return b"".join(whole).decode("utf-8", "replace")
