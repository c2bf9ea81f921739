"""`start`: from the click on Start to a usable prompt, from the pool and cold; and what a host costs in memory."""
import time
from collections.abc import Iterator

from bench import Row, percentile
from bench.lab import at_prompt, guest, settle, start
from bench.peer import Bare
from netcontrol.engine import this_engine

TRIALS = 11


def bench() -> Iterator[Row]:
    cold, bare, pool = [], [], []
    start(pool=0)
    for _ in range(TRIALS):
        settle(0)
        began = time.monotonic()
        with Bare() as peer:
            peer.wait()
            bare.append(time.monotonic() - began)
        settle(0)
        cold.append(click_to_prompt())
    start(pool=1)
    for _ in range(TRIALS):
        settle(1)
        pool.append(click_to_prompt())
    settle(1)
    pooled, in_use = memory()
    yield Row("start", "from the pool, median, beside cold", "s", percentile(pool, 50), percentile(cold, 50), 0.15)
    yield Row("start", "cold, median, beside docker run", "s", percentile(cold, 50), percentile(bare, 50), 1.3)
    yield Row("start", "from the pool, p95", "s", percentile(pool, 95))
    yield Row("start", "memory of a pooled host", "MiB", pooled, goal=50)
    yield Row("start", "memory of a host in use", "MiB", in_use, goal=64)


def click_to_prompt() -> float:
    with guest() as student:
        student.get(f"/lessons/{student.lesson}/")  # they read before they click
        began = time.monotonic()
        student.start_now()
        student.lab()
        student.open("lab", "lab")
        student.prompt("lab")
        return time.monotonic() - began


def memory() -> tuple[float, float]:
    """MiB of the one pooled host, and of it again once a student has run some commands there."""
    before = max(this_engine().memory().values())
    with at_prompt() as student:
        mine = set(this_engine().memory())
        for text in ("ip -br addr", "docker ps", "brctl show", "iptables -t nat -S"):
            for _ in student.run("lab", text):
                pass
        return before, max(mib for sandbox, mib in this_engine().memory().items() if sandbox in mine)
