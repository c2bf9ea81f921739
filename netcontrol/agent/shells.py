"""One terminal: a PTY with bash, its output by offset, and the commands that ran in it, typed or started by a Run.

A command begins at the mark that bash prints before it executes one, and ends at the mark of the next prompt. So a Run of
several lines is one command, and a nested shell, `su` or `docker exec -it` is running until it ends. A shell that no
longer speaks in marks (`exec bash`, a student who took them out) is recognised by the terminal itself: see `look`.
Must not know: connections. It tells `Shell.events` what happened, and whoever sends takes it from there.
"""
import errno
import fcntl
import os
import select
import signal
import termios
import time
from collections import deque
from struct import pack

from .hangup import hang_up
from .limits import MAX_EVENTS, MAX_INPUT, MAX_TEXT, READ_TERMINAL, RING, WINDOW
from .marks import Marks, unescape
from .ring import Ring

TIOCSIG = 0x40045436  # of a pseudo-terminal's master: send a signal to the foreground
PASTE, PASTED = b"\x1b[200~", b"\x1b[201~"
INCOMPLETE = 3.0  # seconds after which a Run that bash neither executes nor refuses is taken for an unfinished line
BROKEN_OFF = 1.0  # seconds that a Ctrl-C may take to bring the prompt
SILENT = 10.0  # seconds without a prompt and without output after which a Run that waits for the prompt is given up


class Run:
    """A command line that a Run button gave, on its way through the shell."""

    def __init__(self, block: str, text: str):
        self.block, self.text = block, text
        self.typed = False


