"""A page's WebSocket, with everything behind it but Celery: consumer, Redis, attach, agent, bash."""
import asyncio
import contextlib
import time

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import Client

from lessons.models import Student
from netcontrol import consumers, notices, stream
from netcontrol.models import Command, Sandbox, Waiting
from netcontrol.replay import Replay
from netcontrol.tests.agent_fixtures import Page, db, make_sandbox

pytestmark = pytest.mark.django_db(transaction=True)


async def test_from_hello_to_finished(lab):
    alice, sandbox, _ = lab
    page = await Page.open(alice)
    state = await page.get("sandbox.state", worker="up")
    assert state["state"] == "claimed" and state["sandbox"] == str(sandbox.pk)
    assert state["hosts"] == [{"name": "lab", "address": "10.73.0.2"}]
    assert (await page.get("commands"))["commands"] == []
    opened = await page.shell()
    assert opened["offset"] == 0 and opened["host"] == "lab"
    await page.send("run", shell="main", block="7", text="echo $((6*7)); false")
    started = await page.get("command.started")
    assert started["text"] == "echo $((6*7)); false" and started["block"] == "7" and started["host"] == "lab"
    finished = await page.get("command.finished")
    assert finished["id"] == started["id"] and finished["exit_code"] == 1 and finished["duration_ms"] < 1000
    assert b"42\r\n" in page.drawn["main"] and b"133;" not in page.drawn["main"]
    row = await until_row(started["id"])
    assert (row.text, row.exit_code, row.block, row.sandbox_id) == ("echo $((6*7)); false", 1, "7", sandbox.pk)
    await page.close()


async def until_row(id: str) -> Command:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OperationalError):  # SQLite in memory refuses to read while another thread writes
                if row := await db(Command.objects.filter(pk=id).exclude(duration_ms=None).first)():
                    return row
            await asyncio.sleep(0.02)


async def test_latency(lab):
    alice, _, _ = lab
    page = await Page.open(alice)
    await page.shell()
    took = []
    for n in range(40):
        began = time.perf_counter()
        await page.run("true", block=str(n))
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    print(f"Run true: {took[20]:.1f} ms p50, {took[38]:.1f} ms p95")
    assert took[20] < 50
    await page.close()


async def test_without_a_student_it_is_closed(private_redis):
    page = await Page.open(AnonymousUser(), hello=False)
    assert (await page.get("closed"))["code"] == 4401
    await page.close()


@pytest.mark.parametrize(
    "bad, code",
    [
        ("not json", "bad_message"),
        ("[]", "bad_message"),
        ('{"type": 1}', "bad_message"),
        ('{"type": "__init__"}', "bad_message"),
        ('{"type": "hello", "since": {}}', "bad_message"),
        ('{"type": "disconnect", "code": 1}', "bad_message"),
        ('{"type": "shell.open", "host": "lab", "shell": "Main", "cols": 80, "rows": 24}', "bad_message"),
        ('{"type": "shell.open", "host": "lab", "shell": "main\\n", "cols": 80, "rows": 24}', "bad_message"),
        ('{"type": "shell.open", "host": "lab", "shell": "main", "cols": 1, "rows": 24}', "bad_message"),
        ('{"type": "shell.open", "host": "lab", "shell": "main", "cols": true, "rows": 24}', "bad_message"),
        ('{"type": "shell.input", "shell": "main", "data": 7}', "bad_message"),
        ('{"type": "shell.input", "shell": "main", "data": "' + "x" * 70_000 + '"}', "too_long"),
        ('{"type": "run", "shell": "main", "block": "1", "text": "' + "é" * 40_000 + '"}', "too_long"),
        ('{"type": "shell.ack", "shell": "main", "offset": -1}', "bad_message"),
        ('{"type": "shell.input", "shell": "nowhere", "data": "x"}', "unknown_shell"),
        ('{"type": "shell.open", "host": "elsewhere", "shell": "main", "cols": 80, "rows": 24}', "no_host"),
        ("[" * 100_000, "bad_message"),
    ],
)
async def test_bad_messages(lab, bad, code):
    alice, _, _ = lab
    page = await Page.open(alice)
    await page.get("sandbox.state", worker="up")
    await page.socket.send_input({"type": "websocket.receive", "text": bad})
    error = await page.get("error")
    assert error["code"] == code and error["message"] and error["what_to_do"]
    await page.shell()
    await page.close()


async def test_many_bad_messages_close(lab):
    alice, _, _ = lab
    page = await Page.open(alice)
    for _ in range(consumers.MAX_BAD):
        await page.socket.send_input({"type": "websocket.receive", "bytes": b"\0"})
    assert (await page.get("closed"))["code"] == 4400
    await page.close()


async def test_hello_comes_first(lab):
    alice, _, _ = lab
    page = await Page.open(alice, hello=False)
    await page.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    assert (await page.get("error"))["code"] == "bad_message"
    await page.close()


