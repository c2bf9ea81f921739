"""A lab's database as one file, and back from it. `./lab backup` and `./lab restore`.

The file is a gzipped tar: `about.json`, the database as it lies or as SQL, and the lab's secret, without which every guest's session, and
so their progress, would be nobody's. Whoever has it can be any student: it is made for root's eyes only. Must not know who asks.
"""
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from labsite import processes
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting

ABOUT, SECRET = "about.json", "secret"
MARK = "patchbay backup 1"
DUMP_SECONDS = 3600


class Database(Protocol):
    name: str  # of the file in the backup

    def dump(self, to: Path) -> None:
        """Write all of it as it is at one moment, while the lab runs. Raises LabError."""

    def check(self, dump: Path) -> None:
        """Raises LabError when this is not whole."""

    def load(self, dump: Path, aside: Path) -> None:
        """Have `dump` in its place, and what was there in the folder `aside`. Raises LabError, and then all is as before."""


class Sqlite:
    name = "database.sqlite3"

    def __init__(self, file: Path):
        self.file = file

    def dump(self, to: Path) -> None:
        if not self.file.exists():
            raise LabError("no_database", "There is no database yet.", "Start the lab once: ./lab up --detach")
        try:
            with closing(sqlite3.connect(f"file:{self.file}?mode=rw", uri=True, timeout=20)) as here, closing(sqlite3.connect(to)) as there:
                here.backup(there)
                there.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the lab's has beside it
        except sqlite3.Error as error:
            raise LabError("backup", f"The database cannot be read: {error}.", "./lab doctor says what is wrong with it.") from error

    def check(self, dump: Path) -> None:
        try:
            with closing(sqlite3.connect(f"file:{dump}?mode=ro", uri=True)) as there:
                said = there.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            said = str(error)
        if said != "ok":
            raise LabError("damaged", f"The database in it is damaged: {said.splitlines()[0]}.", "Take another backup. If this one was made a moment ago, the lab's own database is damaged, too.")

    def load(self, dump: Path, aside: Path) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_name(f".{self.file.name}.restored")
        shutil.copyfile(dump, new)
        _as_the_old(new, self.file)
        for old in (self.file.with_name(self.file.name + end) for end in ("", "-wal", "-shm")):
            if old.exists():
                shutil.move(old, aside)
        new.rename(self.file)


class PostgreSQL:
    name = "database.sql"

    def __init__(self, of: dict[str, Any]):
        self.of = of

    def dump(self, to: Path) -> None:
        self._run("pg_dump", "--no-owner", "--no-privileges", f"--file={to}")

    def check(self, dump: Path) -> None:
        with dump.open("rb") as file:
            file.seek(max(0, dump.stat().st_size - 4096))
            if b"PostgreSQL database dump complete" not in file.read():
                raise LabError("damaged", "The database in it is not whole.", "Take another backup.")

    def load(self, dump: Path, aside: Path) -> None:
        """In one transaction: all of it is there afterwards, or nothing has changed."""
        self.dump(aside / self.name)
        clear = dump.with_name("clear.sql")
        clear.write_text("".join(f"DROP TABLE IF EXISTS {connection.ops.quote_name(table)} CASCADE;\n" for table in connection.introspection.table_names()))
        connection.close()
        self._run("psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null", f"--file={clear}", f"--file={dump}")

    def environment(self) -> dict[str, str]:
        """How libpq is told where to go: not by arguments, which everybody on the machine can read."""
        names = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "NAME": "PGDATABASE"}
        options = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
        told = {names[name]: str(self.of[name]) for name in names if self.of.get(name)}
        return told | {options[name]: str(value) for name, value in (self.of.get("OPTIONS") or {}).items() if name in options}

    def _run(self, *argv: str) -> None:
        try:
            done = subprocess.run(argv, env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DUMP_SECONDS)
        except FileNotFoundError as missing:
            raise LabError("no_program", f"{argv[0]} is not installed.", "apt-get install postgresql-client, of the server's version or a newer one.") from missing
        except subprocess.TimeoutExpired as late:
            raise LabError("backup", f"{argv[0]} did not end within an hour.", "See what PostgreSQL is at.") from late
        if done.returncode:
            raise LabError("backup", f"{argv[0]} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[0]}.", "See that PostgreSQL runs, and that DATABASE_URL names it.")


def database() -> Database:
    """The one that this lab has, as DATABASE_URL says."""
    of = settings.DATABASES["default"]
    if of["ENGINE"].endswith("sqlite3"):
        return Sqlite(Path(of["NAME"]))
    if of["ENGINE"].endswith("postgresql"):
        return PostgreSQL(of)
    raise LabError("database", "Only SQLite and PostgreSQL can be backed up by ./lab.", "Use the tools of your database.")


