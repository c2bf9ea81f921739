"""Run a program that has its turn soon: for what carries keys, beside hosts that keep the machine busy. Standard library only.

    python soon.py PROGRAM ARGUMENT…

A short slice (`sched_setattr(2)`; for ordinary programs since Linux 6.12, ignored before) and a better nice value let it interrupt whoever runs, and
it works for a fraction of a millisecond at a time. Where that is not allowed, the program runs as any other does.
"""
import ctypes
import os
import struct
import sys

NICE = -10
SLICE_NS = 100_000  # the shortest that Linux takes
CALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # of sched_setattr


def soon() -> None:
    call = CALLS.get(os.uname().machine)
    attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, 0, NICE, 0, SLICE_NS, 0, 0)
    if call:
        ctypes.CDLL(None).syscall(call, 0, attributes, 0)


if __name__ == "__main__":
    soon()
    os.execvp(sys.argv[1], sys.argv[1:])
