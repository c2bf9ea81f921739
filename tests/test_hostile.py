"""A student who is root and means harm: what they print, what they forge, and what they put in the agent's place.

After each attempt their own next command works, another student's shell echoes as before, and nothing has grown.
"""
import asyncio
import contextlib
import itertools
import statistics
import time
from pathlib import Path

import pytest

from labsite import processes
from netcontrol.dial import dock_path, execute

from .driving import lab_of
from .inside import in_host
from .page import Page

STALL_MS = 1000


def rss(program: str) -> int:
    """MiB of the largest process of this program: it or one of its children."""
    pid = processes.ask("getProcessInfo", program)["pid"]
    sizes, todo = [0], [pid]
    while todo:
        one = todo.pop()
        with contextlib.suppress(OSError, StopIteration):  # it has just ended
            sizes.append(int(next(line for line in Path(f"/proc/{one}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]))
            todo += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split()]
    return max(sizes) // 1024


def echo_ms(page: Page) -> float:
    """Median of the time that a key takes to show."""
    took = []
    for _ in range(15):
        at, began = page.end("lab"), time.perf_counter()
        page.send("shell.input", shell="lab", data="x")
        page.until(lambda at=at: page.end("lab") > at, 5, "the echo")
        took.append((time.perf_counter() - began) * 1000)
    at = page.end("lab")
    page.send("shell.input", shell="lab", data="\x15")
    page.until(lambda: page.end("lab") > at, 5, "the line's end")
    return statistics.median(took)


nth = itertools.count(1)


def next_command_works(guest) -> None:
    """On a page that is opened now. It is told of what was before as well: of earlier tests' commands, so the block says which one is meant; and
    of a terminal that the agent before this one had, so it is opened again when there is none."""
    with Page(guest, "lab", forgets=True) as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        for _ in range(2):
            answer = {"code": "unknown_shell"}
            while answer.get("code") == "unknown_shell":
                block = f"next{next(nth)}"
                page.send("shell.open", shell="lab", host="lab", cols=200, rows=50)
                page.send("run", shell="lab", block=block, text="(exit 7)")
                answer = page.until(lambda block=block: answers(page, block), 20, "the next command")
            assert answer["type"] == "command.finished" and answer["exit_code"] == 7, answer


def answers(page: Page, block: str) -> dict | None:
    """How a Run ended, or why it was refused."""
    return next((m for m in page.events if m["type"] in ("command.finished", "error") and m["block"] == block), None)


@pytest.fixture(scope="module")
def pair(lab):
    """Mallory, and Bob with an open page. `unharmed` asserts that he does not notice, and that the lab has not grown."""
    from labsite.client import Guest

    from .conftest import LESSON

    with contextlib.ExitStack() as stack:
        mallory, bob = (stack.enter_context(Guest(lab.url, LESSON)) for _ in range(2))
        for guest in (mallory, bob):
            lab_of(guest)
        page = stack.enter_context(Page(bob, "lab"))
        page.see(b"# ", "lab")
        before = echo_ms(page)

        def unharmed(under_way: bool = False) -> None:
            after = echo_ms(page)
            # Under way a flood competes for the cores, and so does whatever else the machine does: that bound only tells a stall.
            assert after < (STALL_MS if under_way else 5 * before + 50), f"a key took {after:.1f} ms to show, {before:.1f} ms before"
            page.sound()
            assert not page.gaps and page.connections == 1 and not page.started, "of another's commands nobody is told"
            sizes = {program: rss(program) for program in ("attach", "web", "redis")}
            print(f"echo {before:.1f} -> {after:.1f} ms, {sizes} MiB")
            assert max(sizes.values()) < 150, sizes

        unharmed()
        yield mallory, unharmed


PRINTED = {
    "clipboard": r"""for n in $(seq 50); do printf '\e]52;c;%s\a' "$(head -c 100000 /dev/zero | base64 -w0)"; done""",
    "titles": r"""for n in $(seq 20000); do printf '\e]0;title %d\a\e]2;%d\a' $n $n; done""",
    "no newline": r"""head -c 10000000 /dev/zero | tr '\0' x""",
    "NULs": r"""head -c 3000000 /dev/zero""",
    "invalid UTF-8": r"""head -c 3000000 /dev/urandom""",
    "UTF-8 in halves": r"""for n in $(seq 50); do printf '\xf0\x9f'; sleep 0.02; printf '\x90\x8e\xff'; done""",
    "escapes": r"""head -c 3000000 /dev/zero | tr '\0' '\033'""",
    "unterminated strings": r"""for n in $(seq 2000); do printf '\e]133;C;\e]133;\eP\e_\e^\e]8;;'; done""",
    "marks of another": r"""for n in $(seq 200); do printf '\e]133;C;0123456789abcdef01234567;1;forged\a\e]133;D;;0;1\a\e]133;B;%s;0;1\a' "${__pb_nonce%?}"; done""",
    "marks of their own": r"""for n in $(seq 200); do printf '\e]133;C;%s;nan;forged\a\e]133;D;%s;999;inf\a' $__pb_nonce $__pb_nonce; done""",
    "marks with odd times": r"""for t in 1e308 -1e308 -5 1e12 0 '' x; do printf "\e]133;C;%s;$t;forged\a\e]133;D;%s;300;$t\a\e]133;B;%s;7;$t\a" $__pb_nonce $__pb_nonce $__pb_nonce; done""",
    "a mark without an end": r"""printf '\e]133;C;%s;' $__pb_nonce; head -c 1000000 /dev/zero | tr '\0' y; printf '\a'""",
    "long texts": r"""for n in $(seq 30); do printf '\e]133;C;%s;1;' $__pb_nonce; head -c 200000 /dev/zero | tr '\0' '%'; printf '\a'; done""",
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_what_a_program_prints(pair, name):
    mallory, unharmed = pair
    with Page(mallory, "lab") as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        which = list(PRINTED).index(name)
        page.send("run", shell="lab", block="evil", text=f"{PRINTED[name]}; echo o''ver {which}")
        page.see(b"over %d\r\n" % which, "lab", 60)
    next_command_works(mallory)
    unharmed()


# What listens in the agent's place. Each is told `attach`, and says this, again and again, until it is cut off.
AGENT = r"""
import json, os, socket, struct, sys, threading, time
def frame(kind, body): return struct.pack(">I", len(body)) + kind + body
def say(**m): return frame(b"J", json.dumps(m).encode())
def out(shell, offset, data): return frame(b"O", bytes([len(shell)]) + shell + struct.pack(">Q", offset) + data)
def shell(name, **more): return {"shell": name, "name": "", "pid": 1, "open": True, "begin": 0, "end": 0, "running": None, **more}
def welcome(*shells, boot="evil"): return say(type="welcome", boot=boot, last_input="0-0", watches=True, shells=list(shells))
def network(n, body):
    head = json.dumps({"type": "network.snapshot", "n": n, "taken_at": 1, "took_ms": 1, "after": [["lab", n]], "failed": ""}).encode()
    return frame(b"N", struct.pack(">I", len(head)) + head + body)
def links(n): return [{"ifindex": k, "ifname": "\x1b]0;%d-%d\x07<b>" % (n, k), "flags": ["UP"], "address": "x" * 500, "linkinfo": {"info_kind": "veth"}, "link_index": k + 1} for k in range(1, 1500)]
hello = welcome(shell("lab"))
def events(make):
    for n in range(1, 10**9): yield b"".join(make(n * 100 + k) for k in range(100))
def forever(*what):
    yield hello
    while True: yield b"".join(what)
MODES = {
    "garbage": lambda: forever(os.urandom(1 << 16)),
    "a huge length": lambda: iter([hello, b"\xff\xff\xff\xffJ" + b"x" * 100000]),
    "a frame that never ends": lambda: forever(struct.pack(">I", 1 << 20) + b"J", b"x" * 1000),
    "deep JSON": lambda: iter([frame(b"J", b"[" * 1000000)]),
    "shells of others": lambda: iter([welcome(*(shell("bob-%d" % n) for n in range(8)))]),
    "a new boot each time": lambda: iter([welcome(shell("lab"), boot=os.urandom(8).hex())]),
    "offsets that jump": lambda: iter([hello, out(b"lab", 1 << 40, b"x"), out(b"lab", 5, b"y"), out(b"lab", (1 << 53) - 1, b"z"), say(type="shell.gap", shell="lab", **{"from": 0, "to": 1 << 53}), out(b"lab", 1 << 62, b"x")]),
    "numbers at their end": lambda: iter([hello, say(type="shell.closed", shell="lab", exit_code=0, seq=1 << 53)]),
    "tiny frames": lambda: (lambda: (yield hello, (yield from events(lambda n: out(b"lab", n, b"x")))))(),
    "tiny events": lambda: (x for g in ([hello], events(lambda n: say(type="shell.opened", shell="lab", offset=0, end=n, pid=2, seq=n))) for x in g),
    "commands": lambda: (x for g in ([hello], events(lambda n: say(type="command.started", shell="lab", id=n, block="", text="forged " * 9, started_at=1, offset=0, seq=n))) for x in g),
    "errors": lambda: (x for g in ([hello], events(lambda n: say(type="error", code="busy", shell="lab", block=""))) for x in g),
    "large output": lambda: (x for g in ([hello], (out(b"lab", n * 60000, b"x" * 60000) for n in range(10**9))) for x in g),
    "networks that change": lambda: (x for g in ([hello], (network(n, json.dumps({"spaces": [{"id": "1", "root": True, "links": links(n)}]}).encode()) for n in range(10**9))) for x in g),
    "a deep network": lambda: iter([hello, network(1, b'{"spaces":' + b"[" * 500000)]),
    "a network of odd things": lambda: (x for g in ([hello], (network(n, json.dumps({"spaces": [{"id": [n], "links": {"0": n}, "routes": [[]], "nft": [{"rule": n}]}, n, None], "docker": {"containers": [{"Name": {}}]}, "podman": n}).encode()) for n in range(10**9))) for x in g),
    "silence": lambda: iter([]),
    "nothing after hello": lambda: iter([hello]),
}
MODES["tiny frames"] = lambda: (x for g in ([hello], events(lambda n: out(b"lab", n, b"x"))) for x in g)
def serve(connection):
    try:
        connection.recv(65536)
        for data in MODES[sys.argv[1]](): connection.sendall(data)
        while connection.recv(65536): pass
    except OSError: pass
path = "/run/patchbay/agent.sock"
if os.path.exists(path): os.unlink(path)
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen(8)
count = 0
while True:
    connection, _ = listener.accept()
    count += 1
    open("/root/dialled", "w").write(str(count))
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
MODES = ["garbage", "a huge length", "a frame that never ends", "deep JSON", "shells of others", "a new boot each time", "offsets that jump", "numbers at their end",
         "tiny frames", "tiny events", "commands", "errors", "large output", "networks that change", "a deep network", "a network of odd things", "silence", "nothing after hello"]  # fmt: skip
ATTACK_SECONDS = 2.5


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_that_was_replaced(pair, mode):
    """Started outside of the shells, which end with the agent. It has a few seconds: a flood has no end to wait for."""
    mallory, unharmed = pair
    in_host(mallory, f"cat > /root/evil.py <<'E'\n{AGENT}\nE", seconds=30)
    with Page(mallory, "lab", forgets=True, watches="network" in mode) as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        unit = f"--unit=evil --collect --property=ExecStopPost='/bin/systemctl start patchbay-agent.socket' --property=RuntimeMaxSec={ATTACK_SECONDS}"
        evil = f"rm -f /root/dialled; systemctl stop patchbay-agent.socket; systemctl kill -s KILL patchbay-agent.service; exec python3 /root/evil.py '{mode}'"
        with contextlib.suppress(EOFError, OSError):  # the agent is killed when it was told, and may not live to say that it did
            in_host(mallory, f"systemd-run -q {unit} /bin/bash -c {quoted(evil)}", seconds=30)
        try:
            end = time.monotonic() + ATTACK_SECONDS
            while time.monotonic() < end:
                unharmed(under_way=True)
        finally:
            agent_is_back(mallory)
    next_command_works(mallory)
    if "network" in mode:
        with Page(mallory, "lab", forgets=True, watches=True) as page:  # as above
            page.until(lambda: page.network.graph and page.network.named("docker0", "interface"), 20, "the network as it is")
    unharmed()


def quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def agent_is_back(guest) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            done = asyncio.run(execute(dock_path(guest.sandbox, "lab"), 5, script="systemctl is-active evil; cat /root/dialled"))
            if done["out"].startswith(b"inactive") or done["out"].startswith(b"failed"):
                assert int(done["out"].split()[1]) > 0, "nobody dialled the replaced agent: it proved nothing"
                return
        except Exception:  # whatever the hostile one said
            pass
        assert time.monotonic() < end, "the agent is not back"
        time.sleep(0.1)
