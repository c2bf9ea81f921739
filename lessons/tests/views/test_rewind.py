"""POST rewind: a fresh sandbox for this step."""
import pytest

from netcontrol.models import Sandbox, Waiting
from netcontrol.tests.agent_fixtures import make_sandbox

pytestmark = pytest.mark.django_db


def ready(layout="lab"):
    sandbox = make_sandbox(None, layout)
    Sandbox.objects.filter(pk=sandbox.pk).update(state=Sandbox.State.READY)
    return sandbox


def test_the_old_one_ends_and_a_fresh_one_is_built(alice, host, sent):
    alice.ask("enter")
    fresh = ready()
    host.scripts.clear()
    answer = alice.ask("rewind", step=3)
    assert (answer["state"], answer["sandbox"]) == ("claimed", str(fresh.pk))
    old = Sandbox.objects.get(pk=alice.sandbox.pk)
    assert (old.state, old.why) == (Sandbox.State.ENDED, "You asked for a fresh one.")
    assert ("remove", (str(old.pk),), {}) in sent
    assert not host.scripts, "the page's enter has it built"
    alice.ask("enter", step=3)
    assert [sandbox for sandbox, _, _ in host.scripts] == [str(fresh.pk)] * 4


def test_with_the_hosts_that_the_lesson_needs(alice, host):
    alice.ask("enter")
    fresh = ready("lab,client")
    assert alice.ask("rewind", "pair")["sandbox"] == str(fresh.pk)
    assert alice.ask("enter", "pair")["belongs"] is None


def test_none_is_ready(alice, host):
    assert alice.ask("rewind")["state"] == "waiting"
    assert Waiting.objects.get().owner == alice.me


def test_after_the_lab_has_ended(charlie, host):
    ready()
    assert charlie.ask("rewind")["state"] == "claimed"


def test_a_visitor_has_none(visitor, host):
    assert visitor.send("rewind").json()["code"] == "no_sandbox"
