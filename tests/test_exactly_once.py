"""Everything that can die dies, at random and often: no byte is lost or doubled, what was typed ran once and in order, and the network that is
shown is the one that there is.

The truth is written in the host by the programs themselves, and compared byte for byte with what a page was sent. The faults come
in a random order from a seed that is printed; PATCHBAY_SEED gives it again. What is promised of keys is in docs/protocol.md: a key
arrives at most once, and later keys never overtake earlier ones. So a page that lost its connection does not know whether the last
ones arrived; it finds out as a person does, by looking: `Typist` types a mark that it never typed before, and what had not shown
when the mark shows was lost.
"""
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.conf import settings

from labsite import processes
from netcontrol.lease import LEASE_MS

from .driving import COLOUR, lab_of
from .inside import in_host
from .page import Page

SEED = int(os.environ.get("PATCHBAY_SEED") or random.randrange(10**6))
DOUBT = 2.0  # seconds without an echo after which the typist looks
FAULTS = {
    "kill web": 7, "kill attach": 7, "kill redis": 7, "drop": 6, "drop without a word": 6, "drop for long": 3,
    "stop reading": 5, "freeze attach": 2, "two carriers": 2, "kill the other page": 7,
}  # fmt: skip

# Numbered lines, in bursts: short, long, coloured, beyond ASCII; now and then half a line. Ends when told to.
PRINTER = r'''
import os, random, sys, time
dice, n = random.Random(int(sys.argv[1])), 0
while not os.path.exists("/root/enough"):
    burst = b""
    for _ in range(dice.choice([1, 1, 2, 5, 20, 60])):
        n += 1
        line = f"line {n} " + dice.choice(["", "x" * dice.randrange(3000), "\x1b[3%dm" % dice.randrange(8) + "coloured\x1b[0m", "žluťoučký kůň 🐎 日本語 " * dice.randrange(9)])
        burst += line.encode() + b"\n"
    cut = dice.randrange(len(burst))
    for part in (burst[:cut], burst[cut:]):
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        time.sleep(dice.choice([0, 0.01, 0.05, 0.2, 0.4]))
print("line last", flush=True)
'''


def file_in_host(guest, path: str) -> bytes:
    """An answer holds 256 KiB at most."""
    size, data = int(in_host(guest, f"stat -c %s {path}")), b""
    while len(data) < size:
        data += in_host(guest, f"tail -c +{len(data) + 1} {path} | head -c 200000")
    return data


# What a typed line runs: it counts, and brings an interface about, or takes it away again.
STEP = r"""
echo $1 >> typed
if [ $(($1 % 2)) = 1 ]; then ip link add d$1 type bridge; else ip link del d$(($1 - 1)); fi
"""


class Typist(threading.Thread):
    """Types numbered command lines by hand until told to stop: a few keys, then waits for their echo."""

    def __init__(self, page: Page, seed: int):
        super().__init__(daemon=True, name="typist")
        self.page, self.dice, self.enough, self.error = page, random.Random(seed), threading.Event(), None
        self.ran: list[tuple[str, int]] = []  # (command line, exit code)
        self.attempts = 0
        self.tried: list[str] = []  # of the present line

    def run(self) -> None:
        try:
            while not self.enough.is_set():
                self.line(len(self.ran) + 1)
        except Exception as error:
            self.error = error

    def line(self, n: int) -> None:
        code = n % 5
        self.tried = []
        for _ in range(60):
            text = f". step {n}; (exit {code})"
            if self.attempt(text):
                return
        raise AssertionError(f"line {n} could not be typed")

    def attempt(self, rest: str) -> bool:
        """Type the line after a mark. True once it has run, in this attempt or in one before."""
        self.attempts += 1
        mark = f": m{self.attempts}; "
        text = mark + rest
        if not self.echoed("\x15" + mark, mark):
            return False
        for earlier in self.tried:  # everything that was typed before the mark has arrived, or never will
            if self.page.ran(earlier):
                return self.over(earlier)
        self.tried.append(text)
        at = len(mark)
        while at < len(text):
            keys = text[at : at + self.dice.randint(1, 6)]
            at += len(keys)
            if not self.echoed(keys, text[:at]):
                return False
        if not self.page.send("shell.input", shell="keys", data="\r"):
            return False
        return self.wait(lambda: self.page.ran(text)) and self.over(text)

    def over(self, text: str) -> bool:
        """It runs: now nothing is typed before it has ended."""
        event = self.page.until(lambda: self.page.finished.get(self.page.ran(text)), 60, f"the end of {text}")
        self.ran.append((text, event["exit_code"]))
        return True

    def echoed(self, keys: str, line: str) -> bool:
        """Type these keys; whether the line shows as it should."""
        page = self.page
        before = page.end("keys") if keys[0] == "\x15" else self.line_at
        self.line_at = before
        if not page.send("shell.input", shell="keys", data=keys):  # refused: the page is not connected
            page.until(lambda: page.socket, 60, "a connection")
            return False
        return self.wait(lambda: line.encode() in COLOUR.sub("", bytes(page.kept["keys"][before - page.begin["keys"] :]).decode()).encode())

    def wait(self, true) -> bool:
        """False when it does not show, or when the connection was lost meanwhile: then it is time to look."""
        connection = self.page.connections
        try:
            self.page.until(lambda: true() or self.page.connections != connection, DOUBT)
        except TimeoutError:
            return False
        return bool(true())


