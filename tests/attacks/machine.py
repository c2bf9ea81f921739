"""What the machine sees of a student's host, and decoys of ours that an attack must not reach. Must not know any attack."""
import ctypes
import os
import re
import select
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from docker.errors import NotFound

from netcontrol.engine import this_engine

from .student import Student

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
IDS = 65536


def processes(student: Student) -> Iterator[Path]:
    """/proc/<pid> of every process in the host's cgroup or below it."""
    for folder, _, _ in os.walk(student.cgroup("pids")):  # unlike rglob, it does not mind that one goes meanwhile
        with suppress(OSError):
            for pid in (Path(folder) / "cgroup.procs").read_text().split():
                yield Path("/proc") / pid


def status(process: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)


def namespaces(process: Path) -> dict[str, str]:
    return {kind: str((process / "ns" / kind).readlink()) for kind in NAMESPACES}


def files(process: Path) -> list[Path]:
    """The open files of this process."""
    with suppress(OSError):
        return list((process / "fd").iterdir())
    return []


def loose(student: Student, classmate: Student) -> list[str]:
    """What of the host's processes is not held: an id of the machine's, no filter, a namespace that is not the host's. Empty when all is."""
    first = this_engine().machine.mapped_root
    forbidden = set(namespaces(Path("/proc/self")).values()) | set(namespaces(Path(f"/proc/{classmate.pid}")).values())
    found, count = [], 0
    for process in processes(student):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            facts, spaces = status(process), namespaces(process)
            who = f"{process.name} ({facts['Name']})"
            ids = {int(number) for field in ("Uid", "Gid") for number in facts[field].split()}
            found += [f"{who} has the ids {ids}"] if not all(first <= number < first + IDS for number in ids) else []
            found += [f"{who} has no filter"] if facts["Seccomp"] != "2" else []
            found += [f"{who} is in {spaces}"] if forbidden & set(spaces.values()) else []
            count += 1
    return found if count > 5 else [*found, f"only {count} processes were seen"]


def foreign_files(student: Student) -> list[str]:
    """Files and folders that a process of the host has open, on a mount that it does not see."""
    found = []
    for process in processes(student):
        with suppress(OSError):
            mounts = {line.split()[0] for line in (process / "mountinfo").read_text().splitlines()}
            for fd in files(process):
                with suppress(OSError):
                    kind, target = fd.stat().st_mode, str(fd.readlink())
                    mount = re.search(r"mnt_id:\s*(\d+)", (process / "fdinfo" / fd.name).read_text())
                    if (stat.S_ISDIR(kind) or stat.S_ISREG(kind)) and mount and mount[1] not in mounts and not target.startswith(("/memfd:", "mnt:", "net:")):
                        found.append(f"{process.name}: {target}")
    return found


def settings(root: Path = Path("/proc/sys")) -> dict[str, str]:
    """Every setting of the kernel that the machine's root could change."""
    values = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            with suppress(OSError):
                if path.stat().st_mode & 0o200 and name not in ("ns_last_pid", "compact_memory", "drop_caches", "pty/nr"):
                    values[str(path.relative_to(root))] = path.read_text(errors="replace")
    return values


def mount_types(student: Student) -> set[str]:
    """Kinds of filesystems that any process of the host has mounted."""
    found = set()
    for process in processes(student):
        with suppress(OSError):
            found |= {line.partition(" - ")[2].split()[0] for line in (process / "mountinfo").read_text().splitlines()}
    return found


def root(student: Student) -> Path:
    """The host's own root folder, as the machine sees it."""
    return Path(f"/proc/{student.pid}/root")


def runs(container: str) -> bool:
    with suppress(NotFound):
        return this_engine().api.inspect_container(container)["State"]["Running"]
    return False


class Canary:
    """A file of the machine's that nobody has a reason to open, and that notices who does."""

    def __init__(self, path: Path):
        self.path, self.words = path, f"canary-{os.urandom(8).hex()}"
        path.write_text(self.words)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.libc.inotify_add_watch(self.fd, bytes(path), 0x20 | 0x2 | 0x4) >= 0  # IN_OPEN, IN_MODIFY, IN_ATTRIB

    def touched(self) -> bool:
        return bool(select.select([self.fd], [], [], 0)[0])

    def __enter__(self) -> "Canary":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        self.path.unlink(missing_ok=True)


class Decoy:
    """A unix socket of ours that stands where an attacker wants the worker to dial, and counts who came."""

    def __init__(self, path: Path):
        self.path, self.came = path, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.setblocking(False)
        path.unlink(missing_ok=True)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen(16)

    def visitors(self) -> int:
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                self.came += 1
        return self.came

    def __enter__(self) -> "Decoy":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.path.unlink(missing_ok=True)
