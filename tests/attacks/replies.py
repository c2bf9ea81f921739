"""Lie to the worker: replies of an agent, a dockerd, an `ip` and a bash that the student wrote.

What each of them may say is in docs/protocol.md. tests/test_hostile.py says more of it, through the page.
"""
import asyncio
import resource
import time
from contextlib import contextmanager

import pytest

from lessons.checks import TYPES
from netcontrol.agent.protocol import BadFrame
from netcontrol.dial import DIAL_SECONDS, execute
from netcontrol.inside import Inside
from netcontrol.models import Command
from tests.page import Page

from .catalogue import control, inside
from .dock import instead

DIAL = "netcontrol/dial.py"

SERVER = r"""
import json, os, socket, struct, sys, threading
def frame(kind, body): return struct.pack('>I', len(body)) + kind + body
def say(**m): return frame(b'J', json.dumps(m).encode())
def done(**more): return say(**{'type': 'execute.done', 'request': '1', 'exit_code': 0, 'timed_out': False, 'truncated': False, 'duration_ms': 1, 'out': '', 'err': '', **more})
SAYS = {
    'as an agent would': lambda: [done(out='aGk=')],
    'noise': lambda: [os.urandom(1 << 16)] * 64,
    'a frame of four gigabytes': lambda: [b'\xff\xff\xff\xffJ' + b'x' * 65536] * 64,
    'a frame that never ends': lambda: [struct.pack('>I', 1 << 20) + b'J'] + [b'x'] * 1000,
    'a hundred megabytes of small frames': lambda: [say(type='taken', id='1-1') * 1000] * 2500,
    'deep JSON': lambda: [frame(b'J', b'[' * 900000)],
    'huge numbers': lambda: [frame(b'J', b'{"type": "execute.done", "duration_ms": ' + b'9' * 900000 + b'}')],
    'NaN and infinity': lambda: [done(duration_ms=float('nan')), done(duration_ms=float('inf'))],
    'the same key a hundred thousand times': lambda: [frame(b'J', b'{' + b'"type": "x",' * 70000 + b'"type": 1}')],
    'other types': lambda: [done(out=['aGk='], exit_code={}, request=None)],
    'exit codes that there are none': lambda: [done(exit_code=10**9)],
    'output that is not base64': lambda: [done(out='\u202e\x00<script>')],
    'more output than may be': lambda: [done(out='QUFB' * (1 << 18))],
    'surrogates that UTF-8 has none of': lambda: [frame(b'J', b'{"type": "execute.refused", "request": "1", "why": "\\ud800\\udfff"}')],
    'another protocol': lambda: [b'HTTP/1.1 302 Found\r\nLocation: http://198.51.100.7/\r\n\r\n'],
}
def serve(connection):
    try:
        connection.recv(65536)
        for data in SAYS[sys.argv[1]](): connection.sendall(data)
        while connection.recv(65536): pass
    except OSError: pass
listener = socket.socket(socket.AF_UNIX); listener.bind('/run/patchbay/agent.sock'); listener.listen(8)
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
LIES = [line.split("'")[1] for line in SERVER.splitlines() if line.startswith("    '")]


@contextmanager
def replaced(student, says: str):
    """This stands in the place of the agent, and says that to whoever dials."""
    student.forces(f"cat > /run/evil.py <<'PATCHBAY-END'\n{SERVER}\nPATCHBAY-END")
    with instead(student, f"systemd-run -q --unit=evil python3 /run/evil.py '{says}'; for n in $(seq 100); do [ -S agent.sock ] && break; sleep 0.05; done"):
        try:
            yield
        finally:
            student.forces("systemctl stop evil")


@control("a program in the agent's place that keeps to the protocol: it is believed")
def an_honest_one_is_believed(alice):
    with replaced(alice, LIES[0]):
        assert asyncio.run(execute(alice.dock, 5, script="true"))["out"] == b"hi"


@inside("answers in the agent's place with what breaks the protocol: sizes, depths, types, numbers, encodings", holds="one reader: each frame has a size, each message a schema; the first that breaks it ends the connection", at=f"{DIAL}:SCHEMA", seen="the worker's own code: an exception of those that it expects, in time, and within 64 MiB")
@pytest.mark.parametrize("says", LIES[1:])
def an_agent_lies(alice, says):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with replaced(alice, says):
        began = time.monotonic()
        try:
            answer = asyncio.run(execute(alice.dock, 0.5, script="true"))
        except (OSError, EOFError, BadFrame) as refused:
            assert len(str(refused)) < 1100
        else:
            assert says.startswith("surrogates"), answer
        assert time.monotonic() - began < 0.5 + DIAL_SECONDS + 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 65536
    assert alice.answers()


DOCKERD = r"""
import os, socket, sys, threading, time
BODY = {'deep': b'[' * 500000, 'odd': b'[{"Id": {}, "Names": 7, "State": [], "NetworkSettings": {"Networks": [1]}}]', 'large': b'"' + b'x' * (300 << 20) + b'"', 'noise': os.urandom(1 << 20)}
def serve(c):
    try:
        c.recv(65536)
        how = sys.argv[1]
        if how == 'silent': time.sleep(60)
        if how == 'endless':
            c.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
            while True: c.sendall(b'10000\r\n' + b' ' * 65536 + b'\r\n')
        if how == 'headers':
            c.sendall(b'HTTP/1.1 200 OK\r\n')
            while True: c.sendall(b'X: ' + b'y' * 60000 + b'\r\n')
        body = BODY[how]
        c.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    except OSError: pass
    c.close()
