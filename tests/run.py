"""`./lab test`: lint, types, units, then what needs a lab, in two of them beside each other.

    ./lab test             everything
    ./lab test --quick     lint, types, units and one end-to-end test
    ./lab test attacks     the attack corpus, and its table of verdicts
    ./lab test ARGUMENTS   pytest with these arguments
    ./lab bench            the benchmarks, on the first lab

The lab of the tests lives in var/test and is kept set up from one run to the next; the second is a copy of it. Nothing of them keeps
running. Must not know what is tested.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple

BASE = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VAR, BESIDE = BASE / "var" / "test", BASE / "var" / "test-beside"
PYTEST = (sys.executable, "-m", "pytest", "-q")
ENDS_SECONDS = 60  # what was told to end may take to tidy up

Environment = dict[str, str]


def environment(var: Path) -> Environment:
    with socket.socket() as probe:  # a port that is free now
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **{name: value for name, value in os.environ.items() if name == "PATCHBAY_SEED" or not name.startswith(("PATCHBAY_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"))},
        "PATCHBAY_VAR": str(var),
        "PATCHBAY_PORT": str(port),
        "PATCHBAY_CAPACITY": "9",
        "PATCHBAY_POOL": "2",
        "PATCHBAY_ENGINE_DISK_GIB": "12",
    }


class Part(NamedTuple):
    name: str
    argv: Sequence[str | Path]
    minutes: float

    def passes(self, env: Environment, aside: bool = False) -> bool:
        """Runs it. `aside`: others run at the same time, so what it prints is shown in one piece, when it has ended."""
        begins = f"\n== {self.name}"
        say(begins + (": begins" if aside else ""))
        began, why = time.monotonic(), ""
        with tempfile.TemporaryFile() as printed:
            to = printed if aside else None
            with subprocess.Popen([str(word) for word in self.argv], cwd=BASE, env=env, stdout=to, stderr=to and subprocess.STDOUT, start_new_session=aside) as child:
                try:
                    code = child.wait(self.minutes * 60)
                except subprocess.TimeoutExpired:
                    code, why = 1, f"{self.name} did not end within {self.minutes:g} minutes.\n"
                    end(child, aside)
            printed.seek(0)
            said = printed.read().decode(errors="replace")
        with one_at_a_time:
            print(f"{begins}\n{said}" if aside else "", f"{why}== {self.name}: {'passed' if code == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s", sep="", flush=True)
        return code == 0


one_at_a_time = threading.Lock()


def say(line: str) -> None:
    with one_at_a_time:
        print(line, flush=True)


def end(child: subprocess.Popen, group: bool) -> None:
    """As Ctrl-C would: pytest then tells what it was at, and ends its lab. What does not end so is killed."""
    child.send_signal(2)
    with suppress(subprocess.TimeoutExpired):
        child.wait(ENDS_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, SIGKILL) if group else child.kill()


def lab(env: Environment, *argv: str, seconds: float) -> bool:
    """`./lab …`, silently unless it fails."""
    done = subprocess.run([BASE / "lab", *argv], cwd=BASE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    if done.returncode:
        say(done.stdout)
    return done.returncode == 0


def set_up(env: Environment) -> bool:
    """The lab of the tests, once for both: building its images takes longest."""
    try:
        return lab(env, "up", "--detach", seconds=900) and lab(env, "down", seconds=120)
    except subprocess.TimeoutExpired:
        say("The lab of the tests was not set up within 15 minutes.")
        return False


def beside() -> Environment:
    """The second lab: what was built for the first one, under a name of its own."""
    env = environment(BESIDE)
    if BESIDE.exists():
        lab(env, "down", seconds=120)  # an earlier run may have been killed
        shutil.rmtree(BESIDE)
    subprocess.run(["cp", "-a", "--sparse=always", VAR, BESIDE], check=True, timeout=300)
    return env


CHECKS = (
    Part("lint", (BIN / "ruff", "check", "."), 2),
    Part("types", (BIN / "mypy", "labsite", "lessons", "netcontrol"), 5),
    Part("lessons", (sys.executable, "manage.py", "lessons", "lint"), 1),
)


def units(beside: int) -> Part:
    """So many processes more than processors: they mostly wait. More of them are faster, and closer to what a busy machine does to tests."""
    return Part("units", (*PYTEST, "-n", str(beside + (os.cpu_count() or 1)), "--dist", "worksteal", "labsite", "lessons", "netcontrol"), 10)


ONE = Part("one end-to-end test", (*PYTEST, "tests/test_try.py", "-k", "real_thing"), 8)
PROOF = "tests/test_lessons.py"
IN_A_LAB = (  # the longest first
    Part("end to end", (*PYTEST, "tests", "--ignore", "tests/attacks", "--ignore", PROOF, "-m", "not browser"), 50),
    Part("in Chromium", (*PYTEST, "tests", "--ignore", "tests/attacks", "-m", "browser"), 35),
    Part("proof of the lessons", (*PYTEST, PROOF, "-m", "not browser"), 35),
    Part("attacks", (*PYTEST, "tests/attacks"), 25),
)


def everything() -> list[Part]:
    """Runs all, and what needs a lab two at a time. Returns what failed."""
    env = environment(VAR)
    failed = [part for part in (*CHECKS, units(1)) if not part.passes(env)]
    say("\n== set-up of both labs")
    if not set_up(env):
        return [*failed, Part("set-up", (), 0)]
    environments, parts = (env, beside()), iter(IN_A_LAB)

    def lane(env: Environment) -> list[Part]:
        return [part for part in parts if not part.passes(env, aside=True)]  # each takes the next one when it is done with one

    with ThreadPoolExecutor(2) as lanes:
        ran = [lanes.submit(lane, env) for env in environments]
        failed += [part for done in ran for part in done.result()]
    shutil.rmtree(BESIDE)
    return failed


def main(arguments: list[str]) -> int:
    VAR.mkdir(parents=True, exist_ok=True)
    env = environment(VAR)
    if arguments[:1] == ["bench"]:
        return subprocess.run([sys.executable, "-m", "bench", *arguments[1:]], cwd=BASE, env=env).returncode
    if arguments[:1] == ["attacks"]:
        return not Part("attacks", (*PYTEST, "tests/attacks", *arguments[1:]), 15).passes(env)
    if arguments and arguments != ["--quick"]:
        return not Part("pytest", (*PYTEST[:-1], *arguments), 40).passes(env)
    failed = everything() if not arguments else [part for part in (*CHECKS, units(2), ONE) if not part.passes(env)]
    say(f"\nFailed: {', '.join(part.name for part in failed)}." if failed else "\nAll passed.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
