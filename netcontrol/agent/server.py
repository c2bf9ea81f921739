"""The agent's loop: connections on one side, terminals and executions on the other. One thread, one epoll.

One connection is the worker's: the newest that said `attach`; the one before is told `displaced`. Others may ask for an
`execute`. A worker that goes away loses nothing: output is sent from the offset, and events from the number, that the
next one names. Must not know: what a worker does with it.
"""
import os
import select
import socket
import sys
import time

from . import shells
from .execute import Execution
from .hangup import kill_rest
from .limits import MAX_CHUNK, MAX_CONNECTIONS, MAX_EXECUTIONS, MAX_NAME, MAX_SHELLS, MAX_TEXT, MAX_UNSENT, READ_SOCKET
from .observer import Watch
from .protocol import BadFrame, Frames, message, output, parse_message
from .shells import Shell
from .soon import soon

FLUSH = 0.004  # seconds between two frames of one shell's output
LONELY = 30.0  # seconds without a worker after which viewers no longer hold back a program
LOOK = 0.5
HUNG_UP = 2.0  # seconds that the programs of a closed terminal have to end by themselves


class Connection:
    def __init__(self, sock: socket.socket):
        self.sock, self.fd = sock, sock.fileno()
        self.frames, self.unsent = Frames(), bytearray()
        self.closing = False


class Sent:
    """What this worker has of one shell."""

    def __init__(self, offset: int, seq: int):
        self.offset, self.seq, self.at = offset, seq, 0.0


