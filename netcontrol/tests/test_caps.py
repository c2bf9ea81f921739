"""What one student's pages and hosts may use up of what all share: pages, messages, looks, frames, recorded commands."""
import asyncio
import socket
import time
import uuid

import pytest

from netcontrol import consumers, hostlink
from netcontrol.agent.limits import COMMANDS_AT_ONCE, EVENT_FRAMES, FRAMES_AT_ONCE, READ_AGENT
from netcontrol.agent.protocol import message, output_body, pack
from netcontrol.dial import Link
from netcontrol.fair import Lately, Pace
from netcontrol.hostlink import HostLink
from netcontrol.outbox import Outbox
from netcontrol.record import CommandRecord
from netcontrol.stream import Place
from netcontrol.tests.agent_fixtures import Page, until
from netcontrol.tests.test_hostlink import Line, NoRecord, welcome

transactional = pytest.mark.django_db(transaction=True)


@transactional
async def test_a_student_has_so_many_pages(lab, monkeypatch):
    monkeypatch.setattr(consumers, "MAX_PAGES", 2)
    pages = [await Page.open(lab[0]) for _ in range(2)]
    for page in pages:
        await page.get("sandbox.state", state="claimed")
    refused = await Page.open(lab[0], hello=False)
    assert (await refused.get("error"))["code"] == "too_many_pages"
    assert (await refused.get("closed"))["code"] == consumers.TOO_MANY_PAGES
    await refused.close()
    await pages.pop().close()
    again = await Page.open(lab[0])
    await again.get("sandbox.state", state="claimed")
    for page in (*pages, again):
        await page.close()
    assert not any(each.open for each in consumers._pages.values())


@transactional
async def test_a_page_that_says_too_much_is_not_heard_for_a_while(page):
    [pages] = consumers._pages.values()
    pages.pace = Pace(20, at_once=5)
    began = time.monotonic()
    for _ in range(25):
        await page.send("shell.resize", shell="main", cols=80, rows=24)
    await page.run("echo still here")
    assert time.monotonic() - began > 0.9, "26 messages at 20 a second, 5 of them at once"
    assert b"still here" in page.drawn["main"] and not [event for event in page.events if event["type"] == "error"]


@transactional
async def test_showing_the_network_on_and_off_is_seen_to_now_and_then(page, monkeypatch):
    """Each time hosts would begin or end to look, and the page would be told the whole."""
    begun, ended = [], []

    class Seen(consumers.Watching):
        async def follow(self):
            begun.append(self.sandbox)
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(self.sandbox)

    monkeypatch.setattr(consumers, "Watching", Seen)
    for _ in range(100):
        await page.send("network.watch", on=True)
        await page.send("network.watch", on=False)
    await page.send("network.watch", on=True)
    await page.run("true")
    assert len(begun) <= consumers.LOOKS_AT_ONCE + 1
    await until(lambda: len(begun) > len(ended))  # what it wanted last is what it gets


# Hosts


@pytest.fixture
def host():
    outbox = Outbox(None, "sandbox", "token")
    outbox.until_room = lambda: asyncio.sleep(0)
    return HostLink("lab", uuid.uuid4(), "epoch", outbox, NoRecord())


class Flood(Line):
    """An agent that never has said enough: tiny frames, a thousand a read."""

    def __init__(self, frame):
        super().__init__(welcome("main"))
        self.frame, self.read_of_it = frame, 0

    async def read(self):
        if self.said:
            return [self.said.pop(0)]
        return self._thousand()

    def _thousand(self):
        for _ in range(1000):
            self.read_of_it += 1
            yield self.frame


NAMED = ("J", {"type": "shell.named", "shell": "main", "name": "x", "seq": 1})
TINY = ("O", ("main", 0, b""))


@pytest.mark.parametrize("frame, cost", [(TINY, 1), (NAMED, EVENT_FRAMES)], ids=["output", "events"])
async def test_a_flood_of_tiny_frames_has_its_pace(host, frame, cost):
    """The loop is everybody's: who shares it with a flood has nearly all of it."""
    flood = Flood(frame)
    task = asyncio.create_task(host._talk(flood))
    await until(lambda: host.pace.wait() > 0)
    turns, seconds, began = 0, 0.5, time.monotonic()
    read = flood.read_of_it
    while time.monotonic() - began < seconds:
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    assert (flood.read_of_it - read) * cost <= 1000 * (time.monotonic() - began) + hostlink.TURN * cost + 10
    assert flood.read_of_it * cost + 100 >= FRAMES_AT_ONCE and turns > 2000


