"""One real lab for all end-to-end tests of a run: real engine, Redis, workers, beat, web. Set up by `./lab up` itself."""
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from labsite.client import Guest

BASE = Path(__file__).resolve().parent.parent
LESSON = "meet-docker0"


class Lab:
    """The `./lab` command of the shared lab, and what a test may do to it."""

    url = f"http://127.0.0.1:{settings.PORT}"

    def __call__(self, *argv: str, seconds: float = 120, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run([BASE / "lab", *argv], env={**os.environ, **env}, capture_output=True, text=True, timeout=seconds)

    def shell(self, python: str) -> str:
        """Run Python in the lab's own Django, as `manage.py shell` does."""
        return subprocess.run(
            [BASE / ".venv/bin/python", "manage.py", "shell", "--no-imports", "-c", python], cwd=BASE, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def until(self, true: Callable[[], object], seconds: float = 30, what: str = "it") -> None:
        """Wait for an event that can only be seen by looking; fails, and says what was waited for, when it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if true():
                return
            time.sleep(0.1)
        pytest.fail(f"{what} did not happen within {seconds:g} s")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    this = Lab()
    this("down")  # an earlier run may have been killed
    up = this("up", "--detach", seconds=1500)
    if up.returncode:
        pytest.fail(f"./lab up failed:\n{up.stdout}\n{up.stderr}", pytrace=False)
    yield this
    down = this("down")
    assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture
def guests(lab) -> Iterator[Callable[[], Guest]]:
    """Makes guests; each one's lab is ended after the test."""
    made: list[Guest] = []

    def new(lesson: str = LESSON) -> Guest:
        made.append(Guest(lab.url, lesson))
        return made[-1]

    yield new
    for guest in made:
        guest.__exit__()


@pytest.fixture
def student(guests) -> Guest:
    """A guest with a claimed sandbox and an open shell at its first prompt."""
    guest = guests()
    guest.start()
    guest.lab()
    guest.open("lab", "lab")
    guest.prompt("lab")
    return guest