class Server:
    def __init__(self, listener: socket.socket):
        self.boot = os.urandom(8).hex()
        self.listener = listener
        self.epoll = select.epoll()
        self.masks: dict[int, int] = {}
        self.connections: dict[int, Connection] = {}
        self.worker: Connection | None = None
        self.worker_left = time.monotonic()
        self.shells: dict[str, Shell] = {}
        self.by_fd: dict[int, tuple] = {}  # fd -> (what it is, its owner)
        self.hung_up: list[tuple[float, int, str]] = []  # terminals that were closed: (when to kill what is left, session, terminal)
        self.executions: dict[Execution, Connection] = {}
        self.floors: dict[str, list[int]] = {}  # where shells of an agent before this one ended
        self.acks: dict[str, int] = {}
        self.sent: dict[str, Sent] = {}
        self.epoch, self.last_input, self.told_input = "", (0, 0), (0, 0)
        self._watch(listener.fileno(), select.EPOLLIN)
        self.watch = Watch(self.shells, self._forget)
        self.by_fd[self.watch.epoll.fileno()] = ("observer", self.watch)
        self._watch(self.watch.epoll.fileno(), select.EPOLLIN)

    # The loop

    def serve(self) -> None:
        while True:
            for fd, mask in self.epoll.poll(self._timeout()):
                self._ready(fd, mask)
            self._timers()
            if self.worker:
                self._pump(self.worker)
            for connection in list(self.connections.values()):
                self._send(connection)
            for shell in self.shells.values():
                if shell.state != "closed":
                    self._watch(shell.fd, shells.events_mask(shell))

    def _ready(self, fd: int, mask: int) -> None:
        if fd == self.listener.fileno():
            return self._accept()
        if fd in self.connections:
            connection = self.connections[fd]
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._receive(connection)
            return
        what, owner = self.by_fd.get(fd, ("", None))
        if what == "terminal" and owner.state != "closed":
            if mask & select.EPOLLOUT:
                owner.write()
            if not owner.read() and mask & select.EPOLLHUP:
                self._unwatch(fd)  # nobody has the terminal open; bash's end is told by its pidfd
        elif what == "bash":
            self._unwatch(owner.fd)
            self._unwatch(fd)
            owner.reap()
        elif what == "stream" and not owner.read(fd):
            owner.open.discard(fd)
            self._unwatch(fd)
        elif what == "process":
            self._executed(owner)
        elif what == "observer":
            owner.ready()

    def _watch(self, fd: int, mask: int) -> None:
        known = self.masks.get(fd)
        if known is None:
            if fd in self.by_fd or fd in self.connections or fd == self.listener.fileno():
                self.epoll.register(fd, mask)
                self.masks[fd] = mask
        elif known != mask:
            self.epoll.modify(fd, mask)
            self.masks[fd] = mask

    def _unwatch(self, fd: int) -> None:
        self.by_fd.pop(fd, None)
        if self.masks.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def _timeout(self) -> float:
        """Seconds to sleep: until a flush, a deadline or a look is due; -1 for ever."""
        now, due = time.monotonic(), []
        if any(shell.watched for shell in self.shells.values()):
            due.append(now + LOOK)
        if self.worker and len(self.worker.unsent) < MAX_UNSENT:
            due += [self.sent[s.name].at + FLUSH for s in self.shells.values() if self.sent[s.name].offset < s.ring.end]
        due += [at for at, _, _ in self.hung_up[:1]]
        due += self.watch.due()
        due += [execution.deadline for execution in self.executions if not execution.timed_out]
        if not self.worker and any(shell.acked is not None for shell in self.shells.values()):
            due.append(self.worker_left + LONELY)
        return max(0.0, min(due) - now) if due else -1

    def _timers(self) -> None:
        now = time.monotonic()
        for shell in self.shells.values():
            if shell.watched and now - shell.looked_at >= LOOK * 0.9:
                shell.looked_at = now
                shell.look()
        while self.hung_up and now >= self.hung_up[0][0]:
            _, session, terminal = self.hung_up.pop(0)
            kill_rest(session, terminal)
        self.watch.timers(now)
        for execution in self.executions:
            if now >= execution.deadline and not execution.timed_out:
                execution.kill()
        if not self.worker and now - self.worker_left > LONELY:
            self.acks = {}
            for shell in self.shells.values():
                shell.acked = None

    # Connections

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        if len(self.connections) >= MAX_CONNECTIONS:
            return sock.close()
        sock.setblocking(False)
        connection = Connection(sock)
        self.connections[connection.fd] = connection
        self._watch(connection.fd, select.EPOLLIN)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(READ_SOCKET)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self._drop(connection)
        try:
            for _, body in connection.frames.feed(data):
                if connection.closing:
                    return
                self._handle(connection, parse_message(body))
        except (BadFrame, KeyError, TypeError, ValueError, AttributeError) as bad:
            print(f"agent: a connection is closed: {bad!r}", file=sys.stderr)
            return self._drop(connection)
        if connection is self.worker and self.last_input != self.told_input:
            self.told_input = self.last_input
            connection.unsent += message("taken", id=_id(self.last_input))

    def _send(self, connection: Connection) -> None:
        while connection.unsent:
            try:
                n = connection.sock.send(memoryview(connection.unsent)[: 256 * 1024])
            except BlockingIOError:
                break
            except OSError:
                return self._drop(connection)
            del connection.unsent[:n]
        if connection.closing and not connection.unsent:
            return self._drop(connection)
        self._watch(connection.fd, select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0))

    def _drop(self, connection: Connection) -> None:
        if self.connections.pop(connection.fd, None) is None:
            return
        self._unwatch(connection.fd)
        connection.sock.close()
        for execution, asker in self.executions.items():
            if asker is connection:
                execution.kill()
        if connection is self.worker:
            self.worker, self.worker_left = None, time.monotonic()
            self.watch.turn(False)

    # Messages

    def _handle(self, connection: Connection, m: dict) -> None:
        kind = m["type"]
        if kind == "attach":
            return self._attach(connection, m)
        if kind == "execute":
            return self._execute(connection, m)
        if connection is not self.worker:
            raise BadFrame(f"{kind} from somebody who is not attached")
        if "id" in m:
            high, _, low = m["id"].partition("-")
            if (int(high), int(low)) <= self.last_input:
                return  # given again, because the worker before did not live to hear that it was taken
            self.last_input = (int(high), int(low))
        if kind == "view":
            self.acks = m["acks"]
            for shell in self.shells.values():
                shell.acked = self.acks.get(shell.name)
        elif kind == "watch":
            self.watch.turn(m["on"] is True)
        elif kind == "shell.open":
            self._open(m["shell"], int(m["cols"]), int(m["rows"]))
        elif kind == "shell.close":
            self._close(m["shell"])
        elif kind in ("shell.input", "shell.resize", "shell.name", "run"):
            found = self.shells.get(m["shell"])
            why = "unknown_shell" if found is None or found.state == "closed" else self._to_shell(found, kind, m)
            if why:
                self._refuse(why, m["shell"], m.get("block", ""))
        else:
            raise BadFrame(f"unknown message {kind}")

    def _to_shell(self, shell: Shell, kind: str, m: dict) -> str:
        if kind == "shell.input":
            return shell.type(m["data"].encode("utf-8", "replace"))
        if kind == "run":
            return "too_long" if len(m["text"]) > MAX_TEXT else shell.start_run(m["block"], m["text"])
        if kind == "shell.name":
            shell.name_it(m["name"][:MAX_NAME])
        else:
            shell.resize(int(m["cols"]), int(m["rows"]))
        return ""

    def _close(self, name: str) -> None:
        shell = self.shells.get(name)
        if shell is None:
            return self._refuse("unknown_shell", name)
        if shell.state != "closed" and not shell.asked:
            self.hung_up.append((time.monotonic() + HUNG_UP, shell.pid, shell.terminal))
        shell.close()

    def _refuse(self, code: str, shell: str, block: str = "") -> None:
        assert self.worker
        self.worker.unsent += message("error", code=code, shell=shell, block=block)

    def _attach(self, connection: Connection, m: dict) -> None:
        epoch, boot, since = str(m["epoch"]), m["boot"], {name: [int(n) for n in place] for name, place in m["since"].items()}
        if self.worker and self.worker is not connection:
            self.worker.unsent += message("displaced")
            self.worker.closing = True
        self.worker = connection
        self.watch.turn(False)
        if epoch != self.epoch:  # another Redis: it numbers from the start
            self.epoch, self.last_input = epoch, (0, 0)
        self.told_input = self.last_input
        if boot != self.boot:
            self.floors = {name: place[:2] for name, place in list(since.items())[:64] if name not in self.shells}
            since = {}
        self.sent = {}
        for shell in self.shells.values():
            offset, *seqs = since.get(shell.name, (0, 0))
            self.sent[shell.name] = Sent(min(offset, shell.ring.end), min(seqs))
        connection.unsent += message(
            "welcome", boot=self.boot, last_input=_id(self.last_input), watches=True,
            shells=[
                {"shell": s.name, "name": s.title, "pid": s.pid, "open": s.state != "closed", "begin": s.ring.begin, "end": s.ring.end, "running": s.running and s.running["id"]}
                for s in self.shells.values()
            ],
        )  # fmt: skip

    def _open(self, name: str, cols: int, rows: int) -> None:
        shell = self.shells.get(name)
        if shell is None:
            if len(self.shells) >= MAX_SHELLS:
                for old in [s for s in self.shells.values() if s.state == "closed"][:1]:
                    self.floors[old.name] = [old.ring.end, old.seq, old.commands]
                    del self.shells[old.name], self.sent[old.name]
                if len(self.shells) >= MAX_SHELLS:
                    return self._refuse("too_many_shells", name)
            offset, seq, *commands = self.floors.pop(name, (0, 0))
            shell = self.shells[name] = Shell(name, cols, rows, offset, seq, *commands)
            shell.acked = self.acks.get(name)
            self.sent[name] = Sent(offset, seq)
        elif shell.state == "closed":
            if sum(s.state != "closed" for s in self.shells.values()) >= MAX_SHELLS:
                return self._refuse("too_many_shells", name)
            shell.spawn(cols, rows)
        else:
            shell.resize(cols, rows)
            return shell.tell("shell.opened", offset=shell.ring.begin, end=shell.ring.end, pid=shell.pid)
        self.by_fd[shell.fd], self.by_fd[shell.pidfd] = ("terminal", shell), ("bash", shell)
        self._watch(shell.fd, select.EPOLLIN)
        self._watch(shell.pidfd, select.EPOLLIN)
        shell.tell("shell.opened", offset=shell.ring.begin, end=shell.ring.end, pid=shell.pid)

    # Out

    def _pump(self, worker: Connection) -> None:
        """Give the worker what it does not have: per shell, output and events in the order in which they happened."""
        now = time.monotonic()
        for shell in self.shells.values():
            sent = self.sent[shell.name]
            news = shell.events and shell.events[-1][0] > sent.seq
            pending = [event for event in shell.events if event[0] > sent.seq] if news else []
            if sent.offset < shell.ring.begin:
                _tell(worker, sent, pending, shell.ring.begin)  # what happened in the gap: told after it, a shell would seem another one
                worker.unsent += message("shell.gap", shell=shell.name, **{"from": sent.offset, "to": shell.ring.begin})
                sent.offset = shell.ring.begin
            due = pending or now - sent.at >= FLUSH
            while due and len(worker.unsent) < MAX_UNSENT:
                _tell(worker, sent, pending, sent.offset)
                until = pending[0][1] if pending else shell.ring.end
                if sent.offset >= until:
                    break
                data = shell.ring.read(sent.offset, min(MAX_CHUNK, until - sent.offset))
                worker.unsent += output(shell.name, sent.offset, data)
                sent.offset += len(data)
                sent.at = now
        self.watch.pump(worker.unsent)

    def _forget(self) -> None:
        """What is kept for the worker: of no use to an observer that was forked from here."""
        for shell in self.shells.values():
            shell.ring.kept = bytearray()
            shell.events.clear()
        for connection in self.connections.values():
            connection.unsent = bytearray()

    # Executions

    def _execute(self, connection: Connection, m: dict) -> None:
        what = {"script": str(m["script"])} if "script" in m else {"argv": [str(word) for word in m["argv"]]}
        why = "busy" if len(self.executions) >= MAX_EXECUTIONS else ""
        if not why:
            try:
                execution = Execution(m["request"], min(float(m["seconds"]), 600.0), **what)
            except (OSError, ValueError) as bad:
                why = str(bad)
        if why:
            connection.unsent += message("execute.refused", request=m["request"], why=why)
            return
        self.executions[execution] = connection
        for fd in execution.open:
            self.by_fd[fd] = ("stream", execution)
            self._watch(fd, select.EPOLLIN)
        self.by_fd[execution.pidfd] = ("process", execution)
        self._watch(execution.pidfd, select.EPOLLIN)

    def _executed(self, execution: Execution) -> None:
        connection = self.executions.pop(execution)
        for fd in (*execution.kept, execution.pidfd):
            self._unwatch(fd)
        answer = execution.finish()
        if self.connections.get(connection.fd) is connection:
            connection.unsent += message("execute.done", **answer)


def _tell(worker: Connection, sent: Sent, pending: list, offset: int) -> None:
    """The events that happened up to this place of the output; they are taken from `pending`."""
    while pending and pending[0][1] <= offset:
        sent.seq, _, event = pending.pop(0)
        worker.unsent += message(**event, seq=sent.seq)


def _id(number: tuple[int, int]) -> str:
    return f"{number[0]}-{number[1]}"


def listen(arguments: list[str]) -> socket.socket:
    if arguments[:1] == ["--socket"]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(arguments[1])
        listener.listen(8)
    elif os.environ.get("LISTEN_FDS") == "1" and os.environ.get("LISTEN_PID") == str(os.getpid()):
        listener = socket.socket(fileno=3)
        os.set_inheritable(3, False)
    else:
        sys.exit("Started by systemd (patchbay-agent.socket), or with --socket PATH.")
    listener.setblocking(False)
    return listener


def main(arguments: list[str]) -> None:
    os.umask(0o022)
    soon()
    listener = listen(arguments)
    try:
        os.chdir(os.environ.get("HOME", "/root"))
    except OSError:
        os.chdir("/")
    Server(listener).serve()
