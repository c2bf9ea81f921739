"""What lies in Redis: the lease, the log and its position in one step, the input."""
import asyncio

import pytest

from netcontrol import connection, lease, notices, stream
from netcontrol.lease import LeaseLost
from netcontrol.stream import Entry, TooMuchInput

pytestmark = pytest.mark.usefixtures("private_redis")
BOX = "5d4f0c3e-0000-4000-8000-000000000001"


@pytest.fixture
async def line():
    line = connection.Line()
    yield line
    await line.close()


async def test_one_holds_the_lease():
    r = connection.client()
    mine, theirs = lease.new_token(), lease.new_token()
    assert await lease.take(r, BOX, mine) and not await lease.take(r, BOX, theirs)
    assert await lease.renew(r, BOX, mine) and not await lease.renew(r, BOX, theirs)
    await lease.release(r, BOX, theirs)
    assert await lease.alive(r, BOX)
    await lease.release(r, BOX, mine)
    assert not await lease.alive(r, BOX) and not await lease.renew(r, BOX, mine)


async def test_a_starting_worker_voids_its_own_machines_leases(settings):
    r = connection.client()
    settings.MACHINE = "one"
    await lease.take(r, BOX, lease.new_token())
    settings.MACHINE = "one-and-more"
    await lease.take(r, "other", lease.new_token())
    assert await asyncio.to_thread(lease.void, "one") == 1
    assert not await lease.alive(r, BOX) and await lease.alive(r, "other")


async def test_who_lost_the_lease_writes_nothing(line):
    r, token = connection.client(), lease.new_token()
    with pytest.raises(LeaseLost):
        await stream.append(line, BOX, token, [Entry("main", 0, b"x")], {"main": "{}"}, {})
    assert await stream.known_shells(r, BOX) == {}
    assert await stream.read_log(line, BOX, {"main": "0-0"}, wait=False) == []


async def test_log_and_position(line):
    r, token = connection.client(), lease.new_token()
    await lease.take(r, BOX, token)
    entries = [Entry("main", 0, b"a\x00\xff"), Entry("main", message={"type": "x"}), Entry("", message={"type": "y"}), Entry("other", 5, b"b")]
    await stream.append(line, BOX, token, entries, {"main": '{"offset": 3}'}, {})
    epoch, places = await stream.positions(line, BOX)
    assert list(await stream.known_shells(r, BOX)) == ["main"]
    assert places == {"main": {"offset": 3}} and epoch == (await stream.positions(line, BOX))[0]
    after = {"": "0-0", "main": "0-0", "other": "0-0"}
    found = await stream.read_log(line, BOX, after, wait=False)
    assert [(e.shell, e.offset, e.data, e.message) for e in found if e.shell == "main"] == [("main", 0, b"a\x00\xff", None), ("main", 0, b"", {"type": "x"})]
    assert len(found) == 4 and await stream.read_log(line, BOX, after, wait=False) == []


async def test_each_shells_log_is_cut_for_itself(line):
    r, token, tails = connection.client(), lease.new_token(), {}
    await lease.take(r, BOX, token)
    await stream.append(line, BOX, token, [Entry("quiet", 0, b"prompt")], {}, tails)
    chunk = b"x" * 65536
    for n in range(80):
        await stream.append(line, BOX, token, [Entry("loud", n * 65536, chunk)], {}, tails)
    after = {"quiet": "0-0", "loud": "0-0"}
    found = await stream.read_log(line, BOX, after, wait=False)
    kept = sum(len(e.data) for e in found if e.shell == "loud")
    assert stream.LOG_BYTES - 65536 <= kept <= 2 * stream.LOG_BYTES
    assert [e.data for e in found if e.shell == "quiet"] == [b"prompt"]
    assert found[-1].offset + 65536 == 80 * 65536


async def test_an_old_log_is_cut_once_as_much_was_written_again(line):
    r, token, tails = connection.client(), lease.new_token(), {}
    await lease.take(r, BOX, token)
    for n in range(12):
        await stream.append(line, BOX, token, [Entry("main", n * 65536, b"x" * 65536)], {"main": "{}"}, tails)
    tails = await stream.old_tails(r, BOX, ["main"])
    for n in range(12, 40):
        await stream.append(line, BOX, token, [Entry("main", n * 65536, b"x" * 65536)], {}, tails)
    found = await stream.read_log(line, BOX, {"main": "0-0"}, wait=False)
    assert stream.LOG_BYTES - 65536 <= sum(len(e.data) for e in found) <= 2 * stream.LOG_BYTES


async def test_input_is_kept_until_it_is_taken(line):
    r = connection.client()
    for n in range(3):
        await stream.send_input(line, BOX, {"n": n})
    got = await stream.read_input(line, BOX, "0-0")
    assert [m["n"] for _, m in got] == [0, 1, 2]
    await stream.trim_input(r, BOX, got[1][0])
    assert [m["n"] for _, m in await stream.read_input(line, BOX, "0-0")] == [1, 2]
    await stream.trim_input(r, BOX, stream.following(got[1][0]))
    assert [m["n"] for _, m in await stream.read_input(line, BOX, "0-0")] == [2]


async def test_input_is_bounded(line):
    r = connection.client()
    with pytest.raises(TooMuchInput):
        for n in range(stream.MAX_INPUTS + 1):
            await stream.send_input(line, BOX, {"n": n})
    assert await stream.input_waits(r, BOX) == stream.MAX_INPUTS


async def test_one_of_many_asks():
    r = connection.client()
    assert [await lease.may_ask(r, BOX) for _ in range(3)] == [True, False, False]
    assert await asyncio.to_thread(lease.worker_now, BOX) == "starting"


async def test_forget(line):
    r, token = connection.client(), lease.new_token()
    await lease.take(r, BOX, token)
    await stream.append(line, BOX, token, [Entry("main", 0, b"x"), Entry("", message={})], {"main": "{}"}, {})
    await stream.send_input(line, BOX, {})
    await asyncio.to_thread(stream.forget, BOX)
    assert await r.keys("*") == [connection.key("lease", BOX).encode()]


def test_without_redis(private_redis):
    private_redis.kill()
    assert lease.worker_now(BOX) == "down" and not connection.alive()
    notices.notify(1)
    stream.forget(BOX)
