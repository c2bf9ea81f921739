"""Checks on a real lab: page, web, Redis, check worker, agent, host; and what becomes of them when one of these dies.

The lesson is whichever of those that are taught has most to run before its last step.
"""
import asyncio
import os
import signal
import time
import uuid
from dataclasses import dataclass

import pytest

from labsite import processes
from labsite.client import Event, Guest
from lessons.grading import right_answers
from lessons.lesson import Lesson
from lessons.loader import catalogue
from netcontrol.errors import LabError
from netcontrol.inside import Answer, Inside

from .driving import next_state


@dataclass
class Pupil:
    """A guest in this lesson, with a sandbox that is there."""

    guest: Guest
    lesson: Lesson

    def ask(self, number: int, what: str, **body) -> Event:
        path = f"/lessons/{self.lesson.slug}/{number}/{what}"
        return self.guest.get(path).json() if what == "state" else self.guest.post(path, body)

    def enter(self, number: int, **body) -> Event:
        """As the page: wait until the sandbox is brought to this step. Ends with a failure, too."""
        state = self.ask(number, "enter", **body)
        until = time.monotonic() + 90
        while state["preparing"] and not state["preparing"]["failed"]:
            assert time.monotonic() < until, state["preparing"]
            time.sleep(0.1)
            state = self.ask(number, "state")
        return state

    def rewind(self, number: int) -> None:
        """Until another sandbox is there."""
        old = str(self.guest.sandbox)
        self.ask(number, "rewind")
        while (now := next_state(self.guest, "claimed", 60)["sandbox"]) == old:
            pass
        self.guest.sandbox = uuid.UUID(now)

    @property
    def hosts(self) -> Inside:
        assert self.guest.sandbox
        return Inside(self.guest.sandbox)

    def inside(self, host: str, script: str, seconds: float = 60) -> Answer:
        return asyncio.run(self.hosts.run(host, script, seconds))

    def solve(self, number: int) -> None:
        for script in self.lesson.steps[number - 1].solve:
            answer = self.inside(script.host, f"set -e\n{script.text}")
            assert answer.exit_code == 0, answer

    def answers(self, number: int) -> dict[str, str]:
        asks = [check for check in self.lesson.steps[number - 1].checks if check.answered]
        return {check.name: asyncio.run(right_answers(check, self.hosts.run))[0] for check in asks}

    def finish(self, number: int) -> Event:
        """Look until all passes: what a solution starts may need a moment."""
        until = time.monotonic() + 20
        while True:
            state = self.ask(number, "check", auto=False, answers=self.answers(number))
            if state["done"] or time.monotonic() > until:
                return state
            time.sleep(0.3)


def states(state: Event) -> set[str]:
    return {check["state"] for check in state["checks"]}


@pytest.fixture
def pupil(lab, guests) -> Pupil:
    def work(lesson: Lesson) -> int:
        return sum(len(step.setup) + len(step.solve) for step in lesson.steps)

    found = max((lesson for lesson in catalogue().lessons if len(lesson.keys.hosts) == 1), key=work)
    assert work(found) > 3, "no lesson has anything to prepare"
    guest = guests(found.slug)
    guest.start()
    guest.lab()
    owner = lab.shell(f"from netcontrol.models import Sandbox; print(Sandbox.objects.get(pk='{guest.sandbox}').owner_id)").strip()
    read = catalogue().lesson(found.slug, owner)
    assert read
    return Pupil(guest, read)


def step_with_checks(pupil: Pupil) -> int:
    return next(step.number for step in pupil.lesson.steps if any(c.kind != "ask" and not c.guard for c in step.checks))


def test_a_step_is_done_by_its_solution_and_by_nothing_before(pupil):
    number = step_with_checks(pupil)
    assert pupil.enter(number)["preparing"] is None
    assert not pupil.ask(number, "check", auto=True)["done"]
    pupil.solve(number)
    state = pupil.finish(number)
    assert states(state) == {"passed"} and state["done"]
    assert pupil.ask(number, "state") == state


def test_the_last_step_in_a_fresh_lab(pupil):
    """Everything before it was run; a rewind gives another sandbox, brought there again."""
    last = len(pupil.lesson.steps)
    assert pupil.enter(last)["preparing"] is None
    pupil.solve(last)
    assert pupil.finish(last)["done"] or not pupil.lesson.steps[-1].checks
    pupil.rewind(last)
    assert pupil.enter(last)["preparing"] is None


def test_an_evaluation_is_quick(pupil):
    number = step_with_checks(pupil)
    pupil.enter(number)
    pupil.ask(number, "check", auto=True)
    began = time.monotonic()
    pupil.ask(number, "check", auto=True)
    assert time.monotonic() - began < 5


def test_a_killed_check_worker(lab, pupil):
    """In the middle of a preparation: the page is told, can try again or get a fresh lab, and checks work again."""
    last = len(pupil.lesson.steps)
    assert pupil.ask(last, "enter")["preparing"]
    os.kill(processes.ask("getProcessInfo", "check")["pid"], signal.SIGKILL)
    lab.until(lambda: (p := pupil.ask(last, "state")["preparing"]) is None or p["failed"], 40, "a word about the killed worker")
    pupil.rewind(last)
    assert pupil.enter(last)["preparing"] is None
    assert "unknown" not in states(pupil.ask(last, "check"))


@pytest.mark.parametrize("program", ["check", "redis"])
def test_nobody_can_look(lab, pupil, program):
    """The page has an answer within 8 s that says so, and later the right one."""
    number = step_with_checks(pupil)
    pupil.enter(number)
    processes.ask("stopProcess", program, True)
    try:
        began = time.monotonic()
        state = pupil.ask(number, "check", auto=False)
        assert time.monotonic() - began < 8
        assert "unknown" in states(state) and "failed" not in states(state) and not state["done"]
    finally:
        processes.ask("startProcess", program, False)
    lab.until(lambda: "unknown" not in states(pupil.ask(number, "check", auto=True)), 60, "an evaluation")


def test_a_host_that_hangs(pupil):
    """Whatever a student does to the host, the answer comes."""
    number = step_with_checks(pupil)
    pupil.enter(number)
    with pytest.raises(LabError):
        pupil.inside(pupil.lesson.keys.hosts[0], "pkill -STOP -f /usr/lib/patchbay/agent", 1)
    began = time.monotonic()
    state = pupil.ask(number, "check", auto=False)
    assert time.monotonic() - began < 8 and "unknown" in states(state)
