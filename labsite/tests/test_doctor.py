"""Each look tells of its part when it is broken, and of no other part. What takes a real lab is broken in tests/test_operating.py."""
import os
import sqlite3
import subprocess
import sys
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.checks import Error
from django.utils import timezone

from labsite import doctor, health, processes
from labsite.doctor import Finding, Seen, findings
from netcontrol.engine import machine
from netcontrol.errors import LabError
from netcontrol.models import Machine, Sandbox

ALL = ("web", "redis", "engine", "worker", "attach", "check", "beat")


def seen(down: tuple[str, ...] = (), states: dict[str, str] | None = None) -> Seen:
    this = Seen()
    this.__dict__ |= {"parts": {name: "down" if name in down else "up" for name in ALL}, "states": dict.fromkeys(processes.PROGRAMS, "RUNNING") | (states or {})}
    return this


def told(look, *of) -> list[str]:
    return [finding.what for finding in look(seen(*of))]


# SQLite


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as here:
        here.execute("PRAGMA journal_mode = WAL")
        here.execute("CREATE TABLE student (name TEXT)")
        here.executemany("INSERT INTO student VALUES (?)", [["x" * 900]] * 100)
    here.close()
    return path


def test_a_whole_database(file):
    before = file.read_bytes()
    assert doctor._trouble_of_sqlite(file) is None
    assert file.read_bytes() == before, "it only asks"


def test_no_database(tmp_path):
    assert doctor._trouble_of_sqlite(tmp_path / "none").what == "There is no database yet."
    assert not list(tmp_path.iterdir())


def test_a_locked_database(file):
    """By a program that is stopped in the middle of a change."""
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import sqlite3, time; c = sqlite3.connect({str(file)!r}, isolation_level=None); c.execute('BEGIN IMMEDIATE'); print(flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline()
        assert "is locked" in (found := doctor._trouble_of_sqlite(file)).what
        assert "fuser" in found.mend
    finally:
        holder.kill()
        holder.wait(5)
        holder.stdout.close()
    assert doctor._trouble_of_sqlite(file) is None


def test_a_damaged_database(file):
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    assert "restore" in doctor._trouble_of_sqlite(file).mend
    file.write_bytes(b"no database at all" * 500)
    assert "damaged" in doctor._trouble_of_sqlite(file).what


# Processes


def test_all_is_well():
    assert told(doctor.the_processes) == []


def test_nothing_runs():
    assert told(doctor.the_processes, ALL, dict.fromkeys(processes.PROGRAMS, "STOPPED")) == ["The lab does not run."]


@pytest.mark.parametrize("program", processes.PROGRAMS)
def test_one_does_not_run(program):
    (what,) = told(doctor.the_processes, (), {program: "FATAL"})
    assert what.startswith(f"{program} does not run")


def test_one_ends_again_and_again(settings, tmp_path):
    settings.VAR = tmp_path
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "web.log").write_text("one\nno port for it\n")
    assert told(doctor.the_processes, ("web",), {"web": "BACKOFF"}) == ["web ends as soon as it is started: no port for it"]


def test_what_stands_on_another_is_not_told_of(monkeypatch):
    """Without Redis no worker can answer: Redis is what is to be mended."""
    monkeypatch.setattr(processes, "ask", lambda *_: {"pid": 7})
    assert told(doctor.the_processes, ("redis", "web", "worker", "attach", "check")) == ["redis runs, but does not answer."]
    assert told(doctor.the_processes, ("check",)) == ["check runs, but does not answer."]


# The rest


def test_a_look_that_breaks_hides_no_other(monkeypatch):
    def broken(_):
        """The door."""
        raise RuntimeError("it squeaks")

    monkeypatch.setattr(doctor, "LOOKS", (broken, lambda _: [Finding("The window is open.", "Close it.")]))
    assert [found.what for found in findings()] == ["The door. It cannot be looked at: RuntimeError: it squeaks", "The window is open."]


def test_a_wrong_setting(monkeypatch):
    monkeypatch.setattr(doctor, "run_checks", lambda: [Error("A number is wrong.", hint="Take another.")])
    assert list(doctor.wrong_settings(seen())) == [Finding("A number is wrong.", "Take another.")]


