"""The way of the bytes as a machine that hypothesis drives: agent → carrier → log → page, each hop cut, killed or emptied at any time.

Real are the agent's Server, HostLink, Outbox, Redis and Replay; only bash, the sockets' processes and the page's browser are played.
Whatever happens, a page draws the truth: every byte at its offset, in order, once; every event once, at its place in the output.
"""
import asyncio
import contextlib
import socket
import tempfile
import uuid
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from netcontrol import connection, lease, stream
from netcontrol.agent import server as agent_server
from netcontrol.agent import shells as agent_shells
from netcontrol.agent.protocol import parse_output
from netcontrol.agent.ring import Ring
from netcontrol.cancel import cancel
from netcontrol.dial import Link
from netcontrol.hostlink import HostLink
from netcontrol.lease import LeaseLost
from netcontrol.outbox import Outbox
from netcontrol.replay import Replay
from netcontrol.stream import Place
from netcontrol.tests.agent_fixtures import Redis

BOX = uuid.UUID("5d4f0c3e-0000-4000-8000-000000000002")
KEPT = 3000  # bytes that the agent keeps; the log keeps more
NAMES = ("a", "b")


class Played(agent_shells.Shell):
    """A shell without bash: what it prints and does, the test says."""

    def spawn(self, cols, rows):
        self.state, self.title, self.pid, self.fd, self.running, self.run = "prompt", "", 42, -1, None, None

    def resize(self, cols, rows):
        pass


class Recorded(dict):
    """The database: command's id -> exit code. `lose` is a carrier that dies before it has written."""

    def __init__(self):
        self.waiting = []

    def started(self, m, at, written):
        self.waiting.append((m["id"], None, written))

    def printed(self, *_):
        pass

    def finished(self, m, printed, written):
        self.waiting.append((m["id"], m["exit_code"], written))

    def lost(self, *_):
        raise AssertionError("no agent was restarted")

    def write(self):
        for id, code, written in self.waiting:
            if code is not None or id not in self:  # a row that is there is not begun anew
                self[id] = code
            written()
        self.waiting.clear()


class Writer:
    """The carrier's end of its connection to the agent."""

    def __init__(self, sock):
        self.sock = sock

    def write(self, data):
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def is_closing(self):
        return False

    def get_extra_info(self, name):
        return getattr(self, "sock" if name == "socket" else name)

    async def drain(self):
        pass


class Carrier:
    def __init__(self, own, recorded):
        self.own, self.line, self.token, self.recorded = own, connection.Line(), lease.new_token(), recorded
        self.outbox = Outbox(self.own, str(BOX), self.token)
        self.sock = self.talking = self.writing = None

    async def begin(self):
        await self.own.set(connection.key("lease", str(BOX)), self.token)  # whoever had it has lost it
        epoch = await self.outbox.load(self.line)
        self.recorded.waiting.clear()
        self.host = HostLink("lab", BOX, epoch, self.outbox, self.recorded)
        self.writing = asyncio.create_task(self.outbox.write())

    async def dial(self, agent):
        await self.hang_up()
        self.sock, theirs = socket.socketpair()
        for end in (self.sock, theirs):
            end.setblocking(False)
        here = agent_server.Connection(theirs)
        agent.connections[here.fd] = here
        agent._watch(here.fd, 1)
        self.reader = asyncio.StreamReader()
        self.talking = asyncio.create_task(self.host._talk(Link(self.reader, Writer(self.sock))))

    async def hang_up(self):
        if self.talking:
            await cancel([self.talking])
            self.sock.close()
            self.talking = self.host.link = None
            self.host.boot = ""

    @property
    def lost(self) -> bool:
        ended = [task.exception() for task in (self.talking, self.writing) if task and task.done() and not task.cancelled()]
        assert not [error for error in ended if error and not isinstance(error, (LeaseLost, EOFError, OSError))], ended
        return any(isinstance(error, LeaseLost) for error in ended)

    async def end(self):
        await self.hang_up()
        await cancel([self.writing])
        await self.line.close()
        await self.outbox.line.close()


