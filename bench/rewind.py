"""`rewind`: the state of a lesson's last step in a fresh sandbox, as its page builds it, beside the same scripts by `docker exec` in another one;
and what a check costs, from the page's request to its answer, beside a shell that asks the same of the host by `docker exec`.
"""
import time
from collections.abc import Iterator

from bench import Row, percentile
from bench.lab import URL, settle, start
from bench.peer import docker
from labsite.client import Guest
from lessons.lesson import Lesson
from lessons.loader import catalogue
from netcontrol.engine import this_engine

LESSONS = ("namespaces-and-veth", "create-a-network", "names")
TRIALS = 5
CHECK = ("create-a-network", 1)
ASKS = ("docker network inspect net_test", "docker network inspect net_test", "ping -c 1 -W 1 192.168.78.1")  # what its three checks need to know, at least


def bench() -> Iterator[Row]:
    start(pool=1)
    for slug in LESSONS:
        lesson = catalogue().lesson(slug)
        ours, peer = [], []
        for _ in range(TRIALS):
            settle(1)
            ours.append(by_page(lesson))
            settle(1)
            peer.append(by_hand(lesson))
        yield Row("rewind", f"{slug}, to step {len(lesson.steps)}, median", "s", percentile(ours, 50), percentile(peer, 50), 1.15)
    yield from checks()


def by_page(lesson: Lesson) -> float:
    """From `enter` at the last step of a fresh sandbox to the end of its preparation."""
    step = f"/lessons/{lesson.slug}/{len(lesson.steps)}"
    with Guest(URL, lesson.slug) as student:
        student.start()
        student.lab()
        began = time.monotonic()
        state = student.post(f"{step}/enter", {})
        while state["preparing"]:
            if state["preparing"]["failed"]:
                raise SystemExit(state["preparing"]["failed"])
            time.sleep(0.02)
            state = student.get(f"{step}/state").json()
        return time.monotonic() - began


def by_hand(lesson: Lesson) -> float:
    *before, last = lesson.steps
    scripts = [script for step in before for script in (*step.setup, *step.solve)] + list(last.setup)
    with Guest(URL, lesson.slug) as student:
        student.start()
        student.lab()
        (host,) = this_engine().containers(student.sandbox)
        began = time.monotonic()
        for script in scripts:
            docker("exec", host, "bash", "-ec", script.text)
        return time.monotonic() - began


def checks() -> Iterator[Row]:
    slug, number = CHECK
    step = f"/lessons/{slug}/{number}"
    ours, peer = [], []
    with Guest(URL, slug) as student:
        student.start()
        student.lab()
        student.post(f"{step}/enter", {})
        (host,) = this_engine().containers(student.sandbox)
        docker("exec", host, "docker", "network", "create", "--subnet", "192.168.78.0/24", "--gateway", "192.168.78.1", "net_test")
        for _ in range(40):
            began = time.monotonic()
            student.post(f"{step}/check", {"answers": {}, "auto": True})
            ours.append((time.monotonic() - began) * 1000)
            began = time.monotonic()
            for ask in ASKS:
                docker("exec", host, *ask.split())
            peer.append((time.monotonic() - began) * 1000)
    yield Row("check", f"{slug}, step {number}, median", "ms", percentile(ours, 50), percentile(peer, 50), 1.0)
    yield Row("check", f"{slug}, step {number}, p95", "ms", percentile(ours, 95), percentile(peer, 95), 1.0)
