"""A guest's work goes along into an account, and nothing of either is lost."""
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from lessons import merging
from lessons.models import CheckProgress, Progress, QuizAnswer, StepProgress, Student
from lessons.preparation import Preparation
from lessons.tests.accounts import bob, charlie, lab_of, quick
from netcontrol.models import Command, Sandbox, Waiting

__all__ = ["bob", "charlie", "quick"]
pytestmark = pytest.mark.django_db
EARLIER, LATER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


def at(student: Student, lesson: str, step: str, when: datetime = EARLIER) -> None:
    Progress.objects.create(student=student, lesson=lesson, step=step, updated_at=when)


def progress(student: Student) -> dict[str, tuple[str, datetime]]:
    return {row.lesson: (row.step, row.updated_at) for row in Progress.objects.filter(student=student)}


def test_every_table_of_a_student_has_its_rule():
    """A new table with a key to Student is merged by itself; if a student has one row of a kind in it, somebody must say how two become one."""
    for table in merging.tables():
        assert table.__name__ in merging.RULES or not merging._key(table), f"{table.__name__} is missing in RULES"
        _, rules = merging.RULES.get(table.__name__, (None, {}))
        assert set(rules) <= {field.name for field in table._meta.concrete_fields}


def test_what_only_one_has_done_stays(alice, bob):
    at(alice, "hers", "look", EARLIER)
    at(bob, "his", "touch", LATER)
    StepProgress.objects.create(student=alice, lesson="hers", step="look", done_at=EARLIER)
    CheckProgress.objects.create(student=alice, lesson="hers", step="look", check_name="up", state="passed", passed_at=EARLIER)
    QuizAnswer.objects.create(student=alice, lesson="hers", step="look", quiz=1, chosen=2, right=True)
    alice.merge_into(bob)
    assert progress(bob) == {"hers": ("look", EARLIER), "his": ("touch", LATER)}
    assert (bob.steps.get().done_at, bob.checks.get().state, bob.quizzes.get().chosen) == (EARLIER, "passed", 2)
    assert not Student.objects.filter(pk=alice.pk).exists()


@pytest.mark.parametrize(("guest", "account", "merged"), [(LATER, EARLIER, "guest's"), (EARLIER, LATER, "account's")])
def test_where_they_were_last_is_the_later_one_s(alice, bob, guest, account, merged):
    at(alice, "both", "guest's", guest)
    at(bob, "both", "account's", account)
    alice.merge_into(bob)
    assert progress(bob) == {"both": (merged, LATER)} and Progress.objects.count() == 1


STEP = {"done_at": None, "solutions": 0, "solution_at": None}


@pytest.mark.parametrize(
    ("guest", "account", "merged"),
    [
        ({"done_at": LATER}, {}, {"done_at": LATER}),
        ({}, {"done_at": LATER}, {"done_at": LATER}),
        ({"done_at": LATER}, {"done_at": EARLIER}, {"done_at": EARLIER}),
        ({"solutions": 2, "solution_at": EARLIER}, {"solutions": 1, "solution_at": LATER}, {"solutions": 3, "solution_at": EARLIER}),
        ({"answers": {"q": "guest's"}, "done_at": LATER}, {"answers": {"q": "account's"}}, {"answers": {"q": "guest's"}, "done_at": LATER}),
        ({"answers": {"q": "guest's"}}, {"answers": {"q": "account's"}}, {"answers": {"q": "account's"}}),
    ],
)
def test_a_step_is_done_when_one_has_done_it(alice, bob, guest, account, merged):
    for student, fields in ((alice, guest), (bob, account)):
        StepProgress.objects.create(student=student, lesson="both", step="look", **fields)
    alice.merge_into(bob)
    row = StepProgress.objects.get()
    assert row.student == bob and {name: getattr(row, name) for name in {**STEP, **merged}} == {**STEP, **merged}


@pytest.mark.parametrize(
    ("guest", "account", "merged"),
    [
        (("passed", ""), ("failed", "no."), ("passed", "")),
        (("failed", "no."), ("passed", ""), ("passed", "")),
        (("failed", "hers."), ("open", "his."), ("open", "his.")),
    ],
)
def test_a_check_has_passed_when_it_passed_for_one(alice, bob, guest, account, merged):
    for student, (state, why), more in ((alice, guest, {"failures": 2, "hints_shown": 1}), (bob, account, {"failures": 1, "hints_shown": 3})):
        CheckProgress.objects.create(student=student, lesson="both", step="look", check_name="up", state=state, why=why, passed_at=LATER if state == "passed" else None, **more)
    alice.merge_into(bob)
    row = bob.checks.get()
    assert (row.state, row.why) == merged and (row.failures, row.hints_shown) == (3, 3)
    assert bool(row.passed_at) is (merged[0] == "passed")


