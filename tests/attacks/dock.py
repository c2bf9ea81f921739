"""Trick the worker through the agent's socket and its folder.

The folder is the host's root's to write. Must not know frames: those are replies.py's.
"""
import asyncio
import os
import stat
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from netcontrol.agent.protocol import BadFrame
from netcontrol.dial import DIAL_SECONDS, execute, open_socket
from netcontrol.engine import this_engine
from netcontrol.models import Sandbox

from . import machine
from .catalogue import control, inside

OPEN = "netcontrol/dial.py:open_socket"
MADE = "netcontrol/engine/host.py:_make_dock"


@contextmanager
def instead(student, script: str):
    """The agent's socket stands aside while this lies in its place."""
    student.forces(f"cd /run/patchbay && mv agent.sock aside && {script}")
    try:
        yield
    finally:
        student.forces("cd /run/patchbay && rm -rf agent.sock && mv aside agent.sock")


@control("dials a decoy in the ordinary way: it notices")
def a_decoy_notices(lab, tmp_path):
    with machine.Decoy(settings.RUN / "decoy.sock") as decoy:
        (tmp_path / "link").symlink_to(decoy.path)
        asyncio.run(asyncio.open_unix_connection(str(tmp_path / "link")))
        assert decoy.visitors() == 1


@inside("puts a link to a socket of the machine's in the place of the agent's", holds="the socket is opened without following links, checked, and dialled by its descriptor", at=OPEN, seen="a decoy beside Redis' and the engine's sockets, to which nobody comes")
@pytest.mark.parametrize("way", ["ln -s {} agent.sock", "ln -s /proc/1/root{} agent.sock", "ln -s {} b && ln -s b agent.sock", "mkdir agent.sock && ln -s {} agent.sock/agent.sock"])
def links_to_a_socket(alice, way):
    with machine.Decoy(settings.RUN / "decoy.sock") as decoy, instead(alice, way.format(decoy.path)):
        with pytest.raises(OSError):
            open_socket(alice.dock)
        assert decoy.visitors() == 0
    assert alice.answers()


@inside("puts something in its place that is no socket, or that nobody answers", holds="only a socket is dialled, never waiting", at=OPEN, seen="the worker's own code, which is back in time")
@pytest.mark.parametrize("what", ["mkfifo agent.sock", "touch agent.sock", "mkdir agent.sock", "true", "python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); s.bind('agent.sock')\"", "python3 -c \"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('agent.sock')\""])
def is_no_socket(alice, what):
    began = time.monotonic()
    with instead(alice, what), pytest.raises((OSError, EOFError, BadFrame)):
        asyncio.run(execute(alice.dock, 1, script="true"))
    assert time.monotonic() - began < 1 + DIAL_SECONDS
    assert alice.answers()


@inside("listens there and never takes a call, with its queue full", holds="dialling has an end", at="netcontrol/dial.py:DIAL_SECONDS", seen="the worker's own code, which is back in time")
def never_takes_a_call(alice):
    full = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('agent.sock'); s.listen(0); c = socket.socket(socket.AF_UNIX); c.connect('agent.sock'); open('ready', 'w'); time.sleep(20)"
    with instead(alice, f'systemd-run -q --unit=full --working-directory=/run/patchbay python3 -c "{full}"; for n in $(seq 100); do [ -e ready ] && break; sleep 0.05; done; rm ready'):
        began = time.monotonic()
        with pytest.raises((OSError, EOFError)):
            asyncio.run(execute(alice.dock, 0.2, script="true"))
        assert time.monotonic() - began < 0.2 + DIAL_SECONDS + 1
        alice.forces("systemctl stop full")
    assert alice.answers()


