"""What a Prometheus is told, and who is."""
import pytest
from prometheus_client.parser import text_string_to_metric_families

from netcontrol import counts, heartbeat
from netcontrol.models import Waiting
from netcontrol.tests.agent_fixtures import make_sandbox

pytestmark = pytest.mark.django_db


def told(client, **how) -> dict[tuple, float]:
    answer = client.get("/metrics", **how)
    assert answer.status_code == 200, answer.content
    return {(s.name, *sorted(s.labels.items())): s.value for family in text_string_to_metric_families(answer.content.decode()) for s in family.samples}


@pytest.fixture(autouse=True)
def nothing_counted_before(monkeypatch):
    """By other tests of this process."""
    monkeypatch.setattr(counts, "_sums", {})


def test_what_there_is(client, private_redis, settings, django_user_model):
    alice, bob = (django_user_model.objects.create(username=name) for name in ("alice", "bob"))
    make_sandbox(alice)
    make_sandbox(None).end("over")
    Waiting.objects.create(owner=bob)
    heartbeat.tell("control@here")
    with counts.sync() as r:
        r.rpush("control", "a task")
    found = told(client)
    assert found["patchbay_sandboxes", ("state", "claimed")] == 1
    assert found["patchbay_sandboxes", ("state", "leaving")] == 1
    assert found["patchbay_sandboxes", ("state", "ready")] == 0
    assert found["patchbay_waiting",] == 1
    assert found["patchbay_capacity",] == 10
    assert found["patchbay_pool_wanted",] == settings.POOL_SIZE
    assert found["patchbay_queue_length", ("queue", "control")] == 1
    assert found["patchbay_queue_length", ("queue", "check@here")] == 0
    assert found["patchbay_worker_up", ("worker", "control@here")] == 1
    assert found["patchbay_info", ("version", settings.VERSION)] == 1
    assert found["patchbay_up", ("part", "redis")] == found["patchbay_up", ("part", "database")] == 1


def test_what_was_counted_and_timed(client, private_redis):
    counts.count("refused", 2, what="not_now")
    counts.count("refused", what="no_sandbox")
    for seconds in (0.3, 0.5, 2, 1000):
        counts.observe("boot_seconds", seconds)
    counts.carry()
    found = told(client)
    assert found["patchbay_refused_total", ("what", "not_now")] == 2
    assert found["patchbay_refused_total", ("what", "no_sandbox")] == 1
    assert [found["patchbay_boot_seconds_bucket", ("le", le)] for le in ("0.25", "0.5", "1.0", "2.5", "300.0", "+Inf")] == [0, 2, 2, 3, 3, 4]
    assert found["patchbay_boot_seconds_count",] == 4
    assert found["patchbay_boot_seconds_sum",] == pytest.approx(1002.8)


def test_a_refusal_over_http_is_counted(client, private_redis, plain_static):
    client.post("/lab/reset")
    counts.carry()
    assert told(client)["patchbay_refused_total", ("what", "no_sandbox")] == 1


def test_without_redis(client, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    found = told(client)
    assert (found["patchbay_up", ("part", "redis")], found["patchbay_up", ("part", "database")]) == (0, 1)
    assert found["patchbay_waiting",] == 0


@pytest.mark.parametrize(
    ("token", "how", "may"),
    [
        ("", {}, True),
        ("", {"REMOTE_ADDR": "::1"}, True),
        ("", {"REMOTE_ADDR": "198.51.100.7"}, False),
        ("", {"REMOTE_ADDR": ""}, False),
        ("", {"headers": {"X-Forwarded-For": "127.0.0.1"}}, False),  # a proxy on this machine
        ("", {"headers": {"Forwarded": "for=127.0.0.1"}}, False),
        ("s3cret", {}, False),
        ("s3cret", {"headers": {"Authorization": "Bearer wrong"}}, False),
        ("s3cret", {"headers": {"Authorization": "Bearer s3cret"}, "REMOTE_ADDR": "198.51.100.7"}, True),
    ],
)
def test_who_may_ask(client, settings, token, how, may):
    settings.METRICS_TOKEN, settings.REDIS_URL = token, "unix:///nowhere/redis.sock"
    answer = client.get("/metrics", **how)
    assert answer.status_code == (200 if may else 403)
    assert (b"patchbay_" in answer.content) is may


