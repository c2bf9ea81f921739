"""GET state: where a student stands, and nothing that they have not asked for."""
import json

import pytest

from lessons.models import QuizAnswer, StepProgress
from lessons.tests.views.conftest import checks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]

EMPTY = {"state": "open", "why": "", "waits_for": "", "hints_shown": [], "hint_offered": False}


def test_at_first(charlie):
    net = charlie.lesson().values["NET"]
    state = charlie.ask("state")
    told = checks(state)
    assert told["reach"] == {
        "name": "reach", "title": f"It answers on <code>{net}</code>", "kind": "run", "choices": None, "matrix": None, "hints": 0, **EMPTY, "state": "waits", "waits_for": told["attached"]["title"],
    }  # fmt: skip
    assert told["attached"]["kind"] == "docker.attached" and net in told["attached"]["title"]
    assert told["end"] == {"name": "end", "title": "Which end?", "kind": "ask", "matrix": None, "choices": ['<code class="n wire">eth0</code>', '<code class="n veth">veth0</code>'], "hints": 0, **EMPTY}
    del state["checks"]
    assert state == {"step": 1, "done": False, "held": False, "lesson_done": False, "quizzes": {}, "solution": None, "preparing": None, "belongs": None}


def test_a_visitor_sees_the_same_for_nobody_in_particular(visitor):
    assert checks(visitor.ask("state"))["attached"]["state"] == "open"


@pytest.mark.parametrize("step", [1, 3])
def test_no_secret_before_it_is_asked_for(alice, visitor, host, step):
    """Scripts of setup, solve, wrong, checks and answers; hints; the right options."""
    host.says(attached="failed: No.", kept="failed: No.")
    texts = [json.dumps(alice.ask(what, step=step)) for what in ("state", "enter", "check")]
    texts += [alice.get(f"/lessons/first/{step}/").content.decode(), visitor.get(f"/lessons/first/{step}/").content.decode(), json.dumps(visitor.ask("state", step=step))]
    for text in texts:
        for secret in ("secret", "docker network create", "Look at", "touch a", "test -e"):
            assert secret not in text


def test_reading_writes_nothing(alice, content):
    alice.ask("state")
    assert not StepProgress.objects.exists() and not QuizAnswer.objects.exists()


def test_polled_cheaply(alice, host, django_assert_max_num_queries):
    alice.ask("enter")
    with django_assert_max_num_queries(10):
        alice.ask("state")


def test_never_from_a_cache(alice):
    assert "no-store" in alice.send("state")["Cache-Control"]


@pytest.mark.parametrize(("slug", "step", "code"), [("gone", 1, "no_lesson"), ("first", 4, "no_step"), ("first", 0, "no_step")])
def test_what_is_not_there(alice, slug, step, code):
    answer = alice.send("state", slug, step)
    assert (answer.status_code, answer.json()["code"]) == (404, code)
