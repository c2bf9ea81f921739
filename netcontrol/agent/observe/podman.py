"""What podman runs. Must not know the kernel's part, nor Docker.

There is no daemon to ask, and its own program takes a tenth of a second: it is started only once one of its containers runs, and then
when its database or the set of what runs has changed. Networks are files.
"""
import os
import time
from collections.abc import Callable

from ..limits import MAX_CONTAINERS, MAX_FILE, MAX_NETWORKS, MAX_SAID, ROOM_CONTAINERS, ROOM_NETWORKS
from ..untrusted import Unreadable, read_json, read_object
from .bounded import array
from .docker import ID, reduced
from .files import changed, listed, program, read
from .programs import Pool, Program

RUNS, STORE = "/run/libpod", "/var/lib/containers/storage"
NETWORKS = (f"{STORE}/networks", "/etc/containers/networks")
USUAL = {
    "name": "podman", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", "driver": "bridge", "interface": "podman0",
    "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
}  # fmt: skip  the one network that has no file
AGAIN = 5.0  # seconds after which one that did not answer is asked again


class Podman:
    def __init__(self, space_of: Callable[[int], str]) -> None:
        """`space_of`: the network namespace of a process."""
        self.space_of = space_of
        self.version = _version()
        self.known: tuple = ()
        self.used = False
        self.asked: Program | None = None
        self.containers, self.networks, self.left_out, self.networks_left_out, self.ask_at = "[]", "[]", 0, 0, 0.0

    def begin(self, processes: list[int], pool: Pool) -> None:
        """Ask, if there may be something new. `processes`: those of the root namespace."""
        if not changed(RUNS):
            return
        monitors = tuple(pid for pid in processes if program(pid) == "conmon")
        self.used = self.used or bool(monitors)
        known = (monitors, changed(f"{STORE}/db.sql"), *(changed(folder) for folder in NETWORKS))
        if not self.used or known == self.known or time.monotonic() < self.ask_at:
            return
        self.known = known
        ids = _ids()
        self.left_out = max(0, len(ids) - MAX_CONTAINERS)
        if ids:
            self.asked = pool.start(["podman", "container", "inspect", *ids[:MAX_CONTAINERS]])
        else:
            self.containers, (self.networks, self.networks_left_out) = "[]", _networks(set())

    def end(self) -> None:
        if self.asked is None:
            return
        text, self.asked = self.asked.text(), None
        try:
            said = read_json(text, MAX_SAID)
        except Unreadable:
            said = None
        if not isinstance(said, list):
            self.known, self.ask_at = (), time.monotonic() + AGAIN
            return
        found = [reduced(facts, self.space_of)[1] for facts in said if isinstance(facts, dict)]
        self.containers, too_long = array(found, ROOM_CONTAINERS // 2)
        self.left_out += too_long
        self.networks, self.networks_left_out = _networks({name for facts in found for name in facts["Networks"]})

    def text(self) -> str:
        return f'{{"containers":{self.containers},"networks":{self.networks}}}'


def _ids() -> list[str]:
    """Of all its containers, oldest first."""
    for folder in sorted(listed(STORE)):
        if folder.endswith("-containers"):
            try:
                said = read_json(read(f"{STORE}/{folder}/containers.json", MAX_SAID), MAX_SAID)
                return [c["id"] for c in said if len(c["id"]) == 64 and ID.issuperset(c["id"])]
            except (Unreadable, KeyError, TypeError):
                continue
    return []


def _networks(used: set[str]) -> tuple[str, int]:
    """All that are, as JSON, and how many were left out."""
    found, left_out = [USUAL] if USUAL["name"] in used else [], 0
    for folder in NETWORKS:
        names = sorted(listed(folder))
        left_out += max(0, len(names) - MAX_NETWORKS)
        for name in names[:MAX_NETWORKS]:
            try:
                said = read_object(read(os.path.join(folder, name), MAX_FILE), MAX_FILE)
                network = {key: said.get(key) for key in ("name", "id", "driver", "subnets", "internal", "ipv6_enabled", "dns_enabled", "options", "labels")}
                found.append({**network, "interface": said.get("network_interface")})
            except Unreadable:
                continue
    text, too_long = array(found[:MAX_NETWORKS], ROOM_NETWORKS // 2)
    return text, left_out + max(0, len(found) - MAX_NETWORKS) + too_long


def _version() -> str:
    """As it is installed: to ask itself would take as long as everything else together."""
    said = read("/var/lib/dpkg/status", 1 << 20)
    at = said.find(b"\nPackage: podman\n")
    entry = said[at : said.find(b"\n\n", at)] if at >= 0 else b""
    _, _, version = entry.partition(b"\nVersion: ")
    return version.partition(b"\n")[0].partition(b"+")[0].decode(errors="replace")[:40]