class Viewer:
    """A page, over all its connections."""

    def __init__(self, truth):
        self.truth = truth
        self.drawn: dict[str, int] = {}
        self.heard: dict[tuple, None] = {}
        self.promised: dict[str, int] = {}
        self.gaps: dict[str, list] = {name: [] for name in NAMES}
        self.line = connection.Line()

    async def connect(self, own):
        self.here: set[tuple] = set()
        self.replay = Replay(str(BOX), dict(self.drawn), self.tell, asyncio.Event())
        shells = await stream.known_shells(own, str(BOX))
        self.after = {"": await stream.log_end(own, str(BOX)) or "0-0", **{shell: "0-0" for shell in {*shells, *self.drawn}}}
        self.caught_up = False

    async def step(self):
        entries = await stream.read_log(self.line, str(BOX), self.after, wait=False)
        await self.replay._relay(entries, self.after, replay=not self.caught_up)
        self.caught_up |= not entries
        return bool(entries)

    async def tell(self, what):
        if isinstance(what, bytes):
            shell, offset, data = parse_output(what)
            assert offset == self.drawn.get(shell, offset), "a byte is missing, or came twice"
            assert self.truth[shell][offset : offset + len(data)] == data
            assert self.promised.pop(shell, 0) <= offset, "an event came before its place in the output"
            self.drawn[shell] = offset + len(data)
            return
        shell = what.get("shell")
        if what["type"] == "shell.gap":
            assert what["from"] == self.drawn.get(shell, 0) < what["to"] <= len(self.truth[shell])
            assert self.promised.pop(shell, 0) <= what["to"], "an event came before its place in the output"
            self.gaps[shell].append((what["from"], what["to"]))
            self.drawn[shell] = what["to"]
        elif what["type"] == "shell.opened":
            assert what["end"] >= self.drawn.get(shell, 0), "told to forget"
            self.drawn.setdefault(shell, what["offset"])
        elif what["type"].startswith("command."):
            key = (shell, what["type"], what["id"])
            assert key not in self.here, "told twice"
            self.here.add(key)
            if key not in self.heard:
                self.heard[key] = None
                place = int(what["block"])
                assert place >= self.drawn.get(shell, 0) or (self.gaps[shell] and place < self.gaps[shell][-1][1]), "not at its place in the output"
                self.promised[shell] = place  # further on only when a gap follows that it lies in


