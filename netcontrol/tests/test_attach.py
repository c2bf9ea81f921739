"""Nothing is lost and nothing comes twice, whoever is killed in the middle of a flood."""
import asyncio
import json
import signal

import pytest
import redis

from netcontrol import attach, connection, lease, notices, record, stream
from netcontrol.agent.limits import MAX_HELD, WINDOW
from netcontrol.models import Command, Sandbox
from netcontrol.tests.agent_fixtures import Carrying, Page, db, until
from netcontrol.tests.test_consumers import until_row

pytestmark = pytest.mark.django_db(transaction=True)

LINES = 60_000
FLOOD = f"seq 1 {LINES}; echo o''ver"
FLOODED = b"".join(b"%d\r\n" % n for n in range(1, LINES + 1)) + b"over\r\n"


async def flooded(page: Page) -> None:
    """The page has every byte of the flood, once. (That none came twice or out of place, `Page` asserts of every frame.)"""
    finished = await page.get("command.finished", seconds=30)
    assert finished["exit_code"] == 0
    drawn = page.drawn["main"]
    flood = drawn[drawn.index(b"\r1\r\n2\r\n") + 1 :]
    wrong = next((n for n, (is_, should) in enumerate(zip(flood, FLOODED)) if is_ != should), len(flood))
    assert flood.startswith(FLOODED), f"at {wrong}: {flood[wrong - 60 : wrong + 60]!r}"
    assert not [event for event in page.events if event["type"] == "shell.gap"]


async def test_attach_killed_in_a_flood(page, asked):
    await page.send("run", shell="main", block="f", text=FLOOD)
    for mark in (b"\n5000\r", b"\n20000\r", b"\n40000\r"):
        await page.see(mark, seconds=30)
        await asked.carriers[-1].kill()
    await flooded(page)
    assert len(asked.carriers) > 1


async def test_a_killed_worker_leaves_its_lease(lab, page, asked):
    """kill -9: the lease runs out by itself; the page hears `down`, then `up`, and what was typed meanwhile arrives."""
    _, sandbox, _ = lab
    await page.get("sandbox.state", worker="up")
    token = await connection.client().get(connection.key("lease", str(sandbox.pk)))
    await asked.carriers[-1].kill()
    await connection.client().set(connection.key("lease", str(sandbox.pk)), token, px=lease.LEASE_MS)
    await page.send("shell.input", shell="main", data="echo typed-$((2+3))\r")
    await page.get("sandbox.state", worker="down", seconds=5)
    await page.get("sandbox.state", worker="up", seconds=5)
    await page.see(b"typed-5\r\n")
    assert page.drawn["main"].count(b"typed-5\r\n") == 1


async def test_agent_connection_lost_in_a_flood(lab, page):
    from netcontrol.dial import dial, dock_path

    _, sandbox, _ = lab
    await page.send("run", shell="main", block="f", text=FLOOD)
    for mark in (b"\n5000\r", b"\n30000\r"):
        await page.see(mark, seconds=30)
        thief = await dial(dock_path(sandbox.pk, "lab"))  # the newest worker wins: the attach is displaced
        thief.send("attach", epoch="thief", boot="", since={})
        await thief.read()
        thief.close()
    await flooded(page)


async def test_redis_restarts_empty_in_a_flood(page, private_redis):
    await page.send("run", shell="main", block="f", text=FLOOD)
    await page.see(b"\n20000\r", seconds=30)
    private_redis.kill()
    await page.get("sandbox.state", worker="down", seconds=5)
    private_redis.start()
    await flooded(page)
    await page.run("echo $((40+2))x")
    assert page.drawn["main"].count(b"42x\r\n") == 1


async def test_redis_restarts_between_two_reads_of_the_input(lab, page, private_redis, monkeypatch):
    """What stands in the new Redis is of a new epoch. Read by a carrier that has not noticed, it would be given twice."""
    _, sandbox, _ = lab
    readers = []  # (connection, what it read)

    async def read(own, *arguments, original=stream.read_input):
        found = await original(own, *arguments)
        readers.extend((own, m.get("data", "")) for _, m in found)
        if readers and readers[-1][1] == "x":
            private_redis.kill()
            private_redis.start()
            again = json.dumps({"type": "shell.input", "shell": "main", "data": "\x15echo $((6*7))x >> once\r"})
            redis.Redis(unix_socket_path=str(private_redis.socket)).xadd(connection.key("in", str(sandbox.pk)), {"m": again})
            await asyncio.sleep(0.1)  # the end of the old connection is noticed
        return found

    monkeypatch.setattr(stream, "read_input", read)
    monkeypatch.setattr(stream, "trim_input", lambda *_: asyncio.sleep(0))  # it only hides a second time
    await page.send("shell.input", shell="main", data="x")
    await page.get("command.finished")
    await page.run("cat once")
    assert page.drawn["main"].count(b"42x\r\n") == 1
    first, *_ = (own for own, data in readers if data == "x")
    assert [own for own, data in readers if "once" in data] != [] and first not in [own for own, data in readers if "once" in data]


