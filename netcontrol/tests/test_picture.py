"""One step from what hosts say to what pages are told, and the process in which it is done."""
import asyncio
import json
import os
import signal
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netcontrol.network.change import apply
from netcontrol.network.live import artist, picture
from netcontrol.network.live.picture import Step, step
from netcontrol.tests.agent_fixtures import until
from netcontrol.tests.observed import body, names

HOSTS = [{"name": "lab", "address": "10.73.0.2"}, {"name": "client", "address": "10.73.0.3"}]
KNOWN = {"lab": body("eth0"), "client": body("eth0")}
FIRST = step(HOSTS, b"", {}, KNOWN)


def test_the_first_graph_is_no_change():
    assert FIRST.graph and not FIRST.change and not FIRST.lines and not FIRST.forged
    assert json.loads(FIRST.graph)["unseen"] == []


def test_a_change_leads_from_one_to_the_next():
    done = step(HOSTS, FIRST.graph, KNOWN, {"lab": body("eth0", "br0")})
    assert apply(json.loads(FIRST.graph), json.loads(done.change)) == json.loads(done.graph) and done.lines
    assert names(json.loads(done.graph)) == {"eth0", "br0"}


def test_the_same_again_is_nothing():
    assert step(HOSTS, FIRST.graph, KNOWN, {"lab": KNOWN["lab"] + b" "}) == Step()


def test_a_host_that_is_seen_for_the_first_time_is_no_change():
    alone = step(HOSTS, b"", {}, {"lab": KNOWN["lab"]})
    both = step(HOSTS, alone.graph, {"lab": KNOWN["lab"]}, {"client": KNOWN["client"]})
    assert json.loads(alone.graph)["unseen"] == ["client"] and both.graph and not both.change and not both.lines


def test_what_one_host_forges_keeps_nothing_from_the_other():
    done = step(HOSTS, FIRST.graph, KNOWN, {"lab": b"{}", "client": body("eth0", "br0")})
    assert done.forged == {"lab"}
    assert names(json.loads(done.graph)) == {"eth0"} and names(json.loads(done.graph), "client") == {"eth0", "br0"}


def test_a_fault_of_ours_is_held_off(monkeypatch):
    def fault(*_):
        raise KeyError("x")

    monkeypatch.setattr(picture, "graph", fault)
    assert step(HOSTS, FIRST.graph, KNOWN, {"lab": body("x")}) == Step({"lab"})


def test_a_graph_of_an_older_program_is_followed_by_a_whole_one():
    done = step(HOSTS, b'{"things": [1, 2]}', KNOWN, {"lab": body("eth0", "br0")}, b'{"x": 1}')
    assert names(json.loads(done.graph)) == {"eth0", "br0"} and not done.change and not done.lines


def test_a_graph_that_is_too_large_is_not_shown(monkeypatch):
    monkeypatch.setattr(picture, "MAX_GRAPH", 1000)
    assert step(HOSTS, b"", {}, KNOWN) == Step({"lab", "client"})


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
    ["spaces", "id", "root", "links", "ifindex", "ifname", "docker", "containers", "networks", "routes", "rules", "x"]), inner, max_size=4), max_leaves=12)  # fmt: skip


@given(anything)
@settings(max_examples=150, deadline=None)
def test_any_shape_gives_what_a_page_can_read(value):
    done = step(HOSTS, FIRST.graph, KNOWN, {"lab": json.dumps(value).encode()})
    for text in (done.graph, done.change):
        assert not text or json.loads(text, parse_constant=pytest.fail)
    assert done.graph or done.forged == {"lab"} or done == Step()


# The process

async def test_it_draws_and_is_slower_than_keys():
    one = artist.artist()
    one.wake()
    done, took = await one.draw("a", HOSTS, FIRST.graph, KNOWN, {"lab": body("eth0", "br0")})
    assert done.lines and 0 <= took < 1
    assert one is artist.artist() and os.getpriority(os.PRIO_PROCESS, one.process.pid) == artist.NICE


async def test_one_that_died_is_made_anew():
    one = artist.artist()
    await one.draw("a", HOSTS, b"", {}, KNOWN)
    one.process.kill()
    await until(lambda: one.process.poll() is not None)
    done, _ = await one.draw("a", HOSTS, b"", {}, KNOWN)
    assert done == FIRST


async def test_one_that_takes_too_long_is_ended(monkeypatch):
    one = artist.artist()
    await one.draw("a", HOSTS, b"", {}, KNOWN)
    os.kill(one.process.pid, signal.SIGSTOP)
    monkeypatch.setattr(artist, "PATIENCE", 0.2)
    monkeypatch.setattr(artist, "TRIES", 1)
    done, took = await one.draw("a", HOSTS, b"", {}, KNOWN)
    assert done == Step({"lab", "client"}) and took == artist.SECONDS and one.process is None
    monkeypatch.undo()
    assert (await one.draw("a", HOSTS, b"", {}, KNOWN))[0] == FIRST


def test_a_drawing_has_its_share_of_the_processor(monkeypatch):
    """In the process itself: what takes longer ends it."""
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        os.dup2(theirs.fileno(), 0)
        artist.SECONDS = 0.1
        artist.step = lambda *_: [None for _ in iter(int, 1)]
        artist.main()
        os._exit(0)
    theirs.close()
    with ours:
        ours.sendall(artist.packed((HOSTS, b"", {}, KNOWN, b"")))
        assert ours.recv(1) == b""
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGPROF


async def test_a_drawing_that_took_too_much_is_not_tried_again():
    """What is dear to draw would cost twice, and everybody else's network waits for it."""
    one = artist.artist()
    await one.draw("a", HOSTS, b"", {}, KNOWN)
    process = one.process
    os.kill(process.pid, signal.SIGSTOP)
    drawing = asyncio.create_task(one.draw("a", HOSTS, b"", {}, KNOWN))
    await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGPROF)
    os.kill(process.pid, signal.SIGCONT)
    assert await drawing == (Step({"lab", "client"}), artist.SECONDS) and one.process is None
    assert (await one.draw("a", HOSTS, b"", {}, KNOWN))[0] == FIRST


async def test_who_does_not_wait_spoils_nothing():
    one = artist.artist()
    await one.draw("a", HOSTS, b"", {}, KNOWN)
    left = asyncio.create_task(one.draw("a", HOSTS, b"", {}, {"lab": body("left")}))
    await asyncio.sleep(0)
    left.cancel()
    done, _ = await one.draw("a", HOSTS, b"", {}, KNOWN)
    assert done == FIRST


async def test_it_ends_with_the_worker():
    one = artist.Artist()
    await one.draw("a", HOSTS, b"", {}, KNOWN)
    one.writer.transport.abort()  # as when the worker is killed
    await until(lambda: one.process.poll() is not None)
