"""The processes of one lab under supervisord: start them, ask them, end them. Must not know what they do.

A process is the lab's when its environment says LAB_VAR=<this lab's folder>: that finds what a killed supervisord left.
"""
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path

from django.conf import settings
from supervisor.xmlrpc import SupervisorTransport

from netcontrol.errors import LabError

CONFIG = Path(__file__).with_name("supervisord.conf")
PROGRAMS = ("redis", "engine", "worker", "attach", "beat", "web")
STORES = ("redis", "engine")  # what must run before the images can be built


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "LAB_VAR": str(settings.VAR),
        "LAB_RUN": str(settings.RUN),
        "LAB_DIR": str(settings.BASE_DIR),
        "LAB_PYTHON": sys.executable,
        "LAB_LISTEN": settings.LISTEN,
        "LAB_PORT": str(settings.PORT),
        "LAB_BOOTS": str(max(2, os.cpu_count() or 1)),
        "LAB_ATTACH_QUEUE": settings.ATTACH_QUEUE,
        "PATCHBAY_VAR": str(settings.VAR),
        "PYTHONUNBUFFERED": "1",
    }


def ask(call: str, *arguments):
    """One call of supervisord's own interface (supervisord.org/api.html). Raises OSError when it does not run."""
    transport = SupervisorTransport(None, None, f"unix://{settings.RUN / 'supervisor.sock'}")
    with xmlrpc.client.ServerProxy("http://lab", transport=transport) as server:
        return getattr(server.supervisor, call)(*arguments)


def running() -> bool:
    try:
        return ask("getState")["statename"] == "RUNNING"
    except (OSError, xmlrpc.client.Error):
        return False


def states() -> dict[str, str]:
    """Each program's state in supervisord's words (RUNNING, STARTING, BACKOFF, STOPPED, …); `stopped` for all without it."""
    try:
        return {info["name"]: info["statename"] for info in ask("getAllProcessInfo")}
    except (OSError, xmlrpc.client.Error):
        return dict.fromkeys(PROGRAMS, "STOPPED")


def launch() -> None:
    """Start supervisord, with no program yet. What an earlier one left behind is ended first."""
    if running():
        return
    end_leftovers()
    done = subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIG)], env=environment(), capture_output=True, text=True, timeout=30)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise LabError("supervisord", f"The lab's process manager did not start: {words[0]}.", "See var/log/supervisord.log.")
    wait(running, 10, LabError("supervisord", "The lab's process manager does not answer.", "See var/log/supervisord.log."))


def start(*programs: str) -> None:
    """Start those of these programs that do not run. Does not wait: see `until`."""
    now = states()
    for program in programs:
        if now.get(program) not in ("RUNNING", "STARTING"):
            ask("startProcess", program, False)


def until(true, seconds: float, *programs: str) -> None:
    """Wait until `true()` is, which these programs are needed for. Raises LabError with the last words of one that does not stay up."""
    end = time.monotonic() + seconds
    while not true():
        now = states()
        for program in programs:
            if now.get(program) in ("BACKOFF", "FATAL", "EXITED") or time.monotonic() > end:
                log = settings.VAR / "log" / f"{program}.log"
                words = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
                raise LabError(program, f"{program} did not start: {words[0].removeprefix('CommandError: ')[:300] if words else 'it said nothing'}", f"The whole of it is in {log}.")
        time.sleep(0.05)


def stop() -> None:
    """End every program and supervisord itself, then what did not follow it."""
    try:
        for program in reversed(PROGRAMS):
            try:
                ask("stopProcess", program, True)
            except xmlrpc.client.Fault:
                pass  # it was not running
        ask("shutdown")
    except (OSError, xmlrpc.client.Error):
        pass
    wait(lambda: not (settings.RUN / "supervisor.sock").exists() or not running(), 15, None)
    end_leftovers()


def end_leftovers() -> None:
    """End the lab's processes that no supervisord looks after: TERM, and KILL after 5 s. The engine's are its Daemon's to end."""
    mine = leftovers()
    for pid in mine:
        _kill(pid, signal.SIGTERM)
    if mine and not wait(lambda: not leftovers(), 5, None):
        for pid in leftovers():
            _kill(pid, signal.SIGKILL)
        wait(lambda: not leftovers(), 5, None)


def leftovers() -> list[int]:
    mark = f"LAB_VAR={settings.VAR}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                name = (entry / "comm").read_text().strip()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and not name.startswith(("dockerd", "containerd", "docker", "runc")):
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait(true, seconds: float, otherwise: LabError | None) -> bool:
    """Wait until `true()` is; after `seconds` raise `otherwise`, or return False when it is None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    if otherwise:
        raise otherwise
    return False


def _kill(pid: int, what: signal.Signals) -> None:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        pass
