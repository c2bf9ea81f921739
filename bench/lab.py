"""The lab that is measured: the one of the tests, in var/test, started with the pool that a benchmark wants."""
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from labsite import processes
from labsite.client import Guest
from lessons.loader import catalogue
from netcontrol.engine import this_engine

BASE = Path(__file__).resolve().parent.parent
URL = f"http://127.0.0.1:{settings.PORT}"


def lab(*argv: str, seconds: float = 1500, **env: str) -> str:
    done = subprocess.run([BASE / "lab", *argv], env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, timeout=seconds)
    if done.returncode and argv[0] in ("up", "down"):
        raise SystemExit(f"./lab {' '.join(argv)} failed; see above.")
    return done.stdout


def start(pool: int, **env: str) -> None:
    lab("down")
    lab("up", "--detach", PATCHBAY_POOL=str(pool), **env)


def settle(ready: int, seconds: float = 60) -> None:
    """Until this many hosts are ready and nobody uses one; then a second of quiet, for what they still do after boot."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = json.loads(lab("status", "--json"))
        if now["pool"]["ready"] == ready and not now["pool"]["booting"] and now["sandboxes"] == ({"ready": ready} if ready else {}):
            time.sleep(1)
            return
        time.sleep(0.2)
    raise TimeoutError(f"the pool did not settle at {ready}: {now}")


def peak_memory(host: str) -> dict[str, float]:
    """MiB that each process of the lab has needed at most since it began, by program; and the agent of this host."""
    peaks: dict[str, float] = {}
    for program in ("web", "attach", "check", "worker", "beat", "redis"):
        peaks[program] = _peak(processes.ask("getProcessInfo", program)["pid"])
    for pid in this_engine().api.top(host)["Processes"]:
        if "agent/__main__.py" in pid[-1]:
            peaks["the agent"] = _peak(int(pid[1]))
    return peaks


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def guest() -> Guest:
    return Guest(URL, catalogue().lessons[0].slug)


@contextmanager
def at_prompt() -> Iterator[Guest]:
    """A guest in a lab, with an open shell at its first prompt."""
    with guest() as student:
        student.start()
        student.lab()
        student.open("lab", "lab")
        student.prompt("lab")
        yield student