s = socket.socket(socket.AF_UNIX); s.bind('/run/docker.sock'); s.listen(8)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


@pytest.fixture(scope="module")
def liar(guest_stars):
    """Somebody whose docker and programs are not what they seem."""
    return guest_stars()


def judged(student, kind: str = "docker.container", **params):
    async def judge():
        return await TYPES[kind].judge(TYPES[kind].Params.model_validate(params), "lab", Inside(student.guest.sandbox).run)

    return asyncio.run(asyncio.wait_for(judge(), 12))


@inside("answers in dockerd's place: deep, large, endless, of other types, or never", holds="a check asks by a program with limits of size and time, and takes what has another shape for not known", at="lessons/checks/ask.py:odd", seen="the check's verdict, which is “not known” and no other, in time")
@pytest.mark.parametrize("how", ["deep", "odd", "large", "noise", "silent", "endless", "headers"])
def a_dockerd_lies(liar, bob, how):
    liar.forces(f"systemctl stop docker.socket docker; rm -f /run/docker.sock; cat > /run/dockerd.py <<'PATCHBAY-END'\n{DOCKERD}\nPATCHBAY-END\nsystemd-run -q --unit=evild python3 /run/dockerd.py {how}; for n in $(seq 200); do [ -S /run/docker.sock ] && break; sleep 0.05; done")
    try:
        began = time.monotonic()
        verdict = judged(liar, name="web")
        assert verdict.state == "unknown" and len(verdict.why) < 500, verdict
        assert time.monotonic() - began < 11
    finally:
        liar.forces("systemctl stop evild; rm -f /run/docker.sock")


@inside("puts programs of her own in the place of python3, ip, ss and nft", holds="a check believes a shape, not a program; what it cannot read is not known", at="lessons/checks/ask.py:NotKnown", seen="the check's verdict, bounded in length and time; never a failure that blames a classmate's or the lab's code")
@pytest.mark.parametrize("prints", ["head -c 1000000 /dev/zero", "printf '%0300000d' 7", "echo '[[[[[[[[[['", "echo '{\"said\": {\"x\": [1]}, \"no\": [\"<b>\"]}'", "sleep 30", "kill -9 $$"])
def programs_lie(liar, prints):
    liar.forces(f"printf '#!/bin/sh\\n%s\\n' \"{prints.replace(chr(34), chr(92) + chr(34)).replace('$$', chr(92) + '$$')}\" > /usr/local/bin/python3; chmod 755 /usr/local/bin/python3")
    try:
        verdict = judged(liar, name="web")
        assert verdict.state == "unknown" and len(verdict.why) < 500 and "<b>" not in verdict.why, verdict
    finally:
        liar.forces("rm -f /usr/local/bin/python3")


@inside("forges that a command ran: marks printed without the shell's secret, and with it", holds="a mark counts with a number that printed text cannot know; who knows it can forge only their own history", at="netcontrol/agent/marks.py:nonce", seen="the database: no command of that text, and none in bob's history")
def forges_commands(alice, bob):
    word = f"forged-{time.time_ns()}"
    with Page(alice.guest, "lab") as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        page.send("run", shell="lab", block="forge", text=f"for n in 0 1 $RANDOM 0123456789abcdef01234567; do printf '\\e]133;C;%s;1;%s\\a\\e]133;D;%s;0;1\\a' $n {word} $n; done; echo do''ne")
        page.see(b"done\r\n", "lab", 20)
        page.until(lambda: page.finished, 20, "the command's end")
    end = time.monotonic() + 10
    while not (rows := list(Command.objects.filter(sandbox=alice.guest.sandbox, text__contains="for n in 0 1", exit_code=0))):
        assert time.monotonic() < end, "the command itself is not recorded"
        time.sleep(0.1)
    assert len(rows) == 1
    assert not Command.objects.filter(text=word).exists()
    assert not Command.objects.filter(sandbox=bob.guest.sandbox, text__contains=word).exists()