async def test_the_agent_is_killed(lab, page):
    """The student ends the agent: its shells are gone, the page is told, and opens another in the same place."""
    _, _, agent = lab
    await page.send("run", shell="main", block="s", text="echo $((1+1)) sleeps; sleep 100")
    started = await page.get("command.started")
    await page.see(b"2 sleeps\r\n")
    agent.stop()
    agent.start()
    assert (await page.get("shell.closed", shell="main"))["exit_code"] is None
    finished = await page.get("command.finished")
    assert finished["id"] == started["id"] and finished["exit_code"] is None
    assert (await until_row(started["id"])).exit_code is None
    page.drawn["main"] += b""  # offsets go on: the page keeps what it has
    before = len(page.drawn["main"])
    await page.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    await page.get("shell.opened", shell="main")
    assert (await page.run("echo again"))["exit_code"] == 0
    assert b"again\r\n" in page.drawn["main"][before:]


async def test_a_row_that_a_killed_worker_did_not_write(lab, page, asked, monkeypatch):
    """The page was told of the command, and the log has it; the next worker hears of it again, and writes the row, once."""
    _, sandbox, _ = lab
    await page.run("true", block="1")
    in_thread = record.in_thread
    stuck = asyncio.Event()
    monkeypatch.setattr(record, "in_thread", lambda _: stuck.wait())  # the database hangs
    await page.run("(exit 3)", block="2")
    await asked.carriers[-1].kill()
    monkeypatch.setattr(record, "in_thread", in_thread)
    for block in ("1", "2"):
        await until_row((await page.get("command.started", block=block))["id"])
    await page.run("(exit 4)", block="3")
    await until_row((await page.get("command.started", block="3"))["id"])
    rows = Command.objects.filter(sandbox=sandbox).order_by("started_at").values_list("block", "exit_code")
    assert await db(lambda: list(rows))() == [("1", 0), ("2", 3), ("3", 4)]


async def test_a_second_attach_returns_at_once(lab, page):
    _, sandbox, _ = lab
    await asyncio.wait_for(Carrying(sandbox).start().task, 2)
    assert (await page.run("true"))["exit_code"] == 0


async def test_it_ends_with_the_sandbox(lab, page, asked):
    alice, sandbox, _ = lab
    await db(sandbox.end)("Its time was up.")
    await notices.anotify(alice.pk)
    await until(lambda: asked.carriers[0].task.done(), 8)
    assert not await lease.alive(connection.client(), str(sandbox.pk))
    state = await page.get("sandbox.state", state="ended")
    assert state["why"] == "Its time was up."


async def test_it_ends_when_nobody_looks(lab, asked, monkeypatch):
    monkeypatch.setattr(attach, "NOBODY_SECONDS", 0.5)
    alice, _sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.close()
    await until(lambda: asked.carriers[0].task.done(), 8)
    again = await Page.open(alice)
    await again.see(b"# ")
    assert (await again.run("true"))["exit_code"] == 0
    await again.close()


async def test_the_slowest_page_holds_the_program_back_until_it_goes(lab):
    alice, _sandbox, _ = lab
    quick, slow = await Page.open(alice), await Page.open(alice)
    slow.acknowledges = False
    await quick.shell()
    await slow.get("shell.opened")
    await quick.send("run", shell="main", block="y", text=FLOOD)
    await quick.see(b"\n20000\r")
    with pytest.raises(TimeoutError):
        await quick.see(b"over\r\n", seconds=1.5)
    assert len(quick.drawn["main"]) < 512 * 1024 and len(slow.drawn["main"]) < 512 * 1024
    await slow.close()
    await flooded(quick)
    await quick.close()


