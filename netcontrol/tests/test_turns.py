"""Who stands behind whom: from files of machines that are not this one, and from a cgroup of this one."""
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netcontrol.agent import soon
from netcontrol.engine import turns
from netcontrol.engine.turns import Cgroups, Host, Turns

A, B = "a" * 64, "b" * 64


class Machine:
    """A tree of cgroup files, the engine's folder of running containers, and a clock."""

    def __init__(self, root: Path, two: bool):
        self.root, self.two, self.now = root, two, 100.0
        self.running = root / "moby"
        self.running.mkdir()
        if two:
            (root / "cgroup.controllers").write_text("cpu")
        self.pulse: list[bool] = []
        self.turns = Turns([self.running, root / "is-not-there"], Cgroups(root), self.pulse.append, lambda: self.now)

    def folder(self, container: str) -> Path:
        return self.root / (f"docker-{container}.scope" if self.two else f"cpu/{container}")

    def host(self, container: str) -> None:
        (self.running / container).mkdir()
        self.folder(container).mkdir(parents=True)
        (self.folder(container) / "cpu.idle").write_text("0\n")
        self.limit(container, "100000")
        self.use(container, 0)

    def limit(self, container: str, quota: str) -> None:
        if self.two:
            (self.folder(container) / "cpu.max").write_text(f"{quota} 100000\n")
        else:
            (self.folder(container) / "cpu.cfs_quota_us").write_text(f"{quota if quota != 'max' else -1}\n")

    def use(self, container: str, seconds: float) -> None:
        if self.two:
            (self.folder(container) / "cpu.stat").write_text(f"usage_usec {int(seconds * 1e6)}\nuser_usec 1\n")
        else:
            folder = self.root / "cpuacct" / container
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cpuacct.usage").write_text(f"{int(seconds * 1e9)}\n")

    def idle(self, container: str) -> bool:
        return (self.folder(container) / "cpu.idle").read_text().strip() == "1"

    def weight(self, container: str) -> str:
        return (self.folder(container) / ("cpu.weight" if self.two else "cpu.shares")).read_text()

    def looks(self, rate: dict[str, float], seconds: float, used: dict[str, float]) -> None:
        for _ in range(int(seconds / turns.EVERY)):
            self.now += turns.EVERY
            for container, each in rate.items():
                used[container] = used.get(container, 0) + each * turns.EVERY
                self.use(container, used[container])
            self.turns.look()


@pytest.fixture(params=[1, 2])
def machine(request, tmp_path):
    return Machine(tmp_path, request.param == 2)


def test_who_burns_stands_behind_and_comes_back(machine):
    used: dict[str, float] = {}
    for one in (A, B):
        machine.host(one)
    machine.looks({A: 0.95, B: 0.05}, 2, used)
    assert machine.idle(A) and not machine.idle(B)
    machine.looks({A: 0.15, B: 0.15}, 2, used)  # between the two bounds everybody stays where they are
    assert machine.idle(A) and not machine.idle(B)
    machine.looks({A: 0.05, B: 0.95}, 2, used)
    assert machine.idle(A) and machine.idle(B), "it may be about to go on"
    machine.looks({A: 0.05, B: 0.95}, turns.STAYS, used)
    assert not machine.idle(A) and machine.idle(B)


def test_who_burns_by_fits_and_starts_stands_behind_meanwhile(machine):
    machine.host(A)
    used: dict[str, float] = {}
    machine.looks({A: 0.9}, 1, used)
    for _ in range(5):
        machine.looks({A: 0.0}, 3, used)
        assert machine.idle(A)
        machine.looks({A: 0.9}, 0.5, used)
        assert machine.idle(A)


def test_who_does_not_burn_has_the_weight_of_what_carries_keys(machine):
    machine.host(A)
    used: dict[str, float] = {}
    weight = 932 if machine.two else 9548  # sched_prio_to_weight of nice -10; on version 2 in hundredths of nice 0
    machine.looks({A: 0}, 0.25, used)
    assert machine.weight(A) == str(weight)
    machine.looks({A: 0.95}, 2, used)
    (machine.folder(A) / ("cpu.weight" if machine.two else "cpu.shares")).write_text("1024")  # as the kernel does
    machine.looks({A: 0}, 2 + turns.STAYS, used)
    assert machine.weight(A) == str(weight)