def backup(file: Path) -> int:
    """Write the lab's backup there. Returns its size."""
    if file.exists():
        raise LabError("exists", f"{file} is there already.", "Choose another name, or remove it.")
    with _folder(file.parent) as work:
        here = database()
        here.dump(work / here.name)
        here.check(work / here.name)
        names = [here.name]
        if (secret := settings.VAR / "secret").exists():
            shutil.copyfile(secret, work / SECRET)
            names.append(SECRET)
        about = {"what": MARK, "version": settings.VERSION, "made_at": timezone.now().isoformat(timespec="seconds"), "migrations": sorted(_applied()), "sha256": {name: _sha256(work / name) for name in names}}
        (work / ABOUT).write_text(json.dumps(about, indent=1))
        with tarfile.open(work / "whole", "w:gz", compresslevel=6) as tar:
            for name in (ABOUT, *names):
                tar.add(work / name, name)
        (work / "whole").chmod(0o600)
        (work / "whole").rename(file)
    return file.stat().st_size


def restore(file: Path) -> tuple[dict[str, Any], Path]:
    """Have the lab's database, and its secret, as this backup has them. Returns what it says about itself, and where the old ones are now."""
    if processes.running() or processes.leftovers():
        raise LabError("running", "The lab runs, and would go on with what it read before.", "Stop it first: ./lab down")
    with _folder(settings.VAR) as work:
        here = database()
        about = _opened(file, work, here.name)
        here.check(work / here.name)
        connection.close()
        aside = settings.VAR / f"before-restore-{timezone.localtime():%Y%m%d-%H%M%S}"
        aside.mkdir(mode=0o700)
        here.load(work / here.name, aside)
        if (work / SECRET).exists():
            _put_secret(work / SECRET, settings.VAR / "secret", aside)
    _settle()
    return about, aside


def _settle() -> None:
    """The rows of an earlier time, for the code and the machine of now: no lab of theirs runs."""
    call_command("migrate", interactive=False, verbosity=0)
    now = timezone.now()
    Waiting.objects.all().delete()
    Sandbox.objects.filter(state__in=Sandbox.LIVE).update(state=Sandbox.State.ENDED, why="The lab was stopped.", ended_at=now)
    Sandbox.objects.filter(gone_at=None).update(gone_at=now)
    connection.close()


def _opened(file: Path, work: Path, database: str) -> dict[str, Any]:
    """The files of a backup, in `work`. Raises LabError when it is not ours, not whole, of another kind of database, or of a newer version."""
    no_backup = LabError("not_ours", f"{file} is no backup that ./lab made.", "Choose another file.")
    try:
        with tarfile.open(file, "r:gz") as tar:
            members = {member.name: member for member in tar.getmembers()}
            if not members.keys() <= {ABOUT, SECRET, Sqlite.name, PostgreSQL.name} or ABOUT not in members or not all(member.isfile() for member in members.values()):
                raise no_backup
            if sum(member.size for member in members.values()) * 2 > shutil.disk_usage(work).free:
                raise LabError("disk", "There is no room for what is in it.", f"Free the disk: df -h {settings.VAR}")
            for name, member in members.items():
                with tar.extractfile(member) as packed, (work / name).open("wb") as out:  # type: ignore[union-attr]
                    shutil.copyfileobj(packed, out)
        about = json.loads((work / ABOUT).read_text())
        if not isinstance(about, dict) or about.get("what") != MARK:
            raise no_backup
        sums, migrations = dict(about["sha256"]), {tuple(name.split(".", 1)) for name in about["migrations"]}
    except FileNotFoundError as missing:
        raise LabError("no_file", f"There is no {file}.", "Choose another file.") from missing
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as broken:
        raise no_backup from broken
    if database not in members:
        kinds = {Sqlite.name: "SQLite", PostgreSQL.name: "PostgreSQL"}
        raise LabError("other_database", f"This backup is not of {kinds[database]}, which this lab has.", "Set DATABASE_URL to the kind of database that the backup is of.")
    if sums.keys() != members.keys() - {ABOUT} or any(_sha256(work / name) != of for name, of in sums.items()):
        raise LabError("damaged", f"{file} is damaged: it is not what was written.", "Take another backup.")
    if unknown := migrations - MigrationLoader(None).disk_migrations.keys():
        raise LabError("newer", f"This backup was made by a newer version ({about.get('version')}), which knows {'.'.join(min(unknown))}.", "Update the lab first.")
    return about


def _applied() -> Iterable[str]:
    return (f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def _put_secret(new: Path, here: Path, aside: Path) -> None:
    if here.exists():
        if here.read_bytes() == new.read_bytes():
            return
        shutil.copy2(here, aside)
    ready = here.with_name(".secret.restored")
    ready.touch(mode=0o600)
    ready.write_bytes(new.read_bytes())
    _as_the_old(ready, here)
    ready.rename(here)


def _as_the_old(new: Path, old: Path) -> None:
    """May be read and written by whom the old one may; ./lab up sees to it where there was none."""
    new.chmod(0o600)
    if old.exists():
        of = old.stat()
        os.chown(new, of.st_uid, of.st_gid)
        new.chmod(of.st_mode & 0o777)


@contextmanager
def _folder(beside: Path) -> Iterator[Path]:
    """A folder for root alone, on the disk that the result is to be on."""
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=beside) as work:
            yield Path(work)
    except OSError as error:
        raise LabError("disk", f"{error.strerror or error}: {error.filename or beside}.", f"See that the folder is there and has room: df -h {beside}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