async def test_nobody_looks_and_the_program_goes_on(lab):
    alice, sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.send("run", shell="main", block="y", text="seq 1 1000000; echo o''ver")
    await page.see(b"\n20000\r")
    drawn = {shell: page.begun[shell] + len(data) for shell, data in page.drawn.items()}
    await page.close()
    rows = Command.objects.filter(sandbox=sandbox).exclude(duration_ms=None)
    async with asyncio.timeout(30):
        while not await db(rows.exists)():
            await asyncio.sleep(0.05)
    again = await Page.open(alice, since=drawn)
    gap = await again.get("shell.gap")
    assert gap["from"] == drawn["main"] and gap["to"] > gap["from"]
    await again.see(b"over\r\n")
    assert again.begun["main"] >= gap["to"] and len(again.drawn["main"]) <= 3 * stream.LOG_BYTES  # the log may go on while it is read
    await again.close()


async def test_many_pages_of_one_student(lab):
    alice, _sandbox, _ = lab
    pages = [await Page.open(alice) for _ in range(3)]
    await pages[0].shell()
    await pages[1].run("echo $((6*7))x")
    for page in pages:
        assert b"42x\r\n" in await page.see(b"42x\r\n")
    assert len({bytes(page.drawn["main"]) for page in pages}) == 1 or await asyncio.sleep(0.2) is None
    for page in pages:
        await page.close()


async def test_a_flood_that_is_broken_off(page):
    """`yes` and Ctrl-C: the prompt is there at once, and no more than the window came after."""
    await page.send("run", shell="main", block="y", text="yes")
    async with asyncio.timeout(10):
        while len(page.drawn["main"]) < 2_000_000:
            await asyncio.sleep(0.01)
    began = asyncio.get_running_loop().time()
    await page.send("shell.input", shell="main", data="\x03")
    finished = await page.get("command.finished")
    took = asyncio.get_running_loop().time() - began
    assert finished["exit_code"] == 130 and took < 1
    print(f"Ctrl-C in a flood: {took * 1000:.1f} ms")


async def test_a_sandbox_that_is_not_claimed_is_not_carried(lab):
    _alice, sandbox, _ = lab
    await db(Sandbox.objects.filter(pk=sandbox.pk).update)(state=Sandbox.State.ENDED)
    await asyncio.wait_for(Carrying(sandbox).start().task, 2)


async def test_a_page_that_comes_back_does_not_hold_the_program(lab):
    """What it had drawn before counts as drawn. It acknowledges every 64 KiB, so it would say nothing until more was printed."""
    alice, _sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.run("seq 1 70000")
    drawn = {"main": len(page.drawn["main"])}
    assert drawn["main"] > WINDOW
    await page.close()
    again = await Page.open(alice, since=drawn)
    again.acknowledges = False
    again.begun["main"] = drawn["main"]
    await again.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    await again.get("shell.opened")
    assert (await again.run("seq 1 10000"))["exit_code"] == 0
    await again.close()


async def test_a_page_that_comes_back_is_not_told_to_forget(lab, private_redis):
    """Of a shell that ended and was opened again: both openings and the end between them are past, also when Redis comes back empty."""
    alice, _sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.send("shell.input", shell="main", data="exit\r")
    await page.get("shell.closed")
    await page.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    await page.run("echo $((6*7))x")
    drawn = {"main": len(page.drawn["main"])}
    for empty in (False, True):
        await page.close()
        if empty:
            private_redis.kill()
            private_redis.start()
        page = await Page.open(alice, since=drawn)
        page.begun["main"] = drawn["main"]
        await page.get("sandbox.state", worker="up")
        await page.get("commands")  # a command that ends before this is in it, and is no event
        await page.run("echo $((6*8))y", block=f"after {empty}")
        assert not [event for event in page.events if event["type"] in ("shell.opened", "shell.closed")]
        drawn["main"] += len(page.drawn["main"])
    await page.close()


async def test_keys_that_come_faster_than_they_are_taken(lab, page):
    """More than may wait, each key a message of its own: the page is held back, none is refused, and all arrive in order."""
    _, sandbox, agent = lab
    agent.process.send_signal(signal.SIGSTOP)
    text = "echo " + "".join(chr(97 + n % 26) for n in range(stream.MAX_INPUTS + MAX_HELD + 100))
    for key in text:
        await page.send("shell.input", shell="main", data=key)
    async with asyncio.timeout(5):
        while await stream.input_waits(connection.client(), str(sandbox.pk)) < stream.MAX_INPUTS:
            await asyncio.sleep(0.01)
    agent.process.send_signal(signal.SIGCONT)
    await page.send("shell.input", shell="main", data="\r")
    started = await page.get("command.started")
    assert started["text"] == text and not [event for event in page.events if event["type"] == "error"]
