"""Use up what others need: processes, memory, disk, processor.

Each has a host of her own that may break. Must not know what is counted for all hosts together: that is shared_counts.py's.
"""
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings

from netcontrol.engine import disk, this_engine

from . import machine
from .catalogue import control, inside
from .limits import V2
from .student import started

HOST = "netcontrol/engine/host.py"
MEMORY = 768 * 2**20
PIDS = 1024


@pytest.fixture(scope="module")
def hosts():
    return []


@pytest.fixture
def glutton(guest_stars, hosts):
    """Who uses up. When what she did has ended her host, as it may, the next attack has a fresh one."""
    if not hosts or not machine.runs(hosts[-1].container):
        hosts.append(guest_stars())
    return hosts[-1]


def value(student, controller: str, v1: str, v2: str) -> int:
    with suppress(FileNotFoundError):  # the host has ended of it
        return int((student.cgroup(controller) / (v2 if V2 else v1)).read_text())
    return 0


def memory(student) -> int:
    return value(student, "memory", "memory.usage_in_bytes", "memory.current")


def available() -> int:
    return int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) * 1024


@contextmanager
def while_it_runs(student, unit: str, script: str, until):
    """Start this in her host and wait until the machine sees that it bites; ended afterwards, whatever it made."""
    student.tries(f"cat > /run/{unit}.sh <<'PATCHBAY-END'\n{script}\nPATCHBAY-END\nsystemd-run -q --unit={unit} -p PrivateMounts=yes -p TasksMax=infinity -p OOMPolicy=continue bash /run/{unit}.sh")
    end = time.monotonic() + 20
    try:
        while not until() and machine.runs(student.container):
            assert time.monotonic() < end, "it does not bite"
            time.sleep(0.05)
        yield
    finally:
        for _ in range(50):  # a bomb goes on while it is killed
            for process in machine.processes(student):
                if unit in _groups(process):
                    with suppress(OSError):
                        os.kill(int(process.name), 9)
            if not any(unit in _groups(process) for process in machine.processes(student)):
                break


def _groups(process: Path) -> str:
    with suppress(OSError):
        return (process / "cgroup").read_text()
    return ""


def goes_on_or_has_ended(student) -> bool:
    """What one does to one's own host is one's own loss: the kernel may have ended her dockerd or agent, which systemd starts again."""
    end = time.monotonic() + 60
    while machine.runs(student.container) and time.monotonic() < end:
        with suppress(OSError, EOFError):
            if student.answers():
                return True
        time.sleep(0.2)
    return not machine.runs(student.container)


def bob_works(bob, seconds: float = 10) -> bool:
    began = time.monotonic()
    return bob.answers() and time.monotonic() - began < seconds


@control("within her limits: what she makes is seen in her own cgroup")
def what_she_uses_is_counted(glutton):
    before = memory(glutton)
    with while_it_runs(glutton, "counted", "exec python3 -c \"import time; x = bytearray(100 << 20); time.sleep(30)\"", lambda: memory(glutton) > before + (80 << 20)):
        pass


@inside("forks without end", holds="a limit of processes on a cgroup out of her reach", at=f"{HOST}:pids_limit", seen="the machine's count for the host, at its limit; bob, who works meanwhile")
def forks_without_end(glutton, bob):
    count = lambda: value(glutton, "pids", "pids.current", "pids.current")  # noqa: E731
    with while_it_runs(glutton, "bomb", "b() { b | b & }; b; sleep 1; python3 -c \"\nimport os\nwhile 1:\n try: os.fork()\n except OSError: pass\"", lambda: count() > PIDS * 0.9):
        assert count() <= PIDS and bob_works(bob)
    assert goes_on_or_has_ended(glutton)


@inside("takes memory: her programs', shared, in tmpfs, in files without a name, in pipes and sockets", holds="a limit of memory, swap included, on a cgroup out of her reach; the kernel ends her own programs", at=f"{HOST}:memswap_limit", seen="the machine: what the cgroup is charged, at most its limit; how much is available; bob")
@pytest.mark.parametrize("kind", ["programs", "tmpfs", "memfd", "pipes", "sockets"])
def takes_memory(glutton, bob, kind):
    script = {
        "programs": "x = []\nwhile 1: x.append(bytearray(b'x' * (8 << 20)))",
        "tmpfs": "import subprocess\nsubprocess.run('mkdir -p /mnt/t; mount -t tmpfs -o size=8g none /mnt/t', shell=True)\nf = open('/mnt/t/x', 'wb')\nwhile 1: f.write(b'x' * (8 << 20))",
        "memfd": "import os\nfd = os.memfd_create('x')\nwhile 1: os.write(fd, b'x' * (8 << 20))",
        "pipes": "import fcntl, os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))\nfds = []\nwhile 1:\n r, w = os.pipe(); fds += [r, w]; os.set_blocking(w, False)\n try: fcntl.fcntl(w, 1031, 1 << 20)\n except OSError: pass\n try:\n  while 1: os.write(w, b'x' * 65536)\n except OSError: pass",
        "sockets": "import resource, socket\nresource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))\ns = []\nwhile 1:\n a, b = socket.socketpair(); s += [a, b]; a.setblocking(False)\n try:\n  while 1: a.send(b'x' * 65536)\n except OSError: pass",
    }[kind]
    before, most, first = available(), 0, memory(glutton)
    with while_it_runs(glutton, f"eat-{kind}", f"python3 -c \"\n{script}\n\"; sleep 5", lambda: memory(glutton) > first + (250 << 20)):
        end = time.monotonic() + 1
        while time.monotonic() < end:
            most = max(most, memory(glutton))
            time.sleep(0.02)
        assert most <= MEMORY
        assert before - available() < MEMORY + (256 << 20), "the machine lost more than the host may have"
        assert bob_works(bob)
    assert goes_on_or_has_ended(glutton)


