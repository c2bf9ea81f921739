"""Whose turn it is on the machine's processors: a host that burns them stands behind those that somebody types in.

A cgroup that is `cpu.idle` (Linux 5.15) runs when none beside it wants to: a key in another host takes its processor at once, instead of waiting for the
end of its slice. Hosts are at the top of the cgroups, so the lab's own processes and the kernel's threads, which carry that key, take it as well. A host is idle when it used more than BURNS of a processor in the
last second, and for a while after that; not while it boots, when it has no limit yet. One that is not has the weight of what carries keys (agent/soon.py).

Idle is not last: it is owed a turn now and then, for a microsecond, and keeps it until the scheduler looks again, which is up to 4 ms later. So while
a host is idle the scheduler looks more often (Pulse). A program of its own, with the standard library only; it ends hosts' privileges, never hosts. Must not know Docker, sandboxes, students.

    python turns.py FOLDER…     of which each folder in it is the id of a running container of the lab's engine
"""
import ctypes
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

BURNS, RESTS = 0.2, 0.1  # of one processor: ten that burn on two processors have no more each
STAYS = 5.0  # seconds after which it stands among others again: who burns by fits and starts would be seen too late each time
EVERY, WINDOW = 0.25, 4  # seconds; looks that make the last second
BEAT = 0.0005  # seconds
PR_SET_PDEATHSIG = 1


class Cgroups:
    """Where a container's use of the processor is told, and its turn set: version 1 or 2, dockerd's own driver or systemd's (machine.py)."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup")):
        self.two = (root / "cgroup.controllers").exists()
        self.places = [root / "docker-{}.scope", root / "{}"] if self.two else [root / "cpu" / "{}"]
        self.weight = ("cpu.weight", "932") if self.two else ("cpu.shares", "9548")  # both: as nice -10
        self.root = root

    def folder(self, container: str) -> Path | None:
        places = (Path(str(place).format(container)) for place in self.places)
        return next((place for place in places if (place / "cpu.idle").exists()), None)

    def limited(self, folder: Path) -> bool:
        """Whether it has a limit of processors: a host is given it at the end of its boot."""
        return not (folder / "cpu.max").read_text().startswith("max") if self.two else int((folder / "cpu.cfs_quota_us").read_text()) > 0

    def stand(self, folder: Path, idle: bool) -> None:
        """Behind all, or where it stood: the kernel forgets the weight of what was idle."""
        (folder / "cpu.idle").write_text("1" if idle else "0")
        if not idle:
            (folder / self.weight[0]).write_text(self.weight[1])

    def used(self, folder: Path) -> float:
        """Seconds of processor time since it began."""
        if self.two:
            return int(re.search(r"^usage_usec (\d+)", (folder / "cpu.stat").read_text(), re.M)[1]) / 1e6  # type: ignore[index]
        return int((self.root / "cpuacct" / folder.relative_to(self.root / "cpu") / "cpuacct.usage").read_text()) / 1e9


class Host:
    def __init__(self, folder: Path):
        self.folder, self.burns, self.until = folder, False, 0.0
        self.seen: deque[tuple[float, float]] = deque(maxlen=WINDOW + 1)

    def look(self, now: float, used: float) -> bool | None:
        """Whether it is to be idle from now on; None when it stays as it is."""
        self.seen.append((now, used))
        (began, before), (end, after) = self.seen[0], self.seen[-1]
        rate = (after - before) / (end - began) if end > began else 0.0
        if rate > (RESTS if self.burns else BURNS) and len(self.seen) > 1:
            self.until = now + STAYS
        then = now < self.until
        if then == self.burns:
            return None
        self.burns = then
        return then


class Pulse:
    """A process for each processor that comes before all others and sleeps again at once, so that whose turn it is is asked anew. It takes about a twentieth of each."""

    def __init__(self) -> None:
        self.beats: list[int] = []

    def on(self, on: bool) -> None:
        if on and not self.beats:
            self.beats = [self._beat(processor) for processor in sorted(os.sched_getaffinity(0))]
        elif not on:
            while self.beats:
                os.kill(self.beats[-1], signal.SIGKILL)
                os.waitpid(self.beats.pop(), 0)

    def _beat(self, processor: int) -> int:
        parent = os.getpid()
        if child := os.fork():
            return child
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it ended before we had said that
                os._exit(1)
            os.sched_setaffinity(0, {processor})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            while True:
                time.sleep(BEAT)
        except OSError:  # who may not come first does not help: its turn would have to be waited for as well
            signal.pause()
        finally:
            os._exit(1)


class Turns:
    def __init__(self, running: list[Path], cgroups: Cgroups, pulse: Callable[[bool], None] = lambda on: None, clock: Callable[[], float] = time.monotonic):
        self.running, self.cgroups, self.pulse, self.clock = running, cgroups, pulse, clock
        self.hosts: dict[str, Host] = {}

    def look(self) -> None:
        """Once. What goes away meanwhile is no error."""
        there = set(self.containers())
        for gone in self.hosts.keys() - there:
            del self.hosts[gone]
        for container in there:
            with suppress(OSError):
                host = self.hosts.get(container)
                if host is None:
                    folder = self.cgroups.folder(container)
                    if folder is None or not self.cgroups.limited(folder):
                        continue
                    host = self.hosts[container] = Host(folder)
                    self.cgroups.stand(folder, idle=False)  # whatever one before us left
                if (idle := host.look(self.clock(), self.cgroups.used(host.folder))) is not None:
                    self.cgroups.stand(host.folder, idle)
        self.pulse(any(host.burns for host in self.hosts.values()))

    def containers(self) -> Iterator[str]:
        for folder in self.running:
            with suppress(OSError):
                yield from (entry.name for entry in folder.iterdir() if re.fullmatch("[0-9a-f]{64}", entry.name))


def main() -> None:
    turns = Turns([Path(argument) for argument in sys.argv[1:]], Cgroups(), Pulse().on)
    while True:
        turns.look()
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
