"""The rings program: what it counts, and a real process behind a real filter, without a container. No packet is caught."""
import errno
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from netcontrol.engine import rings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need root")
MIB = 1 << 20


def request(mib: int) -> bytes:
    return struct.pack("=IIII", MIB, mib, 2048, mib * 512)


@pytest.fixture
def host():
    made = rings.Host()
    yield made
    made.sockets.close()


def packet_socket() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # of no protocol: it sees nothing


def full(host: rings.Host, sock: socket.socket, mib: int) -> bool:
    try:
        host.ring(sock, request(mib))
    except OSError as no:
        assert no.errno == errno.ENOMEM
        return True
    return False


def test_rings_count_as_long_as_somebody_has_the_socket(host):
    one, other = packet_socket(), packet_socket()
    host.ring(one, request(30))
    assert host.held() == 30 * MIB and full(host, other, 3)
    copy = os.dup(one.fileno())
    one.close()
    assert full(host, other, 3), "it is open still"
    os.close(copy)
    assert host.held() == 0
    host.ring(other, request(32))
    other.close()


def test_a_ring_that_was_given_back_does_not_count(host):
    with packet_socket() as sock:
        host.ring(sock, request(20))
        host.ring(sock, struct.pack("=IIII", 0, 0, 0, 0))
        assert host.held() == 0
        host.ring(sock, request(20))


def test_small_rings_count_for_what_surrounds_them(host):
    made = []
    for _ in range(rings.Host.bound // rings.Host.least):
        made.append(packet_socket())
        host.ring(made[-1], struct.pack("=IIII", 4096, 1, 2048, 2))
    with packet_socket() as one_more:
        assert full(host, one_more, 1)
    for sock in made:
        sock.close()


def test_what_the_kernel_refuses_does_not_count(host):
    with packet_socket() as sock, pytest.raises(OSError, match="Invalid argument"):
        host.ring(sock, struct.pack("=IIII", 1000, 1, 17, 1))
    with socket.socketpair()[0] as other, pytest.raises(OSError):
        host.ring(other, request(1))
    assert host.held() == 0


# Does what runc does for a container, and then what a student does in one: `ring MIB`, `close`, `nowhere`, `nosocket`.
STUDENT = r"""
import ctypes, errno, json, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
code = [(0x20, 0, 0, 0), (0x15, 0, 5, 54), (0x20, 0, 0, 24), (0x15, 0, 3, 263), (0x20, 0, 0, 32), (0x15, 0, 1, 5), (6, 0, 0, 0x7FC00000), (6, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
listener = libc.syscall(317, 1, 8, struct.pack("@HP", len(code), ctypes.addressof(program)))
assert listener >= 0, ctypes.get_errno()
with socket.socket(socket.AF_UNIX) as rings:
    rings.connect(sys.argv[1])
    socket.send_fds(rings, [json.dumps({"fds": ["seccompFd"], "state": {"id": sys.argv[2]}}).encode()], [listener])
import os; os.close(listener)
open_now = []
def call(fd, address, length=16):
    done = libc.syscall(54, fd, ctypes.c_ulong(263), ctypes.c_ulong(5), address, length)
    return "done" if done == 0 else errno.errorcode[ctypes.get_errno()]
print("ready", flush=True)
for line in sys.stdin:
    word, *mib = line.split()
    if word == "close":
        while open_now: open_now.pop().close()
        print("closed", flush=True)
        continue
    open_now.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    if word == "ring": print(call(open_now[-1].fileno(), struct.pack("=IIII", 1 << 20, int(mib[0]), 2048, int(mib[0]) * 512)), flush=True)
    if word == "nowhere": print(call(open_now[-1].fileno(), 8), flush=True)
    if word == "nosocket": print(call(0, struct.pack("=IIII", 1 << 20, 1, 2048, 512)), flush=True)
"""


@pytest.fixture
def program(tmp_path):
    """The rings program, and `start(name)`: a process in the container of that name, which is told a word and answers with one."""
    path, started = tmp_path / "rings.sock", []

    def run(*argv: str) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-IS", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    server = run(rings.__file__, str(path))
    end = time.monotonic() + 10
    while True:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            break
        assert time.monotonic() < end, "the rings program did not start"
        time.sleep(0.02)
    assert path.stat().st_mode & 0o777 == 0o600

    def start(name: str):
        student = run("-c", STUDENT, str(path), name)
        assert student.stdout.readline() == "ready\n"

        def tell(words: str) -> str:
            student.stdin.write(words + "\n")
            student.stdin.flush()
            return student.stdout.readline().strip()

        return tell

    yield server, start
    for process in started:
        process.kill()
        process.wait(timeout=5)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.skipif(not Path("/proc/sys/kernel/seccomp").exists() or os.uname().machine != "x86_64", reason="the filter above is written for x86-64")
def test_a_host_gets_its_bound_and_no_more(program):
    server, start = program
    alice, again, bob = start("alice"), start("alice"), start("bob")
    assert alice("ring 20") == "done"
    assert alice("ring 20") == "ENOMEM" and again("ring 20") == "ENOMEM", "one bound for all processes of a host"
    assert bob("ring 20") == "done", "and another for another host"
    assert alice("close") == "closed" and again("ring 20") == "done"
    assert alice("nowhere") == "EFAULT" and alice("nosocket") == "ENOTSOCK" and alice("ring 2") == "done"
    server.kill()
    server.wait(timeout=5)
    assert alice("ring 1") == "ENOSYS", "without the program nobody gets a ring, and nobody waits"
