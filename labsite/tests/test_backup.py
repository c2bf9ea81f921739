"""A backup is whole while others write, comes back as it was, and a restore refuses what would do harm."""
import io
import json
import shutil
import sqlite3
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from labsite import backup as backups
from labsite import processes
from labsite.backup import ABOUT, MARK, PostgreSQL, Sqlite, backup, restore
from netcontrol.errors import LabError

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")


@pytest.fixture
def var(tmp_path, settings, monkeypatch):
    """A lab's folder with a database in use; the rows of Django's own test database are not touched."""
    settings.VAR = tmp_path / "var"
    settings.VAR.mkdir()
    (settings.VAR / "secret").write_text("a secret")
    file = settings.VAR / "db.sqlite3"
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}}
    with sqlite3.connect(file) as here:
        here.execute("PRAGMA journal_mode = WAL")
        here.execute("CREATE TABLE student (name TEXT)")
        here.execute("INSERT INTO student VALUES ('alice')")
    here.close()
    monkeypatch.setattr(backups, "_applied", lambda: ["netcontrol.0001_initial"])
    monkeypatch.setattr(processes, "running", lambda: False)
    monkeypatch.setattr(processes, "leftovers", list)
    monkeypatch.setattr(backups, "_settle", lambda: None)
    return settings.VAR


def students(var: Path) -> list[str]:
    with sqlite3.connect(var / "db.sqlite3") as here:
        found = [name for (name,) in here.execute("SELECT name FROM student ORDER BY rowid")]
    here.close()
    return found


def insert(var: Path, name: str) -> None:
    with sqlite3.connect(var / "db.sqlite3", timeout=20) as here:
        here.execute("INSERT INTO student VALUES (?)", [name])
    here.close()


def test_there_and_back(var, tmp_path):
    file = tmp_path / "kept"
    assert backup(file) == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    insert(var, "bob")
    (var / "secret").write_text("another secret")
    (var / "db.sqlite3").chmod(0o640)
    about, aside = restore(file)
    assert about["what"] == MARK
    assert students(var) == ["alice"] and (var / "secret").read_text() == "a secret"
    assert stat.S_IMODE((var / "db.sqlite3").stat().st_mode) == 0o640, "who may read it may still"
    (aside / "db.sqlite3").rename(var / "db.sqlite3")
    assert students(var) == ["alice", "bob"] and (aside / "secret").read_text() == "another secret"
    assert sorted(path.name for path in var.iterdir()) == [aside.name, "db.sqlite3", "secret"], "nothing else is left"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "var"]


def test_while_others_write(var, tmp_path):
    """Each transaction writes two rows: a backup has both or none."""
    on, written = threading.Event(), threading.Event()

    def write():
        while not on.is_set():
            with sqlite3.connect(var / "db.sqlite3", timeout=20) as here:
                here.execute("INSERT INTO student VALUES ('x')")
                here.execute("INSERT INTO student VALUES ('y')")
            here.close()
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(10)
        backup(tmp_path / "kept")
    finally:
        on.set()
        writer.join(30)
    restore(tmp_path / "kept")
    assert len(students(var)) % 2 == 1 and len(students(var)) > 2  # alice, and pairs


def test_a_new_machine(var, tmp_path):
    backup(tmp_path / "kept")
    shutil.rmtree(var)
    var.mkdir()
    restore(tmp_path / "kept")
    assert students(var) == ["alice"] and (var / "secret").read_text() == "a secret"
    assert stat.S_IMODE((var / "secret").stat().st_mode) == 0o600


def code(call, *arguments) -> str:
    with pytest.raises(LabError) as refused:
        call(*arguments)
    return refused.value.code


def test_backup_refuses(var, tmp_path):
    (tmp_path / "there").touch()
    assert code(backup, tmp_path / "there") == "exists"
    assert code(backup, tmp_path / "no" / "folder") == "disk"
    page = (var / "db.sqlite3").read_bytes()
    (var / "db.sqlite3").write_bytes(page[:4096] + b"x" * (len(page) - 4096))
    assert code(backup, tmp_path / "kept") in ("damaged", "backup")
    (var / "db.sqlite3").unlink()
    assert code(backup, tmp_path / "kept") == "no_database"
    assert not (tmp_path / "kept").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "var"]


