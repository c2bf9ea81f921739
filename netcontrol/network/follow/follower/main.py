"""Gets ready in every namespace of the host, sends the packet if it begins here, and tells what went by until it is over."""
import contextlib
import errno
import json
import select
import socket
import sys
import time

from netcontrol.agent.limits import MAX_LOOKED_AT
from netcontrol.agent.observe.kernel import NETLINK_NETFILTER, Netlink, tables
from netcontrol.agent.untrusted import Unreadable, read_json
from netcontrol.network.follow.follower.capture import Capture
from netcontrol.network.follow.follower.sending import Packet
from netcontrol.network.follow.follower.spaces import Spaces, etc_of
from netcontrol.network.follow.follower.tracing import TABLE, Trace, output, told
from netcontrol.resolver import No, literal, resolve

MOST_TRACED = 10
LISTEN = 1.7  # seconds after it was sent
QUIET = 0.05  # after the end is known: what is still on its way through the kernel
OVER = 0.25  # after it was dropped, or somebody complained: an answer is not to be expected
MOST_ASKED = 12
MOST_TOLD = 280  # packets, and rules: an answer holds 256 KiB


def main(question):
    try:
        answer = Follower(question).run()
    except No as no:
        answer = {"no": str(no)}
    except OSError as failed:
        answer = {"no": "os:" + errno.errorcode.get(failed.errno or 0, "?")}
    sys.stdout.write(json.dumps(answer))


