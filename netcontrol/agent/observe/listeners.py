"""Sockets that wait for others, and whose they are. A program's name is looked up once: its open files are many."""
import os

from ..limits import MAX_LISTENERS
from . import kernel
from .files import listed, program

GIVEN = range(32768, 61000)  # UDP ports that the kernel gives to whoever asks a question: nobody waits there for others
MOST_PROCESSES, MOST_FILES = 256, 256  # that are looked through for a program's name
LOOKS = 3  # at which nobody had it open, until it is taken for nobody's: a program that has just started may not be seen with it yet


class Listeners:
    def __init__(self) -> None:
        self.processes: dict[str, list[int]] = {}  # of each namespace, as seen at this look
        self.names: dict[int, str] = {}  # inode of a socket -> program
        self.missed: dict[int, int] = {}  # inode of a socket without one -> at how many looks
        self.seen: set[int] = set()

    def begin(self) -> None:
        """A look begins: what was not seen at the last one is forgotten."""
        self.names = {inode: name for inode, name in self.names.items() if inode in self.seen}
        self.missed = {inode: looks for inode, looks in self.missed.items() if inode in self.seen}
        self.seen, self.processes = set(), {}

    def say(self, space: str, root: str, diag: kernel.Netlink) -> tuple[list[dict], int]:
        """Of the namespace in which `diag` is; and how many were too many."""
        heard: dict[tuple, int] = {}
        for protocol, family, address, port, inode in kernel.listening(diag):
            if protocol == "tcp" or port not in GIVEN:
                heard.setdefault((protocol, port, family, address), inode)
        kept = sorted(heard.items())[:MAX_LISTENERS]
        new = {inode for _, inode in kept} - self.names.keys()
        self.seen |= {inode for _, inode in kept}
        for place in dict.fromkeys((space, root)):  # what dockerd has opened in a container is dockerd's
            if new:
                self._find(new, self.processes.get(place, []))
        for inode in new:
            self.missed[inode] = self.missed.get(inode, 0) + 1
            if self.missed[inode] >= LOOKS:
                self.names[inode] = ""
        found = [
            {"proto": protocol, "family": family, "address": address, "port": port, "program": self.names.get(inode, "")}
            for (protocol, port, family, address), inode in kept
        ]
        return found, len(heard) - len(kept)

    def _find(self, new: set[int], processes: list[int]) -> None:
        """Name the sockets that these processes have open, and take them out of `new`."""
        for pid in processes[:MOST_PROCESSES]:
            for fd in listed(f"/proc/{pid}/fd")[:MOST_FILES]:
                try:
                    to = os.readlink(f"/proc/{pid}/fd/{fd}")
                except OSError:
                    continue  # it was closed
                if to.startswith("socket:[") and (inode := int(to[8:-1])) in new:
                    self.names[inode] = program(pid)
                    new.discard(inode)
                    if not new:
                        return