class Lab:
    """What can be done to the lab, and to its pages."""

    def __init__(self, guest, page: Page, other: Page):
        self.guest, self.page, self.other = guest, page, other

    def pid(self, program: str) -> int:
        return processes.ask("getProcessInfo", program)["pid"]

    def signal(self, pid: int, what: signal.Signals) -> None:
        """0, or a pid that is gone: it died a moment ago, and is being started."""
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, what)

    def lines(self, more: int, seconds: float = 60) -> None:
        """Wait until the program in the host has printed so many more lines, whoever sees them."""
        count = "grep -c '^line ' /root/truth"
        end, until = int(in_host(self.guest, count)) + more, time.monotonic() + seconds
        while int(in_host(self.guest, count)) < end:
            assert time.monotonic() < until, "the program stands still"
            time.sleep(0.1)

    def inflict(self, fault: str) -> None:
        page = self.page
        match fault:
            case "kill web" | "kill attach" | "kill redis":
                self.signal(self.pid(fault.split()[1]), signal.SIGKILL)
            case "drop":
                page.drop()
            case "drop without a word":
                page.drop(politely=False)
            case "drop for long":
                page.may_connect.clear()
                page.drop(politely=False)
                try:
                    self.lines(250)
                finally:
                    page.may_connect.set()
            case "stop reading":
                page.may_read.clear()
                try:
                    self.lines(150)
                finally:
                    page.may_read.set()
            case "freeze attach":
                pid = self.pid("attach")
                self.signal(pid, signal.SIGSTOP)
                try:
                    time.sleep(1.3 * LEASE_MS / 1000)  # until its lease is over, which nothing announces
                finally:
                    self.signal(pid, signal.SIGCONT)
            case "two carriers":
                self.two_carriers()
            case "kill the other page":
                self.other.drop(politely=False)

    def two_carriers(self) -> None:
        """A second worker takes over from a frozen one, which then wakes up and believes that it carries still."""
        pid, seen = self.pid("attach"), self.page.end("lines")
        self.signal(pid, signal.SIGSTOP)
        second = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "labsite", "worker", "-Q", settings.ATTACH_QUEUE, "-P", "threads", "-c", "8", "-n", "second", "--without-gossip", "--without-mingle"],
            env=processes.environment(), cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self.page.until(lambda: self.page.end("lines") > seen + 20_000, 30, "output through the second worker")
            self.signal(pid, signal.SIGCONT)
            self.page.until(lambda: self.page.end("lines") > seen + 40_000, 30, "output with two workers")
        finally:
            self.signal(pid, signal.SIGCONT)
            second.kill()
            second.wait(5)


