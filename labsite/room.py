"""Become one of the lab's programs that need no right on the machine, in a room of its own: `python -m labsite.room web COMMAND…`.

A room is a mount namespace whose root is an empty folder. Into it comes, each at its own place, what the program needs, and read-only unless it
must write: so the engine, the docks of hosts, supervisord and the homes of people are not there for it, and a checkout works that lies where
nobody else may walk, such as /root. The program is an unprivileged user without capabilities, who can get none. This process becomes it: the
pid is the one that supervisord knows. Must not know what the program does.
"""
import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from labsite.rights import WEB, sqlite

SYSTEM = ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
DEVICES = ("null", "zero", "full", "random", "urandom")
# What a program inherits of the environment in which somebody ran `./lab up`: that may hold secrets which are none of its business.
ENVIRONMENT = re.compile(r"(PATCHBAY|LAB|DJANGO|CELERY|PYTHON|LC|PG)_?[A-Z0-9_]*|DATABASE_URL|REDIS_URL|PATH|LANG|LANGUAGE|TZ|SSL_CERT_(FILE|DIR)")

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MNT_DETACH = 0x20000, 2
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
HARMLESS = MS_NOSUID | MS_NODEV | MS_NOEXEC


@dataclass(frozen=True)
class Room:
    """What a program sees beside the system's own programs."""

    read: tuple[Path, ...]
    written: tuple[Path, ...] = ()
    fixed: tuple[Path, ...] = ()  # files that are written, too, but neither removed nor replaced


def rooms() -> dict[str, Room]:
    python = {Path(path) for prefix in (sys.prefix, sys.base_prefix) for path in (prefix, os.path.realpath(prefix))}
    code = (settings.BASE_DIR, *sorted(python), *_resolver(), *_sockets(settings.REDIS_URL))
    read = (*code, settings.LESSONS_DIR, settings.STATIC_ROOT, settings.VAR / "secret")
    if file := sqlite():
        web = Room(read, written=(file.parent,), fixed=(file,))
    elif settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        web = Room(read, written=(Path(settings.DATABASES["default"]["NAME"]).parent,))
    else:
        host = settings.DATABASES["default"].get("HOST") or "/var/run/postgresql"
        web = Room((*read, Path(host)) if host.startswith("/") else read)
    return {"web": web, "beat": Room(code)}


def _resolver() -> list[Path]:
    """/etc/resolv.conf is a link out of /etc on many machines."""
    real = Path("/etc/resolv.conf").resolve()
    return [real] if real.is_file() else []


def _sockets(url: str) -> list[Path]:
    """The folder of a Unix socket: what listens is started again, and makes a new one."""
    where = urlsplit(url)
    return [Path(where.path).parent] if where.scheme == "unix" else []


def environment(given: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in given.items() if ENVIRONMENT.fullmatch(name)}, "HOME": "/tmp"}


def move_in(room: Room) -> None:
    """Leave the machine's mounts for a root that holds this room only. For root, and for this process only."""
    root = settings.RUN / "room"
    _call("unshare", CLONE_NEWNS)
    _mount(None, "/", MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, MS_NOSUID, "size=1m,mode=755")
    (root / "tmp").mkdir()
    _mount("tmpfs", root / "tmp", HARMLESS, "size=64m,mode=1777")  # before the checkout, which may lie in /tmp
    _show(root, [*map(Path, SYSTEM), *room.read], hidden=private())
    for device in DEVICES:
        _mount(f"/dev/{device}", _place(root, Path("/dev", device)), MS_BIND)
    for name in ("old", "proc"):
        (root / name).mkdir(exist_ok=True)
    places = {path: _place(root, path) for path in (*room.written, *room.fixed)}  # made while their folder can be written
    _close(root)
    for path, place in places.items():
        _mount(path, place, MS_BIND)
        _mount(None, place, MS_REMOUNT | MS_BIND | HARMLESS)
    _mount("proc", root / "proc", HARMLESS, "hidepid=2")
    _mount(None, root / "tmp", MS_REMOUNT | MS_BIND | HARMLESS)
    os.chdir(root)
    _call("pivot_root", b".", b"old")
    os.chdir("/")
    _call("umount2", b"/old", MNT_DETACH)


def private() -> Path:
    """The folder that is hidden with the lab's own files in it: the outermost one in the checkout, for each of them may be closed to web."""
    var, base = settings.VAR.resolve(), settings.BASE_DIR.resolve()
    return base / var.relative_to(base).parts[0] if var.is_relative_to(base) else var


def _show(root: Path, paths: Iterable[Path], hidden: Path) -> None:
    """These are there, each with what it holds; but of what `hidden` holds only what is named itself."""
    there: list[Path] = []
    for path in sorted({hidden, *(path.resolve() for path in paths if path.exists())}):  # what holds another comes before it
        if path == hidden:
            _mount("tmpfs", _place(root, path), MS_NOSUID, "size=1m,mode=755")
        elif path.is_relative_to(hidden) or not any(path.is_relative_to(other) for other in there if other != hidden):
            _mount(path, _place(root, path), MS_BIND | MS_REC)
        there.append(path)
    for path in paths:  # and the names that are links on the machine
        name = _in(root, path)
        if path.exists() and not os.path.lexists(name):
            name.parent.mkdir(parents=True, exist_ok=True)
            name.symlink_to(path.resolve())


def _in(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _place(root: Path, path: Path) -> Path:
    """Where it will be mounted: a folder or a file, as it is one itself."""
    path = path.resolve()
    place = _in(root, path)
    if not os.path.lexists(place):
        (place if path.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            place.touch()
    return place


def _close(root: Path) -> None:
    """Whatever is mounted there by now is read-only. (Devices can be written all the same.)"""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]))
        if place.is_relative_to(root):
            _mount(None, place, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (0 if place.is_relative_to(root / "dev") else MS_NODEV))


def _mount(what: str | Path | None, where: str | Path, flags: int, options: str = "") -> None:
    """mount(2), and not mount(8), which reads the list of all mounts of the machine each time. A file system is known by its name."""
    kind = what if isinstance(what, str) and "/" not in what else None
    _call("mount", _bytes(what), _bytes(where), _bytes(kind), flags, options.encode())


def _bytes(text: str | Path | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def _call(name: str, *arguments: bytes | int | None) -> None:
    if getattr(LIBC, name)(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)):
        number = ctypes.get_errno()
        sys.exit(f"The room could not be made: {name}{arguments}: {os.strerror(number)}")


def main(name: str, *command: str) -> None:
    move_in(rooms()[name])
    os.chdir(settings.BASE_DIR)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would put the secret on the disk
    user = ("setpriv", f"--reuid={WEB}", f"--regid={WEB}", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")
    os.execvpe(user[0], [*user, "--", *command], environment(os.environ))


if __name__ == "__main__":
    main(*sys.argv[1:])
