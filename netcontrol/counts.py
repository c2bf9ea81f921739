"""What every process of a lab counts and times, summed in one hash of Redis; labsite/metrics.py shows it to Prometheus.

    pb:<lab>:counts:all   hash: ["refused", {"what": "not_now"}, ""] -> 12

To count costs an addition, so an event loop may: a thread carries the sums to Redis once a second. What a killed process has not carried
yet is lost, and so is everything with Redis: a counter that begins anew is nothing new to Prometheus. Labels are words of ours, never a
student's: each is a row for good. Must not know what is counted.
"""
import atexit
import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import redis

from netcontrol.connection import Unreachable, key, sync

CARRY_SECONDS = 1.0
MAX_ROWS = 1000  # of one process between two carries: a label that should not be one cannot fill memory
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds

SUM = "sum"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """`part` is "" for a count; of what was observed: SUM, or the number of its bucket (the first bound it does not pass)."""

    name: str
    labels: Labels = ()
    part: str = ""

    def __str__(self) -> str:
        return json.dumps([self.name, dict(self.labels), self.part], separators=(",", ":"))

    @classmethod
    def read(cls, field: bytes) -> "Row":
        name, labels, part = json.loads(field)
        return cls(name, tuple(labels.items()), part)


_sums: dict[Row, float] = {}
_lock = threading.Lock()
_thread: threading.Thread | None = None


def count(name: str, n: float = 1, /, **labels: str) -> None:
    """`name` as in Prometheus, without prefix and `_total`: count("refused", what="shells")."""
    _add({Row(name, tuple(sorted(labels.items()))): n})


def observe(name: str, value: float, /, **labels: str) -> None:
    """One more of these took so long: observe("boot_seconds", 1.2)."""
    of = tuple(sorted(labels.items()))
    _add({Row(name, of, str(bisect_left(BOUNDS, value))): 1, Row(name, of, SUM): value})


def read() -> Iterator[tuple[Row, float]]:
    """All sums of the lab. Raises what is in `Unreachable`."""
    with sync(2) as r:
        for field, value in r.hgetall(_key()).items():  # type: ignore[union-attr]
            yield Row.read(field), float(value)


def counts() -> dict[tuple[str, Labels], int]:
    """(name, labels) -> how often, of what was counted. Raises what is in `Unreachable`."""
    return {(row.name, row.labels): int(value) for row, value in read() if not row.part}


def carry() -> None:
    """Bring to Redis what was counted since the last time; when it is away, the next time does."""
    global _sums
    with _lock:
        sums, _sums = _sums, {}
    if not sums:
        return
    try:
        with sync(2) as r, r.pipeline() as together:
            for row, by in sums.items():
                together.hincrbyfloat(_key(), str(row), by)
            together.execute()
    except (*Unreachable, redis.RedisError):
        _add(sums)


def _add(these: dict[Row, float]) -> None:
    global _thread
    with _lock:
        for row, by in these.items():
            if row in _sums or len(_sums) < MAX_ROWS:
                _sums[row] = _sums.get(row, 0) + by
        if _thread is None:
            _thread = threading.Thread(target=_keep_carrying, name="counts", daemon=True)
            _thread.start()


def _keep_carrying() -> None:
    while True:
        time.sleep(CARRY_SECONDS)
        carry()


def _begin_anew() -> None:
    """In a child: its parent carries what the parent counted, and has the thread."""
    global _sums, _lock, _thread
    _sums, _lock, _thread = {}, threading.Lock(), None


def _key() -> str:
    return key("counts", "all")


os.register_at_fork(after_in_child=_begin_anew)


@atexit.register
def _at_the_end() -> None:
    with suppress(Exception):
        carry()
