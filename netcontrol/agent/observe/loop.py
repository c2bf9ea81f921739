"""When to look, and whom to tell: the observer's own loop. Must not know what there is to see.

The agent is on the other side of a socket, and its end is ours. One snapshot at a time is on its way: the next is taken when the agent
gave the last one on, so that a slow worker gets fewer, and the newest.
"""
import os
import select
import socket
import time
from math import inf

from ..limits import READ_SOCKET
from ..protocol import Frames, network, parse_message
from .look import Eyes

QUIET, LATEST = 0.1, 0.5  # seconds without further news, or since the first, after which news is looked at
PAUSES = (0.25, 0.5, 1.0, 1.0, 2.0, 3.0)  # between looks at what nobody tells of: short after something happened
IDLE = 5.0
HOLD = 2.5  # seconds after a command began in which news waits for its end: what it does is told at once
REST = 8  # times as long as a look took, until news is looked at again
GOING = 0.06  # seconds after a namespace went in which its links do


class Loop:
    def __init__(self, sock: socket.socket, number: int, after: list[list]):
        """`number`: of the first snapshot."""
        self.sock, self.number = sock, number
        self.frames = Frames()
        self.eyes = Eyes()
        self.body = ""  # what was told last
        self.free = True  # the last one was given on
        self.after = after  # the last command of each shell that ended
        self.asked = True  # a snapshot is wanted, whatever it shows
        self.news_at: tuple[float, float] | None = None  # of the first and the newest that was not looked at
        self.hold_until = self.rest_until = 0.0
        self.pauses, self.look_at = 0, 0.0

    def run(self) -> None:
        while self._wait():
            now = time.monotonic()
            if not self.free:
                continue
            if self.asked or now >= self._news_due():
                self._look()
            elif now >= max(self.look_at, self.hold_until):
                self._look(told=False)

    def _news_due(self) -> float:
        """When the news is looked at."""
        return max(self.hold_until, self.rest_until, min(self.news_at[0] + LATEST, self.news_at[1] + QUIET)) if self.news_at else inf

    def _wait(self) -> bool:
        """Until there is something to do. False when the agent is gone."""
        now = time.monotonic()
        due = min(max(self.look_at, self.hold_until), self._news_due())
        if not self.free:
            due = now + IDLE
        elif self.asked:
            due = now
        sources = self.eyes.sources()
        poll = select.poll()
        for fd in (self.sock.fileno(), *sources):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, due - now) * 1000)}
        if ready & set(sources) and self.eyes.heard():
            now = time.monotonic()
            self.news_at = (self.news_at[0] if self.news_at else now, now)
            self._stir()
        return self.sock.fileno() not in ready or self._hear()

    def _hear(self) -> bool:
        data = self.sock.recv(READ_SOCKET)
        for _, body in self.frames.feed(data):
            m = parse_message(body)
            if m["type"] == "commands":
                self.asked, self.after = self.asked or m["after"] != self.after, m["after"]
                if m["began"] or not m["running"]:
                    self.hold_until = time.monotonic() + HOLD if m["running"] else 0.0
            elif m["type"] == "given":
                self.free = True
            self._stir()
        return bool(data)

    def _stir(self) -> None:
        """Something happened: more may follow of which nobody tells."""
        self.pauses = 0
        self.look_at = min(self.look_at, time.monotonic() + PAUSES[0])

    def _look(self, told: bool = True) -> None:
        """`told`: something happened, as far as anybody knows."""
        began, at = time.monotonic(), time.time()
        asked, self.asked, self.news_at = self.asked, False, None
        body = self.eyes.look(told)
        if self.eyes.went and self.eyes.wait(GOING):
            body = self.eyes.look(told)
        now = time.monotonic()
        self.rest_until = now + (now - began) * REST
        pause = PAUSES[self.pauses] if self.pauses < len(PAUSES) else IDLE
        self.pauses, self.look_at = self.pauses + 1, now + pause
        same, self.body = body == self.body, body
        if same and not asked:
            return
        head = {"n": self.number, "taken_at": round(at, 3), "took_ms": round((now - began) * 1000, 1), "after": self.after, "failed": ""}
        self.sock.sendall(network(head, b"" if same else body.encode()))
        self.number, self.free = self.number + 1, False


def run(sock: socket.socket, number: int, after: list[list]) -> None:
    """This process is the observer from here on, until the agent hangs up."""
    try:
        os.nice(5)  # keys come first
        for name, value in (("comm", "observer"), ("oom_score_adj", "500")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(value)
    except OSError:
        pass
    Loop(sock, number, after).run()
