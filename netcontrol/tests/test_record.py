"""What a command printed is in its row: exactly, whoever is killed meanwhile; and bounded, whatever it prints."""
import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from lessons.models import Student
from netcontrol import record as record_module
from netcontrol.agent.limits import HEAD, MAX_OUTPUT, TAIL
from netcontrol.capture import Printed
from netcontrol.hostlink import HostLink
from netcontrol.models import Command, Sandbox
from netcontrol.record import CommandRecord
from netcontrol.tests.agent_fixtures import Page, db, make_sandbox, until
from netcontrol.tests.test_consumers import until_row

pytestmark = pytest.mark.django_db(transaction=True)

LINES = 60_000
FLOOD = f"seq 1 {LINES}"
FLOODED = b"".join(b"%d\r\n" % n for n in range(1, LINES + 1))


def text(raw: bytes) -> str:
    return raw.decode().replace("\r\n", "\n")


async def row_of(page: Page, seconds: float = 40) -> Command:
    finished = await page.get("command.finished", seconds=seconds)
    assert finished["exit_code"] == 0
    return await until_row(finished["id"])


async def forget(redis, page: Page) -> None:
    """Redis comes back empty, and the lab recovers."""
    page.events.clear()
    redis.kill()
    await page.get("sandbox.state", worker="down", seconds=5)
    redis.start()
    await page.get("sandbox.state", worker="up", seconds=20)


def assert_whole(row: Command, printed: bytes) -> None:
    """Head, tail and count, byte for byte."""
    assert row.output_bytes == len(printed)
    assert row.output_left_out == max(0, len(printed) - HEAD - TAIL)
    if row.output_left_out:
        assert row.output_head == text(printed[:HEAD]) and row.output_tail == text(printed[-TAIL:])
    else:
        assert row.output_head == text(printed) and row.output_tail == ""


async def test_typed_and_clicked(page):
    await page.send("run", shell="main", block="1", text="printf 'a\\tb\\n\\033[1mbold\\033[0m\\n'; echo err >&2")
    assert (await row_of(page)).output_head == "a\tb\nbold\nerr\n"
    await page.send("shell.input", shell="main", data="echo ty''ped\r")
    row = await row_of(page)
    assert (row.text, row.output_head, row.output_bytes, row.output_left_out) == ("echo ty''ped", "typed\n", 7, 0)
    await page.send("shell.input", shell="main", data="true\r")
    assert (await row_of(page)).output_bytes == 0


async def test_a_flood(page):
    await page.send("run", shell="main", block="f", text=FLOOD)
    assert_whole(await row_of(page), FLOODED)


@pytest.mark.parametrize("lines", [10, 1000, 15_000], ids=["fits", "a gap", "much"])
async def test_attach_killed_while_it_prints(page, asked, monkeypatch, lines):
    """Killed four times, each time with output behind and output to come; and what it writes on its way out may not help."""
    monkeypatch.setattr(HostLink, "_record_so_far", lambda self: None)
    await page.send("run", shell="main", block="f", text=f"stty -echo; for n in 1 2 3 4; do seq $((n*{lines}-{lines}+1)) $((n*{lines})); read; done; stty echo")
    for n in range(1, 5):
        await page.see(b"\n%d\r\n" % (n * lines), seconds=30)
        await asked.carriers[-1].kill()
        await page.send("shell.input", shell="main", data="\r")
    row = await row_of(page)
    assert len(asked.carriers) == 5
    assert_whole(row, b"".join(b"%d\r\n" % n for n in range(1, 4 * lines + 1)))


async def test_attach_killed_between_the_log_and_the_database(lab, page, asked, monkeypatch):
    """The page has heard of it, so the agent will not say it again; the rows are written by the next carrier, from the log."""
    _, _, _ = lab
    with monkeypatch.context() as away:
        away.setattr(CommandRecord, "_queue", lambda *_, **__: None)
        ended = []
        for n, command in enumerate((FLOOD, "echo short; (exit 3)", "true")):
            await page.send("run", shell="main", block=str(n), text=command)
            ended.append(await page.get("command.finished", seconds=30))
        await page.send("run", shell="main", block="r", text="echo begins; read")
        runs = await page.get("command.started", block="r")
        await page.see(b"begins\r\n")
        await asked.carriers[-1].kill()
    await page.send("shell.input", shell="main", data="\r")
    assert (await row_of(page)).output_head == "begins\n\n"
    flood, short, true = [await until_row(event["id"]) for event in ended]
    assert_whole(flood, FLOODED)
    assert (short.output_head, short.exit_code, short.text) == ("short\n", 3, "echo short; (exit 3)")
    assert (true.output_bytes, true.exit_code) == (0, 0)
    assert runs["id"] not in {event["id"] for event in ended}


