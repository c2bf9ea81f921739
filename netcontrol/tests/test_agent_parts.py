"""The agent's parts on their own: frames, ring, marks. Whatever the pieces in which bytes come, the result is the same."""
import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcontrol.agent import shells
from netcontrol.agent.limits import MAX_MARK
from netcontrol.agent.marks import Marks, unescape
from netcontrol.agent.protocol import BadFrame, Frames, message, output, parse_message, parse_output
from netcontrol.agent.ring import Ring
from netcontrol.agent.shells import BROKEN_OFF, Shell

NONCE = "5ec2e7"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(st.lists(st.tuples(st.integers(0, 2**40), st.binary(max_size=300)), max_size=8), CUTS)
def test_frames_at_any_cut(chunks, cuts):
    whole = b"".join(output("main", offset, data) + message("taken", id="1-1") for offset, data in chunks)
    frames = Frames(b"JO")
    found = [frame for piece in pieces(whole, cuts) for frame in frames.feed(piece)]
    assert [parse_output(body) for kind, body in found if kind == "O"] == [("main", offset, data) for offset, data in chunks]
    assert all(parse_message(body) == {"type": "taken", "id": "1-1"} for kind, body in found if kind == "J")
    assert not frames.buffer


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(data):
    frames = Frames(b"JO")
    try:
        for kind, body in frames.feed(data):
            parse_output(body) if kind == "O" else parse_message(body)
    except BadFrame:
        pass


def test_a_frame_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(BadFrame):
        list(Frames().feed(b"\x00\x10\x00\x01J"))


@given(st.lists(st.binary(max_size=90), max_size=40), st.integers(1, 64), st.integers(0, 2**40))
def test_ring_keeps_the_newest(writes, cap, begin):
    """Held to a model: all that was ever written, wherever the counting began."""
    ring, all_of_it = Ring(cap, begin), b""
    for data in writes:
        ring.append(data)
        all_of_it += data
        assert ring.end == begin + len(all_of_it) and ring.begin == begin + max(0, len(all_of_it) - cap)
        for offset in range(ring.begin, ring.end + 1):
            assert ring.read(offset, 7) == all_of_it[offset - begin : offset - begin + 7]
        for outside in (ring.begin - 1, ring.end + 1):
            with pytest.raises(AssertionError):
                ring.read(outside, 1)


PART = st.one_of(
    st.binary(max_size=20).map(lambda data: data.replace(b"\x1b", b"")),
    st.sampled_from([b"\x1b", b"\x1b[31m", b"\x1b]133;C;guess;1;x\x07", b"\x1b]133;", b"\x1b]133;B", b"\x1b]0;title\x07", b"\x1b]133;C;5ec2e8;1;\x07", b"\x1b]133;C;5ec2e;1;\x07", b"\x1b]133;C;5ec2e71;1;\x07",
                     b"\x1b]133;CC;5ec2e7;1;\x07", b"\x1b]133;A\x07", b"\x1b]133;D;0\x1b\\", b"\x1b]133;C;\x1b]133;C;", b"\x1b\x1b\x1b", b"\x07", b"\x1b]134;C;5ec2e7;\x07"]),
    st.tuples(st.sampled_from("BCD"), st.lists(st.sampled_from([b"0", b"1.5", b"echo%3B", b"\xc3\xa9"]), max_size=3)),
)


@given(st.lists(PART, max_size=12), CUTS)
def test_marks_at_any_cut(parts, cuts):
    whole = b"".join(
        part if isinstance(part, bytes) else b"\x1b]133;%s;5ec2e7%s\x07" % (part[0].encode(), b"".join(b";" + f for f in part[1]) or b";") for part in parts
    )
    marks = Marks(NONCE)
    found = [item for piece in pieces(whole, cuts) for item in marks.feed(piece)]
    printed = b"".join(item for item in found if isinstance(item, bytes)) + marks.held
    assert printed == b"".join(part for part in parts if isinstance(part, bytes))
    assert [item for item in found if not isinstance(item, bytes)] == [[p[0], *(p[1] or [b""])] for p in parts if not isinstance(p, bytes)]


@given(st.lists(PART, max_size=6), CUTS)
def test_nothing_is_kept_back_in_the_end(parts, cuts):
    """What may have been the beginning of a mark is text after all when nothing more comes; only a mark of ours is not shown."""
    whole = b"".join(part for part in parts if isinstance(part, bytes)) + b"\x1b]133;C;5ec2"
    marks = Marks(NONCE)
    found = [item for piece in pieces(whole, cuts) for item in marks.feed(piece)]
    assert b"".join(found) + marks.rest() == whole and marks.rest() == b""
    marks.feed(b"\x1b]133;C;5ec2e7;1")
    assert marks.rest() == b""


