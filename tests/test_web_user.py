"""Web and beat have no right on the machine, and what they do not need is not there for them. Redis has none, either.

What they cannot do is tried from within their own mounts, as the users that they are.
"""
import os
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from labsite import processes, rights
from netcontrol.engine.host import dock_name

KNOCK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(2)
    s.connect(sys.argv[1])
"""


def pid(program: str) -> int:
    return processes.ask("getProcessInfo", program)["pid"]


def inside(program: str, *argv: str, user: str = "") -> subprocess.CompletedProcess:
    """As that program would do it: with its mounts, and as its user or another one."""
    user = user or rights.WEB
    drop = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return subprocess.run(["nsenter", "-t", str(pid(program)), "-m", "setpriv", *drop, *argv], capture_output=True, text=True, timeout=30)


def knock(program: str, door: Path, user: str = "") -> str:
    """What the door of a Unix socket says; "" when it opens."""
    said = inside(program, "/usr/bin/env", "python3", "-c", KNOCK, str(door), user=user).stderr.strip()
    return said.splitlines()[-1] if said else ""


def facts(program: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid(program)}/status").read_text().splitlines() if ":\t" in line)


@pytest.mark.parametrize(("program", "user"), [("web", rights.WEB), ("beat", rights.WEB), ("redis", rights.REDIS)])
def test_it_has_no_right(lab, program, user):
    now = facts(program)
    uid = rights.number(user)
    assert now["Uid"].split() == [str(uid)] * 4 and uid
    assert now["Groups"].split() == []
    assert {name: now[name] for name in now if name.startswith("Cap")} == dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16)
    assert now["NoNewPrivs"] == "1"


@pytest.mark.parametrize("program", ["web", "beat"])
def test_the_engine_the_hosts_and_the_supervisor_are_not_there(lab, student, program):
    dock = settings.DOCKS / dock_name(student.sandbox, "lab")
    doors = [settings.ENGINE_SOCKET, settings.RUN / "supervisor.sock", *(path for path in dock.iterdir() if path.is_socket())]
    assert len(doors) >= 3
    for door in doors:
        assert "FileNotFoundError" in knock(program, door), door
    for gone in (*doors, dock, settings.DOCKS, settings.ENGINE_DISK.with_suffix(".disk"), settings.STORE, settings.VAR / "log", Path("/home"), Path("/sys"), Path("/var")):
        assert not os.path.lexists(f"/proc/{pid(program)}/root{gone}"), gone
    assert knock(program, settings.RUN / "redis" / "redis.sock") == ""  # the control: what they need opens


def test_redis_may_open_no_door_of_ours(lab):
    for door in (settings.ENGINE_SOCKET, settings.RUN / "supervisor.sock"):
        assert "PermissionError" in knock("redis", door, rights.REDIS), door


def test_web_writes_its_database_and_nothing_else(lab):
    mounts = [line.split() for line in Path(f"/proc/{pid('web')}/mountinfo").read_text().splitlines()]
    database = rights.sqlite()
    assert {fields[4] for fields in mounts if "rw" in fields[5].split(",")} == {str(database.parent), str(database), "/proc", "/tmp"}
    for attempt in (f"rm -f {database}", f"mv {database} {database}.old", f"echo >> {settings.VAR}/secret", f"touch {settings.BASE_DIR}/labsite/new.py", "touch /etc/new", "touch /new"):
        assert inside("web", "sh", "-c", attempt).returncode != 0, attempt
    assert inside("web", "sh", "-c", f"touch {database.parent}/new && rm {database.parent}/new && cat {settings.VAR}/secret").stdout.strip()  # the control
    assert inside("beat", "cat", f"{settings.VAR}/secret").returncode != 0


def test_web_sees_no_process_but_its_own(lab):
    seen = inside("web", "sh", "-c", "ls /proc | grep -E '^[0-9]+$'").stdout.split()
    assert str(pid("engine")) not in seen and str(pid("worker")) not in seen and "1" not in seen


def test_web_inherits_little(lab):
    names = {line.split("=")[0] for line in Path(f"/proc/{pid('web')}/environ").read_text().split("\0") if line}
    assert "PATCHBAY_VAR" in names and "HOME" in names
    assert not {name for name in names if re.match("SUPERVISOR|SUDO|SSH|USER$", name)}


def test_files_are_whose_they_should_be(lab):
    assert rights.wrong() == []
    secret = settings.VAR / "secret"
    secret.chmod(0o644)
    try:
        assert "should be root:patchbay-web 0640" in lab("doctor").stdout
    finally:
        secret.chmod(0o640)
