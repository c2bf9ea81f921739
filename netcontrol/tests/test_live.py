"""What the hosts' networks do reaches each page once and in order: whoever is killed, whatever is forgotten, however much comes."""
import asyncio
import json
import time
import uuid

import pytest

from lessons.models import Student
from netcontrol import attach, connection, lease, notices, viewers
from netcontrol.dial import dock_path
from netcontrol.lease import LeaseLost
from netcontrol.models import Sandbox
from netcontrol.network.change import apply
from netcontrol.network.live import live, store, watching
from netcontrol.network.live.live import command_id
from netcontrol.network.live.store import Head
from netcontrol.tests.agent_fixtures import Page, db, make_sandbox, until
from netcontrol.tests.observed import PlayedAgent, body, names

pytestmark = pytest.mark.django_db(transaction=True)


class Seeing(Page):
    """A page that keeps the network as it is told, and holds the server to it: each change follows on what the page has."""

    graph: dict | None = None
    version = 0
    away: tuple[str, ...] = ()

    @classmethod
    async def open(cls, user, **more) -> "Seeing":
        page = await super().open(user, **more)
        page.changes, page.wholes, page.at = [], 0, 0
        await page.send("network.watch", on=True)
        return page

    def catch_up(self) -> None:
        while self.at < len(self.events):
            m = self.events[self.at]
            self.at += 1
            match m["type"]:
                case "network.snapshot":
                    self.graph, self.version, self.past = m["graph"], m["version"], m["past"]
                    self.wholes, self.away = self.wholes + 1, ()
                case "network.change":
                    assert m["from"] == self.version and m["version"] == self.version + 1, f"version {self.version} was followed by {m['from']} → {m['version']}"
                    self.graph, self.version = apply(self.graph, m["change"]), m["version"]
                    self.changes.append(m)
                case "network.away":
                    self.away = tuple(m["hosts"])

    async def sees(self, *wanted: str, host: str = "lab", seconds: float = 10) -> None:
        await self.until(lambda: self.graph and names(self.graph, host) == set(wanted), seconds)

    async def until(self, true, seconds: float = 10):
        def caught_up():
            assert not self.task.done(), self.task.exception()
            self.catch_up()
            return true()

        return await until(caught_up, seconds)

    @property
    def answered(self) -> list[str]:
        return [id for m in self.changes for id in [*m["also_after"], *([m["after_command"]] if m["after_command"] else [])]]


@pytest.fixture
async def box(private_redis, docks, asked):
    """Alice, her sandbox with two hosts, and their played agents."""
    alice = await db(Student.objects.create)(username="alice")
    sandbox = await db(make_sandbox)(alice, "lab,client")
    agents = [await PlayedAgent(dock_path(sandbox.pk, name)).start() for name in ("lab", "client")]
    asked.begin()
    yield alice, sandbox, *agents
    await asked.end()
    for agent in agents:
        await agent.stop()


@pytest.fixture
async def page(box):
    page = await Seeing.open(box[0])
    await page.sees("eth0")
    yield page
    await page.close()


def ids(sandbox: Sandbox, *numbers: int, host: str = "lab", boot: str = "b1") -> list[str]:
    return [command_id(sandbox.pk, host, boot, "main", number) for number in numbers]


async def test_from_watch_to_change(box, page):
    alice, sandbox, lab, client = box
    assert page.wholes == 1 and page.graph["unseen"] == [] and page.past == []
    lab.end(1, body("eth0", "docker0"))
    await page.sees("eth0", "docker0")
    client.say(body("eth0", "br0"))
    await page.sees("eth0", "br0", host="client")
    lab.end(2)  # it changed nothing
    await page.until(lambda: len(page.changes) == 3)
    assert [m["after_command"] for m in page.changes] == [*ids(sandbox, 1), None, *ids(sandbox, 2)] and page.answered == ids(sandbox, 1, 2)
    assert page.changes[2]["change"] == {"added": {}, "gone": [], "changed": {}} and page.changes[2]["lines"] == []
    assert page.changes[0]["lines"] and isinstance(page.changes[0]["lines"][0]["text"], str)
    lab.say(body("eth0", "docker0"))  # the same again
    lab.end(3, body("eth0"))
    await page.sees("eth0")
    assert len(page.changes) == 4 and page.wholes == 1
    late = await Seeing.open(alice)
    await late.sees("eth0")
    assert [entry["version"] for entry in late.past] == [m["version"] for m in page.changes if m["lines"]] and late.version == page.version
    await late.close()


