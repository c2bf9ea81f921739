"""However many preparations go on for long, a look at the checks has a thread; and one sandbox has not all of them."""
import pytest

from lessons import tasks
from lessons.models import Preparation, Student
from lessons.slots import Slots
from netcontrol import orders
from netcontrol.models import Sandbox
from netcontrol.tests.agent_fixtures import make_sandbox


def test_so_many_in_all_and_for_one():
    slots = Slots(3, each=2)
    with slots.slot("a") as first, slots.slot("a") as second, slots.slot("a") as third, slots.slot("b") as fourth, slots.slot("c") as fifth:
        assert (first, second, third, fourth, fifth) == (True, True, False, True, False)
    with slots.slot("a") as again, slots.slot("a"), slots.slot("c") as other:
        assert again and other
    assert not slots.taken


def test_a_slot_is_given_back_after_a_fault():
    slots = Slots(1, each=1)
    with pytest.raises(KeyError), slots.slot("a"):
        raise KeyError
    with slots.slot("a") as mine:
        assert mine


@pytest.mark.django_db
def test_preparations_wait_their_turn_and_say_so(monkeypatch):
    sent = []
    monkeypatch.setattr(orders, "enqueue", lambda task, *args, **how: sent.append((task.name, how["countdown"])))
    monkeypatch.setattr(tasks, "PREPARING", Slots(0, each=2))
    sandbox = make_sandbox(Student.new_guest())
    row = Preparation.objects.create(sandbox=sandbox, student=sandbox.owner, lesson="first", plan=[["join", "setup", 0]], phase=Preparation.Phase.WANTED)
    tasks.prepare.run(str(sandbox.pk), "en")
    row.refresh_from_db()
    assert sent == [("lessons.tasks.prepare", tasks.AGAIN_SECONDS)] and row.phase == Preparation.Phase.WANTED and row.heard_at
    Sandbox.objects.update(state=Sandbox.State.ENDED)
    tasks.prepare.run(str(sandbox.pk), "en")
    assert len(sent) == 1, "nobody waits for it any more"


@pytest.mark.django_db
def test_a_look_that_has_no_thread_is_tried_again(monkeypatch):
    sent = []
    monkeypatch.setattr(orders, "enqueue", lambda task, *args, **how: sent.append((task.name, args, how["countdown"])))
    monkeypatch.setattr(tasks, "LOOKING", Slots(32, each=0))
    tasks.check.run("s", 1, "first", "join")
    assert sent == [("lessons.tasks.check", ("s", 1, "first", "join"), tasks.AGAIN_SECONDS)]


def test_checks_have_threads_of_their_own():
    assert tasks.PREPARING.most <= tasks.LOOKING.most // 2
