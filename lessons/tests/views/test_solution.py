"""POST solution: what one would type and the right answers, to who asked."""
import time

import pytest

from lessons.models import StepProgress
from netcontrol.errors import LabError
from netcontrol.inside import Answer, NoAnswer

pytestmark = pytest.mark.django_db


def answers(state: dict) -> list[str]:
    return [told["answer"] for told in state["solution"]["answers"]]


def test_solution(alice, host):
    assert alice.ask("state")["solution"] is None
    net = alice.lesson().values["NET"]
    state = alice.ask("solution")
    assert state["solution"] == {
        "scripts": [{"host": "lab", "text": f"docker network connect secret-{net} web"}],
        "answers": [{"title": "Which address?", "answer": "10.0.0.2"}, {"title": "Which end?", "answer": "`eth0`"}],
    }
    assert alice.ask("state")["solution"] == state["solution"]
    assert host.scripts == [(str(alice.sandbox.pk), "lab", "echo secret-question")]


def test_it_is_counted(alice, host):
    alice.ask("solution")
    first = StepProgress.objects.get(step="join").solution_at
    alice.ask("solution")
    row = StepProgress.objects.get(step="join")
    assert (row.solutions, row.solution_at) == (2, first) and not row.done_at


@pytest.mark.parametrize("failing", [Answer(1), Answer(0, "\n"), Answer(None), NoAnswer("lab")])
def test_an_answer_that_is_not_there_yet_comes_with_the_next_look(alice, host, failing):
    def fails(script):
        if isinstance(failing, LabError):
            raise failing
        return failing

    alice.ask("enter")
    host.answer = fails
    assert answers(alice.ask("solution")) == ["Not there yet: your host says it once the rest of the step is done.", "`eth0`"]
    host.answer = lambda script: Answer(0, "10.9.0.9\nmore\n")
    assert answers(alice.ask("check", auto=True)) == ["10.9.0.9", "`eth0`"]
    looked = len(host.scripts)
    alice.ask("check", auto=True)
    assert len(host.scripts) == looked


@pytest.mark.parametrize("away", ["no_worker", "no_redis"])
def test_scripts_need_no_worker(alice, away, request):
    request.getfixturevalue(away)
    began = time.monotonic()
    state = alice.ask("solution")
    assert time.monotonic() - began < 8 and state["solution"]["scripts"]


def test_without_a_lab(charlie, visitor, host):
    assert charlie.send("solution").json()["code"] == visitor.send("solution").json()["code"] == "no_sandbox"
    assert not StepProgress.objects.exists()


def test_an_answer_is_one_line_that_a_database_keeps(alice, host):
    alice.ask("enter")
    host.answer = lambda script: Answer(0, "10.0\0.0.2\x1b\n")
    assert alice.ask("solution")["solution"]["answers"][0]["answer"] == "10.0.0.2"