@given(st.integers(-3, 3), st.integers(1, 5))
def test_a_mark_may_be_so_long_and_no_longer(over, chunks):
    head = b"\x1b]133;C;5ec2e7;"
    body = b"x" * (MAX_MARK - len(head) + over)
    marks, whole = Marks(NONCE), head + body + b"\x07after"
    size = len(whole) // chunks + 1
    found = [item for at in range(0, len(whole), size) for item in marks.feed(whole[at : at + size])]
    if over <= 0:
        assert found[0] == ["C", body] and b"".join(found[1:]) == b"after"
    else:
        assert NONCE.encode() not in b"".join(item for item in found if isinstance(item, bytes))


@pytest.mark.parametrize("storm", [b"\x1b", b"\x1b]133;", b"\x1b]133;C;5ec2e", b"\x1b]133;C;5ec2e7;\x07"])
def test_a_storm_takes_linear_time(storm):
    """Looked at once and never again; what took the square of it would not end within the test's time."""
    marks, size = Marks(NONCE), 0
    for _ in range(64):
        size += sum(len(item) if isinstance(item, bytes) else len(storm) for item in marks.feed(storm * (64 * 1024 // len(storm))))
    assert size + len(marks.rest()) == 64 * (64 * 1024 // len(storm)) * len(storm)


def test_a_mark_that_never_ends_becomes_text_without_its_nonce():
    marks = Marks(NONCE)
    found = marks.feed(b"\x1b]133;C;5ec2e7;" + b"x" * 300_000)
    assert b"5ec2e7" not in b"".join(found) and b"x" * 300_000 in b"".join(found)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_text_survives_the_mark(text):
    escaped = text
    for char in "%\x1b\x07\n\r;\t":
        escaped = escaped.replace(char, f"%{ord(char):02X}")
    assert unescape(escaped.encode()) == text


def test_bash_escapes_what_unescape_undoes():
    """The rcfile's own lines, in bash, for every byte that a command line can hold."""
    lines = (Path(shells.__file__).parent / "rcfile").read_text().splitlines()
    escape = "\n".join(line for line in lines if line.strip().startswith("text=${text//"))
    assert escape.count("//") == 7
    texts = ["".join(map(chr, range(1, 128))), *(chr(n) * 2 for n in range(1, 128)), "%25%%1B;%", "é€🐎\u2028", "%0A\n%"]
    script = f"while IFS= read -rd '' text; do {escape}\nprintf '%s\\0' \"$text\"; done"
    done = subprocess.run(["bash", "-c", script], input="\0".join([*texts, ""]).encode(), capture_output=True, timeout=10, check=True, env={"LC_ALL": "C.UTF-8"})
    escaped = done.stdout.split(b"\0")[:-1]
    assert [unescape(field) for field in escaped] == texts
    assert not any(char in field for field in escaped for char in b"\x1b\x07\n\r\t;")


def test_unescape_stands_what_is_not_escaped():
    assert unescape(b"100%") == "100%" and unescape(b"%zz%41") == "%zzA"


def test_a_ctrl_c_that_was_answered_is_no_reason_to_refuse_the_next_run(shell):
    """A slow bash did run the line that seemed unfinished; its prompt is still on the way when the next Run comes, and that one waits for it."""
    shell.state = "prompt"
    assert shell.start_run("first", "true") == "" and shell.run.typed
    shell.broke_at = time.monotonic() - 2 * BROKEN_OFF  # `look` took it for unfinished
    shell._mark(["C", b"%.6f" % time.time(), b"true"])
    shell._mark(["D", b"0", b"%.6f" % time.time()])
    assert shell.start_run("second", "true") == ""
    shell.look()
    told = [(m["type"], m["block"]) for _, _, m in shell.events]
    assert told == [("command.started", "first"), ("command.finished", "first")]
    shell._mark(["B", b"0", b"%.6f" % time.time()])
    assert shell.run.block == "second" and shell.run.typed


@pytest.fixture
def shell():
    """With a bash that nobody reads: the marks are the test's."""
    one = Shell("lab", 80, 24)
    yield one
    os.kill(one.pid, signal.SIGKILL)
    one.reap()
