"""Programs and scripts run outside of any terminal, with a deadline and bounded output: for checks. Must not know why they run.

A script may be what a student is to find out, so it is in no command line: bash reads it from memory.
"""
import os
import time
from binascii import b2a_base64

from .limits import MAX_EXECUTED

SCRIPT = "/proc/self/fd/3"
BEGIN = b"exec 3<&-;"  # bash has opened it anew by then; on the first line, or errors would name wrong ones


class Execution:
    """A process group of its own. Ends when its first process does; whatever is left of the group is killed."""

    def __init__(self, request: str, seconds: float, argv: list[str] | None = None, script: str = ""):
        self.request, self.began = request, time.monotonic()
        self.deadline = self.began + seconds
        self.timed_out = False
        outs, errs = os.pipe(), os.pipe()
        environment = {**os.environ, "HOME": "/root", "LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
        for key in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"):
            environment.pop(key, None)
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, outs[1], 1), (os.POSIX_SPAWN_DUP2, errs[1], 2)]
        ours = [outs[1], errs[1]]
        try:
            if argv is None:
                ours.append(_in_memory(BEGIN + script.encode("utf-8", "replace")))
                actions.append((os.POSIX_SPAWN_DUP2, ours[-1], 3))
                argv = ["/bin/bash", SCRIPT]
            self.pid = os.posix_spawnp(argv[0], argv, environment, setpgroup=0, setsigmask=[], setsigdef=range(1, 32), file_actions=actions)
        except OSError:
            for fd in (outs[0], errs[0]):
                os.close(fd)
            raise
        finally:
            for fd in ours:
                os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)
        self.kept = {outs[0]: bytearray(), errs[0]: bytearray()}
        self.open = set(self.kept)
        self.truncated = False
        for fd in self.kept:
            os.set_blocking(fd, False)

    def read(self, fd: int) -> bool:
        """False when this stream has ended."""
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return True
        room = MAX_EXECUTED - len(self.kept[fd])
        self.kept[fd] += data[:room]
        self.truncated |= len(data) > room
        return bool(data)

    def kill(self) -> None:
        self.timed_out = True
        self._kill_group()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, 9)
        except ProcessLookupError:
            pass

    def finish(self) -> dict:
        """Its process ended: the answer."""
        _, status = os.waitpid(self.pid, 0)
        self._kill_group()
        for fd in self.kept:
            for _ in range(8):  # what the pipe still holds; never for ever, whoever keeps writing
                before = len(self.kept[fd])
                if fd not in self.open or not self.read(fd) or len(self.kept[fd]) == before:
                    break
            os.close(fd)
        os.close(self.pidfd)
        code = os.waitstatus_to_exitcode(status)
        out, err = (b2a_base64(bytes(kept), newline=False).decode() for kept in self.kept.values())
        return {
            "request": self.request, "exit_code": None if self.timed_out else code if code >= 0 else 128 - code, "timed_out": self.timed_out,
            "truncated": self.truncated, "duration_ms": round((time.monotonic() - self.began) * 1000, 3), "out": out, "err": err,
        }  # fmt: skip


def _in_memory(text: bytes) -> int:
    """A file that has no name, open at a number that is none of the standard streams'."""
    fd = os.memfd_create("script")
    while fd <= 3:  # dup2 of a number to itself would leave it closed on exec
        fd, low = os.dup(fd), fd
        os.close(low)
    with open(fd, "wb", closefd=False) as file:
        file.write(text)
    return fd