class Follower:
    """question: {number (our port or id), token, protocol, port, at (epoch seconds; 0: once ready), stop (name of the socket that ends it),
    look (namespaces whose rules matter although they are Docker's alone), from: null or {space, container, netns, goal}}"""

    def __init__(self, question):
        self.q = question
        self.number, self.token = question["number"], question["token"].encode()
        self.sender = question["from"]
        self.spaces = Spaces(self.sender["space"] if self.sender else "")
        self.captures, self.traces, self.blind = [], [], []
        self.names, self.route = None, None

    def run(self):
        goal = self.resolved() if self.sender else ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stop:
            stop.bind("\0" + self.q["stop"])
            try:
                return self.follow(goal, stop)
            finally:
                for trace in self.traces:
                    trace.close()

    def resolved(self):
        sender = self.sender
        if sender["space"] not in self.spaces.opened:
            raise No("no-space")
        if literal(sender["goal"]):
            return sender["goal"]
        with self.spaces.inside(sender["space"]):
            found = resolve(sender["goal"], etc_of(sender["space"], sender["container"], sender["netns"]))
        self.names = {"asked": sender["goal"], "found": found[:8]}
        return found[0]

    def follow(self, goal, stop):
        for space in self.spaces.opened:
            try:
                with self.spaces.inside(space):
                    self.captures.append(Capture(space, self.number, self.token))
                    self.trace(space)
            except OSError:
                self.blind.append(space)
        for trace in list(self.traces):
            if not trace.ready(1.0):
                self.traces.remove(trace)
                trace.close()
                self.blind.append(trace.space)
        ready = time.time()
        packet = None
        if self.sender:
            with self.spaces.inside(self.sender["space"]):
                code, said = output("ip", "-j", "route", "get", "fibmatch", goal)
                self.route = {"found": loaded(said) if code == 0 else None, "said": said.strip()[:200] if code else ""}
                packet = Packet(self.q["protocol"], goal, self.q["port"], self.number, self.token)
        sent = self.listen(packet, stop)
        heard = packet and packet.heard
        if packet:
            packet.close()
        answer = {
            "ready": ready, "root": self.spaces.root, "blind": self.blind,
            "sent": packet and {"at": sent, "src": packet.src, "dst": goal, "heard": heard, "names": self.names, "route": self.route},
            "packets": sorted((one for capture in self.captures for one in capture.packets), key=lambda one: one["at"])[:MOST_TOLD],
            "hits": self.rules()[:MOST_TOLD], "asked": [] if heard == "answered" else self.asked(),
            "left_out": sum(one.left_out for one in (*self.captures, *self.traces)) + self.spaces.left_out,
        }  # fmt: skip
        self.forget()
        return answer

    def trace(self, space):
        with Netlink(NETLINK_NETFILTER) as netfilter:
            found = {name for _family, name in tables(netfilter)} - {TABLE}
        matters = found and (space in (self.spaces.root, self.sender and self.sender["space"], *self.q["look"]) or found != {"nat"})
        if matters:
            if len(self.traces) >= MOST_TRACED:
                self.blind.append(space)
            else:
                self.traces.append(Trace(space, self.q["protocol"], self.number))

    def listen(self, packet, stop):
        """Send it when it is time, and read until the end is known. Returns when it was sent, in ns."""
        begin = max(self.q["at"], time.time())
        sent, end = 0, begin + LISTEN
        poll = select.epoll()
        readers = {one.fileno(): one for one in (*self.captures, *self.traces)}
        for fd in (*readers, stop.fileno()):
            poll.register(fd, select.EPOLLIN)
        while True:
            now = time.time()
            if packet and not sent and now >= begin:
                sent = time.time_ns()
                with self.spaces.inside(self.sender["space"]):
                    packet.send()
                if packet.heard:
                    end = time.time() + QUIET
                else:
                    poll.register(packet.fileno(), select.EPOLLOUT if packet.writes else select.EPOLLIN)
                continue
            until = begin if packet and not sent else end
            if now >= until:
                break
            for fd, _event in poll.poll(max(0.001, until - now)):
                if fd == stop.fileno():
                    end = min(end, time.time() + QUIET)
                    poll.unregister(fd)
                elif fd in readers:
                    if readers[fd].read() and packet and sent:
                        end = min(end, time.time() + OVER)
                elif packet:
                    packet.hear()
                    if packet.heard is not None:
                        poll.unregister(fd)
                        end = time.time() + QUIET
        poll.close()
        for reader in readers.values():
            reader.read()
        return sent

    def rules(self):
        hits = []
        for trace in self.traces:
            if trace.hits:
                with contextlib.suppress(OSError), self.spaces.inside(trace.space):  # it may be gone by now
                    told(trace.hits)
            hits += trace.hits
        return hits

    def asked(self):
        """What the kernel would do with each packet that came in, as it says itself: where one ends without a word, this tells why."""
        found: dict = {}
        for capture in self.captures:
            for one in capture.packets:
                if one["ours"] and not one["out"] and not one["strange"] and "inner" not in one and one["type"] != "arp":
                    found.setdefault((one["space"], one["if"], one["name"], one["src"], one["dst"]))
        answers = []
        for one in list(found)[:MOST_ASKED]:
            with contextlib.suppress(OSError), self.spaces.inside(one[0]):
                answers.append(would(*one))
        return answers

    def forget(self):
        """Take our connection out of the lists of connections, where there is one and the tool for it."""
        protocol = self.q["protocol"]
        for trace in self.traces:
            with contextlib.suppress(OSError), self.spaces.inside(trace.space):
                for family, name in (("ipv4", protocol), ("ipv6", "icmpv6" if protocol == "icmp" else protocol)):
                    match = ("--icmpv6-id" if family == "ipv6" else "--icmp-id") if protocol == "icmp" else "--orig-port-src"
                    output("conntrack", "-D", "-f", family, "-p", name, match, str(self.number))


def would(space, index, name, src, dst):
    """What the kernel would do with it, in the namespace that one is in."""
    code, said = output("ip", "-j", "route", "get", dst, "from", src, "iif", name) if name != "lo" else (0, '"local"')
    other = ""
    if code:  # would an answer leave by another interface? rp_filter looks at that
        failed, way = output("ip", "-j", "route", "get", src)
        first = (loaded(way) or [{}])[0] if not failed else {}
        other = str(first.get("dev", ""))[:64] if first.get("dev") != name else ""
    local, back = code == 0 and '"local"' in said, ""
    if local and name != "lo":  # it is for somebody here: is there a way for an answer?
        failed, way = output("ip", "-j", "route", "get", src, "from", dst)
        back = way.strip()[:200] if failed else ""
    filters = [setting(f"ipv4/conf/{conf}/rp_filter") or 0 for conf in ("all", name)]
    return {
        "space": space, "if": index, "src": src, "dst": dst, "local": local, "said": said.strip()[:200] if code else "", "back": back, "other": other,
        "forwards": setting(f"{'ipv6' if ':' in dst else 'ipv4'}/conf/{name}/forwarding"), "rp_filter": max(filters),
    }  # fmt: skip


def setting(name):
    try:
        with open("/proc/sys/net/" + name) as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return None


def loaded(text):
    try:
        return read_json(text or "null", MAX_LOOKED_AT)
    except Unreadable:
        return None
