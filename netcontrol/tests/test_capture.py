"""What is kept of a command's output: which bytes, and as what text."""
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcontrol.agent.limits import HEAD, TAIL
from netcontrol.capture import Capture, Printed
from netcontrol.plain import SCREEN, read, readable, shown


def fill(capture: Capture, whole: bytes, cuts: list[int], begin: int = 0) -> None:
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    for a, b in itertools.pairwise(edges):
        capture.add(begin + a, whole[a:b])


@given(st.integers(0, 4 * (HEAD + TAIL)), st.lists(st.integers(0, 4 * (HEAD + TAIL)), max_size=40), st.integers(0, 2**40))
def test_any_chunks_give_slices_of_the_whole(size, cuts, begin):
    whole = (b"0123456789abcdefg" * (size // 17 + 1))[:size]
    capture = Capture("c", begin)
    fill(capture, whole, cuts, begin)
    printed = capture.printed(begin + size)
    assert printed.head == whole[:HEAD]
    assert printed.tail == whole[max(HEAD, size - TAIL) :]
    assert printed.total == size and printed.left_out == max(0, size - HEAD - TAIL)


@given(st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 30_000)), max_size=20))
def test_what_comes_again_or_is_missing(pieces):
    """Whatever an agent says: no byte stands where it was not printed, and the end is right."""
    whole = bytes(n % 251 for n in range(100_000))
    capture, reached = Capture("c", 0), 0
    for offset, size in pieces:
        capture.add(offset, whole[offset : offset + size])
        if size:
            reached = max(reached, offset + size)
    printed = capture.printed(reached)
    assert printed.head == whole[: len(printed.head)]
    assert printed.tail == whole[reached - len(printed.tail) : reached]
    assert printed.total == reached and len(printed.head) + len(printed.tail) + printed.left_out == reached


def test_the_head_is_told_once():
    capture = Capture("c", 5)
    assert not capture.add(5, b"x" * (HEAD - 1))
    assert capture.add(5 + HEAD - 1, b"xy")
    assert not capture.add(5 + HEAD + 1, b"x" * 100_000)
    assert capture.printed().head_is_whole


def test_output_that_nobody_saw_is_counted():
    capture = Capture("c", 100)
    capture.add(100, b"begin ")
    capture.add(5000, b"end")
    assert capture.printed(5003) == Printed(b"begin ", b"end", 4903)
    assert capture.printed(6000) == Printed(b"begin ", b"", 5900)


def test_much_in_small_pieces_is_kept_in_little():
    capture, piece = Capture("c", 0), b"y\r\n" * 1000
    for n in range(3000):
        capture.add(n * 3000, piece)
    assert len(capture.tail) <= 2 * TAIL and capture.printed().left_out == 9_000_000 - HEAD - TAIL


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"\x1b[01;34mbin\x1b[0m  \x1b[1;31;48;2;1;2;3metc\x1b[K\x1b[m\r\n", "bin  etc\n"),
        (b"\x1b]0;a title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\r\n", "text link\n"),
        (b"\x1bP1$r0m\x1b\\a\x1b(B\x1b)0b\x1b7\x1b8\x1b=c\x1b#8d", "abcd"),
        (b" 10%\r 50%\r100%\r\nready", "100%\nready"),
        (b"loading...\r\x1b[Kdone\r\n", "done\n"),
        (b"loading...\rdone\r\n", "doneing...\n"),
        (b"\x1b[2Kx\r\x1b[2Ky\r\n", "y\n"),
        (b"50%\r", "50%"),
        (b"one\r\r\ntwo", "one\ntwo"),
        (b"helo\b\bllo\r\nabc\b \b\r\n", "hello\nab\n"),
        (b"\b\b\bx\x1b[99Dy\x1b[3Gz", "yz"),
        (b"abc\x1b[2D\x1b[Kx\x1b[Cy", "axy"),
        (b"trailing  \r\n\ttab\r\n", "trailing  \n\ttab\n"),
        (b"a\0b\x01c\x7fd\x07\r\n", "abcd\n"),
        ("é\u202e\u2028x\x85y".encode(), "éxy"),
        (b"caf\xe9 \xff\xfe", "caf\ufffd \ufffd\ufffd"),
        (b"cut here \x1b[3", "cut here "),
        (b"cut here \x1b", "cut here "),
        (b"cut here \xc3", "cut here \ufffd"),
        (b"before\r\n\x1b[?1049h\x1b[H\x1b[2J~\r\n~\r\nfile\x1b[?1049lafter\r\n", f"before\n{SCREEN}\nafter\n"),
        (b"half\x1b[?25;1049hdrawn\x1b[?1049l", f"half\n{SCREEN}\n"),
        (b"\x1b[?47hx\x1b[?47l\x1b[?1047hy\x1b[?1047l", f"{SCREEN}\n"),
        (b"<script>&amp;\r\n", "<script>&amp;\n"),
    ],
)
def test_readable(printed, text):
    assert readable(printed) == text


def test_a_full_screen_program_at_the_cut():
    assert read(b"x\r\n\x1b[?1049hdrawn") == (f"x\n{SCREEN}\n", True)
    assert read(b"drawn\x1b[?1049lafter", cut=True) == (f"{SCREEN}\nafter", False)
    assert read(b"drawn", cut=True, drawing=True) == (f"{SCREEN}\n", True)
    assert read(b"text\x1b[?1049hdrawn", cut=True, drawing=True) == (f"text\n{SCREEN}\n", True)


def test_a_letter_at_the_cut():
    whole = "日本".encode()
    assert [read(whole[n:], cut=True)[0] for n in range(4)] == ["日本", "本", "本", "本"]


@given(st.binary(max_size=2000))
def test_text_holds_no_controls(data):
    text, _ = read(data, cut=True)
    assert not [c for c in text if (c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0"]


@pytest.mark.parametrize(
    "piece", [b"\x1b", b"\x1b[", b"\x1b]", b"\x1b[1", b"\x1b[?1049h", b"\x1b[?1049h\x1b[?1049lx", b"\r", b"\b", b"x\b", b"\x1bP", b"\x1b[9999C", b"\x1b[K", b"x\x1b[1G\x1b[9999C", b"\xff", b"\x1b[?", b"\x1b[;", b"\x1b(", b"ab\r", b"\r\x1b[9999Cx"]
)
def test_hostile_output_takes_time_in_proportion(piece):
    """Four times the input may not take ten times as long: a quadratic one takes sixteen. The best of several tries counts."""

    def seconds(size: int, before: bytes = b"") -> float:
        data = before * size + piece * (size // len(piece))
        best = 1e9
        for _ in range(5):
            began = time.thread_time()
            text, _ = read(data, cut=True)
            best = min(best, time.thread_time() - began)
        assert len(text) <= 5 * len(data)
        return best

    for before in (b"", b"y"):
        assert seconds(32768, before) < max(10 * seconds(8192, before), 0.02)


def test_a_command_line_as_it_can_be_shown():
    assert shown("echo '\x1b[31m'\n\t\x7f\u202e") == "echo '␛[31m'\n\t\ufffd\ufffd"
