"""Every endpoint × every student: nobody's request does anything to, or tells anything of, somebody else's work."""
import pytest
from django.test import Client

from lessons.models import CheckProgress, Preparation, Progress, QuizAnswer, StepProgress
from netcontrol.models import Sandbox

pytestmark = pytest.mark.django_db

ENDPOINTS = {
    "state": {},
    "check": {"answers": {"end": "eth0"}},
    "hint": {"check": "attached"},
    "solution": {},
    "quiz": {"quiz": 1, "option": 1},
    "enter": {"adopt": True},
    "rewind": {},
}
MODELS = (Progress, StepProgress, CheckProgress, QuizAnswer, Preparation)


def kept(student) -> list:
    return [list(model.objects.filter(student=student).order_by("pk").values()) for model in MODELS] + [list(Sandbox.objects.filter(owner=student).order_by("pk").values())]


@pytest.mark.parametrize("what", ENDPOINTS)
@pytest.mark.parametrize("who", ["bob", "charlie", "visitor"])
def test_only_ones_own(alice, bob, charlie, visitor, host, what, who):
    alice.get("/lessons/first/1/")
    alice.ask("enter")
    host.says(attached="passed")
    alice.ask("check", answers={"end": "veth0"})
    alice.ask("solution")
    alice.ask("quiz", quiz=1, option=2)
    alice.ask("hint", check="attached")
    before, sandbox = kept(alice.me), str(alice.sandbox.pk)
    host.scripts.clear()
    other = {"bob": bob, "charlie": charlie, "visitor": visitor}[who]
    sneaky = {"sandbox": sandbox, "student": alice.me.pk, "owner": alice.me.pk, "key": str(alice.me.pk)}
    answer = other.send(what, **ENDPOINTS[what], **sneaky)
    assert answer.status_code in (200, 409)
    assert kept(alice.me) == before
    assert sandbox not in answer.content.decode() and sandbox not in [script[0] for script in host.scripts]
    state = other.ask("state")
    assert state["solution"] is None or what == "solution"
    assert not state["quizzes"] or (what == "quiz" and state["quizzes"]["1"]["chosen"] == 1)


@pytest.mark.parametrize("what", [what for what in ENDPOINTS if what != "state"])
def test_nothing_by_get_and_nothing_without_a_token(alice, host, what):
    assert alice.get(f"/lessons/first/1/{what}").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.me)
    before = kept(alice.me)
    assert strict.post(f"/lessons/first/1/{what}", ENDPOINTS[what], content_type="application/json").status_code == 403
    assert kept(alice.me) == before