class Way(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    own = None

    def __init__(self):
        super().__init__()
        self.line = self.do(connected())
        self.do(self.own.flushall())
        listener, _ = self.pair = socket.socketpair()
        self.agent = agent_server.Server(listener)
        self.truth = {name: b"" for name in NAMES}
        self.codes: dict[str, dict[int, int]] = {name: {} for name in NAMES}
        for name in NAMES:
            shell = self.agent.shells[name] = Played(name, 80, 24)
            shell.ring = Ring(KEPT)
            shell.tell("shell.opened", offset=0, end=0, pid=42)
            self.agent.sent[name] = agent_server.Sent(0, 0)
        self.recorded = Recorded()
        self.zombies: list[Carrier] = []
        self.viewers = [Viewer(self.truth), Viewer(self.truth)]
        self.carrier = None
        self.new_carrier()
        for viewer in self.viewers:
            self.do(viewer.connect(self.own))

    def do(self, what):
        return self.loop.run_until_complete(what)

    def settle(self):
        """Let the carrier's tasks do what they can."""

        async def some():
            for _ in range(200):
                await asyncio.sleep(0)
                if not any(c.outbox.pending_bytes and not c.writing.done() for c in (self.carrier, *self.zombies)):
                    break
                await asyncio.sleep(0.0005)

        self.do(some())

    def teardown(self):
        """Everything works again: then everybody has everything that is kept."""
        if self.carrier.lost:
            self.new_carrier()
        self.redial()
        for _ in range(60):
            self.agent_speaks(100_000)
        self.recorded.write()
        for viewer in self.viewers:
            while self.do(viewer.step()):
                pass
        for viewer in self.viewers:
            assert viewer.drawn == {name: len(self.truth[name]) for name in NAMES}
            for name in NAMES:
                assert all(begin < len(self.truth[name]) - KEPT for begin, _ in viewer.gaps[name]), "a gap in what is kept"
                ring = self.agent.shells[name].ring
                newest = [seq for seq, at, m in self.agent.shells[name].events if m["type"].startswith("command.") and at >= ring.begin][-8:]
                told = [m["id"] for seq, _, m in self.agent.shells[name].events if seq in newest and m["type"] == "command.finished"]
                ids = [str(uuid.uuid5(BOX, f"lab/{self.agent.boot}/{name}/{id}")) for id in told]
                assert all((name, "command.finished", id) in viewer.heard for id in ids), "an event did not come"
        self.the_log_is_clean()
        expected = {str(uuid.uuid5(BOX, f"lab/{self.agent.boot}/{name}/{id}")): code for name in NAMES for id, code in self.codes[name].items()}
        assert self.recorded == expected, "each command has its row"
        for carrier in (self.carrier, *self.zombies):
            self.do(carrier.end())
        for each in list(self.agent.connections.values()):
            self.agent._drop(each)
        self.agent.epoll.close()
        for end in self.pair:
            end.close()

    def the_log_is_clean(self):
        """Pages would sort out what is doubled; but the log itself has every byte and event once, whoever wrote it."""
        at, seq = dict.fromkeys(NAMES, -1), dict.fromkeys(NAMES, 0)
        after = dict.fromkeys(NAMES, "0-0")
        while entries := self.do(stream.read_log(self.line, str(BOX), after, wait=False)):
            for entry in entries:
                if entry.message is None:
                    assert at[entry.shell] in (-1, entry.offset), "the log doubles or lacks a byte"
                    assert self.truth[entry.shell][entry.offset :].startswith(entry.data)
                    at[entry.shell] = entry.offset + len(entry.data)
                elif entry.message["type"] == "shell.gap":
                    at[entry.shell] = entry.message["to"]
                elif "seq" in entry.message:
                    assert entry.message["seq"] > seq[entry.shell], "the log doubles an event"
                    seq[entry.shell] = entry.message["seq"]

    # What the shells do

    @rule(name=st.sampled_from(NAMES), n=st.integers(1, 2500), mark=st.integers(0, 255))
    def prints(self, name, n, mark):
        data = bytes((mark + k) % 256 for k in range(n))
        self.truth[name] += data
        self.agent.shells[name].ring.append(data)

    @rule(name=st.sampled_from(NAMES), code=st.integers(0, 255), n=st.integers(0, 50))
    def a_command(self, name, code, n):
        shell, at = self.agent.shells[name], lambda: str(len(self.truth[name]))
        shell.commands += 1
        shell.tell("command.started", id=shell.commands, offset=len(self.truth[name]), block=at(), text="x", started_at=1.0)
        self.truth[name] += bytes(n)
        shell.ring.append(bytes(n))
        shell.tell("command.finished", id=shell.commands, offset=len(self.truth[name]), block=at(), exit_code=code, duration_ms=1.0)
        self.codes[name][shell.commands] = code

    # The hops

    @rule(name=st.sampled_from(NAMES), code=st.integers(0, 255))
    def a_command_is_heard_of(self, name, code):
        self.a_command(name, code, 10)
        for _ in range(3):
            self.agent_speaks(100_000)

    @rule(most=st.integers(1, 2000))
    def agent_speaks(self, most):
        """The agent says what it has to say; the carrier gets so many bytes of it, cut anywhere."""
        for each in list(self.agent.connections.values()):
            self.agent._receive(each)
        if self.agent.worker:
            self.agent._pump(self.agent.worker)
        for each in list(self.agent.connections.values()):
            self.agent._send(each)
        for carrier in (self.carrier, *self.zombies):
            if carrier.talking and not carrier.talking.done():
                with contextlib.suppress(BlockingIOError):
                    data = carrier.sock.recv(most)
                    carrier.reader.feed_data(data) if data else carrier.reader.feed_eof()
        self.settle()

    @rule(name=st.sampled_from("cd"))
    @precondition(lambda self: not self.carrier.lost)
    def a_shell_is_asked_for_while_the_agent_is_away(self, name):
        """Its place is of no boot, so the carrier cannot say what it has: the agent tells everything again."""
        self.do(self.carrier.hang_up())
        self.carrier.outbox.places.setdefault(name, Place("lab", self.carrier.host.boot))
        self.redial()

    @rule()
    def the_database_writes(self):
        self.recorded.write()

    @rule(n=st.integers(0, 1))
    def a_page_reads(self, n):
        self.do(self.viewers[n].step())

    # What goes wrong

    @rule()
    def redial(self):
        if not self.carrier.lost:
            self.do(self.carrier.dial(self.agent))
            self.settle()

    @rule()
    def new_carrier(self):
        """The one before was killed."""
        if self.carrier:
            self.do(self.carrier.end())
        self.carrier = Carrier(self.own, self.recorded)
        self.do(self.carrier.begin())
        self.redial()

    @rule()
    @precondition(lambda self: len(self.zombies) < 2)
    def another_carrier(self):
        """The one before does not know yet that it has lost the lease."""
        self.zombies.append(self.carrier)
        self.carrier = None
        self.new_carrier()

    @rule()
    @precondition(lambda self: self.zombies)
    def a_zombie_dies(self):
        self.do(self.zombies.pop(0).end())

    @rule()
    def redis_comes_back_empty(self):
        self.do(self.own.flushall())
        for viewer in self.viewers:  # they lose their connection to it, and look anew
            replay = viewer.replay
            shells = self.do(stream.known_shells(self.own, str(BOX)))
            viewer.after = {"": "0-0", **{shell: "0-0" for shell in {*shells, *replay.drawn}}}
            viewer.caught_up = False
        self.new_carrier()

    @rule(n=st.integers(0, 1))
    def a_page_comes_back(self, n):
        self.do(self.viewers[n].connect(self.own))

    @rule()
    def a_page_is_opened(self):
        self.viewers[1] = Viewer(self.truth)
        self.do(self.viewers[1].connect(self.own))

    @invariant()
    def nobody_broke(self):
        for carrier in (self.carrier, *self.zombies):
            assert carrier.lost in (True, False)  # any other error of its tasks is raised there


@pytest.fixture
def way(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(Path(folder)).start()
        monkeypatch.setattr(settings, "REDIS_URL", f"unix://{redis.socket}")
        monkeypatch.setattr(stream, "LOG_BYTES", 4 * KEPT)  # for eight events besides
        monkeypatch.setattr(agent_server, "FLUSH", 0.0)
        Way.loop = asyncio.new_event_loop()
        Way.own = Way.loop.run_until_complete(client())
        yield Way
        Way.loop.run_until_complete(Way.own.aclose())
        Way.loop.close()
        redis.kill()


async def client():
    return connection.client()


async def connected():
    return connection.Line()


def test_whatever_happens_on_the_way(way):
    run_state_machine_as_test(
        way, settings=hypothesis_settings(max_examples=150, stateful_step_count=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    )