@pytest.mark.parametrize("fault", ["redis forgets", "attach is killed"])
async def test_more_than_the_log_keeps(page, asked, private_redis, fault):
    """The beginning is only in the row by then: the log does not have it, and neither have Redis and the agent once it forgot."""
    await page.send("run", shell="main", block="f", text="seq 1 400000; read; echo over")
    await page.see(b"\n400000\r\n", seconds=60)
    await (forget(private_redis, page) if fault == "redis forgets" else asked.carriers[-1].kill())
    await page.send("shell.input", shell="main", data="\r")
    assert_whole(await row_of(page), b"".join(b"%d\r\n" % n for n in range(1, 400_001)) + b"\r\nover\r\n")


async def test_an_emptied_redis_changes_no_row_that_is_written(lab, page, private_redis):
    _, sandbox, _ = lab
    await page.send("run", shell="main", block="1", text="seq 1 10")
    first = await row_of(page)
    await page.send("run", shell="main", block="2", text="seq 1 400000")  # pushes the first out of the agent's memory
    second = await row_of(page, 60)
    await forget(private_redis, page)
    await until_row((await page.run("true"))["id"])
    for before in (first, second):
        now = await db(Command.objects.get)(pk=before.pk)
        assert [getattr(now, f.attname) for f in Command._meta.fields] == [getattr(before, f.attname) for f in Command._meta.fields]
    assert await db(sandbox.commands.count)() == 3


async def test_output_that_nobody_saw(lab, asked):
    """Printed while no worker was there, and more than the agent keeps: counted, and the end is the end."""
    alice, _sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.send("run", shell="main", block="n", text="echo begin; read; sleep 0.5; seq 1 400000")
    await page.see(b"\rbegin\r\n")
    await page.send("shell.input", shell="main", data="\r")
    await page.see(b"\rbegin\r\n\r\n")
    drawn = {shell: page.begun[shell] + len(data) for shell, data in page.drawn.items()}
    await page.close()
    await asked.carriers[-1].kill()
    await asyncio.sleep(3)  # nobody reads the agent: there is no event to wait for
    again = await Page.open(alice, since=drawn)
    row = await row_of(again)
    printed = b"begin\r\n\r\n" + b"".join(b"%d\r\n" % n for n in range(1, 400_001))
    assert row.output_bytes == len(printed) and row.output_tail == text(printed[-TAIL:])
    assert row.output_head.startswith("begin\n") and text(printed).startswith(row.output_head)
    assert row.output_left_out >= len(printed) - HEAD - TAIL
    await again.close()


async def test_a_lab_that_ends_while_a_command_runs(lab, page, asked):
    _, sandbox, _ = lab
    await page.send("run", shell="main", block="p", text="echo so far; sleep 100")
    started = await page.get("command.started")
    await page.see(b"\rso far\r\n")
    await db(sandbox.end)("Its time was up.")
    await until(lambda: asked.carriers[0].task.done(), 8)
    row = await db(Command.objects.get)(pk=started["id"])
    assert (row.output_head, row.duration_ms) == ("so far\n", None)


async def test_the_agent_is_killed_while_a_command_runs(lab):
    alice, _sandbox, agent = lab
    page = await Page.open(alice)
    await page.shell()
    await page.send("run", shell="main", block="s", text="echo so far; sleep 100")
    await page.see(b"\rso far\r\n")
    agent.stop()
    agent.start()
    finished = await page.get("command.finished")
    row = await until_row(finished["id"])
    assert (row.output_head, row.exit_code) == ("so far\n", None)
    await page.close()


# The record by itself


@pytest.fixture
async def written():
    """A record that writes, without a carrier; and its sandbox."""
    owner = await db(Student.objects.create)(username="bob")
    sandbox = await db(make_sandbox)(owner)
    record = CommandRecord(sandbox.pk, lambda m: None)
    task = asyncio.create_task(record.write())
    yield record, sandbox
    task.cancel()


def started(record: CommandRecord, text: str = "x") -> str:
    id = str(uuid.uuid4())
    record.started({"id": id, "host": "lab", "shell": "lab", "block": "", "text": text}, datetime.now(UTC), lambda: None)
    return id