async def test_no_sandbox(private_redis):
    bob = await db(Student.objects.create)(username="bob")
    page = await Page.open(bob)
    assert (await page.get("sandbox.state"))["state"] == "none"
    await page.send("shell.input", shell="main", data="x")
    assert (await page.get("error"))["code"] == "no_sandbox"
    await page.send("sandbox.extend")
    assert (await page.get("error"))["code"] == "no_sandbox"
    await page.close()


async def test_everyone_sees_their_own(lab):
    """Bob's page gets nothing of Alice's, whatever it says it has."""
    alice, _, _ = lab
    bob = await db(Student.objects.create)(username="bob")
    hers, his = await Page.open(alice), await Page.open(bob, since={"main": 0})
    await hers.shell()
    await his.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    assert (await his.get("error"))["code"] == "no_sandbox"
    await hers.run("true")
    assert not his.drawn and not [e for e in his.events if e["type"].startswith(("shell", "command"))]
    await hers.close(), await his.close()


async def test_reconnect_gets_the_rest(lab):
    alice, _, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.run("echo first-$((1+1))", block="1")
    have = len(page.drawn["main"])
    await page.close()
    other = await Page.open(alice)
    await other.see(b"first-2\r\n")
    await other.run("echo second-$((1+1))", block="2")
    await other.close()
    again = await Page.open(alice, since={"main": have})
    await again.see(b"second-2\r\n")
    assert again.begun["main"] == have and b"first-2" not in again.drawn["main"]
    commands = (await again.get("commands"))["commands"]
    began = [e["block"] for e in again.events if e["type"] == "command.started"]
    assert [c["block"] for c in commands] + began == ["1", "2"]  # the second may be on its way to the database: then it is an event
    await again.close()


async def test_a_place_in_line_then_a_lab(private_redis, docks, asked):
    bob = await db(Student.objects.create)(username="bob")
    await db(Waiting.objects.create)(owner=bob)
    page = await Page.open(bob)
    assert (await page.get("sandbox.state"))["place"] == 1
    asked.begin()
    sandbox = await db(make_sandbox)(bob)
    docks(sandbox)
    await db(Waiting.objects.all().delete)()
    await notices.anotify(bob.pk)
    await page.get("sandbox.state", state="claimed", worker="up", seconds=3)
    await page.shell()
    await page.close()
    await asked.end()


async def test_a_fresh_sandbox_takes_over(lab, docks):
    alice, sandbox, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.run("echo old")
    await db(sandbox.end)("You asked for a fresh one.")
    fresh = await db(make_sandbox)(alice)
    docks(fresh)
    await asyncio.to_thread(notices.notify, alice.pk)
    await page.get("sandbox.state", sandbox=str(fresh.pk), worker="up")
    page.drawn.clear(), page.begun.clear()
    opened = await page.shell()
    assert opened["offset"] == 0 and b"old" not in page.drawn["main"]
    assert (await page.run("true"))["exit_code"] == 0
    await page.close()


async def test_extend(lab):
    alice, sandbox, _ = lab
    page = await Page.open(alice)
    before = (await page.get("sandbox.state", worker="up"))["ends_at"]
    await db(Sandbox.objects.filter(pk=sandbox.pk).update)(ends_at=sandbox.claimed_at)
    await page.send("sandbox.extend")
    while (await page.get("sandbox.state"))["ends_at"] == before:
        pass
    await page.close()


async def test_redis_is_down_from_the_start(private_redis, docks, asked):
    alice = await db(Student.objects.create)(username="alice")
    docks(await db(make_sandbox)(alice))
    asked.begin()
    private_redis.kill()
    page = await Page.open(alice)
    await page.get("sandbox.state", worker="down")
    await page.send("shell.open", host="lab", shell="main", cols=80, rows=24)
    assert (await page.get("error"))["code"] == "not_now"
    private_redis.start()
    await page.get("sandbox.state", worker="up")
    await page.shell()
    await page.close()
    await asked.end()


async def test_two_hosts(private_redis, docks, asked):
    alice = await db(Student.objects.create)(username="alice")
    sandbox = await db(make_sandbox)(alice, "lab,client")
    docks(sandbox, "lab"), docks(sandbox, "client")
    asked.begin()
    page = await Page.open(alice)
    await page.shell("a", "lab")
    await page.shell("b", "client")
    assert (await page.run("true", shell="b"))["exit_code"] == 0
    assert (await page.get("command.started"))["host"] == "client"
    await page.send("shell.open", host="lab", shell="b", cols=80, rows=24)
    assert (await page.get("error"))["code"] == "unknown_shell"
    await page.close()
    await asked.end()


async def test_a_closed_terminal_is_closed_in_every_page(lab):
    alice, _, _ = lab
    page, other = await Page.open(alice), await Page.open(alice)
    await page.shell("lab-2")
    await other.get("shell.opened", shell="lab-2")
    await page.send("shell.close", shell="lab-2")
    for each in (page, other):
        assert (await each.get("shell.closed", shell="lab-2"))["asked"] is True
    await page.shell("lab-2")  # its name is free
    assert (await page.run("true", shell="lab-2"))["exit_code"] == 0
    await page.close(), await other.close()