def test_the_scheduler_looks_more_often_while_somebody_burns(machine):
    machine.host(A)
    used: dict[str, float] = {}
    machine.looks({A: 0.0}, 1, used)
    assert not any(machine.pulse)
    machine.looks({A: 0.95}, 2, used)
    assert machine.pulse[-1]
    machine.looks({A: 0.0}, 2 + turns.STAYS, used)
    assert not machine.pulse[-1]


def beats_of(parent: int) -> list[Path]:
    return [Path("/proc", pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may come first")
def test_a_real_pulse():
    """One on each processor, before all that is ordinary; they end when they are told to, and with who started them."""
    program = "import sys, time; from netcontrol.engine.turns import Pulse; p = Pulse(); p.on(True); p.on(True); print(1, flush=True); sys.stdin.readline(); p.on(False); print(2, flush=True); p.on(True); print(3, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout and parent.stdin and parent.stdout.readline() == "1\n"
            beats = beats_of(parent.pid)
            end = time.monotonic() + 10
            while not all(os.sched_getscheduler(int(beat.name)) == os.SCHED_FIFO for beat in beats):
                assert time.monotonic() < end
                time.sleep(0.01)
            assert sorted(list(os.sched_getaffinity(int(beat.name))) for beat in beats) == [[processor] for processor in sorted(os.sched_getaffinity(0))]
            parent.stdin.write("\n")
            parent.stdin.flush()
            assert parent.stdout.readline() == "2\n" and not any(beat.exists() for beat in beats)
            assert parent.stdout.readline() == "3\n"
            beats = beats_of(parent.pid)
            assert beats
        finally:
            parent.kill()
            parent.wait(10)
        end = time.monotonic() + 10
        while any(beat.exists() for beat in beats):
            assert time.monotonic() < end, "they outlive who started them"
            time.sleep(0.01)


def test_a_moment_is_not_burning(machine):
    machine.host(A)
    used: dict[str, float] = {}
    machine.looks({A: 0}, 2, used)
    machine.looks({A: 0.7}, 0.25, used)
    machine.looks({A: 0}, 0.5, used)
    assert not machine.idle(A)


def test_a_boot_has_the_machine(machine):
    machine.host(A)
    machine.limit(A, "max")
    used: dict[str, float] = {}
    machine.looks({A: 1.9}, 3, used)
    assert not machine.idle(A)
    machine.limit(A, "100000")
    machine.looks({A: 0.9}, 3, used)
    assert machine.idle(A)


def test_what_goes_is_forgotten_and_what_an_earlier_one_left_is_put_right(machine):
    machine.host(A)
    (machine.folder(A) / "cpu.idle").write_text("1\n")
    (machine.running / B).mkdir()  # it has no cgroup yet
    (machine.running / "stray").mkdir()
    used: dict[str, float] = {}
    machine.looks({A: 0}, 1, used)
    assert not machine.idle(A) and machine.turns.hosts.keys() == {A}
    (machine.folder(A) / "cpu.idle").unlink()
    machine.looks({A: 1}, 1, used)  # its folder is going: no error
    (machine.running / A).rmdir()
    machine.looks({}, 0.25, used)
    assert not machine.turns.hosts


def test_the_clock_may_stand(machine):
    host = Host(machine.root)
    assert [host.look(1.0, 0.0), host.look(1.0, 5.0)] == [None, None]


def test_a_program_that_has_its_turn_soon():
    said = subprocess.run([sys.executable, "-I", soon.__file__, "cat", "/proc/self/stat"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert int(said.rpartition(")")[2].split()[16]) == soon.NICE  # field 19 of proc(5)


@pytest.mark.skipif(not Path("/sys/fs/cgroup/cpu/cpu.idle").exists() or os.geteuid() != 0, reason="needs a cgroup of version 1")
def test_a_real_cgroup(tmp_path, monkeypatch):
    """A loop in a cgroup of our own is seen, and the kernel takes the word. However little it gets beside the other tests."""
    monkeypatch.setattr(turns, "BURNS", 0.01)
    container = os.urandom(32).hex()
    folders = [Path("/sys/fs/cgroup", controller, container) for controller in ("cpu", "cpuacct")]
    (tmp_path / container).mkdir()
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for folder in folders:
            (folder / "cgroup.procs").write_text(str(process.pid))
        (folders[0] / "cpu.cfs_quota_us").write_text("100000")
        these = Turns([tmp_path], Cgroups())
        end = time.monotonic() + 20
        while (folders[0] / "cpu.idle").read_text().strip() != "1":
            assert time.monotonic() < end
            these.look()
            time.sleep(turns.EVERY)
    finally:
        process.kill()
        process.wait(10)
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            folder.rmdir()
