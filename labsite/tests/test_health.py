"""/healthz tells that a process lives, /readyz whether the lab serves, and what does not."""
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from labsite import health
from netcontrol import heartbeat
from netcontrol.models import Machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def serving(private_redis):
    """A lab that is ready."""
    Machine.objects.create(name="here", capacity=4, wires=4)
    for kind in ("control", "attach", "check"):
        heartbeat.tell(f"{kind}@here")
    return private_redis


def wrong(client) -> dict[str, str]:
    answer = client.get("/readyz")
    assert answer.status_code == (503 if answer.json()["wrong"] else 200) and answer.json()["ready"] is not bool(answer.json()["wrong"])
    return answer.json()["wrong"]


def test_a_lab_that_serves(client, serving):
    assert wrong(client) == {}


def test_a_process_lives_without_any_other(client, settings, monkeypatch):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    monkeypatch.setattr(connection, "ensure_connection", None)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"lab": settings.LAB_ID})
    assert answer.headers["Cache-Control"].startswith("max-age=0")


def test_no_redis(client, serving):
    serving.kill()
    assert wrong(client) == {"redis": "Redis does not answer."}


def test_no_database(client, serving, monkeypatch):
    def away():
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        patch.setattr(connection, "close", lambda: None)
        assert wrong(client) == {"database": "The database does not answer."}


def test_an_older_database(client, serving, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr("django.db.migrations.executor.MigrationExecutor.migration_plan", lambda *_: ["one"])
    assert wrong(client) == {"migrations": "The database is older than the code: ./lab up brings it on."}


@pytest.mark.parametrize(("part", "kind"), [("worker", "control"), ("attach", "attach"), ("check", "check")])
def test_a_silent_worker(client, serving, part, kind):
    with heartbeat.sync() as r:
        r.zadd(heartbeat.key("heard", "all"), {f"{kind}@here": r.time()[0] - heartbeat.SILENT_SECONDS - 1})
    assert wrong(client) == {part: f"No {part} has been heard of for 10 s."}


def test_no_beat(client, serving):
    Machine.objects.update(seen_at=timezone.now() - timedelta(seconds=health.BEAT_SECONDS + 1))
    assert wrong(client) == {"beat": "Nothing has looked after the pool for 60 s."}


def test_a_worker_that_is_long_gone_is_forgotten(serving):
    with heartbeat.sync() as r:
        r.zadd(heartbeat.key("heard", "all"), {"control@there": 1})
        heartbeat.tell("control@here")
        assert r.zscore(heartbeat.key("heard", "all"), "control@there") is None
