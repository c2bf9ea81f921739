"""Files under way, on this machine's own kernel, for a user that nobody else is."""
import array
import os
import socket
import subprocess
import sys

import pytest

from netcontrol.engine import flights
from netcontrol.engine.errors import EngineError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user's are tried by root")

NOBODY_ELSE = 3_000_000_017
HOLD = """
import array, os, socket, sys
owner, messages = int(sys.argv[1]), int(sys.argv[2])
os.setresuid(owner, owner, owner)
a, b = socket.socketpair()
for _ in range(messages):
    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 100))])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder():
    with subprocess.Popen([sys.executable, "-IS", "-c", HOLD, str(NOBODY_ELSE), "6"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.stdin.close()


def test_who_has_many_holds_up_all_of_the_same_owner(holder):
    assert flights.held_up(NOBODY_ELSE) and not flights.held_up(NOBODY_ELSE + 1) and not flights.held_up(NOBODY_ELSE, 700)


def test_when_they_are_gone_nobody_is_held_up(holder):
    holder.kill()
    holder.wait(5)
    for _ in range(50):  # the kernel forgets a dead socket's queue a moment later
        if not flights.held_up(NOBODY_ELSE):
            return
    pytest.fail("still held up")


@pytest.fixture
def cgroups(tmp_path):
    (tmp_path / "memory/abc/inner").mkdir(parents=True)
    return tmp_path


def test_it_is_counted_who_has_them(holder, cgroups):
    (cgroups / "memory/abc/inner/cgroup.procs").write_text(f"{holder.pid}\n999999999\n")
    assert flights.of("abc", cgroups) == 600
    assert flights.of("other", cgroups) == 0


def test_a_socket_of_several_processes_counts_once(cgroups):
    a, b = socket.socketpair()
    again = os.dup(b.fileno())
    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 0]))])
    (cgroups / "memory/abc/cgroup.procs").write_text(f"{os.getpid()}\n")
    assert flights.of("abc", cgroups) == 2
    for end in (a, b):
        end.close()
    os.close(again)


def test_what_cannot_be_tried_is_said(monkeypatch):
    monkeypatch.setattr(flights, "TRY", "raise SystemExit('no such user')")
    with pytest.raises(EngineError) as told:
        flights.held_up(NOBODY_ELSE)
    assert "hand files over" in str(told.value) and "no such user" in told.value.what_to_do