@pytest.mark.timeout(400)
def test_exactly_once(lab, guests):
    print(f"PATCHBAY_SEED={SEED}")
    dice = random.Random(SEED)
    guest = lab_of(guests())
    in_host(guest, f"cat > /root/printer.py <<'E'\n{PRINTER}\nE\ncat > /root/step <<'E'\n{STEP}\nE")
    began = time.monotonic()
    with Page(guest, "keys", "lines", watches=True) as page, Page(guest, watches=True) as other:
        page.see(b"# ", "keys")
        page.see(b"# ", "lines")
        page.send("run", shell="lines", block="p", text=f"python3 printer.py {SEED} | tee truth")
        page.see(b"line 20 ", "lines")
        typist = Typist(page, SEED)
        typist.start()
        faults = [fault for fault, times in FAULTS.items() for _ in range(times)]
        dice.shuffle(faults)
        assert len(faults) >= 50
        doing = Lab(guest, page, other)
        took: dict[str, list[float]] = {}
        for n, fault in enumerate(faults):
            page.sound(), other.sound()
            assert typist.error is None, typist.error
            at, seen, ran = time.monotonic(), page.end("lines"), len(typist.ran)
            doing.inflict(fault)
            if dice.random() < 0.25:
                continue  # the next one comes before this one is over
            more = dice.choice([2_000, 20_000])
            page.until(lambda seen=seen, more=more: page.end("lines") > seen + more, 60, f"output after fault {n}, {fault}")
            if n % 2:
                page.until(lambda ran=ran: len(typist.ran) > ran or typist.error, 60, f"a line that is typed after fault {n}, {fault}")
            took.setdefault(fault, []).append(time.monotonic() - at)
        page.until(lambda: len(page.opened) == 2, 60, "the shells after the last fault")
        typist.enough.set()
        typist.join(90)
        assert not typist.is_alive() and typist.error is None, typist.error
        in_host(guest, "touch /root/enough")
        page.see(b"line last\r\n", "lines", 60)
        page.until(lambda: page.finished.get(page.ran(f"python3 printer.py {SEED} | tee truth")), 30, "the printer's end")
        for shell in ("keys", "lines"):
            other.until(lambda shell=shell: other.end(shell) >= page.end(shell), 60, f"the other page's {shell}")
        with Page(guest, watches=True) as late:
            for shell in ("keys", "lines"):
                late.until(lambda shell=shell: late.end(shell) >= page.end(shell), 30, f"a late page's {shell}")
            same_network(guest, page, other, late)

        print(f"{len(faults)} faults in {time.monotonic() - began:.0f} s; {len(page.kept['lines'])} bytes, {len(typist.ran)} lines typed in {typist.attempts} attempts, {page.connections} connections")
        print({fault: [round(t, 1) for t in times] for fault, times in took.items()})
        assert not page.gaps and page.begin == {"keys": 0, "lines": 0}
        same(bytes(page.kept["lines"]), file_in_host(guest, "/root/truth").replace(b"\n", b"\r\n"))
        for viewer in (other, late):
            for shell in ("keys", "lines"):
                at = viewer.begin[shell]
                assert bytes(viewer.kept[shell]) == bytes(page.kept[shell][at : at + len(viewer.kept[shell])]), f"two pages differ in {shell}"
        assert not other.gaps and other.begin == page.begin
        typed = [int(line) for line in file_in_host(guest, "/root/typed").split()]
        assert typed == list(range(1, len(typist.ran) + 1)) and len(typed) > 20
        assert [code for _, code in typist.ran] == [n % 5 for n in typed]
        assert rows(lab, guest) == typist.ran


def same(got: bytes, truth: bytes) -> None:
    """The truth stands in the log between the command line and the next prompt."""
    at = got.index(b"\rline 1 ") + 1
    wrong = next((n for n in range(len(truth)) if got[at + n : at + n + 1] != truth[n : n + 1]), None)
    assert wrong is None, f"at byte {wrong} of {len(truth)}: {got[at + wrong - 80 : at + wrong + 80]!r} where {truth[wrong - 80 : wrong + 80]!r} was printed"
    assert re.fullmatch(rb"\x1b.*# .*", got[at + len(truth) :]), got[at + len(truth) :]


def same_network(guest, *pages: Page) -> None:
    """Each page has what is there, by changes that followed on one another (`Page` holds every one to that); and a command was answered for once."""
    there = set(in_host(guest, "ls /sys/class/net").decode().split())
    for page in pages:
        page.until(lambda page=page: {thing["name"] for thing in page.network.things.values() if thing["kind"] == "interface" and thing["space"] == root(page)} == there, 20, f"the network as it is: {there}")
    first, *others = (page.network for page in pages)
    for page in pages:
        page.until(lambda page=page: page.network.graph == first.graph, 20, "the same network in each page")
    for network in (first, *others):
        answered = [id for m in network.changes for id in [*m["also_after"], m["after_command"]] if id]
        assert len(answered) == len(set(answered))
    print(f"{len(first.changes)} changes of the network and {first.wholes} wholes; {len(others[0].changes)} and {others[0].wholes}")


def root(page: Page) -> str:
    return page.network.things["host:lab"]["space"]


def rows(lab, guest) -> list[tuple[str, int]]:
    """What the database says about the shell that was typed into."""
    code = f"from netcontrol.models import Command; print(list(Command.objects.filter(sandbox='{guest.sandbox}', shell='keys').order_by('started_at').values_list('text', 'exit_code')))"
    expected: list[tuple[str, int]] = []
    lab.until(lambda: expected.__setitem__(slice(None), eval(lab.shell(code))) or all(exit_code is not None for _, exit_code in expected), 10, "every row's end")
    return expected
