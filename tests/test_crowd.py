"""A hundred students press Start in the same moment, and four labs are ready: nobody is lost, nobody shares, everybody is told where they stand."""
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from labsite.client import Guest
from netcontrol.models import Sandbox, Waiting

from .conftest import LESSON
from .driving import next_state

STUDENTS, READY = 100, 4


@pytest.fixture
def four_ready(lab, database, guests):
    """All other places of the lab are taken. The pool of the tests is two: the rows of two more are planned, as the lab itself would with PATCHBAY_POOL=4."""
    for _ in range(settings.CAPACITY - READY):
        others = guests()
        others.start()
        others.lab()

    def ready() -> bool:
        lab.shell(f"from django.conf import settings; settings.POOL_SIZE = {READY}; from netcontrol import tasks; tasks.keep_pool()")
        return Sandbox.objects.filter(state=Sandbox.State.READY).count() == READY

    lab.until(ready, 60, "four ready labs")


def standing(crowd: list[Guest]) -> tuple[list[tuple[Guest, dict]], list[tuple[Guest, dict]]]:
    """Those who have a lab, and those in line by their place, with what each is told."""
    told = [(guest, guest.get("/lab/state").json()) for guest in crowd]
    line = sorted((pair for pair in told if pair[1]["state"] != "claimed"), key=lambda pair: pair[1]["place"])
    return [pair for pair in told if pair[1]["state"] == "claimed"], line


@pytest.mark.timeout(240)
def test_a_hundred_claims_at_once(lab, four_ready):
    crowd = [Guest(lab.url, LESSON) for _ in range(STUDENTS)]
    go = threading.Barrier(STUDENTS)

    def press(guest: Guest) -> dict:
        guest.get(f"/lessons/{LESSON}/")
        go.wait(60)
        return guest.start_now()  # raises when the lab refuses

    try:
        with ThreadPoolExecutor(STUDENTS) as hands:
            said = list(hands.map(press, crowd))
        assert {state["state"] for state in said} <= {"claimed", "waiting", "booting"}
        served, line = standing(crowd)
        assert len({state["sandbox"] for _, state in served}) == len(served) == READY
        assert [state["place"] for _, state in line] == list(range(1, STUDENTS - READY + 1))

        # the line moves, in its order
        first = [guest for guest, _ in line[:READY]]
        for guest, _ in served:
            guest.post("/lab/end")
        for guest in first:
            guest.dial()
            assert next_state(guest, "claimed", 60)["hosts"]
        again, rest = standing([guest for guest, _ in line])
        assert [guest for guest, _ in again] == first
        assert [state["place"] for _, state in rest] == list(range(1, STUDENTS - 2 * READY + 1))
    finally:
        with ThreadPoolExecutor(8) as hands:
            list(hands.map(lambda guest: guest.__exit__(), crowd))
    others = settings.CAPACITY - READY
    lab.until(lambda: not Waiting.objects.exists() and Sandbox.objects.filter(state=Sandbox.State.CLAIMED).count() == others, 30, "the end of all")
