"""What a hostile agent may not do to the worker: one HostLink, told things that no agent of ours says."""
import asyncio
import socket
import uuid

import pytest
import uvloop

from netcontrol.agent.limits import EVENT_COST, MAX_PLACES
from netcontrol.agent.protocol import BadFrame
from netcontrol.dial import Link
from netcontrol.hostlink import HostLink
from netcontrol.outbox import Outbox
from netcontrol.stream import Place


class Line:
    """A connection that says what it was given, then ends."""

    hung_up = False

    def __init__(self, *said):
        self.said, self.sent = list(said), []

    def send(self, type, **fields):
        self.sent.append(type)

    async def read(self):
        if not self.said:
            raise EOFError
        return [self.said.pop(0)]

    async def drain(self):
        pass


class NoRecord:
    def __getattr__(self, name):
        return lambda *_: None


@pytest.fixture
def host():
    outbox = Outbox(None, "sandbox", "token")
    return HostLink("lab", uuid.uuid4(), "epoch", outbox, NoRecord())


def welcome(*shells: str) -> tuple[str, dict]:
    alive = [{"shell": name, "name": "", "pid": 1, "open": True, "begin": 0, "end": 0, "running": None} for name in shells]
    return "J", {"type": "welcome", "boot": "b", "last_input": "0-0", "shells": alive}


async def test_one_welcome_a_connection(host):
    with pytest.raises(BadFrame, match="twice"):
        await host._talk(Line(welcome("a"), welcome("b")))
    assert list(host.outbox.places) == ["a"]


async def test_not_more_shells_than_a_sandbox_may_have(host):
    for n in range(MAX_PLACES):
        host.outbox.places[f"s{n}"] = Place("lab", "b", open=True)
    with pytest.raises(BadFrame, match="more shells"):
        await host._talk(Line(welcome("one-more")))
    assert len(host.outbox.places) == MAX_PLACES


async def test_not_the_shell_of_another_host(host):
    host.outbox.places["theirs"] = Place("client", "b", open=True)
    with pytest.raises(BadFrame, match="another host"):
        await host._talk(Line(welcome("theirs")))


async def test_answers_that_nobody_asked_for_are_dropped(host):
    with pytest.raises(EOFError):
        await host._talk(Line(welcome("a"), ("J", {"type": "execute.refused", "request": "1", "why": "no"}), ("J", {"type": "execute.done", "request": "1"})))


async def test_a_long_command_text_counts_as_what_it_holds(host):
    host.outbox.event("a", "command.started", text="x" * 60_000)
    assert host.outbox.pending_bytes == EVENT_COST + 60_000


async def test_lies_about_offsets_are_counted_and_no_more(host):
    """An output that begins after its end, or at the end of the world: the row says nonsense of its own command, and nothing breaks."""
    said = []
    host.record.finished = lambda m, printed, written: said.append(printed)
    host.record.printed = lambda id, printed: said.append(printed)
    started = {"type": "command.started", "shell": "a", "id": 1, "block": "", "text": "x", "started_at": 1.0}
    finished = {"type": "command.finished", "shell": "a", "id": 1, "block": "", "exit_code": 0, "duration_ms": 1.0}
    line = [welcome("a")]
    for n, (begin, end) in enumerate([(2**62, 0), (0, 2**62), (5, 5)]):
        line += [("J", {**started, "seq": 3 * n + 1, "offset": begin}), ("O", ("a", 10 * n, b"0123456789")), ("J", {**finished, "seq": 3 * n + 2, "offset": end})]
    line += [("J", {**finished, "seq": 99, "offset": 7})]  # of a command that never began
    with pytest.raises(EOFError):
        await host._talk(Line(*line))
    assert [printed.total for printed in said] == [0, 2**62, 0, 0]
    assert said[0].kept == 0 and said[1].kept <= 20 and not host.outbox.captures


async def test_at_a_prompt_nothing_is_captured(host):
    with pytest.raises(EOFError):
        await host._talk(Line(welcome("a"), ("O", ("a", 0, b"root@lab:~# "))))
    assert host.outbox.captures == {} and host.outbox.places["a"].offset == 12


def test_a_word_into_a_lost_connection_is_lost():
    """uvloop, which carriers run on, refuses to write to one that has just gone: that is no reason to end one."""

    async def speak() -> None:
        ours, theirs = socket.socketpair()
        link = Link(*await asyncio.open_unix_connection(sock=ours))
        theirs.close()
        link.writer.transport.abort()
        await asyncio.sleep(0.01)
        link.send("view", acks={})

    uvloop.run(speak())
