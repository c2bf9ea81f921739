"""Raise one's limits.

Must not know how much is enough. Using up what there is within them is exhaustion.py's.
"""
import resource
from contextlib import suppress
from pathlib import Path

from . import machine
from .catalogue import control, inside
from .student import CGROUPS

RUNTIME = "netcontrol/engine/lab-runc:chown"
HOST = "netcontrol/engine/host.py"
V2 = (CGROUPS / "cgroup.controllers").exists()
CONTROLLERS = ("memory",) if V2 else ("memory", "pids", "cpu", "cpuset", "devices", "blkio", "freezer")


def limit_files(student) -> dict[str, str]:
    """The files of the host's cgroup that the machine's root could write, save for who is in it, and whose turn it is (turns.py writes that)."""
    found = {}
    for controller in CONTROLLERS:
        for file in student.cgroup(controller).iterdir():
            if file.is_file() and file.stat().st_mode & 0o200 and file.name not in ("cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control", "memory.force_empty", "cpu.idle", "cpu.shares", "cpu.weight", "cpu.weight.nice") and "usage" not in file.name:
                with suppress(OSError):
                    found[f"{controller}/{file.name}"] = file.read_text()
    return found


@control("a limit of a group that she made below her own: she sets it, and takes it off")
def her_own_groups_obey(alice):
    tried = alice.tries("d=/sys/fs/cgroup/pids; [ -d $d ] || d=/sys/fs/cgroup; mkdir -p $d/evil; echo 5 > $d/evil/pids.max && cat $d/evil/pids.max; echo max > $d/evil/pids.max && cat $d/evil/pids.max; rmdir $d/evil")
    assert tried.words == ["5", "max"], tried


@inside("writes every file of her cgroups, changes their owner and mode, renames and removes them", holds="the folder is hers, the limit files are the machine's root's", at=RUNTIME, seen="the machine: each limit of the host, before and after")
def writes_limit_files(alice):
    before = limit_files(alice)
    assert any("max" in name or "limit" in name for name in before)
    tried = alice.tries("""
for f in $(find /sys/fs/cgroup/* -maxdepth 1 -type f ! -name 'cgroup.*' ! -name tasks ! -name '*.state'); do
  chown 0 $f; chmod 666 $f; for v in max -1 99999999999 'a *:* rwm' 0-99; do sh -c "echo '$v' > $f" 2>/dev/null && echo "WROTE $f"; done; rm -f $f
done 2>&1 | grep WROTE
for d in /sys/fs/cgroup/*/; do mv $d ${d%/}.old; rmdir $d; done 2>/dev/null""")
    assert not [line for line in tried.out.splitlines() if "WROTE" in line and "slice" not in line], tried
    assert limit_files(alice) == before


@inside("moves her programs out of her cgroup: to a parent, a sibling, the root, by a cgroup filesystem of her own", holds="a cgroup namespace: the host's group is the root of all that she sees", at=f"{HOST}:CgroupnsMode", seen="the machine's /proc/<pid>/cgroup for each process of the host's PID namespace")
def leaves_her_cgroup(alice):
    alice.tries("""
sleep 30 & p=$!
for way in '' 'unshare -C' 'unshare -UrmC' 'unshare -mC'; do $way sh -c '
  mkdir -p /tmp/cg; for c in pids memory cpu devices name=systemd; do mount -t cgroup -o $c none /tmp/cg || mount -t cgroup2 none /tmp/cg; for d in /tmp/cg /tmp/cg/.. /tmp/cg/docker /sys/fs/cgroup/$c/..; do echo '$p' > $d/cgroup.procs; done; umount /tmp/cg; done'; done""")
    try:
        space = (Path("/proc") / str(alice.pid) / "ns" / "pid").readlink()
        seen = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "ns" / "pid").readlink() == space:
                    groups = [line.split(":", 2) for line in (process / "cgroup").read_text().splitlines()]
                    outside = [group for group in groups if (V2 or group[1] in CONTROLLERS) and alice.container not in group[2]]
                    assert outside == [], (process, outside)
                    seen += 1
        assert seen > 5
    finally:
        alice.tries("pkill sleep")