@pytest.mark.parametrize("left, read", [(500, 500), (8000, 1000)], ids=["its share", "more"])
async def test_who_is_gone_keeps_nobody_waiting(host, left, read):
    """Another may stand in its place: what the first one left to read is read at once, or not."""
    ours, theirs = socket.socketpair()
    link, host.pace = Link(*await asyncio.open_unix_connection(sock=ours, limit=READ_AGENT)), Pace(10, 1000)
    theirs.settimeout(5)
    theirs.sendall(message(**welcome("main")[1]) + b"".join(pack(b"O", output_body("main", n, b"x")) for n in range(left)))
    talking = asyncio.create_task(host._talk(link))
    await asyncio.sleep(0)  # it has said its own first
    assert theirs.recv(9999)
    theirs.close()
    with pytest.raises(EOFError):
        await asyncio.wait_for(talking, 20)
    link.close()
    assert read - hostlink.TURN <= host.outbox.places["main"].offset <= read + hostlink.TURN


@pytest.mark.parametrize("typist", ["another", "herself", "herself, Ctrl-C"])
async def test_who_prints_much_gives_way_to_others_who_type(host, typist, monkeypatch):
    monkeypatch.setattr(hostlink, "typed", Lately(60))
    other = HostLink("lab", host.sandbox if typist == "herself" else uuid.uuid4(), "epoch", host.outbox, host.record)
    other.give("1-0", {"type": "shell.input", "shell": "s", "data": "x"})
    if "Ctrl-C" in typist:
        host.give("1-1", {"type": "shell.input", "shell": "main", "data": "\x03"})
    host.beside = Pace(100_000, 10_000)
    began = time.monotonic()
    with pytest.raises(EOFError):
        await host._talk(Line(welcome("main"), *(("O", ("main", 5000 * n, bytes(5000))) for n in range(10))))
    assert (time.monotonic() - began > 0.35) is (typist == "another") and host.outbox.places["main"].offset == 50_000


async def test_an_honest_burst_is_not_held_back(host):
    """All that eight shells kept while nobody carried them."""
    for n in range(8):
        host.outbox.places[f"s{n}"] = Place("lab", "b", open=True)
    events = [("J", {"type": "shell.named", "shell": f"s{n % 8}", "name": "x", "seq": n}) for n in range(900)]
    began = time.monotonic()
    with pytest.raises(EOFError):
        await host._talk(Line(welcome(*(f"s{n}" for n in range(8))), *events))
    assert time.monotonic() - began < 1 and host.pace.wait() == 0


def test_tiny_frames_are_cut_when_they_are_asked_for():
    from netcontrol.agent.protocol import Frames, pack

    frames = Frames(b"O")
    tiny = pack(b"O", output_body("s", 0, b""))
    began = time.process_time()
    found = frames.feed(tiny * 20_000)
    next(found)
    assert time.process_time() - began < 0.005
    assert sum(1 for _ in found) == 19_999 and not frames.buffer


async def test_an_agent_that_hangs_up_again_and_again_is_dialled_ever_less(host, monkeypatch):
    dialled = 0

    async def dial(dock):
        nonlocal dialled
        dialled += 1
        host.boot = "b"  # as if it had answered
        raise EOFError

    monkeypatch.setattr(hostlink, "dial", dial)
    monkeypatch.setattr(hostlink, "REDIAL_SECONDS", 0)
    task = asyncio.create_task(host.keep())
    await until(lambda: host.pace.wait() > 0)
    known, began = dialled, time.monotonic()
    await asyncio.sleep(0.5)
    task.cancel()
    assert dialled - known <= 20 * (time.monotonic() - began) + 2, "a thousand frames a second, fifty for each"


# The record


@pytest.mark.django_db
async def test_so_many_commands_are_recorded():
    record = CommandRecord(uuid.uuid4(), lambda m: None)
    record.pace = Pace(1, at_once=10)
    for n in range(50):
        record.started({"id": str(n)}, None, lambda: None)
    assert 10 <= record.changes.qsize() <= 11 and COMMANDS_AT_ONCE >= 500, "a long paste is recorded whole"