def packed(file: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file


def unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def link(file: Path) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo(ABOUT)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    return file


def changed(of: dict[str, bytes], **how) -> dict[str, bytes]:
    return {**of, ABOUT: json.dumps({**json.loads(of[ABOUT]), **how}).encode()}


def test_restore_refuses(var, tmp_path, monkeypatch):
    ours = unpacked(tmp_path / "kept") if backup(tmp_path / "kept") else {}
    sql = {"database.sql": b"", **{name: data for name, data in ours.items() if name != Sqlite.name}}
    insert(var, "bob")
    (tmp_path / "text").write_text("not a backup")
    (tmp_path / "cut").write_bytes((tmp_path / "kept").read_bytes()[:300])
    for want, file in (
        ("no_file", tmp_path / "nowhere"),
        ("not_ours", tmp_path / "text"),
        ("not_ours", tmp_path),
        ("not_ours", tmp_path / "cut"),
        ("not_ours", var / "db.sqlite3"),
        ("not_ours", packed(tmp_path / "1", {"../evil": b""})),
        ("not_ours", packed(tmp_path / "2", {**ours, "more": b""})),
        ("not_ours", packed(tmp_path / "3", {**ours, ABOUT: b"[]"})),
        ("not_ours", packed(tmp_path / "4", changed(ours, what="another"))),
        ("not_ours", packed(tmp_path / "5", changed(ours, sha256=None))),
        ("not_ours", link(tmp_path / "6")),
        ("damaged", packed(tmp_path / "7", {**ours, "secret": b"of somebody else"})),
        ("other_database", packed(tmp_path / "8", sql)),
        ("newer", packed(tmp_path / "9", changed(ours, migrations=["netcontrol.9999_to_come"]))),
    ):
        assert code(restore, file) == want, file
    monkeypatch.setattr(processes, "leftovers", lambda: [1])
    assert code(restore, tmp_path / "kept") == "running"
    assert students(var) == ["alice", "bob"] and sorted(path.name for path in var.iterdir()) == ["db.sqlite3", "secret"], "nothing has changed"


def test_a_database_that_is_damaged_comes_not_in(var, tmp_path):
    backup(tmp_path / "kept")
    files = unpacked(tmp_path / "kept")
    files[Sqlite.name] = files[Sqlite.name][:4096] + b"x" * (len(files[Sqlite.name]) - 4096)
    sums = {name: backups.hashlib.sha256(files[name]).hexdigest() for name in (Sqlite.name, "secret")}
    assert code(restore, packed(tmp_path / "bad", changed(files, sha256=sums))) == "damaged"
    assert students(var) == ["alice"]


def test_the_commands_say_one_sentence(var, tmp_path, capsys):
    call_command("backup", tmp_path / "kept")
    assert "checked" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"is there already\. Choose another name"):
        call_command("backup", tmp_path / "kept")
    call_command("restore", tmp_path / "kept")
    assert "What it was until now lies in" in capsys.readouterr().out


# PostgreSQL, when DATABASE_URL says so

OF = {"ENGINE": "django.db.backends.postgresql", "HOST": "db", "PORT": 5433, "USER": "lab", "PASSWORD": "s3cret", "NAME": "patchbay", "OPTIONS": {"sslmode": "require", "pool": True}}


def test_which_database(settings):
    settings.DATABASES = {"default": {**OF}}
    assert isinstance(backups.database(), PostgreSQL)
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"}}
    assert isinstance(backups.database(), Sqlite)
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.mysql"}}
    assert code(backups.database) == "database"


def test_a_password_stands_in_no_command_line(tmp_path, monkeypatch):
    ran = []

    def run(argv, env, **_):
        ran.append((argv, env))
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    PostgreSQL(OF).dump(tmp_path / "dump")
    ((argv, env),) = ran
    assert argv == ("pg_dump", "--no-owner", "--no-privileges", f"--file={tmp_path / 'dump'}")
    assert {name: env[name] for name in env if name.startswith("PG")} == {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "lab", "PGPASSWORD": "s3cret", "PGDATABASE": "patchbay", "PGSSLMODE": "require"}


@pytest.mark.parametrize("trouble", [FileNotFoundError, subprocess.TimeoutExpired("pg_dump", 1)])
def test_no_pg_dump(tmp_path, monkeypatch, trouble):
    def run(*_, **__):
        raise trouble

    monkeypatch.setattr(subprocess, "run", run)
    assert code(PostgreSQL(OF).dump, tmp_path / "dump") in ("no_program", "backup")


def test_half_a_dump(tmp_path):
    (tmp_path / "dump").write_text("CREATE TABLE")
    assert code(PostgreSQL(OF).check, tmp_path / "dump") == "damaged"
