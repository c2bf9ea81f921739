"""Scripts inside a host: what comes back, and that everything which can go wrong on the way is one of two sentences."""
import asyncio
import time
import uuid
from pathlib import Path

import pytest

from netcontrol.agent.limits import MAX_EXECUTIONS
from netcontrol.dial import dock_path
from netcontrol.inside import Answer, Inside, NoAnswer, NoHost
from netcontrol.models import Sandbox
from netcontrol.tests.agent_fixtures import until

SANDBOX = uuid.UUID(int=7)


@pytest.fixture
def inside(docks) -> Inside:
    docks(Sandbox(id=SANDBOX))
    return Inside(SANDBOX)


async def test_an_answer(inside):
    assert await inside.run("lab", "echo out; printf '\\xff' >&2; exit 3") == Answer(3, "out\n", "\ufffd")
    assert (await inside.run("lab", "true\nnosuch")).err == "line 2: nosuch: command not found\n"
    assert await inside.run("lab", "sleep 100", 0.2) == Answer(None)
    cut = await inside.run("lab", "head -c 1000000 /dev/zero")
    assert (len(cut.out), cut.truncated) == (256 * 1024, True)


@pytest.mark.parametrize("host", ["client", "", "..", "lab/../lab", "a" * 40, "Lab"])
async def test_no_such_host(inside, host):
    with pytest.raises(NoHost):
        await inside.run(host, "true")


async def test_more_at_once_than_an_agent_takes(inside):
    """Who is refused asks again, until the time is over."""
    answers = await asyncio.gather(*(inside.run("lab", f"sleep 0.2; echo {n}", 10) for n in range(5)), *(inside.run("lab", "sleep 0.1", 10) for _ in range(2)))
    assert [answer.out for answer in answers[:5]] == [f"{n}\n" for n in range(5)]
    assert MAX_EXECUTIONS >= 5


async def test_an_agent_that_is_gone(inside):
    dock = dock_path(SANDBOX, "lab")
    (dock / "agent.sock").unlink()
    with pytest.raises(NoAnswer, match="does not answer"):
        await inside.run("lab", "true")
    (dock / "agent.sock").symlink_to("/run/systemd/private")
    with pytest.raises(NoAnswer):
        await inside.run("lab", "true")


@pytest.mark.parametrize("says", [b"", b"rubbish", b"\0\0\0\x02J{}", b'\0\0\0\x17J{"type":"execute.done"}', b'\0\0\0\x12J{"type":"welcome"}'])
async def test_an_agent_of_the_students_own(inside, says):
    dock = dock_path(SANDBOX, "lab")
    (dock / "agent.sock").unlink()

    async def serve(reader, writer):
        await reader.read(10)
        writer.write(says)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, dock / "agent.sock"):
        with pytest.raises(NoAnswer):
            await inside.run("lab", "true", 1)


async def test_busy_until_the_end(inside):
    dock = dock_path(SANDBOX, "lab")
    (dock / "agent.sock").unlink()
    body = b'{"type":"execute.refused","request":"1","why":"busy"}'

    async def serve(reader, writer):
        await reader.read(10)
        writer.write(len(body).to_bytes(4, "big") + b"J" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, dock / "agent.sock"):
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            await inside.run("lab", "true", 0.5)
        assert 0.3 < time.monotonic() - began < 3


async def test_who_gives_up_ends_the_script(inside, tmp_path):
    task = asyncio.create_task(inside.run("lab", f"echo $$ > {tmp_path}/pid; sleep 100; touch {tmp_path}/late", 100))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())
    assert not (tmp_path / "late").exists()
