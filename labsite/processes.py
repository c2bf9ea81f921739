"""The processes of one lab under supervisord: start them, ask them, end them. Must not know what they do.

A process is the lab's when its environment says LAB_VAR=<this lab's folder>: that finds what a killed supervisord left.
"""
import json
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path

from django.conf import settings
from supervisor.xmlrpc import SupervisorTransport

from labsite.made import made_of_files
from netcontrol.errors import LabError

CONFIG = Path(__file__).with_name("supervisord.conf")
CODE = ("labsite", "lessons", "netcontrol", "templates")  # folders that the programs below have read
OF_CODE = ("worker", "attach", "check", "beat", "web")
PROGRAMS = ("redis", "rings", "engine", "turns", "worker", "attach", "check", "beat", "web")
STORES = ("redis", "rings", "engine", "turns")  # what must run before the images can be built


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "LAB_VAR": str(settings.VAR),
        "LAB_RUN": str(settings.RUN),
        "LAB_DIR": str(settings.BASE_DIR),
        "LAB_PYTHON": sys.executable,
        "LAB_LISTEN": settings.LISTEN,
        "LAB_PORT": str(settings.PORT),
        "LAB_PROXIES": ",".join(settings.PROXIES),
        "LAB_HOSTS": str(settings.RUN / "engine/containerd/daemon/io.containerd.runtime.v2.task/moby"),  # a folder for each one that runs
        "LAB_BOOTS": str(max(2, os.cpu_count() or 1)),
        "LAB_ATTACH_QUEUE": settings.ATTACH_QUEUE,
        "LAB_CHECK_QUEUE": settings.CHECK_QUEUE,
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
    (settings.RUN / "runs").unlink(missing_ok=True)


def same_programs() -> None:
    """Raises LabError when a lab runs here that was started by a version with other programs: those of now take a new supervisord, which would end
    the labs that are in use."""
    if running() and _code_run()["config"] != _code_here()["config"]:
        raise LabError("other_version", "The lab that runs here was started by another version, which had other processes.", "Run ./lab down, which ends the labs in use, and then ./lab up.")


def renew(anyway: bool = False) -> bool:
    """End the programs that run an older code than what lies here now, or all of them anyway, to be started again. Students' shells go on.
    True when there were any."""
    now, then = _code_here(), _code_run()
    (settings.RUN / "runs").write_text(json.dumps(now))
    if then["code"] == now["code"] and not anyway:
        return False
    for program in OF_CODE:
        if states().get(program) in ("RUNNING", "STARTING"):
            ask("stopProcess", program, True)
    return True


def runs_old_code() -> bool:
    """Whether `renew` would end anything."""
    return _code_here() != _code_run()


def _code_here() -> dict[str, str]:
    files = (path for folder in CODE for path in sorted((settings.BASE_DIR / folder).rglob("*")) if path.suffix in (".py", ".html", ".md", ".yaml", ".mo"))
    return {"config": made_of_files([CONFIG]), "code": made_of_files(files)}


def _code_run() -> dict[str, str]:
    stamp = settings.RUN / "runs"
    return json.loads(stamp.read_text()) if stamp.exists() else _code_here()


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
