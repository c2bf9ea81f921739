"""`echo`: from a keystroke to its echo in the client, beside terminado; quiet, and while another host burns its whole CPU."""
import asyncio
import random
from collections.abc import Iterator

from bench import Row, percentile
from bench.lab import guest, start
from bench.terminals import Terminal, ours, peer, peer_server, run
from netcontrol.engine import this_engine

KEYS = 300
GOAL = 1.5
BUSY = "for n in 1 2; do (while :; do :; done) & done"


def bench() -> Iterator[Row]:
    start(pool=2)
    with guest() as student, guest() as neighbour, peer_server() as port:
        for one in (student, neighbour):
            one.start()
            one.lab()
        (host,) = this_engine().containers(student.sandbox)
        quiet = run(beside(student, port, host))
        neighbour.open("lab", "lab")
        neighbour.prompt("lab")
        for _ in neighbour.run("lab", BUSY):
            pass
        busy = run(beside(student, port, host))
        for when, (mine, theirs) in {"quiet": quiet, "beside a busy neighbour": busy}.items():
            yield Row("echo", f"{when}, median", "ms", percentile(mine, 50), percentile(theirs, 50), GOAL)
            yield Row("echo", f"{when}, p95", "ms", percentile(mine, 95), percentile(theirs, 95), GOAL)


async def beside(student, port: int, host: str) -> tuple[list[float], list[float]]:
    """Milliseconds of ours and of the peer's, key by key in turns, at a person's pace."""
    student.hang_up()
    async with ours(student) as mine, peer(port, host) as theirs:
        for terminal in (mine, theirs):
            await typed(terminal, 20)  # whatever is slower the first time
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(KEYS):
            for terminal, found in zip((mine, theirs), samples):
                found += await typed(terminal, 1)
        return samples


async def typed(terminal: Terminal, keys: int) -> list[float]:
    found = []
    for _ in range(keys):
        await asyncio.sleep(random.uniform(0.01, 0.05))
        found.append(await terminal.echo(random.choice("abcdefghijklmnopqrstuvwxyz")))
        if random.random() < 0.05:  # a new line now and then
            await terminal.type("\x15")
            await terminal.quiet(0.05)
    return found
