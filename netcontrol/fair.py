"""So much a second, and whose turn it is: what keeps one student from using up what all share. Must not know what is shared.

Both measure by time that is paid for, and neither counts what was not used: who was quiet for long may do much at once, but only so much.
"""
import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pace:
    """`a_second` in the long run, `at_once` after a rest."""

    def __init__(self, a_second: float, at_once: float):
        self.a_second, self.rest = a_second, at_once / a_second
        self.paid_at = 0.0  # when all that was done is paid for

    def pay(self, cost: float = 1.0) -> None:
        self.paid_at = max(time.monotonic(), self.paid_at) + cost / self.a_second

    def wait(self) -> float:
        """Seconds until more may be done; 0: now."""
        return max(0.0, self.paid_at - self.rest - time.monotonic())

    def spare(self, cost: float = 1.0) -> bool:
        """Whether it may be done now. Then it is paid."""
        if self.wait() > 0:
            return False
        self.pay(cost)
        return True

    @property
    def idle(self) -> bool:
        return self.paid_at <= time.monotonic()


class Lately:
    """Whether anybody else did something just now. Knows the last who did, and the last before them."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last: tuple[object, float] = (None, -seconds)
        self.before: tuple[object, float] = self.last

    def did(self, who: object) -> None:
        if who != self.last[0]:
            self.before = self.last
        self.last = who, time.monotonic()

    def others(self, than: object) -> bool:
        _, at = self.before if self.last[0] == than else self.last
        return time.monotonic() - at < self.seconds


class Turns:
    """One at a time. Of those who wait the next is whose turn would end first, if everybody had used as much until now and this one takes as long
    as their last one: so nobody waits for many long ones, and nobody for ever. Who comes back after a rest is no further ahead for it."""

    def __init__(self) -> None:
        self.clock = 0.0  # how much everybody has used; it stands while nobody works
        self.used: dict[str, tuple[float, float]] = {}  # who -> how much they have used, and their last turn
        self.busy = False
        self.waiting: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self.number = itertools.count()

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        used, last = self.used.get(who, (0.0, 0.0))
        begin = max(self.clock, used)
        if self.busy:
            mine = asyncio.get_running_loop().create_future()
            heapq.heappush(self.waiting, (begin + last, next(self.number), begin, mine))
            try:
                await mine
            except BaseException:
                if mine.done() and not mine.cancelled():  # it had become our turn
                    self._next()
                raise
        else:
            self.busy, self.clock = True, begin
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            self.used[who] = begin + took, took
            self._next()

    def _next(self) -> None:
        while self.waiting:
            _, _, begin, waits = heapq.heappop(self.waiting)
            if not waits.done():
                self.clock = max(self.clock, begin)
                return waits.set_result(None)
        self.busy = False
        self.used.clear()  # nobody had to wait: all are alike again
