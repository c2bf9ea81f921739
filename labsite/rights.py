"""Whose the lab's own files are, and who else may do what with them: `./lab up` makes it so, `./lab doctor` looks. Must not know what is in them.

Everything is root's. Web may read the secret and write the database, over its group; Redis has a user of its own, and web may use its socket.
"""
import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from netcontrol.errors import LabError

ROOT, WEB, REDIS = "root", "patchbay-web", "patchbay-redis"  # ./lab makes the latter two


@dataclass(frozen=True)
class Right:
    path: Path
    mode: int
    owner: str = ROOT
    group: str = ROOT
    owner_matters: bool = True  # not of a file that whoever comes first makes

    @property
    def words(self) -> str:
        return f"{self.owner}:{self.group} {self.mode:04o}"


def sqlite() -> Path | None:
    """The lab's own database file: web writes into its folder, so there is nothing else in that."""
    file = Path(str(settings.DATABASES["default"]["NAME"]))
    return file if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") and settings.VAR in file.parent.parents else None


def folders() -> list[Right]:
    """Outer ones first: they are made in this order."""
    found = [
        Right(settings.VAR, 0o700),
        Right(settings.VAR / "log", 0o700),
        Right(settings.RUN.parent, 0o755),
        Right(settings.RUN, 0o711),  # the mapped root of a host walks through it to its layers
        Right(settings.DOCKS, 0o711),
        Right(settings.RUN / "room", 0o700),
        Right(settings.RUN / "redis", 0o2750, REDIS, WEB),
    ]
    if file := sqlite():
        found.append(Right(file.parent, 0o2770, ROOT, WEB))  # SQLite makes its journal beside it, with the group of the folder
    return found


def files() -> list[Right]:
    """Those that may be there."""
    found = [
        Right(settings.VAR / "secret", 0o640, ROOT, WEB),
        Right(settings.RUN / "redis" / "redis.sock", 0o770, REDIS, WEB),
        Right(settings.RUN / "supervisor.sock", 0o600),
        Right(settings.ENGINE_SOCKET, 0o660),
    ]
    if file := sqlite():
        found.append(Right(file, 0o660, ROOT, WEB))
        found += [Right(file.with_name(file.name + tail), 0o660, ROOT, WEB, owner_matters=False) for tail in ("-wal", "-shm")]
    return found


def make() -> None:
    """Raises LabError when the users are missing."""
    for right in folders():
        right.path.mkdir(parents=True, exist_ok=True)
        give(right)
    for right in files():
        if right.path.exists() and not right.path.is_socket():
            give(right)


def give(right: Right) -> None:
    os.chown(right.path, number(right.owner), number(right.group, of_group=True))
    right.path.chmod(right.mode)


def wrong() -> list[str]:
    """A sentence for each that is otherwise."""
    found = []
    for right in [*folders(), *files()]:
        try:
            facts = right.path.lstat()
        except FileNotFoundError:
            continue
        owner = _name(pwd.getpwuid, facts.st_uid) if right.owner_matters else right.owner
        now = f"{owner}:{_name(grp.getgrgid, facts.st_gid)} {stat.S_IMODE(facts.st_mode):04o}"
        if now != right.words or stat.S_ISLNK(facts.st_mode):
            found.append(f"{right.path} is {now}, and should be {right.words}.")
    return found


def unreadable() -> Path | None:
    """What web runs and may not read: a folder or a file that somebody with a narrow umask made."""
    for top in ("labsite", "lessons", "netcontrol", "templates", "static", "locale", ".venv"):
        for folder, below, names in os.walk(settings.BASE_DIR / top):
            below[:] = [name for name in below if name != "__pycache__"]
            if not Path(folder).stat().st_mode & stat.S_IXOTH:
                return Path(folder)
            for name in names:
                path = Path(folder, name)
                if path.exists() and not path.stat().st_mode & stat.S_IROTH:
                    return path
    return None


def number(name: str, of_group: bool = False) -> int:
    try:
        return grp.getgrnam(name).gr_gid if of_group else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise LabError("no_user", f"The system user {name} is missing.", "Run ./lab up as root; it makes it.") from None


def _name(ask, number: int) -> str:
    try:
        return ask(number)[0]
    except KeyError:
        return str(number)
