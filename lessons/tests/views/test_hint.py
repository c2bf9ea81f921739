"""POST hint: one at a time, and only when asked for."""
import pytest

from lessons.models import CheckProgress
from lessons.tests.views.conftest import checks

pytestmark = pytest.mark.django_db


def test_hints_come_one_by_one(alice, host):
    net = alice.lesson().values["NET"]
    told = checks(alice.ask("state"))["attached"]
    assert (told["hints"], told["hints_shown"]) == (2, [])
    assert checks(alice.ask("hint", check="attached"))["attached"]["hints_shown"] == ["Look at <code>web</code>."]
    for _ in range(3):
        told = checks(alice.ask("hint", check="attached"))["attached"]
    assert told["hints_shown"] == ["Look at <code>web</code>.", f"Plug it into {net}."] and not told["hint_offered"]
    assert CheckProgress.objects.get(check_name="attached").hints_shown == 2
    assert checks(alice.ask("state"))["attached"] == told


def test_offered_after_two_failures_that_were_asked_for(alice, host):
    host.says(attached="failed: No.")
    offered = [checks(alice.ask("check", auto=auto))["attached"]["hint_offered"] for auto in (True, True, True, False, True, False)]
    assert offered == [False] * 5 + [True]
    assert not checks(alice.ask("state"))["reach"]["hint_offered"], "it has none"
    host.says(attached="passed")
    assert not checks(alice.ask("check"))["attached"]["hint_offered"]


def test_of_a_check_that_is_not_there(alice, host):
    for name in ("gone", ""):
        answer = alice.send("hint", check=name)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_check")
    assert alice.send("hint", check=["attached"]).status_code == 400


def test_without_a_lab(charlie, visitor, host):
    assert charlie.send("hint", check="attached").json()["code"] == visitor.send("hint", check="attached").json()["code"] == "no_sandbox"


def test_asked_for_while_the_checks_are_looked_at(alice, host, monkeypatch):
    """The hint's row is made between the evaluation's look at the rows and its writing."""
    of_step = CheckProgress.of_step

    def then_a_hint(student, lesson, step):
        rows = of_step(student, lesson, step)
        CheckProgress.show_hint(student, lesson, step, alice.lesson().steps[0].check("attached"))
        return rows

    host.says(attached="failed: It is not there.")
    host.before_grading = lambda: monkeypatch.setattr(CheckProgress, "of_step", then_a_hint)
    alice.ask("check")
    monkeypatch.undo()
    row = CheckProgress.objects.get(check_name="attached")
    assert (row.why, row.failures) == ("It is not there.", 1) and row.hints_shown
