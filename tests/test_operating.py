"""Operating a lab: what it tells watchers and logs, that its doctor finds what is broken, that a backup comes back."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from labsite import processes
from netcontrol.engine import this_engine

from .driving import run
from .inside import in_host

BASE = Path(__file__).resolve().parent.parent
CANARY = "canary-f7d1c0"  # typed and printed by a student, in many ways
LOGS = settings.VAR / "log"


def samples(lab) -> dict[tuple, float]:
    families = text_string_to_metric_families(requests.get(f"{lab.url}/metrics", timeout=10).text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def ready(lab) -> tuple[int, dict]:
    answer = requests.get(f"{lab.url}/readyz", timeout=10)
    return answer.status_code, answer.json()["wrong"]


def test_watchers(lab, student):
    """Whichever process counts: web, worker, attach. What one did is in what another tells."""
    assert requests.get(f"{lab.url}/healthz", timeout=10).json() == {"lab": settings.LAB_ID}
    lab.until(lambda: ready(lab) == (200, {}), 15, "readiness")
    before = samples(lab)
    run(student, "true")
    student.send(type="run", shell="nowhere", block="b", text="true")
    for event in student.events(10):
        if event["type"] == "error":
            break
    lab.until(lambda: samples(lab).get(("patchbay_refused_total", ("what", event["code"])), 0) > before.get(("patchbay_refused_total", ("what", event["code"])), 0), 10, "the count of a refusal")
    lab.until(lambda: samples(lab)["patchbay_command_seconds_count",] > before.get(("patchbay_command_seconds_count",), 0), 10, "the count of a command")
    now = samples(lab)
    assert now["patchbay_sandboxes", ("state", "claimed")] >= 1
    assert now["patchbay_boot_seconds_count",] >= 1 and 0 < now["patchbay_boot_seconds_sum",] < 300
    assert now["patchbay_boots_total", ("outcome", "up")] >= 1
    assert now["patchbay_wait_seconds_count",] >= 1
    assert {name.partition("@")[0] for (metric, (_, name)) in (key for key in now if key[0] == "patchbay_worker_up")} == {"control", "attach", "check"}
    assert 0 <= now["patchbay_queue_length", ("queue", "control")] < 50


def log_lines(*words: str) -> list[str]:
    return [line for file in LOGS.glob("*.log") for line in file.read_text(errors="replace").splitlines() if all(word in line for word in words)]


def test_a_request_can_be_followed_through_the_logs(lab, student):
    """What a click in a page orders has the click's id in the worker's log, and its sandbox."""
    token = student.http.cookies["csrftoken"]
    answer = student.http.post(f"{lab.url}/lab/end", headers={"X-Request-ID": "followed-1", "X-CSRFToken": token, "Referer": lab.url + "/", "Accept": "application/json"}, timeout=20)
    assert answer.status_code == 200 and answer.headers["X-Request-ID"] == "followed-1"
    assert log_lines("answered", "request=followed-1", "method=POST", "route=netcontrol:end", "status=200")
    lab.until(lambda: log_lines("removed", "request=followed-1", f"sandbox={student.sandbox}", "task=remove"), 30, "the removal's line")


# In the agent's place: what it says breaks the protocol, with words of the student's in it.
LIAR = f"""
import json, os, socket, subprocess
subprocess.run(["systemctl", "stop", "patchbay-agent.socket", "patchbay-agent.service"])
try: os.unlink("/run/patchbay/agent.sock")
except OSError: pass
door = socket.socket(socket.AF_UNIX)
door.bind("/run/patchbay/agent.sock")
os.chmod("/run/patchbay/agent.sock", 0o660)
door.listen()
while True:
    talk, _ = door.accept()
    body = json.dumps({{"type": "{CANARY}", "{CANARY}": "{CANARY}"}}).encode()
    talk.sendall(len(body).to_bytes(4, "big") + b"J" + body)
    talk.close()