async def test_a_name_reaches_every_page_and_the_next_one(lab):
    alice, _, _ = lab
    page, other = await Page.open(alice), await Page.open(alice)
    await page.shell("lab-2")
    assert (await other.get("shell.known", shell="lab-2"))["host"] == "lab"
    await page.send("shell.name", shell="lab-2", name="web log")
    for each in (page, other):
        assert (await each.get("shell.named"))["name"] == "web log"
    await other.close()
    late = await Page.open(alice)
    known = await late.get("shell.known", shell="lab-2")
    assert (known["host"], known["name"]) == ("lab", "web log")
    assert known["end"] == len(await late.see(b"# ", "lab-2"))
    await page.send("shell.name", shell="lab-2", name="no\x1b[2Jcontrol")
    assert (await page.get("error"))["code"] == "bad_message"
    await page.send("shell.name", shell="lab-2", name="x" * 25)
    assert (await page.get("error"))["code"] == "bad_message"
    await page.close(), await late.close()


@pytest.mark.parametrize("slow", ["rows", "shells"])
async def test_what_a_page_asks_with_its_first_words_is_answered(lab, monkeypatch, slow):
    """However long it takes to find out what it missed: the answer is not taken for something of before it came."""
    alice, _, _ = lab
    page = await Page.open(alice)
    await page.shell()
    owner, name = {"rows": (Replay, "_tell_commands"), "shells": (stream, "known_shells")}[slow]
    before = getattr(owner, name)

    async def slowly(*arguments):
        await asyncio.sleep(0.5)
        return await before(*arguments)

    monkeypatch.setattr(owner, name, slowly)
    back = await Page.open(alice, since={"main": len(page.drawn["main"])})
    await back.send("shell.input", shell="nowhere", data="x")
    await back.send("run", shell="main", block="c", text="sleep 1")
    await back.send("run", shell="main", block="d", text="true")
    errors = [await back.get("error") for _ in range(2)]
    assert {error["code"] for error in errors} == {"unknown_shell", "busy"}
    assert (await back.get("command.finished", block="c"))["exit_code"] == 0
    await back.close(), await page.close()


async def test_a_page_that_comes_back_is_not_told_old_ends(lab):
    """It has drawn past them: a shell that was opened anew since then would look ended, or begun anew."""
    alice, _, _ = lab
    page = await Page.open(alice)
    await page.shell()
    await page.send("shell.input", shell="main", data="exit\r")
    await page.get("shell.closed")
    again = await page.shell()
    await page.run("echo still-$((1+1))")
    since = {"main": len(page.drawn["main"])}
    await page.close()
    back = await Page.open(alice, since=since)
    await back.send("run", shell="main", block="c", text="true")
    await back.get("command.finished", block="c")
    told = [event for event in back.events if event["type"] in ("shell.opened", "shell.closed")]
    assert not told, (told, again)
    await back.close()


@pytest.mark.parametrize("how", ["signed out", "another password", "another name"])
async def test_a_page_whose_session_is_over_is_closed(lab, how):
    """Signing out in one tab leaves no terminal open in another."""
    alice, _, _ = lab
    browser, other = Client(), Client()
    await db(browser.force_login)(alice)
    await db(other.force_login)(alice)
    page = await Page.open(alice, session=SessionStore(browser.cookies["patchbay"].value))
    there = await Page.open(alice, session=SessionStore(other.cookies["patchbay"].value))
    await page.shell()
    if how == "signed out":
        await db(browser.logout)()
    elif how == "another password":
        alice.set_password("correct horse 7")
        await db(alice.save)()
    else:
        await db(browser.force_login)(await db(Student.objects.create)(username="bob"))
    await notices.anotify(alice.pk)
    await page.get("closed", code=4403)
    if how == "another password":
        await there.get("closed", code=4403)
    else:
        await there.run("true", block="1")
    await page.close()
    await there.close()


@pytest.mark.parametrize(("scope", "language"), [({}, "en"), ({"headers": [(b"accept-language", b"zh-CN,zh;q=0.9")]}, "zh"), ({"cookies": {"patchbay-language": "zh-hans"}}, "zh"), ({"cookies": {"patchbay-language": "en"}, "headers": [(b"accept-language", b"zh-CN")]}, "en")])
async def test_a_page_is_told_in_its_language(lab, scope, language):
    alice, sandbox, _ = lab
    page = await Page.open(alice, **scope)
    other = await Page.open(alice)
    await page.shell()
    await other.shell()
    for one, speaks in ((page, language), (other, "en")):
        await one.send("run", shell="nowhere", block="1", text="true")
        error = await one.get("error")
        assert error["message"].isascii() is (speaks == "en") and error["code"] == "unknown_shell"
    await db(sandbox.end)("You ended it.")
    await notices.anotify(alice.pk)
    for one, speaks in ((page, language), (other, "en")):
        assert (await one.get("sandbox.state", state="ended"))["why"].isascii() is (speaks == "en")
    await page.close()
    await other.close()
