"""What is counted arrives in Redis once, from every process and over an absence of Redis."""
import os
import threading

import pytest

from netcontrol import counts
from netcontrol.counts import SUM, Row, count, observe


@pytest.fixture
def begin(private_redis, monkeypatch):
    """Nothing is counted yet, and nobody but the test carries."""
    monkeypatch.setattr(counts, "_sums", {})
    monkeypatch.setattr(counts, "_thread", threading.current_thread())


def sums() -> dict[Row, float]:
    return dict(counts.read())


def test_counts_of_several_processes_are_one_sum(begin):
    count("refused", what="not_now")
    if not (child := os.fork()):
        try:
            count("refused", 2, what="not_now")
            count("refused", what="no_sandbox")
            counts.carry()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    counts.carry()
    counts.carry()
    assert counts.counts() == {("refused", (("what", "not_now"),)): 3, ("refused", (("what", "no_sandbox"),)): 1}
    assert sums() == {Row("refused", (("what", "not_now"),)): 3, Row("refused", (("what", "no_sandbox"),)): 1}


def test_a_time_is_in_one_bucket(begin):
    observe("boot_seconds", 0.3)
    observe("boot_seconds", 0.5)
    observe("boot_seconds", 9999)
    counts.carry()
    assert sums() == {Row("boot_seconds", (), "6"): 2, Row("boot_seconds", (), str(len(counts.BOUNDS))): 1, Row("boot_seconds", (), SUM): pytest.approx(9999.8)}
    assert counts.BOUNDS[6] == 0.5


def test_nothing_is_lost_while_redis_is_away(begin, settings):
    there = settings.REDIS_URL
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    count("dropped", what="output")
    counts.carry()
    settings.REDIS_URL = there
    count("dropped", what="output")
    counts.carry()
    assert sums() == {Row("dropped", (("what", "output"),)): 2}


def test_a_label_that_should_be_none_fills_no_memory(begin):
    for n in range(counts.MAX_ROWS + 50):
        count("dropped", what=str(n))
    counts.carry()
    assert len(sums()) == counts.MAX_ROWS


def test_somebody_carries(private_redis, monkeypatch):
    monkeypatch.setattr(counts, "_thread", None)
    monkeypatch.setattr(counts, "CARRY_SECONDS", 0.01)
    carried = threading.Event()
    carry = counts.carry
    monkeypatch.setattr(counts, "carry", lambda: (carry(), carried.set()))
    count("dropped", what="output")
    assert carried.wait(5)
