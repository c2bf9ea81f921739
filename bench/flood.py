"""`flood`: 100 MB of output, and Ctrl-C in the middle of a flood, beside terminado; and what our processes need for it."""
import asyncio
import random
import time
from collections.abc import Iterator

from bench import Row, percentile
from bench.lab import guest, peak_memory, start
from bench.terminals import Ours, Terminal, ours, peer, peer_server, run
from netcontrol.engine import this_engine

BYTES = 100_000_000
TRIALS = 5
INTERRUPTS = 40
LINE = "0123456789abcdef" * 5  # 80 columns, as a log has


def bench() -> Iterator[Row]:
    start(pool=1)
    with guest() as student, peer_server() as port:
        student.start()
        student.lab()
        student.hang_up()
        (host,) = this_engine().containers(student.sandbox)
        mine, theirs = run(floods(student, port, host))
        yield Row("flood", "100 MB, median", "s", percentile(mine, 50), percentile(theirs, 50), 1.0)
        mine, theirs = run(interrupts(student, port, host))
        yield Row("flood", "Ctrl-C to the end of the command, median", "ms", percentile(mine, 50), percentile(theirs, 50))
        yield Row("flood", "Ctrl-C to the end of the command, p95", "ms", percentile(mine, 95), goal=50)
        for name, mib in peak_memory(host).items():
            yield Row("flood", f"peak memory of {name}", "MiB", mib, goal=150)


async def floods(student, port: int, host: str) -> tuple[list[float], list[float]]:
    mine, theirs = [], []
    for _ in range(TRIALS):
        async with ours(student) as terminal:
            mine.append(await flood(terminal))
        async with peer(port, host) as terminal:
            theirs.append(await flood(terminal))
    return mine, theirs


async def flood(terminal: Terminal) -> float:
    """Seconds until all of it is here."""
    before, began = terminal.bytes, time.perf_counter()
    await terminal.type(f"yes {LINE} | head -c {BYTES}; echo all of $((40+2))\r")
    await terminal.until(b"all of 42", 120)
    assert terminal.bytes - before > BYTES
    return time.perf_counter() - began


async def interrupts(student, port: int, host: str) -> tuple[list[float], list[float]]:
    mine, theirs = [], []
    async with ours(student) as terminal:
        for _ in range(INTERRUPTS):
            mine.append(await interrupt(terminal))
    async with peer(port, host) as terminal:
        for _ in range(INTERRUPTS // 4):
            theirs.append(await interrupt(terminal))
    return mine, theirs


async def interrupt(terminal: Terminal) -> float:
    """Milliseconds from Ctrl-C to the end of the command, or where nobody tells of it, to the prompt."""
    await terminal.quiet()
    await terminal.type(f"yes {LINE}\r")
    end = time.perf_counter() + random.uniform(0.3, 0.8)
    while time.perf_counter() < end:
        await terminal.read()
    finished = terminal.finished if isinstance(terminal, Ours) else 0
    began = time.perf_counter()
    await terminal.type("\x03")
    async with asyncio.timeout(60):
        while terminal.finished == finished if isinstance(terminal, Ours) else b"# " not in terminal.kept:
            await terminal.read()
    return (time.perf_counter() - began) * 1000