async def test_what_was_seen_while_a_command_ran_is_told_with_it(box):
    alice, sandbox, lab, _ = box
    lab.ended = {"main": 0, "other": 0}
    page = await Seeing.open(alice)
    await page.sees("eth0")
    lab.begin(1)
    await page.get("command.started")
    lab.say(body("eth0", "a"))
    await page.sees("eth0", "a")
    lab.end(1, shell="other")  # it changed nothing
    await page.until(lambda: len(page.changes) == 2)
    lab.end(1, body("eth0", "a", "b"))
    await page.sees("eth0", "a", "b")
    half, whole = page.changes[0], page.changes[-1]
    assert half["after_command"] is None and whole["after_command"] == ids(sandbox, 1)[0] and whole["instead_of"] == [half["version"]]
    assert {thing for line in whole["lines"] for thing in line["ids"]} >= {thing for line in half["lines"] for thing in line["ids"]} and list(whole["change"]["added"]) != []
    lab.begin(2)
    lab.begin(5, shell="other")
    await until(lambda: len([m for m in page.events if m["type"] == "command.started"]) == 2)
    lab.say(body("eth0", "a", "b", "c"))
    await page.sees("eth0", "a", "b", "c")
    lab.end(2)  # all of it was seen before it ended
    await page.until(lambda: page.changes[-1]["after_command"] == ids(sandbox, 2)[0])
    assert page.changes[-1]["lines"] == page.changes[-2]["lines"] and page.changes[-1]["instead_of"] == [page.changes[-2]["version"]]
    lab.end(5, shell="other")  # what one was given is not given to another
    await page.until(lambda: page.changes[-1]["after_command"] == command_id(sandbox.pk, "lab", "b1", "other", 5))
    assert page.changes[-1]["lines"] == [] and page.changes[-1]["instead_of"] == []
    late = await Seeing.open(alice)
    await late.sees("eth0", "a", "b", "c")
    assert [entry["after_command"] for entry in late.past] == ids(sandbox, 1, 2)
    await page.close(), await late.close()


async def test_what_was_there_before_a_long_command_is_not_kept(private_redis, monkeypatch):
    one = live.Live(uuid.uuid4(), "token")
    one.on, one.drawn = True, b"{}"
    one.begin("lab", "main", 1)
    one._claim([], True)
    assert one.begun
    monkeypatch.setattr(live, "RUNS_SECONDS", 0.0)
    one._claim([], True)
    assert not one.begun


async def test_nothing_while_nobody_looks(box, monkeypatch):
    monkeypatch.setattr(viewers, "LINGER_SECONDS", 0.5)
    alice, _, lab, _ = box
    plain = await Page.open(alice)
    await plain.get("sandbox.state", worker="up")
    await until(lambda: lab.writer)
    await asyncio.sleep(0.3)
    assert not [m for m in lab.heard if m["type"] == "watch"]
    page = await Seeing.open(alice)
    await page.sees("eth0")
    await page.send("network.watch", on=False)
    await until(lambda: not lab.watched)
    lab.say(body("eth0", "unseen"))
    await page.send("network.watch", on=True)
    await page.sees("eth0", "unseen")
    assert page.changes == [] and page.wholes == 2  # what happened meanwhile is no change that anybody made
    await page.close()
    await until(lambda: not lab.watched)
    assert [m["on"] for m in lab.heard if m["type"] == "watch"] == [True, False, True, False]
    assert not [event for event in plain.events if event["type"].startswith("network")]
    await plain.close()