@pytest.mark.parametrize(("guest", "account", "chosen"), [(EARLIER, LATER, 1), (LATER, EARLIER, 2)])
def test_the_first_answer_to_a_quiz_stays(alice, bob, guest, account, chosen):
    QuizAnswer.objects.create(student=alice, lesson="both", step="look", quiz=1, chosen=1, right=False, at=guest)
    QuizAnswer.objects.create(student=bob, lesson="both", step="look", quiz=1, chosen=2, right=True, at=account)
    alice.merge_into(bob)
    assert bob.quizzes.get().chosen == chosen and QuizAnswer.objects.count() == 1


def test_what_a_lab_was_prepared_for_goes_along(alice, bob):
    Preparation.objects.create(sandbox=lab_of(alice), student=alice, lesson="hers")
    alice.merge_into(bob)
    assert Preparation.objects.get().student == bob and Preparation.objects.get().sandbox.owner == bob


def test_others_keep_theirs(alice, bob, charlie):
    at(alice, "both", "touch", LATER)
    at(charlie, "both", "look")
    lab = lab_of(charlie)
    alice.merge_into(bob)
    assert progress(charlie) == {"both": ("look", EARLIER)} and Sandbox.of(charlie) == lab


def test_only_a_guest_is_merged(alice, bob, charlie):
    at(charlie, "his", "touch")
    for one, other in ((charlie, bob), (alice, alice)):
        with pytest.raises(merging.NoGuest):
            one.merge_into(other)
    assert progress(charlie)


def test_history_goes_along(alice, bob):
    old = lab_of(alice, Sandbox.State.ENDED)
    Command.objects.create(sandbox=old, host="lab", shell="lab", text="ip addr", started_at=timezone.now())
    alice.merge_into(bob)
    assert [command.text for command in Command.objects.filter(sandbox__owner=bob)] == ["ip addr"]


def test_a_running_lab_goes_along_with_the_values_it_was_built_with(alice, bob):
    lab, values = lab_of(alice), alice.variables_key
    assert alice.merge_into(bob) is None
    bob.refresh_from_db()
    assert Sandbox.of(bob) == lab and bob.variables_key == values != str(bob.pk)


def test_of_two_running_labs_the_account_s_stays(alice, bob):
    hers, his = lab_of(alice), lab_of(bob)
    assert alice.merge_into(bob) == hers
    hers.refresh_from_db()
    bob.refresh_from_db()
    assert bob.variables_key == str(bob.pk)
    assert Sandbox.of(bob) == his and hers.state == Sandbox.State.ENDED and hers.owner == bob
    assert hers.why == "You signed in, and a lab of your account was running already."


def test_a_lab_that_boots_goes_along(alice, bob):
    lab = lab_of(alice, Sandbox.State.BOOTING)
    Waiting.objects.create(owner=alice)
    alice.merge_into(bob)
    lab.refresh_from_db()
    assert lab.owner == bob and Waiting.objects.get().owner == bob


@pytest.mark.parametrize("first", ["guest", "account"])
def test_of_two_places_in_line_the_better_one_stays(alice, bob, charlie, first):
    for owner in (alice, charlie, bob) if first == "guest" else (bob, charlie, alice):
        Waiting.objects.create(owner=owner)
    alice.merge_into(bob)
    assert [waiting.owner.username for waiting in Waiting.objects.all()] == ["bob", "charlie"]


@pytest.mark.parametrize("waits", ["guest", "account"])
def test_who_has_a_lab_waits_for_none(alice, bob, waits):
    waiting, having = (alice, bob) if waits == "guest" else (bob, alice)
    Waiting.objects.create(owner=waiting)
    lab_of(having)
    alice.merge_into(bob)
    assert Sandbox.of(bob) and not Waiting.objects.exists()


def test_nothing_is_half_merged(alice, bob, monkeypatch):
    at(alice, "hers", "touch")
    monkeypatch.setattr(merging.pool, "hand_over", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        alice.merge_into(bob)
    assert progress(alice) and not progress(bob)
