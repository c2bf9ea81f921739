"""The network namespaces of this host, and what is in each. Must not know: Docker, podman, whoever asks.

What was read of one is kept until the kernel says that it is different; one of which it says nothing (no cable leads from it to the
root one) is compared each time. All are gone into one after the other: this process has one thread.
"""
import os
from collections.abc import Callable

from ..limits import MAX_SPACES
from . import kernel
from .bounded import dumps, small
from .files import listed, read
from .listeners import Listeners
from .programs import Pool
from .space import Space

NAMED = "/run/netns"
OTHERS = ("/run/docker/netns",)
QUESTIONS = b"address show\nroute show table all\n"
MOST_NAMED, MOST_NAMES, MOST_TABLES = 1000, 8, 8


class Found:
    """Where a namespace was seen."""

    def __init__(self, path: str):
        self.path, self.pid, self.names = path, 0, []  # type: str, int, list[str]


class Spaces:
    def __init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.root, self.device = str(os.fstat(self.home).st_ino), os.fstat(self.home).st_dev
        self.route = kernel.Netlink(kernel.NETLINK_ROUTE)
        self.questions = os.memfd_create("questions")
        os.write(self.questions, QUESTIONS)
        self.kept: dict[tuple[str, int], Space] = {}  # by id and cookie: an id is given again
        self.pool, self.listeners = Pool(), Listeners()
        self.left_out = 0
        self.went = False  # a namespace was there at the look before, and is not any more

    def look(self, dirty: set[int], also: Callable[[list[int], Pool], None]) -> dict[str, Space]:
        """All namespaces, the root one first. `dirty`: as `News.take` says. `also` is given the root one's processes, and may start programs that
        run beside ours."""
        self.pool.begin()
        found = self._find()
        also(self.listeners.processes.get(self.root, []), self.pool)
        before, self.kept = self.kept, {}
        spaces: dict[str, Space] = {}
        files = self._open(found)
        try:
            for id, fd in files.items():
                try:
                    self._visit(id, fd, found[id], before, dirty, spaces)
                except OSError:
                    continue  # it cannot be entered
            self.pool.wait()
            for space in spaces.values():
                space.take()
            for id, space in spaces.items():
                self._ask_more(files[id], space)
            self.pool.wait()
            for space in spaces.values():
                space.take()
            self._name_peers(files, spaces)
        finally:
            self.pool.kill()
            for id, fd in files.items():
                if id != self.root:
                    os.close(fd)
        self.went = bool(before.keys() - self.kept.keys())
        return spaces

    def of(self, pid: int) -> str:
        """The namespace of a process; "" when it is gone."""
        try:
            return os.readlink(f"/proc/{pid}/ns/net")[5:-1]
        except OSError:
            return ""

    # Which there are

    def _find(self) -> dict[str, Found]:
        found = {self.root: Found("/proc/self/ns/net")}
        for folder in (NAMED, *OTHERS):
            for name in sorted(listed(folder)[:MOST_NAMED]):
                try:
                    status = os.stat(f"{folder}/{name}")
                except OSError:
                    continue
                if status.st_dev != self.device:
                    continue  # a plain file, left over
                where = found.setdefault(str(status.st_ino), Found(f"{folder}/{name}"))
                if folder == NAMED and len(where.names) < MOST_NAMES:
                    where.names.append(name[:64])
        self.listeners.begin()
        for pid in sorted(int(name) for name in listed("/proc") if name.isdigit()):
            if id := self.of(pid):
                where = found.setdefault(id, Found(f"/proc/{pid}/ns/net"))
                where.pid = where.pid or pid
                self.listeners.processes.setdefault(id, []).append(pid)
        self.left_out = max(0, len(found) - MAX_SPACES)
        return dict(list(found.items())[:MAX_SPACES])

    def _open(self, found: dict[str, Found]) -> dict[str, int]:
        files = {}
        for id, where in found.items():
            try:
                files[id] = self.home if id == self.root else os.open(where.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # it went meanwhile
            if str(os.fstat(files[id]).st_ino) != id:
                os.close(files.pop(id))
        return files

    # What is in one

    def _visit(self, id: str, fd: int, where: Found, before: dict, dirty: set[int], spaces: dict[str, Space]) -> None:
        number = kernel.ROOT if id == self.root else kernel.nsid(self.route, fd)
        with kernel.Inside(fd, self.home):
            with kernel.Netlink(kernel.NETLINK_NETFILTER) as netfilter:
                key = id, netfilter.cookie()
                space = self.kept[key] = spaces[id] = before.get(key) or Space()
                if self._is_old(id, number, space, dirty):
                    space.number = number
                    space.asked["ip"] = self.pool.start(["ip", "-j", "-d", "-force", "-batch", "-"], self.questions)
                generation = kernel.generation(netfilter)
                if generation != space.generation:
                    for name in space.renew(generation, kernel.tables(netfilter)):
                        space.asked[name] = self.pool.start([f"{name}-save"])
            with kernel.Netlink(kernel.NETLINK_SOCK_DIAG) as diag:
                heard, space.left_out["listeners"] = self.listeners.say(id, self.root, diag)
            root, ip, ip6 = (dumps(flag) for flag in (id == self.root, _forwards("ipv4/ip_forward"), _forwards("ipv6/conf/all/forwarding")))
            names, listen = dumps(small(where.names)), dumps([small(one) for one in heard])
            space.each_time = f'"root":{root},"names":{names},"pid":{where.pid},"forward":{{"ip":{ip},"ip6":{ip6}}},"listen":{listen}'

    def _is_old(self, id: str, number: int, space: Space, dirty: set[int]) -> bool:
        """Whether links, addresses or routes of the namespace that this process is in may be others than when they were read."""
        if id == self.root or number >= 0:  # of this one the kernel tells
            return number != space.number or number in dirty or kernel.ALL in dirty
        before = space.fingerprint
        with kernel.Netlink(kernel.NETLINK_ROUTE) as route:
            space.fingerprint = kernel.fingerprint(route)
        return number != space.number or not space.fingerprint or space.fingerprint != before

    def _ask_more(self, fd: int, space: Space) -> None:
        """What is asked only when the first answers say that there is something."""
        tables = space.other_tables() if space.rules_are_new else []
        if space.rules_are_new and not tables:
            space.nft = "[]"
        space.rules_are_new = False
        if not tables and not space.bridge_filters:
            return
        space.left_out["rules"] += max(0, len(tables) - MOST_TABLES)
        with kernel.Inside(fd, self.home):
            if space.bridge_filters:
                space.asked["bridge"] = self.pool.start(["bridge", "-j", "vlan", "show"])
            for family, name in tables[:MOST_TABLES]:
                space.asked[f"nft {family} {name}"] = self.pool.start(["nft", "-j", "-s", "list", "table", family, name])

    def _name_peers(self, files: dict[str, int], spaces: dict[str, Space]) -> None:
        """Which namespaces the numbers mean that links have for where their other end is. The root one knows most others, and they know it."""
        for id, space in spaces.items():
            space.peers = {number: peer for number, peer in space.peers.items() if number in space.wanted and peer in files}
            missing = space.wanted - space.peers.keys()
            if not missing:
                continue
            with kernel.Inside(files[id], self.home), kernel.Netlink(kernel.NETLINK_ROUTE) as route:
                for other, fd in files.items():
                    number = kernel.nsid(route, fd)
                    if number in missing:
                        space.peers[number] = other
                        missing.discard(number)
                        if not missing:
                            break


def _forwards(name: str) -> bool:
    return read(f"/proc/sys/net/{name}", 1) == b"1"