async def test_a_page_that_vanished_counts_as_gone(box, monkeypatch):
    monkeypatch.setattr(viewers, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(viewers, "VIEWER_SECONDS", 1.0)
    alice, _, lab, _ = box
    page = await Seeing.open(alice)
    await page.sees("eth0")
    page.task.cancel()
    page.socket.future.cancel()  # web is killed: it says nothing any more
    await until(lambda: not lab.watched, 5)


async def test_a_killed_worker(box, page, asked):
    """Its successor answers for just the commands that were not answered for, and a page is told what it lacks and no more."""
    _, sandbox, lab, _ = box
    lab.end(1, body("eth0", "a"))
    await page.sees("eth0", "a")
    for n in range(2, 8, 2):
        await asked.carriers[-1].kill()
        lab.ended = {"main": n}  # nobody was told of it
        lab.sees = body("eth0", "a", f"b{n}")
        await page.sees("eth0", "a", f"b{n}")
        lab.end(n + 1, body("eth0", "a", f"c{n}"))
        await page.sees("eth0", "a", f"c{n}")
    assert page.answered == ids(sandbox, *range(1, 8)) and page.wholes == 1
    assert page.away == () or await page.until(lambda: page.away == ())


async def test_a_worker_killed_between_two_words(box, page, asked, monkeypatch):
    """It took what the agent said and dies before it is written; or after, before anybody heard that."""
    _, sandbox, lab, _ = box
    write = store.write
    for n, before in enumerate((True, False, True, False), 1):
        dying = asyncio.Event()

        async def writes(*arguments, before=before, dying=dying):
            if not before:
                await write(*arguments)
            dying.set()
            await asyncio.sleep(100)

        monkeypatch.setattr(store, "write", writes)
        lab.end(2 * n - 1, body("eth0", f"a{n}"))
        await dying.wait()
        monkeypatch.setattr(store, "write", write)
        await asked.carriers[-1].kill()
        await page.sees("eth0", f"a{n}")
        lab.end(2 * n)
        await page.until(lambda n=n: page.changes and page.changes[-1]["after_command"] == ids(sandbox, 2 * n)[0])
    told = page.answered
    assert told == ids(sandbox, *range(1, 9))


async def test_a_head_of_another_version(private_redis):
    """Shells go on through an upgrade, so the carrier does too."""
    await connection.client().hset(connection.key("net", "s"), mapping={"head": json.dumps({"version": 3, "of_tomorrow": 1}), "graph": "{}"})
    line = connection.Line()
    assert await store.load(line, "s") == (Head(version=3), b"{}", {})
    await line.close()


async def test_who_lost_the_lease_writes_nothing(private_redis):
    line, box = connection.Line(), "5d4f0c3e-0000-4000-8000-000000000003"
    r, mine, theirs = connection.client(), lease.new_token(), lease.new_token()
    await lease.take(r, box, theirs)
    with pytest.raises(LeaseLost):
        await store.write(line, box, Head(mine, 1), {"version": 1}, b"{}", {"version": 1}, b"{}")
    with pytest.raises(LeaseLost):
        await store.close(line, box, Head(mine, 1))
    assert await r.keys("*") == [connection.key("lease", box).encode()]
    await store.write(line, box, Head(theirs, 1, awake=True), {"version": 1}, b"{}", {"version": 1, "lines": []}, b'{"a":1}')
    seen = await store.read(line, box)
    assert (seen.head.version, seen.graph, seen.past) == (1, b'{"a":1}', [{"version": 1, "lines": []}])
    await lease.release(r, box, theirs)
    await lease.take(r, box, mine)
    assert not (await store.read(line, box)).head.awake  # what a killed one left is not what there is now
    head, graph, _ = await store.load(line, box)
    assert head.version == 1 and graph == b'{"a":1}'
    await line.close()


async def test_redis_comes_back_empty(box, page, private_redis):
    _, _, lab, _ = box
    lab.say(body("eth0", "a"))
    await page.sees("eth0", "a")
    private_redis.kill()
    lab.say(body("eth0", "b"))
    await page.get("sandbox.state", worker="down", seconds=5)
    private_redis.start()
    page.at = len(page.events)
    await page.sees("eth0", "b")
    lab.say(body("eth0", "c"))
    await page.sees("eth0", "c")


async def test_the_connection_to_the_agent_is_lost(box, page):
    _, sandbox, lab, _ = box
    for n in range(1, 4):
        lab.hang_up()
        lab.ended, lab.sees = {"main": n}, body("eth0", f"a{n}")
        await page.sees("eth0", f"a{n}")
    assert page.answered == ids(sandbox, 1, 2, 3) and page.wholes == 1 and page.away == ()
    lab.hang_up()
    lab.boot, lab.ended, lab.sees = "b2", {"main": 1}, body("eth0", "again")  # another agent, that counts from one
    await page.sees("eth0", "again")
    assert page.answered[3:] == ids(sandbox, 1, boot="b2")


async def test_a_page_that_comes_back(box):
    alice, _, lab, _ = box
    page = await Seeing.open(alice)
    await page.sees("eth0")
    lab.end(1, body("eth0", "a"))
    await page.sees("eth0", "a")
    await page.close()
    lab.end(2, body("eth0", "b"))
    again = await Seeing.open(alice)
    await again.sees("eth0", "b")
    assert lab.watched and [m["on"] for m in lab.heard if m["type"] == "watch"] == [True]  # it was back soon enough
    await again.close()


async def test_a_fresh_sandbox(box):
    """The page is told of the new one's network after it was told that there is a new one, and nothing of the old one's any more."""
    alice, sandbox, lab, _ = box
    page = await Seeing.open(alice)
    lab.say(body("eth0", "old"))
    await page.sees("eth0", "old")
    await db(sandbox.end)("You asked for a fresh one.")
    fresh = await db(make_sandbox)(alice)
    agent = await PlayedAgent(dock_path(fresh.pk, "lab")).start()
    await notices.anotify(alice.pk)
    await page.sees("eth0")
    kinds = [(m["type"], m.get("sandbox")) for m in page.events if m["type"] in ("sandbox.state", "network.snapshot")]
    assert kinds.index(("sandbox.state", str(fresh.pk))) < len(kinds) - 1 - kinds[::-1].index(("network.snapshot", None)) + 1
    lab.say(body("eth0", "ghost"))
    agent.end(1, body("eth0", "new"))
    await page.sees("eth0", "new")
    assert page.version == 2
    await page.close()
    await agent.stop()


async def test_a_host_that_does_not_answer_keeps_nobody_waiting(box, monkeypatch):
    monkeypatch.setattr(live, "AWAY_SECONDS", 0.5)
    alice, _, lab, client = box
    await client.stop()
    page = await Seeing.open(alice)
    await page.sees("eth0")
    assert page.graph["unseen"] == ["client"]
    await page.until(lambda: page.away == ("client",))
    why = next(m["why"] for m in page.events if m["type"] == "network.away")
    assert "client" in why
    lab.end(1, body("eth0", "a"))
    await page.sees("eth0", "a", seconds=0.3)
    await client.start()
    await page.sees("eth0", host="client")
    await page.until(lambda: page.away == ())
    client.say(body("eth0", "x"))
    await page.sees("eth0", "x", host="client")
    await client.stop()  # and goes: what is known of it stays, and is said to be old
    await page.until(lambda: page.away == ("client",))
    await page.sees("eth0", "x", host="client")
    assert all(line["text"] for m in page.changes for line in m["lines"])
    await page.close()


async def test_an_agent_that_cannot_see(box, monkeypatch):
    monkeypatch.setattr(live, "AWAY_SECONDS", 0.5)
    alice, _, lab, client = box
    lab.failed, client.mute = "it is gone", True
    page = await Seeing.open(alice)
    await page.until(lambda: page.away == ("client", "lab"))
    assert page.graph is None
    lab.failed = ""
    lab.say(body("eth0"))
    client.say(body("eth0"))
    await page.sees("eth0")
    await page.until(lambda: page.away == () and page.graph["unseen"] == [])
    await page.close()


async def test_an_agent_that_says_so_again_and_again(box, page, caplog):
    _, _, lab, client = box
    lab.failed = "it is gone"
    with caplog.at_level("INFO", logger="netcontrol.network.live.live"):
        for _ in range(300):
            lab.say()
        await page.until(lambda: page.away == ("lab",))
        client.say(body("eth0", "a"))
        await page.sees("eth0", "a", host="client")
    assert len([record for record in caplog.records if "cannot be seen" in record.message]) == 1


async def test_an_agent_that_does_not_know_of_it(box, monkeypatch):
    """It runs since an older version, and would hang up: its terminals go on, its network is not seen."""
    monkeypatch.setattr(live, "AWAY_SECONDS", 0.5)
    alice, _, lab, _ = box
    lab.watches = False
    page = await Seeing.open(alice)
    await page.sees("eth0", host="client")
    await page.until(lambda: page.away == ("lab",))
    assert not [m for m in lab.heard if m["type"] == "watch"]
    await page.close()


@pytest.mark.parametrize("forged", [
    b"not json", b"[]", b"{}", b'{"spaces": [{"root": NaN}]}', b"[" * 100_000, b"\xff\xfe{}", b'{"spaces": "x"}', b"1" * 5000, b'{"spaces": [' + b"{}," * 150_000 + b"{}]}",
], ids=lambda b: b[:20].decode("latin-1"))  # fmt: skip
async def test_a_forged_body(box, page, forged):
    """The host is said not to be seen, its terminals go on, and the other host's network too."""
    _, _, lab, client = box
    lab.say(forged)
    await page.until(lambda: page.away == ("lab",))
    client.say(body("eth0", "br0"))
    await page.sees("eth0", "br0", host="client")
    assert names(page.graph) == {"eth0"} and lab.writer
    lab.say(body("eth0", "a"))
    await page.sees("eth0", "a")
    await page.until(lambda: page.away == ())


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\0", b"\0\0\0\2[]", b"\xff\xff\xff\xff{}", b'\0\0\0\x12{"type": "welcome"}', b'\0\0\0\x1b{"type":"network.snapshot"}'])
async def test_a_forged_head_ends_the_connection(box, page, frame):
    _, _, lab, _ = box
    lab.junk(frame)
    await until(lambda: len([m for m in lab.heard if m["type"] == "attach"]) == 2)
    lab.say(body("eth0", "a"))
    await page.sees("eth0", "a")


async def test_lies_about_commands_are_bounded(box, page):
    _, _, lab, _ = box
    lab.say(after=[["main", 2**53]] * 32)
    await page.until(lambda: page.changes)
    lab.say(after=[[f"s{n}", 2**53] for n in range(32)])
    await page.until(lambda: len(page.changes) == 2)
    assert all(len(m["also_after"]) < live.ANSWERS for m in page.changes)


async def test_a_flood_of_snapshots(box, page):
    """The newest counts; what came between is not looked at, and who floods is held back."""
    _, sandbox, lab, client = box
    for n in range(1, 401):
        lab.end(n, body("eth0", *(f"v{n}x{m}" for m in range(50))))
        if n % 20 == 0:
            await asyncio.sleep(0.01)
    client.say(body("eth0", "quick"))
    await page.sees("eth0", "quick", host="client", seconds=3)
    await page.until(lambda: "v400x0" in names(page.graph))
    assert len(page.changes) < 30 and page.answered[-1] == ids(sandbox, 400)[0] and len(page.answered) == len(set(page.answered))


async def test_a_change_that_is_larger_than_may_be_told(box):
    alice, _, lab, _ = box
    page, other = await Seeing.open(alice), await Seeing.open(alice)
    await page.sees("eth0")
    await other.sees("eth0")
    many = [f"v{n}" for n in range(400)]
    lab.end(1, body(*many))
    for each in (page, other):
        await each.sees(*many)
        assert each.wholes == 2 and each.past[-1]["version"] == each.version and each.past[-1]["after_command"] and 0 < len(each.past[-1]["lines"]) <= 40
    lab.say(body("eth0", *many[1:]))
    await page.sees("eth0", *many[1:])
    assert page.wholes == 2
    await page.close(), await other.close()


async def test_a_whole_in_between_and_a_host_away(box, page):
    """A snapshot says that all is seen: what is not is said after it, again."""
    _, _, lab, client = box
    client.say(b"forged")
    await page.until(lambda: page.away == ("client",))
    lab.say(body(*(f"v{n}" for n in range(400))))
    await page.until(lambda: page.wholes == 2)
    await page.until(lambda: page.away == ("client",))


async def test_a_page_that_changes_its_mind(box, monkeypatch):
    """However often it looks anew, and however many pages a student has: only so many wholes are read and told."""
    alice, _, lab, _ = box
    page, other = await Seeing.open(alice), await Seeing.open(alice)
    await page.sees("eth0")
    await other.sees("eth0")
    monkeypatch.setattr(watching, "TOLD_AT_ONCE", watching.WHOLE_COST * 20)
    monkeypatch.setattr(watching, "TOLD_A_SECOND", watching.WHOLE_COST * 20)
    began, reads, read = time.monotonic(), [], store.read

    async def counted(*args):
        reads.append(args)
        return await read(*args)

    monkeypatch.setattr(store, "read", counted)
    for n in range(100):
        for each in (page, other):
            await each.send("network.watch", on=n % 2 == 1)
        await asyncio.sleep(0.01)
    assert len(reads) < 20 * (1 + time.monotonic() - began) + 5, "each look is read"
    lab.say(body("eth0", "a"))
    await page.sees("eth0", "a")
    await other.sees("eth0", "a")
    await page.close(), await other.close()


async def test_pages_are_told_only_so_much(box, monkeypatch):
    """A host that changes much all the time; each page is told less often, and what there is then."""
    alice, _, lab, _ = box
    monkeypatch.setattr(watching, "TOLD_AT_ONCE", 3 * watching.WHOLE_COST)
    monkeypatch.setattr(watching, "TOLD_A_SECOND", 2 * watching.WHOLE_COST)
    began = time.monotonic()
    page, other = await Seeing.open(alice), await Seeing.open(alice)
    for each in (page, other):
        await each.sees("eth0")
    for n in range(24):
        lab.say(body("eth0", *(f"v{n}x{m}" for m in range(100))))
        await asyncio.sleep(0.1)
    for each in (page, other):
        await each.until(lambda each=each: each.graph and "v23x0" in names(each.graph), 20)
    took = time.monotonic() - began
    told = [len(json.dumps(m, separators=(",", ":"))) for each in (page, other) for m in each.events if m["type"] in ("network.change", "network.snapshot")]
    assert sum(told) < watching.TOLD_AT_ONCE + watching.TOLD_A_SECOND * took + 2 * max(told), "what both had begun to say when it was used up may be more"
    await page.close(), await other.close()


async def test_two_pages_in_their_languages(box):
    alice, _, lab, _ = box
    english, chinese = await Seeing.open(alice), await Seeing.open(alice, cookies={"patchbay-language": "zh-hans"})
    await english.sees("eth0"), await chinese.sees("eth0")
    live_why = {}
    lab.say(b"forged")
    for page in (english, chinese):
        await page.until(lambda page=page: page.away == ("lab",))
        live_why[page] = next(m["why"] for m in page.events if m["type"] == "network.away")
    assert live_why[english].isascii() and not live_why[chinese].isascii()
    await english.close(), await chinese.close()


async def test_more_changes_than_are_kept(box, page, private_redis, monkeypatch):
    """A page that was held up for so long is told the whole."""
    alice, _, lab, _ = box
    go_on = asyncio.Event()
    changes = store.changes

    async def held(*arguments):
        await go_on.wait()
        return await changes(*arguments)

    monkeypatch.setattr(store, "changes", held)
    monkeypatch.setattr(live, "A_SECOND", 1000)
    other = await Seeing.open(alice)
    await other.until(lambda: other.graph)
    lab.say(body("eth0", "first"))
    await asyncio.sleep(1.2)  # what reads already, reads on
    for n in range(1, store.MAX_CHANGES + 10):
        lab.end(n, body("eth0", f"a{n}"))
        await until(lambda n=n: json.loads(redis_head(private_redis))["version"] >= n + 1)
    go_on.set()
    for each in (page, other):
        await each.sees("eth0", f"a{n}")
        assert each.wholes == 2
    await other.close()


def redis_head(private_redis) -> bytes:
    import redis

    with redis.Redis(unix_socket_path=str(private_redis.socket)) as r:
        return r.hget(next(iter(r.scan_iter("*:net:*"))), "head")


async def test_it_ends_when_nobody_looks_with_nothing_left(box, asked, monkeypatch, private_redis):
    monkeypatch.setattr(attach, "NOBODY_SECONDS", 1.0)
    monkeypatch.setattr(viewers, "LINGER_SECONDS", 0.2)
    page = await Seeing.open(box[0])
    await page.sees("eth0")
    await page.close()
    await until(lambda: asked.carriers[0].task.done(), 8)
    head = json.loads(redis_head(private_redis))
    assert head["version"] == 1 and not head["awake"] and not head["marks"]
