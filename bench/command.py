"""`command`: from Run to the exit code in the browser's socket, beside `docker exec` of the same command on the same host."""
import time
from collections.abc import Iterator

from bench import Row, percentile
from bench.lab import at_prompt, start
from bench.peer import docker
from netcontrol.engine import this_engine

TRIALS = {"true": 100, "ip -br addr": 100, "docker ps": 60}
GOAL = 0.25
SLOW = {"docker ps"}  # most of its time is its own, whoever starts it: reported, without a goal


def bench() -> Iterator[Row]:
    start(pool=1)
    with at_prompt() as student:
        (host,) = this_engine().containers(student.sandbox)
        for text, trials in TRIALS.items():
            ours, peer = [], []
            for _ in range(trials):
                began = time.monotonic()
                for _event in student.run("lab", text):
                    pass
                ours.append((time.monotonic() - began) * 1000)
                began = time.monotonic()
                docker("exec", host, *text.split())
                peer.append((time.monotonic() - began) * 1000)
            goal = None if text in SLOW else GOAL
            yield Row("command", f"{text}, median", "ms", percentile(ours, 50), percentile(peer, 50), goal)
            yield Row("command", f"{text}, p95", "ms", percentile(ours, 95), percentile(peer, 95), goal)
