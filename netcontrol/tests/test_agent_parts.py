"""The agent's parts on their own: frames, ring, marks. Whatever the pieces in which bytes come, the result is the same."""
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcontrol.agent.marks import Marks, unescape
from netcontrol.agent.protocol import BadFrame, Frames, message, output, parse_message, parse_output
from netcontrol.agent.ring import Ring

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
        Frames().feed(b"\x00\x10\x00\x01J")


@given(st.lists(st.binary(max_size=50), max_size=40), st.integers(1, 64))
def test_ring_keeps_the_newest(writes, cap):
    ring, all_of_it = Ring(cap), b""
    for data in writes:
        ring.append(data)
        all_of_it += data
        assert ring.end == len(all_of_it) and ring.begin == max(0, len(all_of_it) - cap)
        for offset in range(ring.begin, ring.end + 1):
            assert ring.read(offset, 7) == all_of_it[offset : offset + 7]


PART = st.one_of(
    st.binary(max_size=20).map(lambda data: data.replace(b"\x1b", b"")),
    st.sampled_from([b"\x1b", b"\x1b[31m", b"\x1b]133;C;guess;1;x\x07", b"\x1b]133;", b"\x1b]133;B", b"\x1b]0;title\x07", b"\x1b]133;C;5ec2e8;1;\x07"]),
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


def test_unescape_stands_what_is_not_escaped():
    assert unescape(b"100%") == "100%" and unescape(b"%zz%41") == "%zzA"
