"""The rings program: says of each host how much memory its packet rings may take. Standard library only; must not know the lab.

A packet ring (`man 7 packet`: PACKET_RX_RING, what tcpdump reads from) is memory of the kernel, up to 4 GiB a socket, that no cgroup is charged
for. The hosts' seccomp profile stops a call that asks for one; runc gave us the other end of that (`man 2 seccomp_unotify`). Within the
host's bound we make the call ourselves, on a copy of the socket and with the numbers that we read: there is nothing left to swap.
Beyond it the answer is ENOMEM, at which libpcap asks for less. When this program is gone the kernel answers ENOSYS.
"""
import ctypes
import errno
import fcntl
import json
import os
import re
import select
import socket
import struct
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

PAUSE = 0.02  # s between two answers to one host: who asks in a loop waits in their own time
SOL_PACKET, PACKET_RX_RING = 263, 5
REQUEST = 28  # bytes of the longest tpacket_req

NOTIFICATION, ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
RECEIVE, SEND, STILL_THERE = 0xC0502100, 0xC0182101, 0x40082102
PIDFD_GETFD, PIDFD_THREAD = 438, os.O_EXCL
libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """What one host holds: a number of bytes for each socket that is still open, whoever has it now.

    A poll set keeps no file open, and forgets a file when its last holder does. So its own list tells which sockets live.
    """

    bound = 32 << 20  # tcpdump takes 2 MiB
    least = 256 << 10  # that a ring counts for: the kernel keeps more about it than its pages

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sockets = select.epoll()
        self.bytes: dict[int, int] = {}  # by inode

    def held(self) -> int:
        with open(f"/proc/self/fdinfo/{self.sockets.fileno()}") as info:
            alive = {int(inode, 16) for inode in re.findall(r"ino:([0-9a-f]+)", info.read())}
        self.bytes = {inode: size for inode, size in self.bytes.items() if inode in alive}
        return sum(self.bytes.values())

    def ring(self, sock: socket.socket, request: bytes) -> None:
        """Give it the ring that it asks for. Raises OSError when it does not get it."""
        block_size, blocks = struct.unpack_from("=II", request.ljust(8, b"\0"))
        inode, size = os.fstat(sock.fileno()).st_ino, max(block_size * blocks, self.least)
        with self.lock:
            if blocks and self.held() + size > self.bound:
                raise OSError(errno.ENOMEM, "the host's rings are full")
            with suppress(FileExistsError):
                self.sockets.register(sock.fileno(), 0)
            sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self.bytes[inode] = size if blocks else 0


def answer(host: Host, listener: int) -> None:
    """Take one call that was stopped, and say how it ended."""
    notification = bytearray(NOTIFICATION.size)
    fcntl.ioctl(listener, RECEIVE, notification)
    call, thread, _, _, _, _, fd, _, _, address, length, _ = NOTIFICATION.unpack(notification)
    error = 0
    try:
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory, closing(socket_of(thread, fd)) as sock:
            fcntl.ioctl(listener, STILL_THERE, struct.pack("=Q", call))  # what was opened is the caller's, not of one who got its number
            host.ring(sock, read(memory.fileno(), address, min(length & 0xFFFFFFFF, REQUEST)))
    except OSError as no:
        error = no.errno or errno.EFAULT
    fcntl.ioctl(listener, SEND, bytearray(ANSWER.pack(call, 0, -error, 0)))


def read(memory: int, address: int, length: int) -> bytes:
    try:
        return os.pread(memory, length, address)
    except (OSError, OverflowError) as no:
        raise OSError(errno.EFAULT, "not the caller's memory") from no


def socket_of(thread: int, fd: int) -> socket.socket:
    """A copy of the caller's socket. Raises OSError when it is none."""
    try:
        process = os.pidfd_open(thread, PIDFD_THREAD)
    except OSError:  # before Linux 6.9: of the whole process
        with open(f"/proc/{thread}/status") as status:
            process = os.pidfd_open(int(re.search(r"Tgid:\s+(\d+)", status.read())[1]))  # type: ignore[index]
    try:
        copy = libc.syscall(PIDFD_GETFD, process, ctypes.c_int(fd & 0xFFFFFFFF), 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "no such socket")
    finally:
        os.close(process)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


class Rings:
    def __init__(self) -> None:
        self.hosts: dict[str, tuple[Host, int]] = {}  # with the number of its listeners
        self.lock = threading.Lock()

    def take(self, connection: socket.socket) -> None:
        """What runc tells of a container's process before it runs: which container, and our end of its filter."""
        with connection:
            connection.settimeout(5)
            words, fds, _, _ = socket.recv_fds(connection, 65536, 1)
            while more := connection.recv(65536):
                words += more
        host = json.loads(words)["state"]["id"]
        threading.Thread(target=self.watch, args=(host, fds[0]), daemon=True).start()

    def watch(self, name: str, listener: int) -> None:
        """Answer until the last process behind this filter has ended. A thread for each: a host that keeps us waiting waits alone."""
        with self.lock:
            host, listeners = self.hosts.get(name) or (Host(), 0)
            self.hosts[name] = host, listeners + 1
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        try:
            while poll.poll()[0][1] == select.POLLIN:
                with suppress(FileNotFoundError):  # the caller was killed meanwhile
                    answer(host, listener)
                time.sleep(PAUSE)
        finally:
            os.close(listener)
            with self.lock:
                host, listeners = self.hosts.pop(name)
                if listeners > 1:
                    self.hosts[name] = host, listeners - 1
                else:
                    host.sockets.close()


def serve(path: str) -> None:
    Path(path).unlink(missing_ok=True)
    os.umask(0o177)
    rings, listener = Rings(), socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        try:
            rings.take(connection)
        except (OSError, ValueError, LookupError) as odd:
            print(f"a container was not understood: {odd!r}", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
