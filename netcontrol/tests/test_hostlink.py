"""What a hostile agent may not do to the worker: one HostLink, told things that no agent of ours says."""
import asyncio
import uuid

import pytest

from netcontrol.agent.protocol import BadFrame
from netcontrol.hostlink import HostLink
from netcontrol.outbox import EVENT_BYTES, MAX_PLACES, Outbox, Place


class Line:
    """A connection that says what it was given, then ends."""

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
    return HostLink("lab", uuid.uuid4(), "epoch", outbox, NoRecord(), asyncio.Event())


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
    assert host.outbox.pending_bytes == EVENT_BYTES + 60_000
