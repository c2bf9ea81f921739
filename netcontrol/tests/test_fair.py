"""So much a second, and whose turn it is."""
import asyncio

import pytest

from netcontrol import fair
from netcontrol.fair import Lately, Pace, Turns


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(fair, "time", clock)
    return clock


def test_much_at_once_and_then_so_much_a_second(clock):
    pace = Pace(10, at_once=30)
    assert [pace.spare() for _ in range(40)].count(True) in (30, 31)
    assert not pace.spare() and 0 < pace.wait() <= 0.1
    clock.now += 1
    assert [pace.spare() for _ in range(40)].count(True) == 10
    clock.now += 1000
    assert pace.idle and [pace.spare() for _ in range(40)].count(True) in (30, 31), "and a long rest is worth no more than a short one"


def test_what_costs_much_is_waited_for_longer(clock):
    pace = Pace(1, at_once=1)
    pace.pay(10)
    assert pace.wait() == pytest.approx(9)


async def turns_of(turns: Turns, clock, wanted: list[tuple[str, float, int]]) -> list[str]:
    """Everybody at once: who, how long a turn takes them, how many turns. Returns the order in which they were had."""
    had = []

    async def one(who: str, takes: float, n: int) -> None:
        for _ in range(n):
            async with turns.turn(who):
                had.append(who)
                await asyncio.sleep(0)
                clock.now += takes

    await asyncio.gather(*(one(*each) for each in wanted))
    return had


def test_whether_anybody_else_just_did_something(clock):
    lately = Lately(0.5)
    assert not lately.others("alice")
    lately.did("alice")
    assert not lately.others("alice") and lately.others("bob")
    clock.now += 0.3
    lately.did("bob")
    lately.did("bob")
    assert lately.others("alice") and lately.others("bob"), "alice was 0.3 s ago"
    clock.now += 0.3
    assert lately.others("alice") and not lately.others("bob")
    clock.now += 0.3
    assert not lately.others("alice")


async def test_one_at_a_time(clock):
    turns, inside = Turns(), []

    async def one(who):
        async with turns.turn(who):
            inside.append(who)
            await asyncio.sleep(0)
            assert inside == [who]
            inside.remove(who)

    await asyncio.gather(*(one(f"s{n}") for n in range(20)))


async def test_all_use_as_much(clock):
    had = await turns_of(Turns(), clock, [("heavy", 2.0, 10), ("light", 0.1, 60), ("other", 0.1, 60)])
    assert had.index("light") <= 3 and had[:9].count("heavy") <= 2, had[:9]
    first = had[: had.index("heavy", 5)]
    assert first.count("light") >= 15 and first.count("other") >= 15, "2 s of the heavy one are twenty turns of a light one"


async def test_a_crowd_of_heavy_ones_is_one_turn_for_each(clock):
    """A first come, first served line would have let the light one wait for all of them each time."""
    had = await turns_of(Turns(), clock, [*((f"heavy {n}", 2.0, 5) for n in range(8)), ("light", 0.05, 40)])
    between = "".join("l" if who == "light" else "h" for who in had).split("l")[1:]
    assert max(map(len, between[:20])) <= 1, "whoever comes back finds one of them at work, and is next"


async def test_a_rest_is_not_saved_up(clock):
    turns = Turns()
    await turns_of(turns, clock, [("busy", 1.0, 50)])
    had = await turns_of(turns, clock, [("busy", 1.0, 10), ("new", 1.0, 10)])
    assert had[:10].count("busy") >= 4, "who comes late takes turns, and does not catch up on fifty"
    had = await turns_of(turns, clock, [("one", 1.0, 60), ("two", 1.0, 20)])
    assert had[:40].count("one") in (19, 20, 21)


async def test_who_gives_up_leaves_no_gap(clock):
    turns, go_on = Turns(), asyncio.Event()

    async def hold():
        async with turns.turn("a"):
            await go_on.wait()

    async def quick(who):
        async with turns.turn(who):
            return who

    first = asyncio.create_task(hold())
    await asyncio.sleep(0)
    left, stays = asyncio.create_task(quick("b")), asyncio.create_task(quick("c"))
    await asyncio.sleep(0)
    left.cancel()
    go_on.set()
    assert await stays == "c"
    await first
    holds, waits = asyncio.create_task(hold()), asyncio.create_task(quick("d"))
    await asyncio.sleep(0)
    go_on.set()
    await holds
    waits.cancel()  # at the moment when it is its turn
    await asyncio.gather(waits, return_exceptions=True)
    async with asyncio.timeout(1):
        assert await quick("e") == "e"


async def test_nobody_is_remembered_for_long(clock):
    turns = Turns()
    for n in range(200):
        async with turns.turn(f"s{n}"):
            clock.now += 0.01
    assert len(turns.used) < 10
    await turns_of(turns, clock, [(f"s{n}", 0.01, 3) for n in range(200)])
    assert len(turns.used) < 10
