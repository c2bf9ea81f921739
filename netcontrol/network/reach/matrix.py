"""Tries who reaches whom, in one host: from each of its ends to every end of the sandbox, all at once. Sent there as text, see tries.py.

Runs under the host's own python3 with nothing but the standard library, as root, and changes nothing. An end is the host itself, one of
its containers, or a network namespace. Where two things have one address, an answer proves nothing: so each end also says which tries
arrived. Must not know: graphs, reasons, Django.
"""
import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time

from netcontrol.agent.limits import MAX_EXECUTED, MAX_LOOKED_AT
from netcontrol.agent.untrusted import read_json
from netcontrol.network.checksum import checksum
from netcontrol.places import enter, output
from netcontrol.resolver import No, resolve

MOST_ADDRESSES = 6  # of one end that are tried
SECONDS = 1.6  # for all tries: long enough for a second SYN
PINGS = (0.0, 0.4, 0.9)  # when they are sent
CONNECTIONS = (0.0, 0.8)  # when they are begun; what did not answer yet is left to TCP
MOST_SEEN = 4096
MOST_PACKETS = 20000  # that an end looks at; after that it cannot say what did not arrive
MARK = b"patchbay"


def where(q):
    """Of each end: its addresses, or why it is not there."""
    return {"ends": in_children([(where_is, end) for end in q["ends"]])}


def where_is(end):
    enter(end)
    code, out = output("ip", "-j", "address", "show")
    if code:
        raise No("ip-failed")
    four: list = []
    six: list = []
    for link in read_json(out or "[]", MAX_LOOKED_AT):
        for address in link.get("addr_info", []):
            if address.get("scope") == "global" or (address.get("scope") == "host" and address.get("local") not in ("127.0.0.1", "::1")):
                (six if address.get("family") == "inet6" else four).append(address["local"])
    return {"addresses": (four + six)[:MOST_ADDRESSES]}


def tries(q):
    """What each end found of every goal, and what arrived at it."""
    gate = Gate(len(q["ends"]))
    return {"ends": in_children([(trial, end, q, gate) for end in q["ends"]], gate.open)}


def alone(q):
    """Both, where all ends are in this host: there is nobody to wait for."""
    there = where(q)["ends"]
    ends = [end for end, found in zip(q["ends"], there) if "no" not in found]
    goals = [{"n": end["n"], "name": q["names"][end["n"]], "addresses": found.get("addresses", [])} for end, found in zip(q["ends"], there)]
    tried = iter(tries({**q, "ends": ends, "goals": goals, "begin": 0})["ends"])
    return {"ends": [found if "no" in found else {**found, **next(tried)} for found in there]}


def trial(end, q, gate):
    etc = enter(end)
    goals = [goal for goal in q["goals"] if goal["n"] != end["n"]]
    if q["how"] == "name":
        return {"found": names(goals, etc)}
    return Trial(end["n"], goals, q).run(gate)


def names(goals, etc):
    """Each name as it is known there: [code, addresses]."""
    found = {}

    def one(goal):
        try:
            found[goal["n"]] = ["", resolve(goal["name"], etc)[:16]]
        except No as no:
            found[goal["n"]] = [str(no), []]
        except (OSError, ValueError):
            found[goal["n"]] = ["no-name", []]

    threads = [threading.Thread(target=one, args=(goal,), daemon=True) for goal in goals]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 2 * SECONDS
    for thread in threads:
        thread.join(max(0.01, end - time.monotonic()))
    return {str(goal["n"]): found.get(goal["n"], ["nameserver-silent:", []]) for goal in goals}


