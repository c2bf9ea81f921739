"""`fanout`: 50 students type at once, each into a host of their own; beside one of them alone, and beside terminado with as many."""
import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

from bench import Row, percentile
from bench.lab import guest, start
from bench.terminals import Terminal, ours, peer, peer_server, run
from netcontrol.engine import this_engine

SHELLS = 50
KEYS = 60  # each
PAUSE = (0.1, 0.3)  # seconds between two keys: five a second


def bench() -> Iterator[Row]:
    start(pool=2, PATCHBAY_CAPACITY=str(SHELLS), PATCHBAY_HOST_DISK_MIB="128")
    with ExitStack() as stack:
        students = [stack.enter_context(guest()) for _ in range(SHELLS)]
        port = stack.enter_context(peer_server())
        for student in students:
            student.start()
        for student in students:
            student.lab(seconds=300)
            student.hang_up()
        hosts = [this_engine().containers(student.sandbox)[0] for student in students]
        one, all_of_us, all_of_them = run(measure(students, port, hosts))
        yield Row("fanout", "one shell, p95", "ms", percentile(one, 95))
        yield Row("fanout", f"{SHELLS} shells, p95, beside one shell", "ms", percentile(all_of_us, 95), percentile(one, 95), 3)
        yield Row("fanout", f"{SHELLS} shells, median, beside terminado", "ms", percentile(all_of_us, 50), percentile(all_of_them, 50))
        yield Row("fanout", f"{SHELLS} shells, p95, beside terminado", "ms", percentile(all_of_us, 95), percentile(all_of_them, 95))


async def measure(students, port: int, hosts: list[str]) -> tuple[list[float], list[float], list[float]]:
    async with AsyncExitStack() as stack:
        mine = [await stack.enter_async_context(ours(student)) for student in students]
        theirs = [await stack.enter_async_context(peer(port, host)) for host in hosts]
        await asyncio.gather(*(typed(terminal, 5) for terminal in (*mine, *theirs)))
        one: list[float] = []
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(3):  # in turns
            one += await typed(mine[0], KEYS)
            for terminals, found in zip((mine, theirs), samples):
                for keys in await asyncio.gather(*(typed(terminal, KEYS // 3) for terminal in terminals)):
                    found += keys
        return one, *samples


async def typed(terminal: Terminal, keys: int) -> list[float]:
    found = []
    for n in range(keys):
        await asyncio.sleep(random.uniform(*PAUSE))
        found.append(await terminal.echo("abcdefghij"[n % 10]))
    await terminal.type("\x15")
    await terminal.quiet(0.2)
    return found
