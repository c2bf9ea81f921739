"""Draws networks in a process of its own, with less right to the processor than what carries keys: however much a host says, no key waits for it.

One drawing at a time; the next is of the sandbox that has used least. A drawing that takes too much of the processor or of memory ends the process,
and what it was drawn from counts as forged. Must not know: what a drawing is (picture.py), Redis, agents.
"""
import asyncio
import logging
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress

from django.conf import settings

from netcontrol.agent.limits import MAX_ARTIST
from netcontrol.fair import Turns
from netcontrol.network.live.picture import Bodies, Step, step

log = logging.getLogger(__name__)

SECONDS = 2.0  # of the processor, for one drawing
PATIENCE = 20.0  # for one drawing, or a start, on a machine that has too much to do
TRIES = 2  # somebody else may have ended the process
NICE = 2


class Artist:
    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.turns, self.work = Turns(), set[asyncio.Task]()

    async def draw(self, who: str, hosts: list[dict[str, str]], before: bytes, known: Bodies, news: Bodies, since: bytes = b"") -> tuple[Step, float]:
        """As picture.step, and how many seconds of the processor it took. Who does not wait for it any more leaves it to its end: what comes back next is the next one's."""
        return await asyncio.shield(self._begin(who, hosts, before, known, news, since))

    def wake(self) -> None:
        """There will be something to draw soon."""
        self._begin("", [], b"", {}, {})

    def _begin(self, who: str, hosts: list[dict[str, str]], before: bytes, known: Bodies, news: Bodies, since: bytes = b"") -> "asyncio.Task[tuple[Step, float]]":
        task = asyncio.create_task(self._draw(who, hosts, before, known, news, since))
        self.work.add(task)
        task.add_done_callback(self.work.discard)
        return task

    async def _draw(self, who: str, hosts: list[dict[str, str]], before: bytes, known: Bodies, news: Bodies, since: bytes) -> tuple[Step, float]:
        async with self.turns.turn(who):
            for _ in range(TRIES):
                try:
                    async with asyncio.timeout(PATIENCE):
                        return await self._asked(packed((hosts, before, known, news, since)))
                except (OSError, EOFError) as gone:  # TimeoutError is an OSError
                    log.warning("a network is not drawn: %s", gone)
                    if self._end() == -signal.SIGPROF:  # it took too much: it would again, and others wait
                        break
                except BaseException:
                    self._end()
                    raise
            return Step(set(news)), SECONDS

    async def _asked(self, question: bytes) -> tuple[Step, float]:
        if self.process is None or self.process.poll() is not None:
            await self._start()
        assert self.reader and self.writer
        self.writer.write(question)
        await self.writer.drain()
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        answer: tuple[Step, float] = pickle.loads(await self.reader.readexactly(size))
        return answer

    async def _start(self) -> None:
        self._end()
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen([sys.executable, "-m", __name__], cwd=settings.BASE_DIR, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
        ours.setblocking(False)
        self.reader, self.writer = await asyncio.open_unix_connection(sock=ours)

    def _end(self) -> int | None:
        """What it ended with."""
        if self.writer:
            self.writer.close()
        process, self.process, self.reader, self.writer = self.process, None, None, None
        if process is None:
            return None
        process.kill()
        return process.wait()


_artists: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Artist]" = weakref.WeakKeyDictionary()


def artist() -> Artist:
    """The one that everything of this event loop shares."""
    return _artists.setdefault(asyncio.get_running_loop(), Artist())


# The process

def packed(value: object) -> bytes:
    body = pickle.dumps(value)
    return len(body).to_bytes(4, "big") + body


def main() -> None:
    """Draw what is asked for at our end of the line, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # not the worker's own right (agent/soon.py), which it inherits
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ARTIST, MAX_ARTIST))
    with suppress(OSError), socket.socket(fileno=0) as line, line.makefile("rwb") as file:
        while size := file.read(4):
            asked = pickle.loads(file.read(int.from_bytes(size, "big")))
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            done = step(*asked)
            signal.setitimer(signal.ITIMER_PROF, 0)
            file.write(packed((done, time.process_time() - began)))
            file.flush()


if __name__ == "__main__":
    main()
