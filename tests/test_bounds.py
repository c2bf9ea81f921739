"""What a student cannot use up: disk, kernel memory that no cgroup is charged for, what there is once on a machine. Seen from the machine and from a classmate."""
import os
from contextlib import ExitStack

import pytest

from labsite.client import Guest
from netcontrol.engine import groups, this_daemon, this_engine
from netcontrol.engine.rings import Host

from .conftest import LESSON
from .driving import lab_of, next_state
from .inside import in_host


@pytest.fixture(scope="module")
def pair(lab):
    """Mallory, who tries, and Bob, who must not notice."""
    with ExitStack() as stack:
        yield tuple(lab_of(stack.enter_context(Guest(lab.url, LESSON))) for _ in range(2))


def unpromised_mib() -> int:
    """What is left of the engine's disk, with the disks of hosts added again: others come and go meanwhile."""
    space, disks = os.statvfs(this_daemon().data), this_engine().disks
    assert disks
    return space.f_bavail * space.f_frsize // 1024**2 + len(disks.existing()) * disks.mib


FILL = {
    "a file": "head -c 3G /dev/zero > /root/big",
    "a file that is open and has no name": "exec 3> /root/big; rm /root/big; head -c 3G /dev/zero >&3",
    "the engine's own files": "for f in hosts hostname resolv.conf; do cat /etc/$f > /root/$f; head -c 3G /dev/zero >> /etc/$f; done",
    "empty files": "mkdir -p /root/big; python3 -c 'for n in range(200_000): open(f\"/root/big/{n}\", \"w\").close()'",
}
TIDY = "rm -rf /root/big; for f in hosts hostname resolv.conf; do [ ! -f /root/$f ] || { cat /root/$f > /etc/$f; rm /root/$f; }; done"


@pytest.mark.parametrize("what", FILL)
def test_a_host_fills_its_own_disk_only(pair, what):
    mallory, bob = pair
    before = unpromised_mib()
    said = in_host(mallory, f"({FILL[what]}) 2>&1; df -m --output=size / | tail -n 1", seconds=100).decode()
    assert "No space left on device" in said and int(said.split()[-1]) < 1100, said
    assert unpromised_mib() > before - 100, "what was promised to others was taken"
    in_host(bob, "head -c 100M /dev/zero > /root/mine; sync /root/mine; rm /root/mine")
    assert in_host(mallory, "docker ps -q; echo works") == b"works\n"
    in_host(mallory, TIDY)


RINGS = """
import ctypes, socket, struct
libc, held = ctypes.CDLL(None, use_errno=True), []
def ring(level, name, mib):
    held.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    request = struct.pack("=IIII", 1 << 20, mib, 2048, mib * 512)
    return libc.syscall(54, held[-1].fileno(), ctypes.c_ulong(level), ctypes.c_ulong(name), request, 16) == 0
got = sum(ring(263 | high, name, 4) for high in (0, 1 << 32) for name in (5, 13, 5 | 1 << 40, 13 | 1 << 40) for _ in range(8))
libc.unshare(0x40000000)
got += sum(ring(263, 5, 4) for _ in range(8))
print(got)
"""


def test_packet_rings_have_a_bound(pair):
    """In all namespaces together, whatever stands in the upper halves of the numbers."""
    mallory, bob = pair
    got = int(in_host(mallory, f"python3 -c '{RINGS}'", seconds=60))
    assert 0 < got * 4 << 20 <= Host.bound, got
    watch = "timeout 20 tcpdump -c 1 -ni lo icmp & sleep 1; ping -c 3 -i 0.5 127.0.0.1 > /dev/null; wait $!"
    for guest in (mallory, bob):  # her rings went with her program
        assert b"echo request" in in_host(guest, watch, seconds=30)
    assert b"echo request" in in_host(bob, f"docker run --rm nettools sh -c '{watch}'", seconds=60)


@pytest.mark.parametrize("family", ["AF_ALG", "AF_VSOCK"])
def test_sockets_of_other_families_are_refused(pair, family):
    said = in_host(pair[0], f"python3 -c 'import socket; socket.socket(socket.{family}, socket.SOCK_STREAM)' 2>&1 || true")
    assert b"Address family not supported" in said or b"Operation not permitted" in said


def test_a_host_that_makes_thousands_of_cgroups_is_ended(lab, guests):
    """A machine has room for 65535, and a host's memory for more than that."""
    mallory = guests()
    mallory.start()
    mallory.lab()
    before = groups.in_use()
    many = groups.ROOM // 8 - before + 500
    in_host(mallory, f"cd /sys/fs/cgroup/memory 2> /dev/null || cd /sys/fs/cgroup; python3 -c 'import os\nfor n in range({many}): os.mkdir(f\"x{{n}}\")'", seconds=60)
    assert "cgroups" in next_state(mallory, "ended", 40)["why"]
    lab.until(lambda: not this_engine().containers(mallory.sandbox), 60, "the end of that host")
    lab.until(lambda: groups.in_use() < before + 200, 30, "the end of its cgroups")
