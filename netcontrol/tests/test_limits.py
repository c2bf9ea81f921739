"""The sizes of all buffers: what depends on what, and that page and documentation say the same as the code."""
import re
from pathlib import Path

import pytest

from netcontrol.agent import limits as at

ROOT = Path(__file__).resolve().parents[2]
UNITS = {"KiB": 1024, "MiB": 1024 * 1024}
NAMES = {name: value for name, value in vars(at).items() if name.isupper() and name not in ("KIB", "MIB")}


def documented() -> dict[str, int]:
    """Name -> number, from the third column of the table: `64 KiB (`ACK_EVERY`)`."""
    section = (ROOT / "docs/protocol.md").read_text().split("## 5.")[1]
    found = {}
    for row in section.splitlines():
        if not row.startswith("|") or row.count("|") < 5:
            continue
        cell = row.split("|")[3]
        before = 0
        for match in re.finditer(r"\((`[A-Z_]+`(?:, `[A-Z_]+`)*)\)", cell):
            number, unit = re.findall(r"(\d+)(?: (KiB|MiB))?", cell[before : match.start()])[0]
            before = match.end()
            for name in re.findall(r"[A-Z_]+", match[1]):
                found[name] = int(number) * UNITS.get(unit, 1)
    return found


def test_the_documentation_says_the_same():
    found = documented()
    assert len(found) > 25
    assert found == {name: NAMES[name] for name in found}


def test_the_page_says_the_same():
    said = {name: int(value) for name, value in re.findall(r"export const (\w+) = (\d+);", (ROOT / "static/js/limits.js").read_text())}
    assert said == {name: NAMES[name] for name in said} and "ACK_EVERY" in said


@pytest.mark.parametrize("path", sorted((ROOT / "netcontrol").rglob("*.py")), ids=lambda path: path.name)
def test_no_size_is_anywhere_else(path):
    if path.name == "limits.py" or "tests" in path.parts or "migrations" in path.parts:
        return
    assert not re.search(r"(?m)^[A-Z_]+ = .*\b(1024|KIB|MIB)\b", path.read_text()), f"{path} has a size of its own"


def test_what_depends_on_what():
    assert at.ACK_EVERY < at.WINDOW - at.MAX_CHUNK, "a page must acknowledge before a program waits for it"
    assert at.WINDOW < at.MAX_UNDRAWN
    assert at.WINDOW <= at.RING and at.WINDOW <= at.LOG_BYTES, "what a page may be behind must be kept still"
    assert at.LOG_BYTES <= at.RING, "an emptied Redis is filled again from the agent"
    assert at.MAX_CHUNK + 64 <= at.MAX_FRAME and 6 * at.MAX_TEXT < at.MAX_FRAME, "the longest message fits in a frame, escaped"
    assert 3 * at.MAX_TEXT < at.MAX_MARK <= at.MAX_FRAME
    assert 4 * at.INPUT_PIECE <= at.MAX_TEXT <= at.MAX_INPUT, "a piece of four-byte characters is one message"
    assert at.TRIM_INPUTS < at.MAX_INPUTS and at.MAX_HELD <= at.MAX_INPUTS
    assert at.HEAD + at.TAIL <= at.LOG_BYTES, "what a killed carrier had captured is in the log"
    assert 2 * at.MAX_EXECUTED * 4 // 3 + 4096 <= at.MAX_FRAME, "both streams, as base64, in one frame"
    assert at.MAX_SHELLS <= at.MAX_PLACES <= at.MAX_SINCE