@inside("puts another folder, a link or a mount in the place of the socket's folder", holds="the worker goes by the folder on the machine, which a host cannot move; what it mounts stays in its own namespace", at=MADE, seen="the machine: the folder is the mount that the lab made; a decoy")
def replaces_the_folder(mallory):
    device = mallory.dock.stat().st_dev
    with machine.Decoy(settings.RUN / "decoy.sock") as decoy:
        for way in (
            f"mount -t tmpfs evil /run/patchbay; ln -s {decoy.path} /run/patchbay/agent.sock; mount --make-rshared /; mount --bind /etc /run/patchbay",
            f"umount -l /run/patchbay; umount -l /run/patchbay; umount -l /run/patchbay; rmdir /run/patchbay; ln -s {decoy.path.parent} /run/patchbay; mount --make-rshared /",
        ):
            mallory.forces(way)
            assert stat.S_ISDIR(mallory.dock.lstat().st_mode) and mallory.dock.stat().st_dev == device
            assert asyncio.run(execute(mallory.dock, 5, script="exit 7"))["exit_code"] == 7
        assert (machine.root(mallory) / "run" / "patchbay").is_symlink(), "nothing was replaced"
        assert decoy.visitors() == 0


@inside("fills the folder: a large file, many files, names as long as may be", holds="it is a tmpfs of 64 KiB and 32 files", at=MADE, seen="the machine: the folder's own size, and that of /run beside it")
def fills_the_folder(alice):
    before = os.statvfs(settings.DOCKS).f_bavail
    alice.python("print(libc.mount(b'none', b'/run/patchbay', None, 32, b'size=1g,nr_inodes=100000'))")
    tried = alice.tries("cd /run/patchbay; mkdir evil; head -c 9000000 /dev/zero > evil/large; for n in $(seq 200); do : > evil/$(printf %0250d $n); done; mount -o remount,size=1g,nr_inodes=100000 /run/patchbay; head -c 9000000 /dev/zero >> evil/large; ls evil | wc -l; rm -rf evil")
    assert int(tried.words[-1]) < 32
    room = os.statvfs(alice.dock)
    assert room.f_blocks * room.f_frsize <= 65536 and room.f_files <= 32
    assert abs(os.statvfs(settings.DOCKS).f_bavail - before) < 2**22 // 4096
    assert alice.answers()


@inside("leaves a setuid program, a device and links there for somebody on the machine", holds="nosuid, nodev, noexec, set from outside; the owner is a subordinate id", at=MADE, seen="the machine: the mount's flags and who owns the file")
def leaves_a_trap(alice):
    alice.python("print(libc.mount(None, b'/run/patchbay', None, 32 | 4096, None), libc.mount(None, b'/run/patchbay', None, 32, None))")
    alice.tries("mount -o remount,suid,dev,exec /run/patchbay; cp /bin/true /run/patchbay/trap; chmod 6777 /run/patchbay/trap; mknod /run/patchbay/disk b 7 0; mknod /run/patchbay/null c 1 3")
    try:
        flags = os.statvfs(alice.dock).f_flag
        assert flags & os.ST_NOSUID and flags & os.ST_NODEV and flags & os.ST_NOEXEC
        assert (alice.dock / "trap").stat().st_uid >= machine.IDS
        with pytest.raises(PermissionError):
            subprocess.run([alice.dock / "trap"], timeout=5)
        assert not (alice.dock / "disk").exists()
    finally:
        alice.tries("rm -f /run/patchbay/trap /run/patchbay/disk /run/patchbay/null")


@inside("has the machine remove what it should not, by links and mounts that lie there when the lab ends", holds="removing follows no link, and unmounts first", at="netcontrol/engine/host.py:_remove_dock", seen="a canary of the machine's, which stays; the folder, which is gone")
def has_others_files_removed(mallory):
    sandbox, dock = mallory.guest.sandbox, mallory.dock
    with machine.Canary(settings.RUN / "canary") as canary:
        mallory.forces(f"cd /run/patchbay; ln -s {settings.RUN} a; ln -s / b; ln -s ../.. c; mkdir d e; mount -t tmpfs none d; mount --bind / e; ln -s {canary.path} f; mkdir -p $(printf 'g\\n\\033[2J'); chmod 0 .")
        mallory.guest.post("/lab/end")
        end = time.monotonic() + 30
        while dock.exists() or this_engine().containers(sandbox):
            assert time.monotonic() < end, "the folder or the host is still there"
            time.sleep(0.1)
        assert canary.path.read_text() == canary.words
    assert str(dock) not in Path("/proc/self/mountinfo").read_text()
    assert Sandbox.objects.get(pk=sandbox).state == "ended"