"""


def test_no_log_has_what_a_student_types_or_sees(lab, student):
    """Typed, printed, typed without an echo; as the name of a shell, a file, a container; searched for, asked for, said wrongly; by a host that lies."""
    run(student, f"echo {CANARY}")
    run(student, f"cat /{CANARY}; {CANARY}; mkdir /tmp/{CANARY}; exec 3</{CANARY}")
    run(student, f"logger {CANARY}; echo {CANARY} > /dev/kmsg; echo {CANARY} > /dev/console; ip link add {CANARY[:15]} type dummy")
    run(student, f"docker run --name {CANARY} {CANARY}; docker network create {CANARY}; printf '\\033]133;C;{CANARY}\\a\\033]2;{CANARY}\\a'")
    student.send(type="shell.open", shell=CANARY, host="lab", cols=80, rows=24)
    student.send(type="shell.open", shell="x", host=CANARY, cols=80, rows=24)
    student.send(type="shell.name", shell="lab", name=CANARY)
    student.send(type="network.watch", on=True)
    for wrong in (CANARY, {"type": CANARY}, {"type": "run", "shell": CANARY, "block": CANARY, "text": 7}, {"type": "network.reach", "from": CANARY}):
        student.socket.send(json.dumps(wrong))
    for path in (f"/lab/history?q={CANARY}", f"/lab/history.txt?q={CANARY}", f"/lessons/{CANARY}/", f"/{CANARY}"):
        student.get(path)
    for path in (f"/lessons/{student.lesson}/{CANARY}/check", "/lab/reset"):
        student.http.post(lab.url + path, data={"answer": CANARY, CANARY: CANARY}, headers={"X-Request-ID": f"{CANARY} "}, timeout=20)
    in_host(student, f"cat > /tmp/liar <<'END'\n{LIAR}\nEND\nsystemd-run --quiet python3 /tmp/liar")
    lab.until(lambda: log_lines("netcontrol.hostlink", str(student.sandbox)), 30, "the worker's line of the lie")
    time.sleep(1)  # so long the sums need to Redis, and lines to the disk: there is no event for what must not come
    told = requests.get(f"{lab.url}/metrics", timeout=10).text
    assert CANARY not in told and "patchbay_refused_total" in told
    assert log_lines("route=netcontrol:history"), "the logs that were looked at are those of these requests"
    assert log_lines(CANARY) == []


# The doctor, and what it finds


def doctor(lab) -> tuple[int, str]:
    done = lab("doctor")
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout


def test_a_whole_lab_is_clean(lab):
    lab.until(lambda: doctor(lab)[0] == 0, 120, "a clean bill")
    assert doctor(lab)[1].endswith("Nothing is missing and nothing is broken.\n")


def test_processes_that_do_not_run(lab):
    """Named, each with its mend, and readiness says so too. The mend mends."""
    for program in ("check", "beat"):
        processes.ask("stopProcess", program, True)
    try:
        code, text = doctor(lab)
        assert code == 1
        for program in ("check", "beat"):
            assert f"{program} does not run; its last words are in {LOGS}/{program}.log.\n    → ./lab up --detach" in text
        assert "web" not in text and "2 to mend." in text
        lab.until(lambda: ready(lab) == (503, {"check": "No check has been heard of for 10 s."}), 20, "readiness' no")
    finally:
        up = lab("up", "--detach", seconds=300)
    assert up.returncode == 0, up.stderr
    lab.until(lambda: ready(lab) == (200, {}), 20, "readiness")
    lab.until(lambda: doctor(lab)[0] == 0, 120, "a clean bill")


def test_a_process_that_hangs(lab):
    """Found although it runs. Its mend, which the text has, mends."""
    pid = processes.ask("getProcessInfo", "attach")["pid"]
    os.kill(pid, signal.SIGSTOP)
    code, text = doctor(lab)
    assert code == 1 and f"attach runs, but does not answer.\n    → kill -9 {pid} " in text
    os.kill(pid, signal.SIGKILL)
    lab.until(lambda: doctor(lab)[0] == 0, 120, "a clean bill")


def test_left_overs_and_an_image_store_that_is_away(lab):
    engine = this_engine()
    volume, view = engine.api.create_volume("pb-stray")["Name"], settings.RUN / "store"
    subprocess.run(["umount", "-l", view], check=True, timeout=10)
    try:
        code, text = doctor(lab)
        assert code == 1
        assert "The students' images are not mounted, so no host can start.\n    → ./lab up --detach" in text
        assert f"Left over: volume pb-stray of the engine.\n    → docker -H unix://{engine.socket} volume rm pb-stray" in text
    finally:
        engine.api.remove_volume(volume)
        up = lab("up", "--detach", seconds=300)
    assert up.returncode == 0, up.stderr
    lab.until(lambda: doctor(lab)[0] == 0, 120, "a clean bill")


def test_a_locked_database(lab):
    with closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, timeout=20)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        code, text = doctor(lab)
    assert code == 1 and "The database is locked: a program holds it and does not let go.\n    → See which: fuser -v" in text
    lab.until(lambda: doctor(lab)[0] == 0, 120, "a clean bill")


def test_what_a_student_breaks_is_theirs(lab, student):
    """Told, and the lab is whole."""
    in_host(student, "systemctl stop docker.socket docker.service")
    code, text = doctor(lab)
    assert code == 0 and f"Host lab of sandbox {student.sandbox.hex[:8]}: its dockerd does not run." in text
    assert "Nothing is missing and nothing is broken." in text


# Backups


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder for another lab, which never starts."""
    var = tmp_path_factory.mktemp("v")
    yield var
    shutil.rmtree(var, ignore_errors=True)


