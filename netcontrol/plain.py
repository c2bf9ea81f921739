"""Readable text of what a program printed on a terminal. Takes time in proportion to its input, whatever the input is.

Escape sequences are taken out, and so is what a full-screen program drew; a line that was overwritten is kept as it looked at
the end. It is no terminal: it knows one line at a time, so what moves up overwrites nothing. Must not know: commands, rows, pages.
"""
import re

SCREEN = "[what a full-screen program drew is left out]"

# Each branch consumes all that it looks at (possessive), so that no character is looked at twice.
TOKEN = re.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]?"  # control sequence; cut short, what there is of it
    r"|\x1b[\]PX^_][^\x07\x18\x1a\x1b]*+(?:\x07|\x1b\\)?"  # a string for the terminal, such as its title
    r"|\x1b[ -/]*+[0-~]?"  # character sets and the like
    r"|[^\x00-\x1f\x7f]++"
    r"|[\x00-\x1f\x7f]"
)
# What no reader sees and some obey: controls, separators that split lines elsewhere, what turns the direction of writing around.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
EDITS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
ALTERNATE = {"47", "1047", "1049"}
CONTINUATION = re.compile(rb"\A[\x80-\xbf]{1,3}")


def readable(data: bytes) -> str:
    return read(data)[0]


def read(data: bytes, cut: bool = False, drawing: bool = False) -> tuple[str, bool]:
    """The text, and whether a full-screen program draws where it ends.

    `cut`: the beginning is not there; then `drawing` is whether such a program drew where what is known before ends.
    """
    if cut:
        data = CONTINUATION.sub(b"", data)
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    if cut:
        switch = _first_switch(text)
        drawing = switch == "l" or (drawing and not switch)
    if drawing or EDITS.search(text):
        page = _Page(drawing)
        for token in TOKEN.findall(text):
            page.take(token)
        text, drawing = page.text(), page.drawing
    return UNSEEN.sub("", text), drawing


def shown(text: str) -> str:
    """A command line as it can be shown: its controls as the signs that stand for them."""
    return UNSEEN.sub(lambda found: chr(0x2400 + ord(found[0])) if found[0] < " " else "\N{REPLACEMENT CHARACTER}", text)


def _switch(token: str) -> str:
    """`h` for a sequence that begins the alternate screen, `l` for one that ends it."""
    if token.startswith("\x1b[?") and token[-1] in "hl" and ALTERNATE.intersection(token[3:-1].split(";")):
        return token[-1]
    return ""


def _first_switch(text: str) -> str:
    for token in re.findall(r"\x1b\[\?[0-9;]*+[hl]", text):
        if switch := _switch(token):
            return switch
    return ""


class _Page:
    def __init__(self, drawing: bool):
        self.lines: list[str] = []
        self.line: list[str] = []  # the one that is written now, a character each
        self.at = 0  # where in it
        self.edited = False
        self.drawing = False
        if drawing:
            self._draw()

    def text(self) -> str:
        return "\n".join([*self.lines, self._line()])

    def take(self, token: str) -> None:
        first = token[0]
        if first == "\x1b":
            if token.startswith("\x1b["):
                self._control(token)
        elif self.drawing:
            pass
        elif first == "\n" or first in "\x0b\x0c":
            self._end_line()
        elif first == "\r":
            self.at, self.edited = 0, True
        elif first == "\b":
            self.at, self.edited = max(0, self.at - 1), True
        elif first >= " " or first == "\t":
            self.line[self.at : self.at + len(token)] = token
            self.at += len(token)

    def _control(self, token: str) -> None:
        if switch := _switch(token):
            if switch == "h" and not self.drawing:
                self._draw()
            self.drawing = switch == "h"
        elif self.drawing:
            return
        elif token[-1] == "K":  # erase: what follows, or the line
            if token[2:-1] == "2":
                self.at = 0
            if token[2:-1] in ("", "0", "2"):
                del self.line[self.at :]
        elif token[-1] in "CDG":  # move within the line
            count = int(token[2:-1][:4]) if token[2:-1].isascii() and token[2:-1].isdigit() else 1
            to = {"C": self.at + count, "D": self.at - count, "G": count - 1}[token[-1]]
            self.at, self.edited = max(0, min(to, len(self.line))), True

    def _draw(self) -> None:
        if self.line:
            self._end_line()
        if self.lines[-1:] != [SCREEN]:
            self.lines.append(SCREEN)
        self.drawing = True

    def _end_line(self) -> None:
        self.lines.append(self._line())
        self.line, self.at, self.edited = [], 0, False

    def _line(self) -> str:
        line = "".join(self.line)
        return line.rstrip(" ") if self.edited else line
