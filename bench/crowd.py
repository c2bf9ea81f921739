"""A guest's host with so many containers on three networks, for what is measured of the network."""
from collections.abc import Callable

from bench.peer import docker
from netcontrol.engine import this_engine

COUNTS = (5, 30)
FIVE, THIRTY = COUNTS


def fill(sandbox, count: int) -> Callable[[str], None]:
    """Start them. Returns what runs a script in that host, outside of the lab's agent."""
    (host,) = this_engine().containers(sandbox)

    def run(script: str) -> None:
        docker("exec", host, "bash", "-ec", script)

    run("for n in 0 1 2; do docker network create net$n; done > /dev/null")
    run(f"for n in $(seq {count}); do docker run -d --name box$n --network net$((n % 3)) -p 90$((n + 10)):80 busybox sleep 36000; done > /dev/null")
    return run
