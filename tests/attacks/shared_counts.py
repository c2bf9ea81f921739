"""Use up what the kernel counts for all students together.

All hosts' ids have one owner outside, so whatever the kernel counts by owner or for the whole machine is shared. In each attack alice
takes as much as she gets, and bob then needs a little. Must not know the limits.
"""
import resource
from contextlib import contextmanager, suppress

import pytest

from netcontrol.engine import this_daemon
from tests.driving import next_state

from . import machine
from .catalogue import control, inside
from .student import CALLS

SYSCTLS = "netcontrol/engine/machine.py:SYSCTLS"

# What is taken: (alice's program, which takes until it is refused or has ENOUGH; bob's, which fails when there is none left)
COUNTS = {
    "inotify instances": ("take(lambda: libc.inotify_init1(0), 15000)", "assert libc.inotify_init1(0) >= 0 and libc.inotify_add_watch(libc.inotify_init1(0), b'/root', 2) >= 0"),
    "inotify watches": ("fd = libc.inotify_init1(0)\nos.makedirs('/run/w', exist_ok=True)\ndef one():\n global n; n += 1; p = '/run/w/%d' % n; open(p, 'w').close(); return libc.inotify_add_watch(fd, p.encode(), 2)\ntake(one, 20000)", "fd = libc.inotify_init1(0); assert all(libc.inotify_add_watch(fd, p.encode(), 2) > 0 for p in ('/root', '/etc', '/run', '/usr', '/var'))"),
    "fanotify groups": ("take(lambda: libc.fanotify_init(0x200 | 0x400, 0), 2000)", "assert libc.fanotify_init(0x200, 0) >= 0"),
    "epoll watches": ("r, w = os.pipe()\nimport select\neps = []\ndef one():\n e = select.epoll(); eps.append(e); e.register(r, 1); return e.fileno()\ntake(one, 15000)", "import select; e = select.epoll(); e.register(os.pipe()[0], 1)"),
    "pipe buffers": ("import fcntl\ndef one():\n r, w = os.pipe(); fcntl.fcntl(w, 1031, 65536); return w if fcntl.fcntl(w, 1032) >= 65536 else -1\ntake(one, 8000)", "import fcntl; r, w = os.pipe(); size = fcntl.fcntl(w, 1032); assert size >= 65536, size"),
    "message queues": ("def one():\n global n; n += 1; return call(240, b'evil%d' % n, 0o102, 0o600, struct.pack('<8q', 0, 10, 8192, 0, 0, 0, 0, 0))\ntake(one, 500)", "assert call(240, b'bobs', 0o102, 0o600, struct.pack('<8q', 0, 10, 1024, 0, 0, 0, 0, 0)) >= 0; call(241, b'bobs')"),
    "timers": ("buf = ctypes.create_string_buffer(8)\ntake(lambda: call(222, 1, None, buf), 50000)", "buf = ctypes.create_string_buffer(8); got = call(222, 1, None, buf); assert got == 0, got"),
    "asynchronous I/O": ("buf = ctypes.create_string_buffer(8)\ndef one():\n buf[:] = bytes(8); return call(206, 1000, buf)\ntake(one, 500)", "buf = ctypes.create_string_buffer(8); got = call(206, 128, buf); assert got == 0, got"),
    "terminals": ("take(lambda: os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY), 5000)", "import pty; pty.openpty()"),
    "namespaces": ("def one():\n if call(272, 0x08000000 | 0x04000000) < 0: return -1\n return os.open('/proc/self/ns/ipc', os.O_RDONLY)\ntake(one, 3000)", "assert call(272, 0x10000000) == 0 and call(272, 0x40000000 | 0x00020000) == 0"),
    "network namespaces": ("def one():\n if call(272, 0x40000000) < 0: return -1\n return os.open('/proc/self/ns/net', os.O_RDONLY)\ntake(one, 150)", "assert call(272, 0x40000000) == 0"),
    "mounts": ("def one():\n global n; n += 1; os.makedirs('/run/m/%d' % n, exist_ok=True); return libc.mount(b'none', b'/run/m/%d' % n, b'tmpfs', 0, b'size=4k,nr_inodes=2')\ncall(272, 0x00020000)\ntake(one, 3000)", "import subprocess; subprocess.run('unshare -m mount -t tmpfs none /mnt', shell=True, check=True)"),
    "locked memory": ("import mmap\nmaps = []\ndef one():\n m = mmap.mmap(-1, 1 << 16); maps.append(m); a = ctypes.addressof(ctypes.c_char.from_buffer(m)); return libc.mlock(ctypes.c_void_p(a), 1 << 16)\ntake(one, 3000)", "import mmap; m = mmap.mmap(-1, 4096); assert libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), 4096) == 0"),
    "file locks": ("import fcntl\nf = open('/run/locks', 'w')\ndef one():\n global n; n += 1; fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * n); return 0\ntake(one, 3000)", "import fcntl; fcntl.lockf(open('/run/mine', 'w'), fcntl.LOCK_EX)"),
    "shared memory segments": ("take(lambda: call(29, 0, 4096, 0o1600), 5000)", "id = call(29, 0, 4096, 0o1600); assert id >= 0; call(31, id, 0, None)"),
    "processes and threads": ("import threading\nstop = threading.Event()\ndef one():\n threading.Thread(target=stop.wait, daemon=True).start(); return 0\nthreading.stack_size(65536)\ntake(one, 900)", "import threading; t = [threading.Thread(target=print) for _ in range(50)]; [x.start() for x in t]"),
    "open files": ("take(lambda: os.dup(0), 16000)", "assert len([os.dup(0) for _ in range(500)]) == 500"),
}  # fmt: skip
SIGNALS = ("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [40])\ninfo = ctypes.create_string_buffer(struct.pack('<iii', 40, 0, -1), 128)\ntake(lambda: call(129, os.getpid(), 40, info), 200000)", "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [40]); info = ctypes.create_string_buffer(struct.pack('<iii', 40, 0, -1), 128); got = call(129, os.getpid(), 40, info); assert got == 0, got")  # fmt: skip
IN_FLIGHT = (
    "import array\npairs = []\ndef one():\n a, b = socket.socketpair(); pairs.append((a, b)); a.setblocking(False)\n for _ in range(200): a.sendmsg([b'x'], [(1, 1, array.array('i', [a.fileno()] * 253))])\n return 0\ntake(one, 40)",
    "import array; a, b = socket.socketpair(); a.sendmsg([b'x'], [(1, 1, array.array('i', [0]))])",
)  # fmt: skip

