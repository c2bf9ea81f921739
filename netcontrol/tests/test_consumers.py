"""A page's WebSocket, with everything behind it but Celery: consumer, Redis, attach, agent, bash."""
import asyncio
import time

import pytest
from channels.db import database_sync_to_async as db
from django.contrib.auth.models import AnonymousUser

from lessons.models import Student
from netcontrol import consumers, stream
from netcontrol.models import Command, Sandbox, Waiting
from netcontrol.tests.agent_fixtures import Carrying, Page, docks, make_sandbox, private_redis, until  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(monkeypatch):
    """Celery's place: attaches that were asked for run on this loop."""
    running: list[Carrying] = []

    def start(sandbox: str, machine: str) -> None:
        loop.call_soon_threadsafe(lambda: running.append(Carrying(Sandbox(pk=sandbox)).start()))

    loop = None

    class Asked:
        carriers = running

        def begin(self):
            nonlocal loop
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(consumers, "start_attach", start)

        async def end(self):
            for carrier in running:
                await carrier.kill()

    return Asked()


@pytest.fixture
async def lab(private_redis, docks, asked):  # noqa: F811
    """Alice, her sandbox, its agent, and attaches that start when they are asked for."""
    alice = await db(Student.objects.create)(username="alice")
    sandbox = await db(make_sandbox)(alice)
    agent = docks(sandbox)
    asked.begin()
    yield alice, sandbox, agent
    await asked.end()


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
        while not (row := await db(Command.objects.filter(pk=id).exclude(duration_ms=None).first)()):
            await asyncio.sleep(0.02)
        return row


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
