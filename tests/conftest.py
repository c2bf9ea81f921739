"""One real lab for all end-to-end tests of a run: real engine, Redis, workers, beat, web. Set up by `./lab up` itself."""
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from docker.errors import NotFound

from labsite import processes
from labsite.client import Guest
from netcontrol.engine import this_daemon, this_engine
from netcontrol.models import Sandbox
from netcontrol.tests import loops

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
def lab(django_db_blocker) -> Iterator[Lab]:
    this = Lab()
    this("down")  # an earlier run may have been killed
    up = this("up", "--detach", seconds=1500)
    if up.returncode:
        pytest.fail(f"./lab up failed:\n{up.stdout}\n{up.stderr}", pytrace=False)
    yield this
    with django_db_blocker.unblock():
        nothing_is_left(this)
    down = this("down")
    assert down.returncode == 0, down.stdout + down.stderr
    this.until(lambda: not loops.held(settings.RUN, settings.VAR), 10, "the end of the loop devices")  # the kernel's, after the last user's
    assert mounts() == [] and this_engine().wires.existing() == set() and processes.leftovers() == [], "down left something"


def mounts() -> list[str]:
    """What the lab has mounted."""
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(f"{settings.RUN}/")]


def unknown() -> list[str]:
    """What the engine and the machine hold of the lab, and the database does not know: found without the lab's own ways of looking."""
    engine, daemon = this_engine(), this_daemon()
    rows = {str(pk): wire for pk, wire in Sandbox.objects.filter(gone_at=None).values_list("pk", "wire")}
    held = []
    for container in engine.api.containers(all=True):
        with suppress(NotFound):  # it goes just now
            held.append(engine.api.inspect_container(container["Id"]))
    strays = [f"container {c['Name']}" for c in held if c["Config"]["Labels"].get("patchbay.sandbox") not in rows]
    strays += [f"network {n['Name']}" for n in engine.api.networks() if n["Name"] not in ("none", "host")]
    strays += [f"volume {v['Name']}" for v in engine.api.volumes()["Volumes"] or ()]
    strays += [f"wire {n}" for n in engine.wires.existing() - set(rows.values())]
    theirs = [word for c in held for word in (c["Id"], (c["GraphDriver"]["Data"] or {}).get("MergedDir"), c["NetworkSettings"]["SandboxKey"]) if word]
    theirs += [f"{folder}/{pk.replace('-', '')[:12]}-" for pk in rows for folder in (engine.docks, engine.disks.folder if engine.disks else engine.docks)]
    own = (str(daemon.data), str(engine.store))
    for mount in mounts():
        if mount not in own and Path(mount).parent != daemon.data and not any(word in mount for word in theirs):
            strays.append(f"mount {mount}")
    return strays


def nothing_is_left(lab: Lab) -> None:
    """After all tests: what they broke is mended, and what they left is gone."""
    end = time.monotonic() + 90  # what has no row is swept within a minute
    while left := unknown() or [told.stdout for told in [lab("doctor")] if told.returncode]:
        assert time.monotonic() < end, left
        time.sleep(0.5)


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
def database(django_db_blocker):
    """The lab's own, to look at rows."""
    with django_db_blocker.unblock():
        yield


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
def page(request, chromium, lab):
    """A fresh visitor, whose browser asks for English or for what a test's `parametrize("page", …, indirect=True)` says. Whatever the page
    says in its console as an error fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=lab.url, locale=getattr(request, "param", "en-US"))
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    yield page
    if page.url.startswith(lab.url):
        end_lab(page)
    context.close()
    assert [e for e in errors if "WebSocket" not in e and "Failed to load resource" not in e] == []
