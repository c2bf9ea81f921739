"""POST start: a sandbox or a place in line; lessons begin in fresh ones."""
import re

import pytest
from django.test import Client

from lessons import views
from lessons.models import Student
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting
from netcontrol.tests.agent_fixtures import make_sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
JSON = {"Accept": "application/json"}


def ready(layout="lab"):
    sandbox = make_sandbox(None, layout)
    Sandbox.objects.filter(pk=sandbox.pk).update(state=Sandbox.State.READY)
    return sandbox


def test_a_visitor_becomes_one_guest(visitor):
    answer = visitor.post("/lessons/first/start")
    assert (answer.status_code, answer["Location"]) == (303, "/lessons/first/")
    visitor.post("/lessons/first/start")
    guest = Student.objects.get()
    assert guest.is_guest and Waiting.objects.get().owner == guest


def test_it_comes_back_to_the_step_it_was_pressed_on(visitor):
    assert visitor.post("/lessons/first/start?step=2")["Location"] == "/lessons/first/2/"
    for nowhere in ("7", "-1", "", "two", "9" * 5000):
        assert visitor.post(f"/lessons/first/start?step={nowhere}")["Location"] == "/lessons/first/"


def test_for_programs(visitor):
    waiting = visitor.post("/lessons/first/start", headers=JSON).json()
    assert (waiting["state"], waiting["place"]) == ("waiting", 1)


def test_a_ready_sandbox_is_given(charlie):
    sandbox = ready("lab,client")
    assert charlie.post("/lessons/pair/start", headers=JSON).json()["sandbox"] == str(sandbox.pk)


def test_another_lesson_begins_in_a_fresh_sandbox(alice, host):
    alice.ask("enter")
    fresh = ready()
    assert alice.post("/lessons/second/start", headers=JSON).json()["sandbox"] == str(fresh.pk)
    old = Sandbox.objects.get(pk=alice.sandbox.pk)
    assert (old.state, old.why) == (Sandbox.State.ENDED, "You went on to the lesson “Second”, which begins in a fresh lab.")


def test_the_same_lesson_goes_on(alice, host):
    alice.ask("enter")
    ready()
    for _ in range(2):
        assert alice.post("/lessons/first/start?step=3", headers=JSON).json()["sandbox"] == str(alice.sandbox.pk)


def test_one_that_no_lesson_has_touched_is_kept(alice, host):
    ready()
    assert alice.post("/lessons/second/start", headers=JSON).json()["sandbox"] == str(alice.sandbox.pk)


def test_nobody_elses_ends(alice, bob, host):
    alice.ask("enter")
    bob.ask("enter", "second", 2)
    bob.post("/lessons/first/start")
    assert Sandbox.of(alice.me) == alice.sandbox


def test_what_went_wrong_is_said(visitor, monkeypatch):
    def broken(owner, layout):
        raise LabError("not_now", "Redis does not answer.", "Try again.")

    monkeypatch.setattr(views.orders, "start", broken)
    answer = visitor.post("/lessons/first/start", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_now")
    assert Student.objects.count() == 1, "the guest is kept for the next try"


def test_it_is_a_post_with_a_token(content):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/lessons/first/start").status_code == 403
    assert strict.get("/lessons/first/start").status_code == 405
    assert Student.objects.count() == 0
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', strict.get("/").content.decode())[1]
    assert strict.post("/lessons/first/start", {"csrfmiddlewaretoken": token}).status_code == 303


def test_an_unknown_lesson_makes_no_guest(visitor, sent):
    assert visitor.post("/lessons/gone/start").status_code == 404
    assert not sent and Student.objects.count() == 0
