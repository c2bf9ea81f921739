"""A student's page with everything behind it but Celery: consumer, Redis, attach, agent, bash."""
import asyncio

import pytest

from lessons.models import Student
from netcontrol import consumers
from netcontrol.models import Sandbox
from netcontrol.tests.agent_fixtures import Carrying, Page, agent, db, docks, make_sandbox, private_redis

__all__ = ["agent", "docks", "private_redis"]


@pytest.fixture(autouse=True)
def no_page_is_left_open(monkeypatch):
    monkeypatch.setattr(consumers, "_pages", {})


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
async def lab(private_redis, docks, asked):
    """Alice, her sandbox, its agent, and attaches that start when they are asked for."""
    alice = await db(Student.objects.create)(username="alice")
    sandbox = await db(make_sandbox)(alice)
    agent = docks(sandbox)
    asked.begin()
    yield alice, sandbox, agent
    await asked.end()


@pytest.fixture
async def page(lab):
    """A page of Alice's, its shell at the first prompt."""
    page = await Page.open(lab[0])
    await page.shell()
    yield page
    await page.close()
