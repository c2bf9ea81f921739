"""A student with a sandbox whose root does what an attack says, and what the machine sees of them meanwhile. Must not know any attack."""
import asyncio
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labsite.client import Guest
from netcontrol.dial import dock_path, execute
from netcontrol.engine import this_engine
from tests.driving import lab_of

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Tried:
    """What the attacker saw. A verdict needs more than this."""

    code: int | None  # None: it did not end in time
    out: str

    @property
    def words(self) -> list[str]:
        return self.out.split()


@dataclass
class Student:
    guest: Guest
    host: str = "lab"

    # Inside: what they do

    def tries(self, script: str, seconds: float = 20) -> Tried:
        """Run this bash as root of the host, outside of any terminal. Errors are in `out` as well."""
        done = asyncio.run(execute(dock_path(self.guest.sandbox, self.host), seconds, script=f"exec 2>&1\n{script}"))
        return Tried(done["exit_code"], done["out"].decode(errors="replace"))

    def python(self, source: str, seconds: float = 20) -> Tried:
        return self.tries(f"exec python3 - <<'PATCHBAY-END'\n{CALLS}\n{source}\nPATCHBAY-END\n", seconds)

    def forces(self, script: str, seconds: float = 20) -> Tried:
        """As `tries`, without the agent: for attacks on the agent itself."""
        enter = ["nsenter", "-t", str(self.pid), "-a", "-S", "0", "-G", "0", "sh", "-c", script]
        done = subprocess.run(enter, capture_output=True, text=True, errors="replace", timeout=seconds)
        return Tried(done.returncode, done.stdout + done.stderr)

    # Outside: what the machine sees

    @cached_property
    def container(self) -> str:
        return next(iter(this_engine().containers(self.guest.sandbox)))

    @property
    def pid(self) -> int:
        """The machine's number of the host's systemd; 0 when it does not run."""
        return this_engine().api.inspect_container(self.container)["State"]["Pid"]

    @property
    def dock(self) -> Path:
        return dock_path(self.guest.sandbox, self.host)

    @property
    def address(self) -> str:
        from netcontrol.models import Sandbox

        return Sandbox.objects.get(pk=self.guest.sandbox).hosts.get(name=self.host).address

    def cgroup(self, controller: str) -> Path:
        """The host's cgroup on the machine: of this controller on v1, the one there is on v2."""
        if (CGROUPS / "cgroup.controllers").exists():
            return next(iter(CGROUPS.glob(f"docker-{self.container}.scope")), CGROUPS / self.container)
        return CGROUPS / controller / self.container

    def answers(self, seconds: float = 10) -> bool:
        """Whether the host still does what it is asked: its agent, a shell and its dockerd."""
        return self.tries("docker version -f '{{.Server.Version}}' && (exit 7)", seconds).code == 7


def started(guest: Guest) -> Student:
    """Start the guest's lab, and wait for it."""
    lab_of(guest)
    return Student(guest)


# For attacks in Python: `call(number, …)` is a system call; its result, or -errno.
CALLS = """
import ctypes, errno, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *words):
    got = libc.syscall(ctypes.c_long(number), *[w if isinstance(w, (bytes, ctypes.Array)) or w is None else ctypes.c_long(w) for w in words])
    return got if got >= 0 else -ctypes.get_errno()
"""