class Trial:
    """All pings, or all connections, from where this process is. One loop over all sockets."""

    def __init__(self, me, goals, q):
        self.me, self.how, self.port, self.token, self.begin = me, q["how"], q["port"], bytes.fromhex(q["token"]), q["begin"]
        self.pairs = [(goal["n"], n, address) for goal in goals for n, address in enumerate(goal["addresses"])]
        self.codes: dict = {}  # (goal, which of its addresses) -> "" when it answered
        self.serials: dict = {}  # the same -> the first number of its connection
        self.ports: dict = {}  # (IPv6 or not, own port) -> the same; the address may be rewritten before it is seen
        self.connecting: dict = {}  # socket -> the same
        self.seen: set = set()  # what arrived: pings as "from/to/address", connections by their number
        self.packets = 0
        self.poll = select.poll()
        self.handlers: dict = {}

    def run(self, gate):
        self.ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        with contextlib.suppress(OSError):
            self.ear.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: all that is tried at once may come by here
        self.listen(self.ear, self.arrived)
        ready = time.time()
        self.pingers = {}
        if self.how == "ping":
            for family, protocol in ((socket.AF_INET, socket.IPPROTO_ICMP), (socket.AF_INET6, socket.IPPROTO_ICMPV6)):
                with contextlib.suppress(OSError):
                    self.pingers[family] = sock = socket.socket(family, socket.SOCK_RAW, protocol)
                    self.listen(sock, self.answered)
        gate.wait()
        if self.begin:
            self.until(self.begin)
        began = time.time()
        if self.how == "ping":
            rounds: tuple = PINGS
            once = self.ping
        else:
            rounds, once = CONNECTIONS, self.connect
        for after in rounds:  # answered or not: whoever was meant may only now be ready to see what arrives
            self.until(began + after)
            last = time.time()
            for pair in self.pairs:
                once(pair)
                self.until(0)
        self.until(max(self.begin, began) + SECONDS)
        found: dict = {}
        for goal, n, address in self.pairs:
            code = self.codes.get((goal, n), "timeout")
            found.setdefault(str(goal), []).append([code, address, self.serials.get((goal, n), "")])
        return {"found": found, "seen": sorted(self.seen), "ready": ready, "began": last, "deaf": self.packets > MOST_PACKETS or self.lost() > 0}

    def listen(self, sock, handler):
        sock.setblocking(False)
        self.poll.register(sock, select.POLLIN)
        self.handlers[sock.fileno()] = (sock, handler)

    def lost(self):
        """Packets that came by and were not seen, for there were too many at once."""
        return struct.unpack("2I", self.ear.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS

    def until(self, end):
        """Take what comes until then; with 0, only what is there."""
        while (left := end - time.time()) > 0 or not end:
            for fd, _events in self.poll.poll(max(1, int(left * 1000)) if end else 0):
                sock, handler = self.handlers[fd]
                with contextlib.suppress(BlockingIOError, struct.error, IndexError, ValueError):
                    for _ in range(64):
                        if handler(sock) is False:
                            break
            if not end:
                return

    # Pings: the number of who sends and of who is meant is in each

    def ping(self, pair):
        goal, n, address = pair
        six = ":" in address
        sock = self.pingers.get(socket.AF_INET6 if six else socket.AF_INET)
        if sock is None:
            return
        body = MARK + self.token + bytes((self.me, goal, n))
        head = struct.pack(">BBHHH", 128 if six else 8, 0, 0, os.getpid() & 0xFFFF, 1)
        if not six:  # the kernel makes the sum of the other kind
            head = struct.pack(">BBHHH", 8, 0, checksum(head + body), os.getpid() & 0xFFFF, 1)
        try:
            sock.sendto(head + body, (address, 0))
            self.codes.setdefault((goal, n), "timeout")
        except OSError as failed:
            self.codes[goal, n] = reason(failed)

    def answered(self, sock):
        data, _from = sock.recvfrom(2048)
        six = sock.family == socket.AF_INET6
        icmp = data if six else data[(data[0] & 15) * 4 :]
        at = icmp.find(MARK + self.token)
        if at < 0:
            return
        me, goal, n = icmp[at + 16 : at + 19]
        if me != self.me:
            return
        kind, code = icmp[0], icmp[1]
        if kind == (129 if six else 0):
            self.codes[goal, n] = ""
        elif kind == (1 if six else 3) and self.codes.get((goal, n)) != "":
            unreachable = {0: "no-route", 1: "prohibited", 3: "no-neighbour"} if six else {0: "no-route", 1: "no-neighbour", 6: "no-route", 7: "no-neighbour"}
            self.codes[goal, n] = unreachable.get(code, "prohibited")

    # Connections: the number with which each begins is seen on both sides

    def connect(self, pair):
        goal, n, address = pair
        if (goal, n) in self.connecting.values() and (goal, n) not in self.codes:
            return
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.bind(("::" if ":" in address else "0.0.0.0", 0))
            self.ports[":" in address, sock.getsockname()[1]] = (goal, n)
        self.connecting[sock] = (goal, n)
        code = sock.connect_ex((address, self.port))
        if code not in (0, 115):
            self.codes[goal, n] = reason(OSError(code, ""))
            sock.close()
            return
        self.poll.register(sock, select.POLLOUT)
        self.handlers[sock.fileno()] = (sock, self.connected)

    def connected(self, sock):
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.codes[self.connecting[sock]] = reason(OSError(error, "")) if error else ""
        self.poll.unregister(sock)
        del self.handlers[sock.fileno()]
        sock.close()
        return False

    # What arrives here

    def arrived(self, sock):
        data, (_name, protocol, kind, *_rest) = sock.recvfrom(256)
        self.packets += 1
        if self.packets > MOST_PACKETS:
            return
        if protocol == 0x0800:
            inner, carries = data[(data[0] & 15) * 4 :], data[9]
        elif protocol == 0x86DD:
            inner, carries = data[40:], data[6]
        else:
            return
        if carries in (1, 58) and inner[0] in (8, 128) and inner[8:24] == MARK + self.token and kind != socket.PACKET_OUTGOING:
            self.saw(f"{inner[24]}/{inner[25]}/{inner[26]}")
        elif carries == 6 and inner[13] & 0x12 == 0x02:
            port, serial = struct.unpack(">H2xI", inner[:8])
            if kind != socket.PACKET_OUTGOING:
                self.saw(f"{serial}")
            if kind == socket.PACKET_OUTGOING and (pair := self.ports.get((protocol == 0x86DD, port))) is not None:
                self.serials[pair] = f"{serial}"

    def saw(self, what):
        if len(self.seen) < MOST_SEEN:
            self.seen.add(what)


def reason(failed):
    return {1: "dropped-here", 13: "prohibited", 99: "no-route", 101: "no-route", 110: "timeout", 111: "refused", 113: "no-neighbour"}.get(failed.errno or 0, "error")


# One process for each end: a process is in one namespace


class Gate:
    """Nobody begins before all can see what arrives."""

    def __init__(self, size):
        self.size, self.told, self.gate = size, os.pipe(), os.pipe()

    def wait(self):
        os.close(self.gate[1])
        os.write(self.told[1], b".")
        os.close(self.told[1])
        os.read(self.gate[0], 1)

    def open(self):
        """By who has begun them: when all wait, or have ended."""
        os.close(self.told[1])
        left = self.size
        while left > 0 and (said := os.read(self.told[0], left)):
            left -= len(said)
        os.close(self.gate[1])


def in_children(calls, begun=lambda: None):
    """What each call says, or {"no": code}; all run at once."""
    reading = [begin_child(*call) for call in calls]
    begun()
    said = []
    for fd, pid in reading:
        with open(fd, "rb") as stream:
            data = stream.read()
        os.waitpid(pid, 0)
        said.append(read_json(data or b'{"no": "odd"}', MAX_EXECUTED))
    return said


def begin_child(what, *args):
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return read, pid
    try:
        answer = what(*args)
    except No as no:
        answer = {"no": str(no)}
    except Exception as failed:  # of a host whose parts may be anything
        answer = {"no": "odd", "why": repr(failed)[:200]}
    with open(write, "wb") as stream:
        stream.write(json.dumps(answer).encode())
    os._exit(0)


def main(question):
    sys.stdout.write(json.dumps({"where": where, "tries": tries, "alone": alone}[question["ask"]](question)))