def test_a_backup_of_a_running_lab_comes_back_elsewhere(lab, student, elsewhere):
    run(student, f"echo {CANARY}")
    lab.until(lambda: CANARY in student.get("/lab/history").text, 10, "the command's row")
    file = elsewhere / "kept"
    assert (done := lab("backup", str(file))).returncode == 0, done.stderr
    assert f"{file}: " in done.stdout and "checked" in done.stdout
    assert "is there already" in lab("backup", str(file)).stderr
    refused = lab("restore", str(file))
    assert refused.returncode == 1 and "The lab runs, and would go on with what it read before. Stop it first: ./lab down" in refused.stderr
    var = elsewhere / "var"
    var.mkdir()
    restored = lab("restore", str(file), PATCHBAY_VAR=str(var))
    assert restored.returncode == 0, restored.stderr
    (database,) = var.rglob("db.sqlite3")
    with closing(sqlite3.connect(database)) as there:
        assert there.execute("SELECT count(*) FROM netcontrol_command WHERE sandbox_id = ? AND text = ?", [student.sandbox.hex, f"echo {CANARY}"]).fetchone() == (1,)
        assert there.execute("SELECT count(*) FROM netcontrol_sandbox WHERE gone_at IS NULL").fetchone() == (0,), "nothing of it runs there"
    assert (var / "secret").read_text() == (settings.VAR / "secret").read_text(), "a guest's cookie opens their lab there"
    refused = lab("restore", "README.md", PATCHBAY_VAR=str(var))
    assert refused.returncode == 1 and f"{BASE}/README.md is no backup that ./lab made." in refused.stderr


@pytest.fixture
def postgresql(lab):
    """A server of our own, for one test. Yields DATABASE_URL."""
    if not (initdb := shutil.which("initdb") or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))), None)):
        pytest.skip("there is no PostgreSQL server on this machine")
    home, bin = Path(tempfile.mkdtemp()), Path(initdb).resolve().parent
    home.chmod(0o755)
    shutil.chown(home, "nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    (home / "pw").write_text("s3cret")
    (home / "pw").chmod(0o644)
    subprocess.run([*drop, bin / "initdb", "-D", home / "data", "-U", "lab", "-A", "scram-sha-256", f"--pwfile={home / 'pw'}", "-E", "UTF8", "--no-sync"], check=True, capture_output=True, timeout=120, cwd="/")
    server = subprocess.Popen([*drop, bin / "postgres", "-D", home / "data", "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], cwd="/", stderr=subprocess.DEVNULL)
    try:
        lab.until(lambda: not subprocess.run([bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], timeout=20).returncode, 60, "PostgreSQL's start")
        yield f"postgres://lab:s3cret@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.timeout(600)
def test_postgresql_there_and_back(lab, elsewhere, postgresql):
    """As with SQLite; and what came after the backup is gone, tables too."""

    def manage(*argv: str) -> str:
        env = {**os.environ, "PATCHBAY_VAR": str(elsewhere), "DATABASE_URL": postgresql}
        done = subprocess.run([BASE / ".venv/bin/python", "manage.py", *argv], cwd=BASE, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(code: str) -> str:
        return manage("shell", "--no-imports", "-c", f"from lessons.models import Student; from django.db import connection; {code}").strip()

    (elsewhere / "secret").write_text("a secret of a lab that never starts, long enough to be one")
    manage("migrate", "--verbosity", "0")
    python("Student.objects.create(username='alice')")
    manage("backup", str(elsewhere / "kept"))
    python("Student.objects.create(username='bob'); connection.cursor().execute('CREATE TABLE of_tomorrow (n int)')")
    assert "What it was until now lies in" in manage("restore", str(elsewhere / "kept"))
    assert python("print(*Student.objects.values_list('username', flat=True), 'of_tomorrow' in connection.introspection.table_names())") == "alice False"
    (aside,) = elsewhere.glob("before-restore-*")
    assert "bob" in (aside / "database.sql").read_text()
