"""Parts that die under a student: what the page says within 5 s, and that it recovers by itself. Then bad set-ups."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings

from labsite import processes
from labsite.client import ConnectionClosed
from netcontrol.engine import this_daemon, this_engine

from .driving import COLOUR, run


def pid(program: str) -> int:
    return processes.ask("getProcessInfo", program)["pid"]


def worker_state(guest, want: str, seconds: float) -> float:
    """Seconds until the page is told so."""
    began = time.monotonic()
    for event in guest.events(seconds):
        if event["type"] == "sandbox.state" and event.get("worker") == want:
            return time.monotonic() - began
    raise AssertionError


def test_worker_dead(student):
    """The page says so within 5 s; when a worker is back the shell is the same, and what ran in it went on."""
    run(student, "here=before; (sleep 3; echo went on > /root/late) &")
    processes.ask("stopProcess", "attach", True)
    try:
        assert worker_state(student, "down", 5) < 5
    finally:
        processes.ask("startProcess", "attach", False)
    worker_state(student, "up", 20)
    assert "before" in run(student, "echo $here")[1]
    assert run(student, "for i in 1 2 3 4 5 6; do test -e /root/late && break; sleep 1; done; cat /root/late")[1].startswith("went on")


def test_worker_killed_in_the_middle_of_output(student):
    """kill -9, and no byte is lost or doubled."""
    student.send(type="run", shell="lab", block="b", text="for n in $(seq 1 3000); do echo line $n; [ $((n % 300)) = 0 ] && sleep 0.2; done")
    output, killed = b"", False
    for event in student.events(60):
        if event["type"] == "shell.output":
            output += event["data"]
            if b"line 900" in output and not killed:
                os.kill(pid("attach"), signal.SIGKILL)
                killed = True
        elif event["type"] == "command.finished":
            break
    assert killed
    lines = [line for line in COLOUR.sub("", output.decode()).replace("\r", "").split("\n") if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, 3001)]


def test_redis_dead(lab, student):
    run(student, "here=before")
    os.kill(pid("redis"), signal.SIGKILL)
    lab.until(lambda: json.loads(lab("status", "--json").stdout)["healthy"], 40, "health")
    try:
        worker_state(student, "up", 20)
    except ConnectionClosed:
        student.hang_up()
        student.lab()
    student.open("lab", "lab")
    assert "before" in run(student, "echo $here")[1]


def test_engine_dead(lab, student, guests):
    """Hosts outlive their engine."""
    run(student, "here=before")
    os.kill(pid("engine"), signal.SIGKILL)
    assert "before" in run(student, "echo $here")[1]
    lab.until(lambda: this_engine().answers(), 30, "the engine's return")
    assert "before" in run(student, "docker ps >/dev/null && echo $here")[1]
    other = guests()
    other.start()
    assert other.lab()["state"] == "claimed"


def test_web_dead(lab, student):
    run(student, "here=before")
    os.kill(pid("web"), signal.SIGKILL)
    with pytest.raises((ConnectionClosed, OSError)):
        for _ in student.events(10):
            pass
    student.socket = None
    lab.until(lambda: json.loads(lab("status", "--json").stdout)["parts"]["web"] == "up", 30, "the page's return")
    student.lab()
    student.open("lab", "lab")
    assert "before" in run(student, "echo $here")[1]


def hosts_alive() -> int:
    """How many first processes of hosts run on this machine, of this lab's or of another's."""
    uid = str(this_engine().machine.mapped_root)
    return len(subprocess.run(["pgrep", "-f", "-U", uid, "^/sbin/init"], capture_output=True, text=True, timeout=5).stdout.split())


def test_everything_killed(lab):
    """kill -9 of every process, then ./lab up."""
    victims = processes.leftovers() + this_daemon().processes("dockerd") + this_daemon().processes("containerd")
    victims += [int(line.split()[0]) for line in subprocess.run(["pgrep", "-f", str(settings.RUN)], capture_output=True, text=True, timeout=5).stdout.splitlines()]
    assert len(victims) > 8
    for victim in set(victims):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
    lab.until(lambda: not processes.running(), what="the death of all")
    up = lab("up", "--detach", seconds=120)
    assert up.returncode == 0, up.stdout + up.stderr
    assert lab("try", "--", "docker version -f '{{.Server.Version}}'", seconds=60).stdout.startswith("26.")
    lab.until(lambda: hosts_alive() <= len(this_engine().containers()), 30, "the end of hosts whose shim was killed")
    lab.until(lambda: lab("doctor").returncode == 0, 90, "a clean bill")


# Bad set-ups: one clear sentence, nothing left behind


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder for another lab; afterwards nothing of it may run or be mounted."""
    var = tmp_path_factory.mktemp("v")
    yield var
    assert not [m for m in Path("/proc/mounts").read_text().splitlines() if f"{var}/" in m]
    assert not subprocess.run(["pgrep", "-f", f"{var}/"], capture_output=True, timeout=5).stdout
    subprocess.run(["umount", str(var)], capture_output=True, timeout=10)
    shutil.rmtree(var, ignore_errors=True)


def test_not_root(tmp_path):
    shutil.copy("lab", tmp_path / "lab")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:-1]:
        if not parent.stat().st_mode & 0o005:
            parent.chmod(parent.stat().st_mode | 0o005)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", tmp_path / "lab", "up"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert done.stderr == "./lab up needs root, for the engine and its network. Run: sudo ./lab up\n"
    assert {p.name for p in tmp_path.iterdir()} == {"lab"}


def test_port_taken(lab, elsewhere):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        up = lab("up", "--detach", PATCHBAY_VAR=str(elsewhere), PATCHBAY_PORT=str(port))
    assert up.returncode == 1
    assert f"Port {port} cannot be used: address already in use. Stop the other program, or choose another port" in up.stderr
    assert "Traceback" not in up.stderr


def test_disk_full_while_building(lab, elsewhere):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(elsewhere)], check=True, timeout=10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = lab("up", "--detach", seconds=200, PATCHBAY_VAR=str(elsewhere), PATCHBAY_PORT=str(port), PATCHBAY_ENGINE_DISK_GIB="1")
    assert up.returncode == 1
    assert "the disk is full. Free about 4 GB" in up.stderr, up.stdout + up.stderr
    assert "Traceback" not in up.stderr
    assert not list((elsewhere / "cache").iterdir())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PATCHBAY_WIRES", "172.17.0.0/16", "hosts need IPv4 outside Docker's own"),
        ("PATCHBAY_MINUTES", "0", "must be at least 1"),
        ("PATCHBAY_PORT", "eighty", "PATCHBAY_PORT"),
        ("REDIS_URL", "http://redis", "REDIS_URL begins with http"),
    ],
)
def test_wrong_setting(lab, elsewhere, name, value, words):
    up = lab("up", "--detach", **{"PATCHBAY_VAR": str(elsewhere), "PATCHBAY_PORT": "18765", name: value})
    assert up.returncode == 1
    assert words in up.stderr
    assert "Traceback" not in up.stderr


def test_unknown_command(lab):
    done = lab("frobnicate")
    assert done.returncode == 1 and 'There is no "./lab frobnicate".' in done.stderr