def test_a_missing_program(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda command, path: None if command == "jq" else command)
    assert list(doctor.packages(seen())) == [Finding("jq is not installed.", "apt-get install jq")]


@pytest.mark.parametrize(
    ("own", "blocks", "files", "words"),
    [(False, 50, 50, []), (False, 95, 50, ["full to 95 % (room)"]), (False, 50, 99, ["full to 99 % (files)"]), (True, 95, 50, []), (True, 100, 50, ["full to 100 % (room)"])],
)
def test_the_engines_disk(monkeypatch, own, blocks, files, words):
    """Hosts that have `own` disks are promised all but a reserve."""
    monkeypatch.setattr(doctor.disk, "possible", lambda: own)
    Room = namedtuple("Room", "f_blocks f_bavail f_files f_favail")
    Use = namedtuple("Use", "free")
    monkeypatch.setattr(machine, "is_mount", lambda _: True)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Use(10 * 1024**3))
    monkeypatch.setattr(doctor.os, "statvfs", lambda _: Room(100, 100 - blocks, 100, 100 - files))
    found = told(doctor.disks)
    assert len(found) == len(words) and all(word in what for word, what in zip(words, found))


def test_the_machines_disk(monkeypatch):
    Use = namedtuple("Use", "free")
    monkeypatch.setattr(machine, "is_mount", lambda _: False)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Use(2**29))
    (what,) = told(doctor.disks)
    assert what.startswith("Only 0.5 GiB are free")


@pytest.fixture
def here(db, settings) -> Machine:
    return Machine.objects.create(name=settings.MACHINE, capacity=4, wires=4)


def test_the_clock(here, monkeypatch):
    monkeypatch.setattr(processes, "ask", lambda *_: {"pid": 7})
    assert told(doctor.the_clock) == []
    Sandbox.objects.create(machine=here, wire=0, created_at=timezone.now() + timedelta(hours=1))
    assert "went back" in told(doctor.the_clock)[0]
    Sandbox.objects.all().delete()
    Machine.objects.update(seen_at=timezone.now() - timedelta(seconds=health.BEAT_SECONDS + 5))
    assert "beat hangs" in told(doctor.the_clock)[0]
    assert told(doctor.the_clock, ("beat",)) == [], "beat itself is what is told of"


def test_no_host_starts(here):
    assert told(doctor.boots) == []
    for wire in range(3):
        Sandbox.objects.create(machine=here, wire=wire, state=Sandbox.State.FAILED, why="systemd did not come up.")
    assert told(doctor.boots) == ["No host starts: systemd did not come up."]


class Silent:
    def __init__(self, sandbox):
        pass

    async def run(self, *_):
        raise LabError("no_answer", "It does not answer.", "Try again.")


class Stopped(Silent):
    async def run(self, *_):
        return namedtuple("Answer", "out")("failed\n")


@pytest.mark.parametrize(("inside", "words"), [(Silent, "its agent does not answer"), (Stopped, "its dockerd does not run")])
def test_what_a_student_did_to_their_own_host_is_no_fault_of_the_lab(here, monkeypatch, inside, words):
    sandbox = Sandbox.objects.create(machine=here, wire=0, state=Sandbox.State.CLAIMED)
    sandbox.hosts.create(name="lab", address="10.73.0.2")
    monkeypatch.setattr(doctor, "this_engine", lambda: namedtuple("Engine", "sandboxes")(lambda: {sandbox.pk}))
    monkeypatch.setattr(doctor, "Inside", inside)
    (found,) = doctor.hosts(seen())
    assert words in found.what and found.students and sandbox.pk.hex[:8] in found.what


def test_a_sandbox_without_a_host(here, monkeypatch):
    Sandbox.objects.create(machine=here, wire=0, state=Sandbox.State.READY)
    monkeypatch.setattr(doctor, "this_engine", lambda: namedtuple("Engine", "sandboxes")(set))
    (found,) = doctor.hosts(seen())
    assert "has no host" in found.what and not found.students
