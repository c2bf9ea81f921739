"""One real lab for all end-to-end tests of a run: real engine, Redis, workers, beat, web. Set up by `./lab up` itself."""
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from labsite.client import Guest

from .browsing import CHROMIUM, WITHOUT_GPU, end_lab

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


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=WITHOUT_GPU)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, lab):
    """A fresh visitor. Whatever the page says in its console as an error fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=lab.url)
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    yield page
    if "/lessons/" in page.url:
        end_lab(page)
    context.close()
    assert [e for e in errors if "WebSocket" not in e and "Failed to load resource" not in e] == []
