"""What a machine runs out of, or loses: the engine's disk, the students' images, its clock. Labs that run go on, and who waits is told why."""
import contextlib
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import F

from labsite import setup
from netcontrol.engine import this_daemon
from netcontrol.models import Sandbox

from ..driving import run, told

pytestmark = pytest.mark.usefixtures("nobody_else_is_hurt")

TWO_HOSTS = "nat"  # a lesson whose hosts are not in the pool: they are booted for who starts it


@pytest.fixture
def full():
    """The engine's filesystem has not a byte left."""
    ballast = this_daemon().data / "ballast"
    try:
        with open(ballast, "wb") as file:
            for piece in (2**28, 2**20, 2**12):  # as large a piece as there is room for, until there is none
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)
        yield ballast
    finally:
        ballast.unlink(missing_ok=True)


def served_after(guest, mend, *words: str) -> None:
    """In line, and told why; once it is mended, served without asking again."""
    guest.start()
    guest.dial()
    why = told(guest, lambda state: state["state"] in ("waiting", "failed") and state["why"], 60)["why"]  # a boot is tried first
    assert any(word in why for word in words), why
    mend()
    if guest.get("/lab/state").json()["state"] == "failed":  # three tries failed: the page has a button for more
        guest.post("/lab/reset")
    assert told(guest, lambda state: state["state"] == "claimed", 90)


@pytest.mark.timeout(180)
def test_engine_disk_full(student, guests, full):
    assert run(student, "echo x > /run/there && cat /run/there")[1].startswith("x")
    guest = guests(TWO_HOSTS)
    guest.start()
    guest.dial()
    line = told(guest, lambda state: state["state"] == "waiting" and state["in_use"] == state["capacity"], 15)  # there is room for no more than there are
    assert line["place"] == 1
    full.unlink()
    assert told(guest, lambda state: state["state"] == "claimed", 90)
    assert run(student, "echo x > /root/there && cat /root/there")[1].startswith("x")


@pytest.mark.timeout(180)
def test_images_missing(student, guests):
    """Somebody has unmounted or removed the store: nobody gets a host without images, and who has one keeps them."""
    store = setup.image_store(lambda _: None)
    store.unseal()
    try:
        assert "nginx" in run(student, "docker images")[1]
        served_after(guests(TWO_HOSTS), store.seal, "The lab's images are missing, so no host can be started.")
    finally:
        store.seal()


def test_clock_set(lab, student, database):
    """No namespace has a wall clock of its own, so nothing here sets one: a reaper is run whose time since boot is 100 s behind, for whom the wall clock
    was therefore set forward by as much, which is all that the lab looks at. The lab's own reaper then sees it set back."""
    mine = Sandbox.objects.filter(pk=student.sandbox)
    mine.update(claimed_at=F("claimed_at") - timedelta(minutes=5), active_at=F("active_at") - timedelta(minutes=1))  # the last seconds are in doubt
    before = mine.get().ends_at
    lab.shell("from netcontrol import tasks; tasks.reap()")  # what is compared with
    look = f"lambda: Sandbox.objects.get(pk='{student.sandbox}').ends_at"
    reap = f"from netcontrol import tasks; from netcontrol.models import Sandbox; at = {look}; before = at(); tasks.reap(); print((at() - before).total_seconds())"
    argv = ["unshare", "--time", "--boottime", "-100", "--", sys.executable, "manage.py", "shell", "--no-imports", "-c", reap]
    done = subprocess.run(argv, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) == pytest.approx(100, abs=1), done.stderr
    lab.until(lambda: abs((mine.get().ends_at - before).total_seconds()) < 2, 30, "the move back")
    assert run(student, "echo still")[1].startswith("still")
