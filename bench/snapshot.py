"""`snapshot`: what it costs to see the network while a student works, and while nobody looks.

The student runs a command every five seconds, every other one of which changes the network. The cost is the processor time of the observer and of
all that it starts, in percent of one core; beside it, what dockerd spends more than with nobody looking, and the worker's share.
"""
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench import Row
from bench.crowd import COUNTS, fill
from bench.lab import at_prompt, start
from labsite import processes
from labsite.client import Guest
from netcontrol.engine import this_engine

COMMANDS = ("ip link add extra0 type bridge", "ip -br addr", "docker network connect net1 box3", "docker ps", "docker network disconnect net1 box3", "ls", "ip link del extra0", "docker network ls")
PACE = 5.0
HERTZ = os.sysconf("SC_CLK_TCK")
GOAL = 5.0  # percent


def bench() -> Iterator[Row]:
    for count in COUNTS:
        start(pool=1)
        with at_prompt() as student:
            fill(student.sandbox, count)
            yield Row("snapshot", f"{count} containers, nobody looks: observers", "", len(observers(student)), goal=0)
            alone = spent(student)
            student.watch()
            (observer,) = observers(student)
            looked = spent(student, observer)
            yield Row("snapshot", f"{count} containers, a command each 5 s: observer", "%", looked["observer"], goal=GOAL)
            yield Row("snapshot", f"{count} containers, dockerd, more than unwatched", "%", looked["dockerd"] - alone["dockerd"])
            yield Row("snapshot", f"{count} containers, worker, more than unwatched", "%", looked["attach"] - alone["attach"])


def spent(student: Guest, observer: int = 0) -> dict[str, float]:
    """Let the student work for a while; percent of a core that each spends meanwhile."""
    who = {"dockerd": named(student, "/usr/sbin/dockerd")[0], "attach": processes.ask("getProcessInfo", "attach")["pid"], **({"observer": observer} if observer else {})}
    time.sleep(PACE)  # what was done before is over
    before, began = {name: seconds(pid, name != "dockerd") for name, pid in who.items()}, time.monotonic()
    for command in COMMANDS:
        due = time.monotonic() + PACE
        for _ in student.run("lab", command):
            pass
        try:
            for _ in student.events(max(0.0, due - time.monotonic())):
                pass
        except TimeoutError:
            pass
    took = time.monotonic() - began
    return {name: 100 * (seconds(pid, name != "dockerd") - before[name]) / took for name, pid in who.items()}


def seconds(pid: int, with_children: bool) -> float:
    """Processor time of this process; with that of its children, living or not."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11 : 15 if with_children else 13]))
        if with_children:
            todo += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split()]
    return total / HERTZ


def named(student: Guest, program: str) -> list[int]:
    (host,) = this_engine().containers(student.sandbox)
    return [int(pid[1]) for pid in this_engine().api.top(host)["Processes"] if program in pid[-1]]


def observers(student: Guest) -> list[int]:
    """The agent's children that are agents as well."""
    agents = named(student, "agent/__main__.py")
    return [pid for pid in agents if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) in agents]
