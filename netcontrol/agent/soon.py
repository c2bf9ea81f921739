"""A key must not wait for the end of somebody's turn. Standard library only. Must not know what a key is.

    python soon.py PROGRAM ARGUMENT…     with the better nice value of what carries keys
"""
import ctypes
import os
import struct
import sys

NICE = -10
SLICE_NS = 100_000  # the shortest that Linux takes
CALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # of sched_setattr


def soon(nice: int = 0) -> None:
    """Have short turns, this thread and what it starts: who asks for a short turn is given it before the long one of another has ended
    (sched_setattr(2), for ordinary programs since Linux 6.12; ignored before). Where that or `nice` is forbidden, all stays as it is."""
    call = CALLS.get(os.uname().machine)
    attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
    if call:
        ctypes.CDLL(None).syscall(call, 0, attributes, 0)


if __name__ == "__main__":
    soon(NICE)
    os.execvp(sys.argv[1], sys.argv[1:])
