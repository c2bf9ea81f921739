"""A key must not wait for the end of somebody's turn. Must not know what a key is."""
import ctypes
import os
import struct

SLICE_NS = 100_000  # the shortest that Linux takes
CALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # of sched_setattr


def come_soon() -> None:
    """Have short turns, this process and those it starts: one that asks for a short turn is given it before the long one of another has ended
    (sched_setattr(2), for ordinary programs since Linux 6.12; ignored before). It takes nobody's share. Where that is forbidden, all stays as it is."""
    call = CALLS.get(os.uname().machine)
    if call:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        ctypes.CDLL(None).syscall(call, 0, struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0), 0)