TAKE = """
import resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
n, held, why = 0, [], 'enough'
def take(one, enough):
    global why
    for _ in range(enough):
        try: got = one()
        except (OSError, RuntimeError) as no: why = str(no); break
        if got < 0: why = 'refused'; break
        held.append(got)
"""


@contextmanager
def taken(alice, takes: str):
    """Alice holds as much of it as she gets. Yields what she says of it: how much, and why no more."""
    said = machine.root(alice) / "run" / "taken"
    said.unlink(missing_ok=True)
    source = f"import ctypes, errno\n{TAKE}\n{takes}\nprint(len(held), why, file=open('/run/taken.new', 'w')); os.rename('/run/taken.new', '/run/taken'); time.sleep(60)"
    alice.tries(f"cat > /run/take.py <<'PATCHBAY-END'\n{CALLS}\n{source}\nPATCHBAY-END\nsystemd-run -q --unit=take -p TasksMax=infinity -p LimitNOFILE=16384 python3 /run/take.py; for n in $(seq 300); do [ -s /run/taken ] && break; sleep 0.05; done", 30)
    try:
        yield said.read_text()
    finally:
        with suppress(OSError, EOFError):  # her host may have been ended for it
            alice.tries("systemctl kill -s KILL take; while systemctl -q is-active take; do sleep 0.05; done; systemctl reset-failed take; umount /run/m/* ; rm -rf /run/w /run/m /run/locks; ipcrm -a", 60)


def gets_some(bob, needs: str) -> bool:
    return bob.python(f"{needs}\nprint('GOT')").words[-1:] == ["GOT"]


def bob_gets_some(bob, needs: str) -> None:
    assert gets_some(bob, needs), needs


@control("bob takes some of each while nobody else does")
def bob_gets_what_he_needs(bob):
    for _, needs in [*COUNTS.values(), SIGNALS, IN_FLIGHT]:
        bob_gets_some(bob, needs)


@inside("takes all that she gets of what is counted by owner or for the machine, 17 kinds from inotify to threads", holds="the machine's settings are raised until each host's memory and processes bound these first", at=SYSCTLS, seen="bob, who needs some of it and gets it")
@pytest.mark.parametrize("what", COUNTS)
def takes_all(alice, bob, what):
    takes, needs = COUNTS[what]
    with taken(alice, takes) as said:
        print(what, said)
        assert int(said.split()[0]) > 0, said
        bob_gets_some(bob, needs)


@inside("has as many signals pending as she may", holds="the engine, whose limit counts for all hosts together, has none", at="netcontrol/engine/machine.py:lift_limits", seen="bob, whose signals arrive")
def has_signals_pending(alice, bob):
    (engine, *_) = this_daemon().processes("dockerd")
    if resource.prlimit(engine, resource.RLIMIT_SIGPENDING)[1] != resource.RLIM_INFINITY:
        pytest.skip("the root of this machine is itself confined, and may not lift limits: docs/security.md")
    with taken(alice, SIGNALS[0]):
        bob_gets_some(bob, SIGNALS[1])


@inside("has 16,384 files under way in sockets, the most for all that have one owner", holds="the reaper, which tries whether hosts can still hand a file over, and ends who keeps them from it", at="netcontrol/engine/flights.py:held_up", seen="the page of who did it, and bob, who can again")
def has_files_under_way(lab, mallory, bob):
    mallory.guest.dial()
    with taken(mallory, IN_FLIGHT[0]):
        assert "files under way" in next_state(mallory.guest, "ended", 40)["why"]
        lab.until(lambda: gets_some(bob, IN_FLIGHT[1]), what="the end of what held bob up")