class Shell:
    """States: `starting` (no prompt yet), `prompt`, `running`, `closed`."""

    def __init__(self, name: str, cols: int, rows: int, begin: int = 0, seq: int = 0, commands: int = 0):
        self.name, self.ring, self.seq = name, Ring(RING, begin), seq
        self.events: deque = deque(maxlen=MAX_EVENTS)  # (seq, offset, message), oldest first
        self.input = bytearray()
        self.commands = commands  # so far; their numbers are never given again while this agent lives
        self.acked: int | None = None  # what the slowest viewer has drawn; None: nobody looks
        self.looked_at = 0.0
        self.broken_to = 0  # up to here it is read after a Ctrl-C, though a viewer is behind
        self.spawn(cols, rows)

    # Its process

    def spawn(self, cols: int, rows: int) -> None:
        """Start bash; after it ended, start another one in the same place: offsets go on."""
        nonce = os.urandom(12).hex()
        self.marks = Marks(nonce)
        self.title = ""  # the student's name for it: this bash's, so the next one has none
        self.asked = False  # to end, by whoever closed the terminal
        self.state, self.marked, self.run = "starting", True, None  # type: str, bool, Run | None
        self.running: dict | None = None  # the command that runs: {"id", "began"}
        self.ended: tuple[int | None, float] | None = None  # (exit code, when) of what ended since the last prompt, by the shell's own mark
        self.prompt_mark: list = []
        self.half_typed, self.entered_at, self.broke_at, self.idle_looks = False, 0.0, 0.0, 0
        self.input.clear()
        self.fd, terminal = os.openpty()
        self.resize(cols, rows)
        here = os.path.dirname(os.path.abspath(__file__))
        keep = {key: os.environ[key] for key in ("PATH", "TZ", "PODMAN_IGNORE_CGROUPSV1_WARNING") if key in os.environ}
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **keep, "HOME": os.environ.get("HOME", "/root"),
            "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATCHBAY_NONCE": nonce,
        }  # fmt: skip
        self.terminal = name = os.ttyname(terminal)
        self.argv = ["bash", "--rcfile", os.path.join(here, "rcfile"), "-i"]
        self.pid = os.posix_spawn(
            "/bin/bash", self.argv, environment, setsid=True, setsigmask=[], setsigdef=range(1, 32),
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)],
        )  # fmt: skip
        os.close(terminal)
        os.set_blocking(self.fd, False)
        self.pidfd = os.pidfd_open(self.pid)
        self.spoke_at = time.monotonic()

    def reap(self) -> None:
        """bash ended: take what it printed, and say so."""
        while self.state != "closed" and self.read(unbounded=True):
            pass
        self.ring.append(self.marks.rest())
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        os.close(self.fd)
        if self.run and not self.running:
            self._begin(time.time(), self.run.text)
        self._finish(None, time.time())
        code = os.waitstatus_to_exitcode(status)
        self.state, self.run = "closed", None
        self.input.clear()
        self.tell("shell.closed", exit_code=code if code >= 0 else 128 - code, asked=self.asked)

    def close(self) -> None:
        """Hang up. bash takes what runs with it; `shell.closed` follows when it has ended."""
        self.asked = True
        if self.state == "closed":  # it ended before, by itself: now its tab goes too
            return self.tell("shell.closed", exit_code=None, asked=True)
        hang_up(self.pid)

    def name_it(self, title: str) -> None:
        self.title = title
        self.tell("shell.named", name=title)

    def resize(self, cols: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, pack("HHHH", rows, cols, 0, 0))

    # What it prints

    @property
    def wants_reading(self) -> bool:
        if self.state == "closed" or self.acked is None:
            return self.state != "closed"
        behind = self.ring.end - self.acked
        return behind < WINDOW or (self.ring.end < self.broken_to and behind < RING - WINDOW)

    def read(self, unbounded: bool = False) -> bool:
        """Take what is there, up to a chunk. False when nothing is."""
        took = 0
        while took < READ_TERMINAL and (unbounded or self.wants_reading):
            try:
                data = os.read(self.fd, READ_TERMINAL)
            except BlockingIOError:
                break
            except OSError as gone:
                if gone.errno != errno.EIO:  # EIO: no process has the terminal open; pidfd tells whether bash ended
                    raise
                break
            if not data:
                break
            took += len(data)
            for part in self.marks.feed(data):
                if isinstance(part, bytes):
                    self.ring.append(part)
                else:
                    self._mark(part)
        if took:
            self.spoke_at = time.monotonic()
        return took > 0

    def tell(self, type: str, **fields) -> None:
        """Queue an event at this place of the output. It is kept, so that a worker that missed it gets it again."""
        self.seq += 1
        self.events.append((self.seq, self.ring.end, {"type": type, "shell": self.name, **fields}))

    # Its commands

    def _mark(self, fields: list) -> None:
        letter, values = fields[0], fields[1:]
        self.marked, self.idle_looks = True, 0
        if letter == "C" and len(values) == 2:
            began = _seconds(values[0])
            if self.run and self.run.typed:
                if not self.running:
                    self._begin(began, self.run.text)
            else:
                if self.running:
                    self._finish(*(self.ended or (None, began)))
                self._begin(began, unescape(values[1])[:MAX_TEXT])
            self.state, self.half_typed, self.entered_at, self.broke_at = "running", False, 0.0, 0.0
        elif letter == "D" and len(values) == 2:
            self._over(_code(values[0]), _seconds(values[1]))
        elif letter == "B" and len(values) == 2 and values != self.prompt_mark:
            self.prompt_mark = values  # the same one again: readline drew its line anew
            if not self.ended:  # the student took our part out of PROMPT_COMMAND
                self._over(_code(values[0]), _seconds(values[1]))
            self.ended, self.state, self.entered_at, self.broke_at = None, "prompt", 0.0, 0.0
            if self.run:
                self._type()

    def _over(self, code: int | None, at: float) -> None:
        """What ran has ended, and its output is all there: the prompt is still to come."""
        if self.run and self.run.typed and not self.running:  # a syntax error: refused, not executed
            self._begin(at, self.run.text)
        self._finish(code, at)
        if self.run and self.run.typed:
            self.run = None
        self.ended = (code, at)

    def _begin(self, at: float, text: str) -> None:
        self.commands += 1
        self.ended = None
        self.running = {"id": self.commands, "began": at}
        block = self.run.block if self.run else ""
        self.tell("command.started", id=self.commands, block=block, text=text, started_at=at, offset=self.ring.end)

    def _finish(self, code: int | None, at: float) -> None:
        if self.running:
            block = self.run.block if self.run else ""
            took = round(max(0.0, at - self.running["began"]) * 1000, 3)
            self.tell("command.finished", id=self.running["id"], block=block, exit_code=code, duration_ms=took, offset=self.ring.end)
        self.running, self.ended = None, None

    def start_run(self, block: str, text: str) -> str:
        """Type a command line, now or at the first prompt. Returns "", or why not: `busy`, `unknown_shell`."""
        now = time.monotonic()
        if self.state == "closed":
            return "unknown_shell"
        if self.run or (self.state == "running" and not self.ended) or (self.entered_at and now - self.entered_at < 0.3):
            return "busy"
        self.run = Run(block, text)
        if self.state != "prompt":
            pass  # its first prompt, or the next one, is on its way
        elif self.half_typed or self.entered_at:  # as a person would: break it off, and begin on a clean line
            self.broke_at = now
            self.half_typed, self.entered_at = False, 0.0
            self.input += b"\x03"
        else:
            self._type()
        return ""

    def _type(self) -> None:
        assert self.run
        text = "".join(c for c in self.run.text.replace("\r\n", "\n").strip("\n") if (c >= " " and c != "\x7f") or c in "\t\n")
        line = text.encode("utf-8", "replace")
        if b"\n" in line or b"\t" in line or len(line) > 256:  # pasted: one edit, and Tab is a Tab
            line = PASTE + line + PASTED
        self.input += line + b"\r"
        self.run.typed, self.state, self.half_typed = True, "running", False
        self.spoke_at = time.monotonic()
        if not self.marked:
            self._begin(time.time(), self.run.text)
        self.write()

    # What is typed

    def type(self, data: bytes) -> str:
        """Keys. Returns "", or `too_long` when the program does not read."""
        if b"\x03" in data:  # what it ends lies unread, and the prompt after it: not to be held back by a page that is behind
            self.broken_to = self.ring.end + WINDOW
        if b"\x03" in data and self.input and self._signals():
            self.input.clear()  # a program that does not read would never get to it
            fcntl.ioctl(self.fd, TIOCSIG, signal.SIGINT)
            data = data[data.rindex(b"\x03") + 1 :]
        if len(self.input) + len(data) > MAX_INPUT:
            return "too_long"
        self.input += data
        enter = max(data.rfind(b"\r"), data.rfind(b"\x03"), data.rfind(b"\x04"))
        if enter >= 0:
            self.half_typed = enter + 1 < len(data)
            if data[enter : enter + 1] == b"\r" and self.state == "prompt":
                self.entered_at = time.monotonic()
        elif data:
            self.half_typed = True
        self.write()
        return ""

    def write(self) -> None:
        """Give the terminal as much as it takes."""
        while self.input:
            try:
                n = os.write(self.fd, self.input[:4096])
            except BlockingIOError:
                return
            except OSError:
                self.input.clear()
                return
            del self.input[:n]

    # What cannot be known from marks

    def look(self) -> None:
        """Called twice a second while a command runs or a Run waits: the ends that no mark tells of.

        bash waits for a line when it is itself in the foreground and its editor has the terminal; a shell that was replaced
        (`exec`) shows by its command line. One that stopped itself (`suspend`) is told to go on: nobody else is there to do it.
        """
        now = time.monotonic()
        if self._stopped():
            os.kill(self.pid, signal.SIGCONT)
        if self.run and not self.run.typed:
            if self.ended or self.state == "starting":  # without its mark a prompt may be there all the same: the student sent it elsewhere
                self.idle_looks = self.idle_looks + 1 if self._waits(now, self._replaced()) and not self._unread() else 0
                if self.idle_looks >= 2:
                    self.marked, self.ended, self.idle_looks = False, None, 0
                    return self._type()
            no_prompt = self.broke_at and now - self.broke_at > BROKEN_OFF  # Ctrl-C did not bring it
            if no_prompt or (self.state != "prompt" and now - self.spoke_at > SILENT):
                self.tell("error", code="busy", block=self.run.block)
                self.run, self.broke_at = None, 0.0
            return
        if self.state != "running" or self.input:
            return
        if not self.wants_reading or self._unread():  # the mark may be in what is not read yet
            self.idle_looks, self.spoke_at = 0, now
            return
        replaced = self._replaced()
        waits = self._waits(now, replaced)
        if self.run and not self.running and not replaced:  # typed, and neither executed nor refused: an open quote, most likely
            if waits and now - self.spoke_at > INCOMPLETE and not self.broke_at:
                self.broke_at = now
                self.input += b"\x03"
                self.write()
            if not self.broke_at or now - self.broke_at < BROKEN_OFF:
                return
        self.idle_looks = self.idle_looks + 1 if waits else 0
        if self.idle_looks >= (1 if replaced else 2):
            self.marked = False
            if self.run and not self.running:
                self._begin(time.time(), self.run.text)
            self._finish(None, time.time())
            self.state, self.run, self.idle_looks, self.broke_at = "prompt", None, 0, 0.0

    @property
    def watched(self) -> bool:
        return self.state == "running" or self.run is not None

    def _waits(self, now: float, replaced: bool) -> bool:
        return self._foreground() and (replaced or self._edits()) and now - self.spoke_at > 0.3

    def _unread(self) -> bool:
        return bool(select.select([self.fd], [], [], 0)[0])

    def _foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fd) == self.pid
        except OSError:
            return False

    def _local(self) -> int:
        return termios.tcgetattr(self.fd)[3]

    def _edits(self) -> bool:
        """bash's editor has the terminal. `read -n1` leaves Enter as it is, so that is none."""
        incoming, _, _, local, *_ = termios.tcgetattr(self.fd)
        return not incoming & termios.ICRNL and not local & (termios.ICANON | termios.ECHO)

    def _signals(self) -> bool:
        return bool(self._local() & termios.ISIG)

    def _stopped(self) -> bool:
        try:
            with open(f"/proc/{self.pid}/stat", "rb", buffering=0) as file:
                return file.read(4096).rpartition(b")")[2][1:2] == b"T"
        except OSError:
            return False

    def _replaced(self) -> bool:
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb", buffering=0) as file:
                return file.read(4096).split(b"\0")[:-1] != [os.fsencode(word) for word in self.argv]
        except OSError:
            return False


def _seconds(field: bytes) -> float:
    """A mark was written a moment ago. One that says otherwise is forged, or the student unset EPOCHREALTIME."""
    now = time.time()
    try:
        at = float(field.replace(b",", b"."))
    except ValueError:
        return now
    return at if abs(at - now) < 3600 else now


def _code(field: bytes) -> int | None:
    return int(field) if field.isdigit() and len(field) < 4 and int(field) < 256 else None


def events_mask(shell: Shell) -> int:
    """What to wait for at its terminal."""
    return (select.EPOLLIN if shell.wants_reading else 0) | (select.EPOLLOUT if shell.input else 0)