@inside("burns the processor: as many busy programs as she may have", holds="a CPU limit on a cgroup out of her reach", at=f"{HOST}:cpu_quota", seen="the machine's count of the host's CPU time; bob, who works meanwhile")
def burns_the_processor(glutton, bob):
    spent = (lambda: int((glutton.cgroup("cpu") / "cpu.stat").read_text().split()[1]) / 1e6) if V2 else (lambda: int((glutton.cgroup("cpuacct") / "cpuacct.usage").read_text()) / 1e9)
    began = spent()
    with while_it_runs(glutton, "burn", "for n in $(seq 100); do while :; do :; done & done; wait", lambda: spent() - began > 0.5):
        at, used = time.monotonic(), spent()
        assert bob_works(bob)
        time.sleep(max(0, 1.5 - (time.monotonic() - at)))
        assert spent() - used < 1.25 * (time.monotonic() - at) + 0.2
    assert goes_on_or_has_ended(glutton)


@inside("fills her folders in memory: /tmp, /run, /dev/shm, /var/lib/docker", holds="each is a tmpfs of a fixed size within the limit of memory", at=f"{HOST}:tmpfs", seen="the machine: what the cgroup is charged; its own /run and /tmp; bob")
def fills_her_folders(glutton, bob):
    free = [os.statvfs(folder).f_bavail for folder in ("/run", "/tmp")]
    glutton.tries("for d in /tmp /run /run/lock /dev/shm /var/lib/docker; do head -c 2g /dev/zero > $d/evil; done", 60)
    assert memory(glutton) <= MEMORY
    assert all(abs(os.statvfs(folder).f_bavail - before) * 4096 < 64 << 20 for folder, before in zip(("/run", "/tmp"), free))
    assert bob_works(bob)
    glutton.forces("rm -f /tmp/evil /run/evil /run/lock/evil /dev/shm/evil /var/lib/docker/evil")
    assert goes_on_or_has_ended(glutton)


@inside("writes to her disk as fast as it goes, again and again", holds="a pace: of the disk itself, or of a cgroup out of her reach", at="netcontrol/engine/disk.py:BYTES_A_SECOND", seen="the machine's count of what was written to the disk; bob, who works meanwhile")
@pytest.mark.skipif(not disk.possible(), reason="hosts have no disk of their own where there are no loop devices")
def writes_without_end(glutton, bob):
    count = Path("/sys/block", Path(this_engine().disks.device(glutton.dock.name)).name, "stat")
    written = lambda: int(count.read_text().split()[6]) * 512  # noqa: E731  Documentation/block/stat.rst
    began = written()
    with while_it_runs(glutton, "write", "while :; do dd if=/dev/zero of=/root/evil bs=1M count=100 conv=fsync; done", lambda: written() - began > 20 << 20):
        at, before = time.monotonic(), written()
        assert bob_works(bob)
        time.sleep(max(0, 2 - (time.monotonic() - at)))
        assert written() - before < 1.25 * disk.BYTES_A_SECOND * (time.monotonic() - at) + (16 << 20)
    glutton.forces("rm -f /root/evil")
    assert goes_on_or_has_ended(glutton)


@inside("fills her root folder, and what the lab put into it (/etc/hosts and the like), by size and by number of files", holds="a host's root layer is a small filesystem of its own, set aside from the start", at="netcontrol/engine/disk.py:class Disks", seen="the machine: what is free beside it, before and after; bob, who still writes")
def fills_her_root(lab, guests, bob):
    glutton = started(guests())
    beside = [settings.RUN / "data", settings.VAR]
    free = [os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize for folder in beside]
    inodes = os.statvfs(beside[0]).f_favail
    written = glutton.tries(f"for f in /etc/hosts /etc/resolv.conf /etc/hostname /root/evil; do fallocate -l {settings.HOST_DISK_MIB // 2}M $f; done; mkdir /root/many; cd /root/many; python3 -c \"\nfor n in range(200000): open(str(n), 'w')\"", 90)

    def held() -> bool:  # refused at once, or ended by the watch where a machine has no loop devices
        return "No space" in written.out or not machine.runs(glutton.container)

    lab.until(held, 40, "an end of the host that wrote more than its share")
    for folder, before in zip(beside, free):
        assert before - os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize < (settings.HOST_DISK_MIB << 20) + (256 << 20)
    assert inodes - os.statvfs(beside[0]).f_favail < 100_000
    assert bob.tries("head -c 10000000 /dev/zero > /root/mine && rm /root/mine").code == 0
