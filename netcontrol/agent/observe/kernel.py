"""What the kernel says of a network namespace without a program: netlink in plain bytes. Must not know what becomes of it.

A socket belongs to the namespace in which it was made, whatever its process does later, and keeps it alive: only the root
namespace's stay open. Through them the kernel also tells of those namespaces that the root one has a number for (nsid), which are all
that a cable connects to it.
"""
import os
import socket
from struct import pack, unpack_from

NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER = 0, 4, 12
SOL_NETLINK, ADD_MEMBERSHIP, LISTEN_ALL_NSID = 270, 1, 8
SO_NETNS_COOKIE = 71
CLONE_NEWNET = 0x40000000
REQUEST, DUMP = 1, 0x301
ERROR, DONE = 2, 3
GETLINK, GETADDR, GETROUTE, GETNSID, BY_FAMILY, GETTABLE, GETGEN = 18, 22, 26, 90, 20, 0xA01, 0xA10
WITHOUT_STATISTICS = pack("=16xHHI", 8, 29, 8)  # a question for links
DIFFERS = {GETLINK: (16, 26), GETADDR: (8, 6), GETROUTE: (12, 12)}  # size of the header, and the attribute that is different each time
LINK, IP_ADDRESS, IP_ROUTE, IP6_ADDRESS, IP6_ROUTE, IP_CONF, IP6_CONF = 1, 5, 7, 9, 11, 24, 25  # groups of NETLINK_ROUTE
NFTABLES = 7  # group of NETLINK_NETFILTER
TCP, UDP, LISTENS, UNCONNECTED = 6, 17, 10, 7
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
MOST_MESSAGES = 4096
ROOT, ALL = -1, -2  # as numbers of namespaces


class Inside:
    """`with Inside(namespace, home)`: this process is in that network namespace meanwhile. Both are open files. Raises OSError."""

    def __init__(self, namespace: int, home: int):
        self.namespace, self.home = namespace, home

    def __enter__(self) -> None:
        _enter(self.namespace)

    def __exit__(self, *_: object) -> None:
        _enter(self.home)


def _enter(namespace: int) -> None:
    if hasattr(os, "setns"):
        os.setns(namespace, CLONE_NEWNET)
        return
    import ctypes  # Python 3.11 and before, where the tests run

    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Netlink:
    def __init__(self, protocol: int):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self.sock.settimeout(1.0)

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """The bodies of the answer's messages; none when the kernel refuses."""
        found: list[bytes] = []
        try:
            self.sock.send(pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
            while len(found) < MOST_MESSAGES:
                for type, part in messages(self.sock.recv(65536)):
                    if type in (ERROR, DONE):
                        return found
                    found.append(part)
                if flags != DUMP:
                    break
        except OSError:
            pass
        return found

    def cookie(self) -> int:
        """The number of this socket's namespace, which no other one ever has. An inode is given again as soon as it is free."""
        try:
            return unpack_from("=Q", self.sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        except OSError:
            return 0


def messages(data: bytes):
    at = 0
    while at + 16 <= len(data):
        size, type = unpack_from("=IH", data, at)
        if size < 16:
            return
        yield type, data[at + 16 : at + size]
        at += (size + 3) & ~3


def attributes(data: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= len(data):
        size, type = unpack_from("=HH", data, at)
        if size < 4:
            break
        found[type & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


# Questions, each to a socket of its kind


def nsid(route: Netlink, namespace: int) -> int:
    """The number by which the socket's namespace knows the other one; -1 for none."""
    for body in route.ask(GETNSID, REQUEST, pack("=B3xHHi", 0, 8, 3, namespace)):
        number = attributes(body, 4).get(1)
        if number:
            return unpack_from("=i", number)[0]
    return -1


def fingerprint(route: Netlink) -> int:
    """Of the links, addresses and routes of this namespace: the same as long as they are. 0 when that cannot be said: a bridge has clocks."""
    found = []
    for kind, (size, skipped) in DIFFERS.items():
        for body in route.ask(kind, DUMP, WITHOUT_STATISTICS if kind == GETLINK else bytes(size)):
            if kind == GETLINK and b"bridge\0" in body:
                return 0
            found.append((body[:size], *(part for part in attributes(body, size).items() if part[0] != skipped)))
    return hash(tuple(found))


def generation(netfilter: Netlink) -> int:
    """Counts the changes of this namespace's rules."""
    for body in netfilter.ask(GETGEN, REQUEST, bytes(4)):
        number = attributes(body, 4).get(1)
        if number:
            return unpack_from(">I", number)[0]
    return 0


def tables(netfilter: Netlink) -> list[tuple[str, str]]:
    """Family and name of each table of rules."""
    return [
        (FAMILIES.get(body[0], str(body[0])), attributes(body, 4).get(1, b"").rstrip(b"\0").decode(errors="replace"))
        for body in netfilter.ask(GETTABLE, DUMP, bytes(4))
        if body
    ]


def listening(diag: Netlink) -> list[tuple[str, str, str, int, int]]:
    """(protocol, family, address, port, inode) of each socket that waits for others."""
    found = []
    for protocol, name, states in ((TCP, "tcp", 1 << LISTENS), (UDP, "udp", 1 << UNCONNECTED)):
        for number, family in ((socket.AF_INET, "ip"), (socket.AF_INET6, "ip6")):
            for body in diag.ask(BY_FAMILY, DUMP, pack("=BBBxI48x", number, protocol, 0, states)):
                if len(body) >= 72:
                    address = socket.inet_ntop(number, body[8 : 12 if family == "ip" else 24])
                    found.append((name, family, address, unpack_from(">H", body, 4)[0], unpack_from("=I", body, 68)[0]))
    return found


# News


class News:
    """Says of which namespaces the kernel told that something is different, since it was asked last."""

    def __init__(self) -> None:
        self.route, self.netfilter = Netlink(NETLINK_ROUTE), Netlink(NETLINK_NETFILTER)
        groups = {self.route: (LINK, IP_ADDRESS, IP_ROUTE, IP6_ADDRESS, IP6_ROUTE, IP_CONF, IP6_CONF), self.netfilter: (NFTABLES,)}
        for netlink, numbers in groups.items():
            netlink.sock.bind((0, 0))
            netlink.sock.setblocking(False)
            for option, values in ((ADD_MEMBERSHIP, numbers), (LISTEN_ALL_NSID, (1,))):
                for value in values:
                    try:
                        netlink.sock.setsockopt(SOL_NETLINK, option, value)
                    except OSError:
                        pass  # an old kernel, or one without it: what it would have told is found by looking
        self.sockets = [self.route.sock, self.netfilter.sock]

    def take(self) -> tuple[bool, set[int]]:
        """Whether there is any, and of which namespaces' links, addresses and routes: numbers as `nsid` gives them, ROOT for the root one; ALL
        when some of it was lost. Of rules it says no more than that: their `generation` does."""
        any, dirty = False, set()
        for sock in self.sockets:
            for _ in range(MOST_MESSAGES):
                try:
                    data, extra, _, _ = sock.recvmsg(65536, 64)
                except BlockingIOError:
                    break
                except OSError:  # ENOBUFS: more was told than there was room for
                    any = True
                    dirty.add(ALL)
                    continue
                any = True
                if data and sock is self.route.sock:
                    dirty.add(unpack_from("=i", extra[0][2])[0] if extra else ROOT)
            else:
                dirty.add(ALL)
        return any, dirty