def finished(record: CommandRecord, id: str, printed: Printed, code: int = 0) -> None:
    record.finished({"id": id, "exit_code": code, "duration_ms": 1.0}, printed, lambda: None)


async def test_a_sandbox_keeps_so_much_output_and_no_more(written, monkeypatch):
    record, sandbox = written
    monkeypatch.setattr(record_module, "MAX_OUTPUT", 3 * (HEAD + TAIL) + HEAD)
    whole = Printed(b"h" * HEAD, b"t" * TAIL, HEAD + TAIL)
    ids = []
    for _ in range(5):
        ids.append(started(record))
        finished(record, ids[-1], whole)
        await record.changes.join()
    small = started(record)
    finished(record, small, Printed(b"small", b"", 5))
    await record.changes.join()
    rows = [await db(Command.objects.get)(pk=id) for id in ids]
    assert [(len(row.output_head), row.output_left_out) for row in rows] == [(HEAD + TAIL, 0)] * 3 + [(0, HEAD + TAIL)] * 2
    assert all(row.output_bytes == HEAD + TAIL and row.exit_code == 0 for row in rows)
    assert (await db(Command.objects.get)(pk=small)).output_head == "small"
    another = CommandRecord(sandbox.pk, lambda m: None)  # of the next carrier: it asks the database
    assert not await db(another._take_room)(HEAD + 1)
    assert await db(another._take_room)(HEAD - 5)
    assert MAX_OUTPUT == 16 * 1024 * 1024


async def test_a_head_that_is_there_is_not_lost(written):
    record, _ = written
    id = started(record)
    record.printed(id, Printed(b"h" * HEAD, b"", HEAD))
    record.printed(id, Printed(b"", b"t" * TAIL, 5_000_000))
    finished(record, id, Printed(b"", b"e" * TAIL, 6_000_000), 3)
    finished(record, id, Printed(b"", b"", 6_000_000), 3)  # said again, by an agent that has less of it
    record.printed(id, Printed(b"H" * HEAD, b"", HEAD))
    await record.changes.join()
    row = await db(Command.objects.get)(pk=id)
    assert row.output_head == "h" * HEAD and row.output_tail == "e" * TAIL and row.exit_code == 3
    assert (row.output_bytes, row.output_left_out) == (6_000_000, 6_000_000 - HEAD - TAIL)


async def test_output_that_the_database_is_too_slow_for(written, monkeypatch):
    record, _ = written
    monkeypatch.setattr(record_module, "MAX_OUTPUT_WAITING", 3 * HEAD)
    ids = [started(record) for _ in range(5)]
    for id in ids:
        finished(record, id, Printed(b"h" * HEAD, b"", HEAD))
    assert record.output_waiting <= 3 * HEAD
    await record.changes.join()
    assert record.output_waiting == 0
    rows = [await db(Command.objects.get)(pk=id) for id in ids]
    assert sorted(row.output_left_out for row in rows) == [0, 0, 0, HEAD, HEAD]
    assert all(row.output_bytes == HEAD and row.exit_code == 0 for row in rows)


async def test_hostile_text_is_a_row_all_the_same(written):
    record, _ = written
    id = started(record, "nul\0 \ud800 <b>")
    finished(record, id, Printed(b"\xff\0\x1b[", b"", 4))
    await record.changes.join()
    row = await db(Command.objects.get)(pk=id)
    assert (row.text, row.output_head) == ("nul ? <b>", "\ufffd")


async def test_what_the_database_did_not_take_is_not_called_written(written, monkeypatch):
    """So the next carrier asks the agent for it again; and it has used up no room."""
    record, _ = written
    called = []

    def refuse(**_):
        raise OperationalError("database is locked")

    whole, id = Printed(b"h" * HEAD, b"t" * TAIL, HEAD + TAIL), started(record)
    await record.changes.join()
    with monkeypatch.context() as full:
        full.setattr(Sandbox.objects, "filter", refuse)  # the last thing that a finished command changes
        record.finished({"id": id, "exit_code": 0, "duration_ms": 1.0}, whole, lambda: called.append(1))
        await record.changes.join()
    assert called == [] and (await db(Command.objects.get)(pk=id)).exit_code is None
    record.finished({"id": id, "exit_code": 0, "duration_ms": 1.0}, whole, lambda: called.append(2))
    await record.changes.join()
    row = await db(Command.objects.get)(pk=id)
    assert called == [2] and (row.exit_code, row.output_bytes) == (0, HEAD + TAIL)
    assert record.output_room == MAX_OUTPUT - HEAD - TAIL
