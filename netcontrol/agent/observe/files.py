"""Small files that anybody may have put there, or something else in their place; and which programs run, of which /proc tells in such files.

Sent to a host as text, too, ahead of places.py. Must not know who asks.
"""
import os


def read(path: str, most: int = 4096) -> bytes:
    """The beginning of a file; b"" when there is none. Never waits, as one would at a pipe that nobody writes to."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(fd, most)
    except OSError:
        return b""
    finally:
        os.close(fd)


def listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def changed(path: str) -> int:
    """When it was changed last; 0 when there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def program(pid: int | str) -> str:
    """The name of what a process runs."""
    return read(f"/proc/{pid}/comm", 64).strip().decode(errors="replace")


def runs(name: str) -> bool:
    """Whether there is a process that runs this."""
    return any(program(pid) == name for pid in listed("/proc") if pid.isdigit())


def dockerd_runs() -> bool:
    """Asked before dockerd is: a question on its socket would make systemd start it."""
    pid = read("/run/docker.pid", 16).strip()
    return (pid.isdigit() and program(int(pid)) == "dockerd") or runs("dockerd")
