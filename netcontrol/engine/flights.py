"""Files under way: sent through a unix socket, and not received yet.

The kernel counts them by their sender's owner outside (`user->unix_inflight`), who is the same for all hosts, and takes no more of anybody whose own
limit of open files is below that count: one host with thousands under way keeps all others from handing a file over, which `docker run -t`
does. There is no limit of a host's own to set. So it is tried now and then whether they still can, and if not, it is counted who has them.
Linux tells of each socket how many wait in it (`scm_fds` of its fdinfo, 5.7). Must not know Docker, sandboxes.
"""
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from netcontrol.engine import cgroups
from netcontrol.engine.errors import EngineError

MANY = 500  # programs may have about a thousand files open, unless they ask for more; few have even one under way for longer than a moment
TRY_SECONDS = 10

TRY = """
import array, errno, os, resource, socket, sys
owner, many = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (many, many))
os.setgroups([]), os.setresgid(owner, owner, owner), os.setresuid(owner, owner, owner)
one, other = socket.socketpair()
try:
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
except OSError as no:
    sys.exit(3 if no.errno == errno.ETOOMANYREFS else 1)
"""


def held_up(owner: int, many: int = MANY) -> bool:
    """Whether this user of the machine has more than so many under way. Raises EngineError."""
    try:
        done = subprocess.run([sys.executable, "-IS", "-c", TRY, str(owner), str(many)], capture_output=True, text=True, timeout=TRY_SECONDS)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode not in (0, 3):
        raise EngineError("flights", "It cannot be tried whether hosts can still hand files over.", done.stderr.strip()[-300:] if done else "The machine is very busy.")
    return done.returncode == 3


def of(container: str, root: Path = cgroups.ROOT) -> int:
    """How many wait in the sockets of this container's processes. Those in sockets that are under way themselves are not seen, the first of them is."""
    waiting: dict[str, int] = {}
    for pid in cgroups.processes(cgroups.folder(container, "memory", root)):
        process = Path("/proc", str(pid))
        with suppress(OSError):
            for fd in (process / "fd").iterdir():
                with suppress(OSError):  # it has been closed
                    name = str(fd.readlink())
                    if name.startswith("socket:") and name not in waiting:
                        found = re.search(r"^scm_fds:\s*(\d+)", (process / "fdinfo" / fd.name).read_text(), re.M)
                        waiting[name] = int(found[1]) if found else 0
    return sum(waiting.values())
