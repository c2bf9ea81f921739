"""The machine's clock is set while labs run: nobody's lab ends for it, and what runs every few seconds goes on."""
import time
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from django.conf import settings as lab_settings
from django.utils import timezone

from labsite.celery import app
from lessons.models import Student
from netcontrol import clock, pool
from netcontrol.models import Machine, Sandbox
from netcontrol.tests.agent_fixtures import private_redis

__all__ = ["private_redis"]
HOUR = timedelta(hours=1)


@pytest.fixture
def set_clock(monkeypatch):
    """As `date --set`: for everybody who asks from now on."""
    true = time.time
    moved = timedelta()

    def set_by(by: timedelta) -> None:
        nonlocal moved
        moved += by

    monkeypatch.setattr(time, "time", lambda: true() + moved.total_seconds())
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(true(), UTC) + moved)
    monkeypatch.setattr(Celery, "now", lambda app: timezone.now())
    return set_by


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_step_is_told_once(private_redis, set_clock, by):
    assert clock.stepped("here") == timedelta()
    set_clock(timedelta(seconds=1))
    assert clock.stepped("here") == timedelta(), "drift is no step"
    set_clock(by)
    assert abs(clock.stepped("here") - by) < timedelta(seconds=2)
    assert clock.stepped("here") == timedelta()


@pytest.mark.django_db
@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_lab_lasts_as_long_as_it_was_to(private_redis, set_clock, by):
    machine = Machine.objects.create(name="here", capacity=4, wires=9)
    alice, bob = Student.new_guest(), Student.new_guest()
    began = timezone.now() - timedelta(minutes=30)
    old = Sandbox.objects.create(machine=machine, wire=0, owner=alice, state=Sandbox.State.CLAIMED, created_at=began, claimed_at=began, active_at=began + timedelta(minutes=5), ends_at=began + HOUR)
    clock.stepped("here")
    set_clock(by)
    Sandbox.objects.create(machine=machine, wire=1, state=Sandbox.State.READY)
    new = Sandbox.claim(bob)
    pool.move(machine, clock.stepped("here"))
    assert pool.overdue() == []
    for lab, left in ((old, timedelta(minutes=30)), (new, timedelta(minutes=lab_settings.SANDBOX_MINUTES))):
        lab.refresh_from_db()
        assert abs(lab.ends_at - timezone.now() - left) < timedelta(seconds=5)
    old.extend()
    assert old.ends_at <= old.claimed_at + timedelta(minutes=lab_settings.SANDBOX_LONGEST_MINUTES)


def due_in(every: schedule, set_clock, by: timedelta) -> float:
    """In how many seconds beat runs this, when the clock is set just after it ran."""
    entry = ScheduleEntry(name="test", schedule=every, app=app)
    set_clock(by)
    due, again = entry.is_due()
    set_clock(-by)
    return 0 if due else again


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_beat_goes_on(set_clock, by):
    for what in lab_settings.CELERY_BEAT_SCHEDULE.values():
        assert due_in(what["schedule"], set_clock, by) == pytest.approx(what["schedule"].run_every.total_seconds(), abs=2)
    assert due_in(schedule(60, app=app), set_clock, -HOUR) > 3600, "the control: Celery's own clock stands still for an hour"
