"""`neighbours`: a student's keys and Run beside another who wears the machine out, against the same student alone.

The neighbour's host is paused for "alone", so both are the same lab at the same minute, in turns. The student's and the neighbour's browsers are
two machines to the lab: here a thread that has its turn soon, and a process.
"""
import asyncio
import contextlib
import multiprocessing
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import Row, percentile
from bench.echo import typed
from bench.lab import guest, start
from bench.terminals import Ours, ours, run
from netcontrol.agent.soon import NICE, soon
from netcontrol.engine import cgroups, this_engine

GOAL = 1.5
TURNS, KEYS, RUNS = 4, 50, 12
BUILD = "mkdir -p /root/b; cd /root/b; printf 'FROM busybox\\nRUN i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i >> /f; done\\n' > Dockerfile; while :; do docker build --no-cache -q . ; docker image prune -f; done"
FLOOD = """ip netns add left; ip netns add right; ip link add l type veth peer name r; ip link set l netns left; ip link set r netns right
ip -n left addr add 10.9.0.1/24 dev l; ip -n right addr add 10.9.0.2/24 dev r; ip -n left link set l up; ip -n right link set r up
for n in 1 2 3 4; do ip netns exec left python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try: s.sendto(b"x" * 1400, ("10.9.0.2", 9))
    except OSError: pass' & done"""
ATTACKS = {  # what runs in the neighbour's host, as its root
    "fork bomb": "f() { f | f & }; while :; do f; sleep 1; done",
    "16 endless loops": "for n in $(seq 16); do (while :; do :; done) & done; wait",
    "memory": "while :; do for n in 1 2 3 4; do head -c 2G /dev/zero | tail > /dev/null & done; wait; done",
    "disk": "while :; do for n in 1 2 3; do dd if=/dev/zero of=/root/fill$n bs=1M count=250 conv=fsync & done; wait; rm -f /root/fill*; done",
    "packet flood": FLOOD,
    "200 containers": "while :; do for n in $(seq 200); do docker run -d busybox sleep 1000; done; docker rm -f $(docker ps -aq); done",
    "builds in a loop": BUILD,
}
YES = "yes"


def bench() -> Iterator[Row]:
    start(pool=2)
    with guest() as student:
        student.start()
        student.lab()
        student.hang_up()
        for name in (*ATTACKS, YES):
            with guest() as neighbour:
                neighbour.start()
                neighbour.lab()
                neighbour.open("lab", "lab")
                neighbour.prompt("lab")
                (host,) = this_engine().containers(neighbour.sandbox)
                with watched(neighbour, "yes") if name == YES else unwatched(neighbour, ATTACKS[name]):
                    time.sleep(3)  # until it is in full swing
                    with ThreadPoolExecutor(1, initializer=soon, initargs=(NICE,)) as browser:
                        found = browser.submit(run, beside(student, host)).result()
            for what in ("key", "Run"):
                alone, with_it = found[what]
                yield Row("neighbours", f"{name}: {what}, p95, beside alone", "ms", percentile(with_it, 95), percentile(alone, 95), GOAL)


@contextlib.contextmanager
def unwatched(neighbour, attack: str) -> Iterator[None]:
    for _ in neighbour.run("lab", f"setsid bash -c '{attack.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}' > /dev/null 2>&1 < /dev/null &"):
        pass
    yield


@contextlib.contextmanager
def watched(neighbour, command: str) -> Iterator[None]:
    """It prints, and a page draws all of it."""
    forks = multiprocessing.get_context("fork")
    over = forks.Event()

    def page() -> None:
        async def drawn() -> None:
            async with ours(neighbour) as terminal:
                await terminal.type(f"{command}\r")
                while not over.is_set():
                    await terminal.quiet(0.05)

        run(drawn())

    neighbour.hang_up()
    browser = forks.Process(target=page)
    browser.start()
    try:
        yield
    finally:
        over.set()
        browser.join(10)
        browser.kill()


async def beside(student, host: str) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds alone and beside the neighbour, in turns: of keys, and of Run until the command has ended."""
    found: dict[str, tuple[list[float], list[float]]] = {"key": ([], []), "Run": ([], [])}
    async with ours(student) as terminal:
        await typed(terminal, 20)
        await terminal.type("\x15")
        for _ in range(TURNS):
            for n, frozen in enumerate((True, False)):
                await asyncio.to_thread(freeze, host, frozen)
                await asyncio.sleep(1)
                found["key"][n].extend(await typed(terminal, KEYS))
                await terminal.type("\x15")
                await terminal.quiet(0.1)
                for _ in range(RUNS):
                    await asyncio.sleep(random.uniform(0.05, 0.1))
                    found["Run"][n].append(await ran(terminal))
    return found


def freeze(host: str, frozen: bool) -> None:
    """Hold or go on. Not `docker pause`, which gives up where processes are made faster than it counts them."""
    folder, end = cgroups.folder(host, "freezer"), time.monotonic() + 30
    assert folder
    if cgroups.two():
        file, word, state, told = folder / "cgroup.freeze", str(int(frozen)), folder / "cgroup.events", f"frozen {int(frozen)}"
    else:
        file = state = folder / "freezer.state"
        word = told = "FROZEN" if frozen else "THAWED"
    while told not in state.read_text():
        if time.monotonic() > end:
            raise TimeoutError(f"the neighbour is not {word}")
        file.write_text(word)
        time.sleep(0.05)


async def ran(terminal: Ours) -> float:
    before, began = terminal.finished, time.perf_counter()
    await terminal.say(type="run", shell="lab", block="", text="true")
    async with asyncio.timeout(20):
        while terminal.finished == before:
            await terminal.read()
    took = (time.perf_counter() - began) * 1000
    await terminal.quiet(0.05)
    return took
