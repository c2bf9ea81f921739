"""`./lab test`: lint, types, units, then one real lab that all end-to-end tests share, Chromium last.

    ./lab test             everything
    ./lab test --quick     lint, types, units and one end-to-end test
    ./lab test attacks     the attack corpus, and its table of verdicts
    ./lab test ARGUMENTS   pytest with these arguments
    ./lab bench            the benchmarks, on the same lab

The lab of the tests lives in var/test and is kept set up from one run to the next; nothing of it keeps running.
Must not know what is tested.
"""
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
NOT_YET = ("--ignore", "tests/attacks")  # `./lab test attacks`, until the whole has room for it


def environment() -> dict[str, str]:
    with socket.socket() as probe:  # a port that is free now
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **{name: value for name, value in os.environ.items() if name == "PATCHBAY_SEED" or not name.startswith(("PATCHBAY_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"))},
        "PATCHBAY_VAR": str(BASE / "var" / "test"),
        "PATCHBAY_PORT": str(port),
        "PATCHBAY_CAPACITY": "8",
        "PATCHBAY_POOL": "2",
        "PATCHBAY_ENGINE_DISK_GIB": "12",
    }


def part(name: str, *argv: str | Path, env: dict[str, str], minutes: float) -> int:
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    try:
        code = subprocess.run([str(word) for word in argv], cwd=BASE, env=env, timeout=minutes * 60).returncode
    except subprocess.TimeoutExpired:
        print(f"{name} did not end within {minutes:g} minutes.", flush=True)
        code = 1
    print(f"== {name}: {'passed' if code == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s", flush=True)
    return code


def main(arguments: list[str]) -> int:
    env = environment()
    (BASE / "var" / "test").mkdir(parents=True, exist_ok=True)
    pytest = [sys.executable, "-m", "pytest"]
    if arguments[:1] == ["bench"]:
        return subprocess.run([sys.executable, "-m", "bench", *arguments[1:]], cwd=BASE, env=env).returncode
    if arguments[:1] == ["attacks"]:
        return part("attacks", *pytest, "-q", "tests/attacks", *arguments[1:], env=env, minutes=15)
    if arguments and arguments != ["--quick"]:
        return part("pytest", *pytest, *arguments, env=env, minutes=40)
    parts: list[tuple[str, list, float]] = [
        ("lint", [BIN / "ruff", "check", "."], 2),
        ("types", [BIN / "mypy", "labsite", "lessons", "netcontrol"], 5),
        ("lessons", [sys.executable, "manage.py", "lessons", "lint"], 1),
        ("units", [*pytest, "-q", "-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal", "labsite", "lessons", "netcontrol"], 8),  # they mostly wait
    ]
    if arguments == ["--quick"]:
        parts += [("one end-to-end test", [*pytest, "-q", "tests/test_try.py", "-k", "real_thing"], 8)]
    else:
        parts += [
            ("end to end", [*pytest, "-q", "tests", "-m", "not browser", *NOT_YET], 36),
            ("in Chromium", [*pytest, "-q", "tests", "-m", "browser", *NOT_YET], 14),
        ]
    failed = [name for name, argv, minutes in parts if part(name, *argv, env=env, minutes=minutes)]
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll passed.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
