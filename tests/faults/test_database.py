"""The database is locked, or can only be read: shells and reading go on, what would be kept is refused in words, and nothing is half done."""
import contextlib
import sqlite3
import subprocess
import threading
import time

import pytest
from django.conf import settings

from netcontrol.errors import LabError

from ..browsing import at_prompt, until
from ..conftest import LESSON
from ..driving import run

pytestmark = [
    pytest.mark.usefixtures("nobody_else_is_hurt"),
    pytest.mark.skipif(not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="PostgreSQL locks rows, not files"),
]


@pytest.fixture
def locked():
    """Somebody else writes, and does not come to an end."""
    with contextlib.closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], timeout=20, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.rollback()


@pytest.fixture
def read_only():
    """For everybody, root too: as a filesystem that the kernel has made read-only after an error."""
    file = settings.DATABASES["default"]["NAME"]
    if subprocess.run(["chattr", "+i", file], capture_output=True, timeout=5).returncode:
        pytest.skip("this filesystem has no immutable files")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", file], check=True, timeout=5)


def test_locked(student, guests, locked):
    began = time.monotonic()
    assert run(student, "echo goes on")[1].startswith("goes on")
    student.hang_up()
    student.lab(10)  # a page that comes now reads
    student.open("lab", "lab")
    assert run(student, "echo still")[1].startswith("still")
    late = guests()
    threading.Timer(max(0.0, began + 6 - time.monotonic()), locked.rollback).start()
    late.start()  # waits, and is served: nothing is lost
    assert late.lab(60)["state"] == "claimed"
    assert run(student, "echo after")[1].startswith("after")


def test_read_only(lab, student, read_only):
    assert run(student, "echo goes on")[1].startswith("goes on")
    assert student.get(f"/lessons/{LESSON}/").status_code == 200, "reading goes on"
    began = time.monotonic()
    with pytest.raises(LabError) as refused:
        student.post("/lab/reset")
    assert time.monotonic() - began < 5
    assert refused.value.code == "database" and "Your hosts and what runs there go on" in refused.value.what_to_do
    subprocess.run(["chattr", "-i", settings.DATABASES["default"]["NAME"]], check=True, timeout=5)
    old = student.sandbox
    student.post("/lab/reset")
    student.hang_up()
    student.drawn.clear()
    assert student.lab(60)["sandbox"] != str(old)


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_a_start_that_takes_long_is_said(page, locked):
    page.goto(f"/lessons/{LESSON}/")
    page.locator("form[data-start]:visible button").first.click()
    said = page.locator("[data-start-error]:visible")
    until(page, lambda: said.count() and "takes long to answer" in said.first.inner_text(), 8, "a word that it takes long")
    locked.rollback()
    until(page, lambda: at_prompt(page), 90, "a prompt")
    assert not said.count()
