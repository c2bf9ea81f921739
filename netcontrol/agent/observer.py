"""The observer as the agent knows it: a process that is there while somebody watches the network, and the socket to it.

It is forked from the agent, so that it shares the memory which the agent has anyway, and it lives at most as long as the connection that
asked for it. What it says goes to the worker as it is. Must not know: what it looks at (observe/ does).
"""
import gc
import os
import select
import socket
import sys
import time
from collections.abc import Callable

from .limits import MAX_UNSENT, READ_SOCKET
from .protocol import BadFrame, Frames, message, network, pack
from .shells import Shell

STUCK = 10.0  # seconds without an answer, or that it takes to end, after which it is killed
AGAIN = (1.0, 5.0, 30.0)  # seconds until one that ended by itself is started again


class Process:
    """One observer. It ends when its socket is closed, and has then ended what it started."""

    def __init__(self, number: int, after: list, forget: Callable[[], None]):
        """Raises OSError when there are as many processes as there may be."""
        self.sock, its = socket.socketpair()
        with its:
            try:
                self.pid = os.fork()
            except OSError:
                self.sock.close()
                raise
            if self.pid == 0:
                _become(its, number, after, forget)
        self.sock.setblocking(False)
        self.pidfd = os.pidfd_open(self.pid)
        self.frames, self.unsent = Frames(b"N"), bytearray()
        self.waiting_since = time.monotonic()  # for an answer, or for its end; 0: it owes us nothing

    def tell(self, type: str, **fields) -> None:
        self.unsent += message(type, **fields)
        try:
            del self.unsent[: self.sock.send(self.unsent)]
        except OSError:  # it does not read: then it is stuck, or gone
            pass

    def hear(self) -> list[bytes]:
        """What it says, as frames. Raises BadFrame."""
        try:
            return [pack(kind.encode(), body) for kind, body in self.frames.feed(self.sock.recv(READ_SOCKET))]
        except OSError:
            return []

    def kill(self) -> None:
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass

    def reap(self) -> None:
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.sock.close()


class Watch:
    """Whether somebody watches, and what it takes. Its epoll is a file in the agent's own."""

    def __init__(self, shells: dict[str, Shell], forget: Callable[[], None]):
        """`forget`: frees in the new process what is the agent's alone."""
        self.shells, self.forget = shells, forget
        self.epoll = select.epoll()
        self.process: Process | None = None
        self.leaving: list[Process] = []
        self.ended: dict[str, int] = {}  # shell -> its last command that ended; who ended last is the last
        self.began: dict[str, int] = {}  # shell -> its last command that began
        self.number = 1  # of the next snapshot
        self.snapshot = b""  # what the worker has no room for yet
        self.failed, self.again_at = 0, 0.0

    def turn(self, on: bool) -> None:
        """On: everything is told anew."""
        if self.process:
            self._end(self.process)
        self.snapshot, self.failed, self.again_at = b"", 0, 0.0
        if on:
            self._start()

    def _start(self) -> None:
        self.again_at = 0.0
        self._count()
        try:
            self.process = process = Process(self.number, self._after(), self.forget)
        except OSError as full:  # as many processes as there may be
            return self._later(str(full))
        self.epoll.register(process.sock, select.EPOLLIN)
        self.epoll.register(process.pidfd, select.EPOLLIN)

    def _end(self, process: Process) -> None:
        self.epoll.unregister(process.sock)
        process.sock.close()
        process.waiting_since = time.monotonic()
        self.leaving.append(process)
        self.process = None

    def _later(self, why: str) -> None:
        head = {"n": self.number, "taken_at": time.time(), "took_ms": 0, "after": self._after(), "failed": why[:200]}
        self.snapshot, self.number = network(head), self.number + 1
        self.again_at = time.monotonic() + AGAIN[min(self.failed, len(AGAIN) - 1)]
        self.failed += 1

    def ready(self) -> None:
        for fd, _ in self.epoll.poll(0):
            for process in [process for process in self.leaving if process.pidfd == fd]:
                self.epoll.unregister(fd)
                self.leaving.remove(process)
                process.reap()
            if self.process and fd == self.process.pidfd:
                process = self.process
                self._end(process)
                self._later("the observer ended by itself")
            elif self.process and fd == self.process.sock.fileno():
                self._hear(self.process)

    def _hear(self, process: Process) -> None:
        try:
            for frame in process.hear():
                self.snapshot, process.waiting_since = frame, 0.0
                self.number += 1
        except BadFrame as bad:
            print(f"agent: the observer is ended: {bad}", file=sys.stderr)
            process.kill()

    def pump(self, unsent: bytearray) -> None:
        """Tell the observer which commands ended, and the worker what it saw. `unsent`: what the worker has not taken yet."""
        if self.process is None and not self.snapshot:
            return
        old, began = self._after(), self.began
        if self._count() and self.process:
            new = self._after()
            self.process.tell("commands", after=new, began=began != self.began, running=any(shell.running for shell in self.shells.values()))
            if new != old:
                self.process.waiting_since = self.process.waiting_since or time.monotonic()
        if self.snapshot and len(unsent) < MAX_UNSENT:
            unsent += self.snapshot
            self.snapshot = b""
            if self.process:
                self.process.tell("given")

    def _count(self) -> bool:
        """Whether a command began or ended."""
        began = {shell.name: shell.commands for shell in self.shells.values()}
        ended = {shell.name: shell.commands - bool(shell.running) for shell in self.shells.values()}
        if began == self.began and ended.items() == self.ended.items():
            return False
        old = {name: number for name, number in self.ended.items() if ended.get(name) == number}
        self.began, self.ended = began, {**old, **{name: number for name, number in ended.items() if name not in old}}
        return True

    def _after(self) -> list:
        return [[name, number] for name, number in self.ended.items() if number]

    def due(self) -> list[float]:
        waiting = [process.waiting_since + STUCK for process in (*self.leaving, self.process) if process and process.waiting_since]
        return [*waiting, *([self.again_at] if self.again_at else [])]

    def timers(self, now: float) -> None:
        for process in (*self.leaving, self.process):
            if process and process.waiting_since and now - process.waiting_since >= STUCK:
                if self.snapshot and process is self.process:
                    process.waiting_since = now  # it is the worker that does not take it
                else:
                    process.kill()
                    process.waiting_since = 0.0
        if self.again_at and now >= self.again_at:
            self._start()


def _become(sock: socket.socket, number: int, after: list, forget: Callable[[], None]) -> None:
    """The new process: never returns. It has nothing open that is the agent's, or a closed terminal would not hang up."""
    try:
        os.dup2(sock.detach(), 3)
        os.closerange(4, 1 << 20)
        forget()
        gc.freeze()
        from .observe.loop import run

        run(socket.socket(fileno=3), number, after)
    except BaseException as broken:
        print(f"observer: {broken!r}", file=sys.stderr)
    finally:
        os._exit(0)
