"""Processes that die under a student: what the page says within 5 s, and that it recovers by itself."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings

from labsite import processes
from labsite.client import ConnectionClosed
from netcontrol.engine import cgroups, this_daemon, this_engine

from ..conftest import LESSON
from ..driving import COLOUR, next_state, run, told

unhurt = pytest.mark.usefixtures("nobody_else_is_hurt")
TWO_HOSTS = "nat"  # a lesson whose hosts are not in the pool: they are booted for who starts it


def pid(program: str) -> int:
    return processes.ask("getProcessInfo", program)["pid"]


def worker_state(guest, want: str, seconds: float) -> float:
    """Seconds until the page is told so."""
    began = time.monotonic()
    for event in guest.events(seconds):
        if event["type"] == "sandbox.state" and event.get("worker") == want:
            return time.monotonic() - began
    raise AssertionError


@unhurt
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


@unhurt
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


@pytest.fixture
def booting(guests):
    """A guest whose lab is being booted."""
    guest = guests(TWO_HOSTS)
    guest.start()
    guest.dial()
    next_state(guest, "booting", 60)
    return guest


@unhurt
def test_worker_killed_while_it_boots(lab, booting):
    """Who waits for that boot keeps their place, is told, and is served by the next worker; nothing of the first try stays."""
    worker, before = pid("worker"), {process for process in processes.leftovers() if parent(process) != 1}
    os.kill(worker, signal.SIGKILL)
    lab.until(lambda: pid("worker") not in (0, worker), 20, "another worker")
    assert len(booting.lab(90)["hosts"]) == 2
    alive = {pk.hex[:12] for pk in (booting.sandbox,)}
    lab.until(lambda: {c["Labels"]["patchbay.sandbox"].replace("-", "")[:12] for c in this_engine().api.containers(all=True) if c["Labels"]["patchbay.host"] == "client"} == alive, 90, "the end of the first try")
    lab.until(lambda: not [child for child in before & set(processes.leftovers()) if parent(child) == 1], 30, "the end of the killed worker's own processes")


def parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@unhurt
def test_redis_killed_while_a_worker_boots(lab, booting):
    """The worker that it was ordered from goes on, or ends and is started again; who waits for that boot is served."""
    os.kill(pid("redis"), signal.SIGKILL)
    lab.until(lambda: json.loads(lab("status", "--json").stdout)["healthy"], 60, "health")
    booting.dial()
    assert len(booting.lab(90)["hosts"]) == 2


@unhurt
def test_beat_dead(lab, student):
    """Without a clock the line still moves: a place that becomes free is used at once. And it comes back."""
    processes.ask("stopProcess", "beat", True)
    try:
        old = student.sandbox
        for _ in range(3):  # more than the pool has
            student.post("/lab/reset")
            old = told(student, lambda state, old=old: state["state"] == "claimed" and state["sandbox"] != str(old), 60)["sandbox"]
    finally:
        processes.ask("startProcess", "beat", False)
    os.kill(dead := pid("beat"), signal.SIGKILL)
    lab.until(lambda: pid("beat") not in (0, dead), 20, "beat's return")


def goes_on(student, seconds: float) -> None:
    """Redis is back, with or without the page's connection: the shell is the one that it was."""
    try:
        worker_state(student, "up", seconds)
    except ConnectionClosed:
        student.hang_up()
        student.lab()
    student.open("lab", "lab")
    assert "before" in run(student, "echo $here")[1]


@unhurt
def test_redis_away(student):
    """For longer than a restart: pages are told so, reading goes on, and what would need it is refused in words."""
    run(student, "here=before")
    processes.ask("stopProcess", "redis", True)
    try:
        assert worker_state(student, "down", 5) < 5
        for page in ("/", f"/lessons/{LESSON}/", "/lab/history"):
            assert student.get(page).status_code == 200
        assert student.get("/lab/state").json()["worker"] == "down"
    finally:
        processes.ask("startProcess", "redis", False)
    goes_on(student, 30)


@unhurt
def test_redis_dead(lab, student):
    run(student, "here=before")
    os.kill(pid("redis"), signal.SIGKILL)
    lab.until(lambda: json.loads(lab("status", "--json").stdout)["healthy"], 40, "health")
    goes_on(student, 20)


@unhurt
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


@unhurt
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


def containers() -> set[str]:
    return {c["Id"] for c in this_engine().api.containers()}


def alive(container: str) -> bool:
    """Whether a process of it runs, whoever looks after it."""
    return any(cgroups.processes(cgroups.folder(container, "memory")))


def test_everything_killed(lab):
    """kill -9 of every process, then ./lab up."""
    before = {container for container in containers() if alive(container)}
    assert before
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
    lab.until(lambda: not any(map(alive, before - containers())), 30, "the end of hosts whose shim was killed")
    lab.until(lambda: lab("doctor").returncode == 0, 90, "a clean bill")
