"""Keep a host, or something in it, for longer than it is one's own.

Must not know who ends it: the student, the clock and the reaper all come to the same code.
"""
from pathlib import Path

import pytest

from netcontrol.engine import this_engine
from netcontrol.models import Sandbox

from . import machine
from .catalogue import control, inside
from .student import CGROUPS

KILL = "netcontrol/engine/host.py:kill"


def all_is_gone(sandbox, wire: int, container: str) -> bool:
    engine = this_engine()
    return not engine.containers(sandbox) and wire not in engine.wires.existing() and not list(engine.docks.glob(f"{sandbox.hex[:12]}-*")) and container not in Path("/proc/self/mountinfo").read_text()


@control("a host that does nothing of the kind: while it is hers it stays, with its wire and its folder")
def a_host_stays_while_it_is_hers(alice):
    row = Sandbox.objects.get(pk=alice.guest.sandbox)
    assert not all_is_gone(row.pk, row.wire, alice.container) and alice.container in this_engine().containers(row.pk)


WAYS = {
    "freezes itself": "if [ -d /sys/fs/cgroup/freezer ]; then c=/sys/fs/cgroup/freezer; mkdir -p $c/evil/deeper; for p in $(cat $c/cgroup.procs); do [ $p = $$ ] || echo $p > $c/evil/deeper/cgroup.procs; done; : > /run/begun; echo FROZEN > $c/evil/freezer.state; else : > /run/begun; for f in /sys/fs/cgroup/*.slice/cgroup.freeze; do echo 1 > $f; done; fi",
    "forks while it is killed": "cat > /run/forks.py <<'E'\nimport os, signal\nfor n in range(1, 65):\n try: signal.signal(n, signal.SIG_IGN)\n except (OSError, ValueError): pass\nwhile 1:\n try: os.fork() and os._exit(0)\n except OSError: pass\nE\nfor n in $(seq 20); do setsid python3 /run/forks.py & done; : > /run/begun",
    "stops and traces its programs": "sleep 1000 & kill -STOP $!; python3 -c \"\nimport ctypes, os, time\nlibc = ctypes.CDLL(None)\nchild = os.fork()\nif not child: libc.ptrace(0, 0, 0, 0); os.kill(os.getpid(), 19)\ntime.sleep(1000)\" & : > /run/begun; kill -STOP 1",
    "hides in namespaces and mounts": "for n in $(seq 5); do unshare -Urmnpf --mount-proc sh -c 'mount --make-rshared /; mkdir -p /run/a; mount -t tmpfs none /run/a; mount --rbind / /run/a; sleep 1000' & done; docker run -d --privileged --restart always busybox sleep 1000; chattr +i /etc/hosts; mount --rbind / /mnt; : > /run/begun",
}


@inside("keeps her host when it is ended: frozen, forking faster than it dies, stopped and traced, in namespaces and mounts", holds="what is in the host's cgroup or below it is thawed and killed until nothing is left; what is not gone keeps its place and is tried again", at=KILL, seen="the machine: no container, process, wire, folder or mount of it is left")
@pytest.mark.parametrize("way", WAYS)
def keeps_her_host(lab, mallory, way):
    row, container = Sandbox.objects.get(pk=mallory.guest.sandbox), mallory.container
    groups = [group for group in (mallory.cgroup("pids"), mallory.cgroup("freezer"), mallory.cgroup("memory")) if group.exists()]
    assert groups and list(machine.processes(mallory))
    mallory.forces(f"setsid sh -c {quoted(WAYS[way])} > /dev/null 2>&1 &")
    lab.until((machine.root(mallory) / "run" / "begun").exists, 20, "what she does")
    mallory.guest.post("/lab/end")
    lab.until(lambda: all_is_gone(row.pk, row.wire, container), 90, "the end of the host")
    assert [str(group) for group in groups if group.exists() and CGROUPS in group.parents] == []
    assert Sandbox.objects.get(pk=row.pk).state == "ended"


@inside("leaves something for whoever gets a host next: files, rules, programs that start by themselves, images", holds="a host is a new container with a new root layer, its Docker's folder a new tmpfs; a wire is made anew", at="netcontrol/engine/host.py:_create", seen="her next host, in which nothing of it is")
def leaves_something_behind(lab, mallory):
    mallory.forces("echo evil > /evil; echo evil > /etc/systemd/system/evil.service; echo evil >> /etc/hosts; docker run -d --name evil --restart always busybox sleep 1000; nft add table inet evil; ip link add evil0 type dummy; echo 'echo evil' >> /root/.bashrc; echo evil > /var/lib/docker/evil; crontab -l; echo evil > /run/patchbay/evil; sync")
    old = mallory.guest.sandbox
    mallory.guest.post("/lab/reset")

    def another() -> bool:
        mallory.guest.lab()
        mallory.guest.hang_up()
        return mallory.guest.sandbox != old

    lab.until(another, 60, "a new host")
    mallory.__dict__.pop("container", None)
    lab.until(lambda: (mallory.dock / "docker0").exists(), 30, "the new host")
    found = mallory.tries("ls / /etc/systemd/system /run/patchbay /var/lib/docker; cat /etc/hosts /root/.bashrc; docker ps -a; nft list tables; ip -br link")
    assert found.code == 0 and "lab" in found.out and "evil" not in found.out, found


def quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
