"""Programs that are asked something: several at once, each with an end, its output bounded. Must not know what they say.

They are the student's to replace. One that hangs is killed with its group, and what it printed is what it said.
"""
import os
import select
import time
from math import inf

from ..limits import MAX_SAID

SECONDS = 2.0  # for one
ALL_SECONDS = 4.0  # for all of one look; what is not asked by then is not asked
AT_ONCE = 8
PLACES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRONMENT = {"PATH": ":".join(PLACES), "LC_ALL": "C.UTF-8", "HOME": "/root", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}


class Program:
    """`out` and `code` (None: it could not be started, or was killed) once it has `ended`."""

    def __init__(self, argv: list[str], about: int = -1, until: float = inf):
        """Starts it in the namespace in which this process is. `about`: an open file that it has as its standard input."""
        self.deadline = min(time.monotonic() + SECONDS, until)
        self.out, self.code, self.ended = bytearray(), None, time.monotonic() >= until  # type: bytearray, int | None, bool
        if self.ended:
            return
        self.fd, writing = os.pipe()
        actions: list = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
        actions.insert(0, (os.POSIX_SPAWN_OPEN, 0, f"/proc/self/fd/{about}" if about >= 0 else "/dev/null", os.O_RDONLY, 0))
        try:
            self.pid = os.posix_spawn(_place(argv[0]), argv, ENVIRONMENT, setpgroup=0, setsigmask=[], setsigdef=range(1, 32), file_actions=actions)
        except OSError:
            self.pid, self.ended = 0, True
            os.close(self.fd)
        finally:
            os.close(writing)

    def text(self) -> str:
        return self.out.decode(errors="replace")

    def read(self) -> None:
        data = os.read(self.fd, 262144)
        self.out += data
        if not data:
            self._end(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) if self._gone() else None)
        elif len(self.out) > MAX_SAID:
            self._end(None)

    def _gone(self) -> bool:
        """It closed its output, so it is about to end: but it need not."""
        for pause in (0, 0.001, 0.005, 0.02, 0.1):
            time.sleep(pause)
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return True
        return False

    def _end(self, code: int | None) -> None:
        self.ended, self.code = True, code
        os.close(self.fd)
        if code is None:
            try:
                os.killpg(self.pid, 9)
            except ProcessLookupError:
                pass
            os.waitpid(self.pid, 0)

    def kill(self) -> None:
        if not self.ended:
            self._end(None)


class Pool:
    """Those that run at the same time."""

    def __init__(self) -> None:
        self.running: list[Program] = []
        self.until = 0.0

    def begin(self) -> None:
        """A look begins."""
        self.until = time.monotonic() + ALL_SECONDS

    def start(self, argv: list[str], about: int = -1) -> Program:
        while len(self.running) >= AT_ONCE:
            self._step()
        program = Program(argv, about, self.until)
        if not program.ended:
            self.running.append(program)
        return program

    def wait(self) -> None:
        """Until each has ended, or its time is over."""
        while self.running:
            self._step()

    def kill(self) -> None:
        for program in self.running:
            program.kill()
        self.running.clear()

    def _step(self) -> None:
        poll = select.poll()
        for program in self.running:
            poll.register(program.fd, select.POLLIN)
        left = min(program.deadline for program in self.running) - time.monotonic()
        ready = {fd for fd, _ in poll.poll(max(0, left * 1000))}
        for program in self.running:
            if program.fd in ready:
                program.read()
            elif time.monotonic() >= program.deadline:
                program.kill()
        self.running = [program for program in self.running if not program.ended]


def _place(name: str) -> str:
    return next((path for folder in PLACES if os.access(path := f"{folder}/{name}", os.X_OK)), f"/usr/sbin/{name}")
