"""Who gets which sandbox, and when: rows only."""
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from lessons.models import Student
from netcontrol import pool
from netcontrol.errors import LabError
from netcontrol.models import Machine, Sandbox, Waiting

pytestmark = pytest.mark.django_db
State = Sandbox.State


@pytest.fixture
def machine():
    return Machine.objects.create(name="m", capacity=4, wires=4096)


@pytest.fixture
def alice():
    return Student.new_guest()


@pytest.fixture
def bob():
    return Student.new_guest()


def ready(machine, wire=0, **more):
    return Sandbox.objects.create(machine=machine, wire=wire, state=State.READY, **more)


def test_claim_takes_the_oldest_and_starts_its_clock(machine, alice, settings):
    settings.SANDBOX_MINUTES = 60
    newer = ready(machine, 1)
    older = ready(machine, 2, created_at=timezone.now() - timedelta(minutes=5))
    got = Sandbox.claim(alice)
    assert got.pk == older.pk and got.owner == alice and got.state == State.CLAIMED
    assert timedelta(minutes=59) < got.ends_at - timezone.now() <= timedelta(minutes=60)
    newer.refresh_from_db()
    assert newer.owner is None and newer.state == State.READY


def test_no_two_students_get_one_sandbox(machine, alice, bob):
    ready(machine)
    assert Sandbox.claim(alice) is not None
    assert Sandbox.claim(bob) is None


def test_a_student_has_one_sandbox_whatever_they_press(machine, alice):
    ready(machine, 0)
    ready(machine, 1)
    first = pool.request(alice)
    assert pool.request(alice) == first
    with pytest.raises(IntegrityError):
        Sandbox.claim(alice)


def test_when_none_is_ready_there_is_a_line_in_order(machine, alice, bob):
    one, two = pool.request(alice), pool.request(bob)
    assert isinstance(one, Waiting) and isinstance(two, Waiting)
    assert (one.place, two.place) == (1, 2)
    assert pool.request(bob).place == 2, "pressing again keeps the place"
    given = ready(machine)
    assert [s.owner for s in pool.serve()] == [alice]
    assert Sandbox.of(alice).pk == given.pk
    assert Waiting.objects.get().place == 1


def test_what_becomes_ready_meanwhile_is_not_for_who_stands_further_back(machine, alice, bob, monkeypatch):
    for one in (alice, bob):
        Waiting.objects.create(owner=one)
    claim = Sandbox.claim

    def late(owner, layout):
        got = claim(owner, layout)
        if not Sandbox.objects.exists():
            ready(machine)  # another worker's boot is over, just after alice got nothing
        return got

    monkeypatch.setattr(Sandbox, "claim", late)
    assert pool.serve() == []
    assert [s.owner for s in pool.serve()] == [alice]


def test_two_workers_serve_at_once(machine, alice, bob, monkeypatch):
    """Both found alice at the front: she gets one lab, and who stands behind her is served all the same."""
    for n, one in enumerate((alice, bob)):
        ready(machine, n)
        Waiting.objects.create(owner=one)
    monkeypatch.setattr(Sandbox, "of", lambda owner: Sandbox.claim(owner) and None if owner == alice and not Sandbox.objects.filter(owner=alice).exists() else None)
    assert [s.owner for s in pool.serve()] == [bob]
    assert Sandbox.objects.filter(owner=alice).count() == 1


def test_nobody_jumps_the_line(machine, alice, bob):
    pool.request(alice)
    ready(machine)
    assert isinstance(pool.request(bob), Waiting)
    pool.serve()
    assert Sandbox.of(alice) and not Sandbox.of(bob)


def test_plan_fills_the_pool_and_the_line_up_to_capacity(machine, alice, bob, settings):
    settings.POOL_SIZE = 2
    assert len(pool.plan(machine)) == 2
    assert pool.plan(machine) == [], "what is booting counts"
    for student in (alice, bob, Student.new_guest()):
        pool.request(student)
    rows = pool.plan(machine)
    assert len(rows) == 2, "capacity is 4, although three wait and the pool wants two"
    assert len({row.wire for row in Sandbox.objects.all()}) == 4


def test_who_needs_two_hosts_takes_two_places_and_is_not_overtaken(machine, alice, bob, settings):
    settings.POOL_SIZE = 2
    held = []
    for wire in range(3):
        ready(machine, wire)
        held.append(pool.request(Student.new_guest()))
    Waiting.objects.create(owner=alice, layout="lab,client")
    Waiting.objects.create(owner=bob)
    assert pool.plan(machine) == [], "one place is free, and alice is before bob"
    Sandbox.objects.filter(pk=held[0].pk).update(gone_at=timezone.now())
    assert [s.owner for s in pool.plan(machine)] == [alice]
    Sandbox.objects.filter(pk=held[1].pk).update(gone_at=timezone.now())
    assert [s.owner for s in pool.plan(machine)] == [bob]


def test_an_empty_machine_has_room_for_one(machine, alice, settings):
    settings.POOL_SIZE = 0
    Machine.objects.update(capacity=1)
    Waiting.objects.create(owner=alice, layout="lab,client")
    assert len(pool.plan(machine)) == 1 and pool.plan(machine) == []