@inside("raises her limits of open files, processes, memory locks and priorities (rlimit)", holds="above the hard limit only the machine's root may go", at=f"{HOST}:Ulimit", seen="the machine's /proc/<pid>/limits of a program of hers")
def raises_rlimits(alice):
    nofile = alice.tries("ulimit -Hn").words[0]
    tried = alice.python("""
import resource, subprocess
for name in (n for n in dir(resource) if n.startswith('RLIMIT_')):
    which = getattr(resource, name)
    hard = resource.getrlimit(which)[1]
    if hard in (resource.RLIM_INFINITY,): continue
    for want in (resource.RLIM_INFINITY, hard * 2 + 1):
        try: resource.prlimit(0, which, (want, want)); print('RAISED', name)
        except (OSError, ValueError): pass
subprocess.Popen(['sleep', '31'], start_new_session=True)
""")
    try:
        assert "RAISED" not in tried.words, tried
        (sleeper,) = [p for p in machine.processes(alice) if b"sleep\x0031" in (p / "cmdline").read_bytes()]
        assert resource.prlimit(int(sleeper.name), resource.RLIMIT_NOFILE)[1] == int(nofile) <= 16384
    finally:
        alice.tries("pkill sleep")


@inside("takes the processor from others: real-time scheduling, negative nice, I/O priority", holds="these ask for the machine's right; the CPU limit is the cgroup's", at=f"{HOST}:cpu_quota", seen="the machine's scheduler: policy and nice of each process of the host; the quota")
def takes_the_processor(alice):
    tried = alice.tries("chrt -f 99 sleep 32 & chrt -r 99 sleep 32 & chrt -d -T 900000 -D 1000000 -P 1000000 0 sleep 32 & nice -n -20 sleep 32 & ionice -c1 -n0 sleep 32 & sleep 0.5; for p in 1 $$; do renice -20 $p; chrt -f -p 99 $p; done")
    try:
        for process in machine.processes(alice):
            with suppress(OSError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                nice, policy = int(fields[16]), int(fields[38])
                assert nice >= 0 and policy in (0, 3, 5), (process, nice, policy, tried)
        if V2:
            assert (alice.cgroup("cpu") / "cpu.max").read_text().split() == ["100000", "100000"]
        else:
            assert (alice.cgroup("cpu") / "cpu.cfs_quota_us").read_text().strip() == "100000"
    finally:
        alice.tries("pkill sleep")


@inside("saves her programs from the machine's out-of-memory killer", holds="below the host's own value only the machine's root may go", at=f"{HOST}:mem_limit", seen="the machine's oom_score_adj of each process of the host")
def hides_from_the_oom_killer(alice):
    alice.tries("sleep 33 & for p in 1 $$ $!; do for v in -1000 -1 -999; do echo $v > /proc/$p/oom_score_adj; done; done")
    try:
        values = []
        for process in machine.processes(alice):
            with suppress(OSError):
                values.append(int((process / "oom_score_adj").read_text()))
        assert len(values) > 5 and min(values) >= 0
    finally:
        alice.tries("pkill sleep")


@inside("gives an inner container more than the host has: memory, processes, CPUs, devices, privileges", holds="an inner container's groups lie below the host's, which bounds them", at=RUNTIME, seen="the machine: the host's limits; a device that the inner container does not get")
def gives_a_container_more(alice):
    before = limit_files(alice)
    tried = alice.tries("docker run --rm --privileged -m 8g --memory-swap -1 --pids-limit 100000 --cpu-shares 262144 --oom-score-adj -1000 --ulimit nofile=1000000 --device /dev/loop0 busybox true; docker run --rm --privileged --cgroupns host busybox sh -c 'mknod /l b 7 0 && cat /l | head -c1 && echo READ'", 40)
    assert "READ" not in tried.words
    assert limit_files(alice) == before