def test_a_full_pool_makes_room_for_who_needs_other_hosts(machine, alice, bob, settings):
    settings.POOL_SIZE = 2
    machine.capacity = 7
    machine.save()
    kept, spare = ready(machine, 0, created_at=timezone.now() - timedelta(minutes=5)), ready(machine, 1)
    for wire in (2, 3):
        ready(machine, wire, layout="lab,client")
        assert pool.request(Student.new_guest(), "lab,client").state == State.CLAIMED
    assert pool.make_room(machine) == [], "nobody waits"
    Waiting.objects.create(owner=alice, layout="lab,client")
    assert pool.plan(machine) == [], "there is no room"
    assert pool.make_room(machine) == [spare]
    spare.refresh_from_db()
    kept.refresh_from_db()
    assert (spare.state, kept.state) == (State.ENDED, State.READY)
    Sandbox.objects.filter(pk=spare.pk).update(gone_at=timezone.now())
    assert [(s.layout, s.owner) for s in pool.plan(machine)] == [("lab,client", alice)]
    assert pool.make_room(machine) == [], "it is coming"


def test_a_pooled_sandbox_that_somebody_in_line_can_use_stays(machine, alice, bob):
    machine.capacity = 1
    machine.save()
    ready(machine)
    Waiting.objects.create(owner=alice, layout="lab,client")
    Waiting.objects.create(owner=bob)
    assert pool.make_room(machine) == []


def test_plan_uses_no_wire_before_it_is_free(machine, settings):
    settings.POOL_SIZE = 1
    old = ready(machine, 0)
    old.end("test")
    (row,) = pool.plan(machine)
    assert row.wire == 1
    Sandbox.objects.update(state=State.ENDED, gone_at=timezone.now())
    (row,) = pool.plan(machine)
    assert row.wire == 0


def test_overdue_says_why(machine, alice, bob, settings):
    settings.SANDBOX_IDLE_MINUTES = 30
    now = timezone.now()
    ready(machine, 0)
    late, idle = (Sandbox.objects.create(machine=machine, wire=n, state=State.CLAIMED, owner=o, claimed_at=now, active_at=now, ends_at=now + timedelta(hours=1)) for n, o in ((1, alice), (2, bob)))
    assert pool.overdue() == []
    Sandbox.objects.filter(pk=late.pk).update(ends_at=now - timedelta(seconds=1))
    Sandbox.objects.filter(pk=idle.pk).update(active_at=now - timedelta(minutes=31))
    found = {sandbox.pk: why for sandbox, why in pool.overdue()}
    assert "its time was up" in found[late.pk]
    assert "nothing was typed or read for 30 minutes" in found[idle.pk]


def test_extend_has_an_end(machine, alice, settings):
    settings.SANDBOX_MINUTES, settings.SANDBOX_LONGEST_MINUTES = 60, 90
    ready(machine)
    mine = Sandbox.claim(alice)
    Sandbox.objects.filter(pk=mine.pk).update(claimed_at=mine.claimed_at - timedelta(minutes=50), ends_at=mine.ends_at - timedelta(minutes=50))
    mine.refresh_from_db()
    mine.extend()
    assert mine.ends_at == mine.claimed_at + timedelta(minutes=90)
    with pytest.raises(LabError) as caught:
        mine.extend()
    assert caught.value.code == "longest" and "cannot be extended past" in caught.value.message


def test_end_happens_once_and_the_reaper_sees_it(machine, alice):
    sandbox = ready(machine)
    assert sandbox.end("first") and not sandbox.end("second")
    sandbox.refresh_from_db()
    assert sandbox.why == "first"
    assert list(pool.to_remove(machine)) == [sandbox]
    Sandbox.objects.update(gone_at=timezone.now())
    assert not pool.to_remove(machine).exists()


def test_a_boot_without_a_worker_is_found(machine):
    row = Sandbox.objects.create(machine=machine, wire=0)
    assert not pool.lost_boots().exists()
    Sandbox.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(minutes=3))
    assert list(pool.lost_boots()) == [row]


def failed_boot(machine, wire, owner=None):
    row = Sandbox.objects.create(machine=machine, wire=wire, owner=owner)
    row.end("lab did not start.", State.FAILED)
    Sandbox.objects.filter(pk=row.pk).update(gone_at=timezone.now())


def test_a_student_is_not_tried_for_for_ever(machine, alice):
    pool.request(alice)
    for n in range(pool.TRIES):
        assert not pool.give_up(alice.pk)
        failed_boot(machine, n, alice)
    assert pool.give_up(alice.pk)
    assert not Waiting.objects.exists()


def test_a_machine_that_boots_nothing_is_left_alone_for_a_minute(machine, settings):
    settings.POOL_SIZE = 1
    for n in range(pool.TRIES):
        assert not pool.failing(machine)
        failed_boot(machine, n)
    assert pool.plan(machine) == []
    Sandbox.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert len(pool.plan(machine)) == 1


def test_one_worker_boots_it_however_often_that_is_ordered(machine):
    first, second, ended = (Sandbox.objects.create(machine=machine, wire=wire) for wire in range(3))
    ended.end("over")
    assert list(pool.unbegun(machine)) == [first, second]
    assert Sandbox.begin(str(first.pk)) == first
    assert Sandbox.begin(first.pk) is None and Sandbox.begin(ended.pk) is None
    assert list(pool.unbegun(machine)) == [second]
