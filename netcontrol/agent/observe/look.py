"""One look at all of it, as the body of a snapshot (docs/protocol.md, section 4). Must not know when one is taken, nor who gets it."""
import select

from ..limits import MAX_SNAPSHOT
from . import kernel
from .bounded import Texts, dumps, small
from .docker import Docker
from .files import read
from .podman import Podman
from .spaces import Spaces

AROUND = 512  # bytes that are none of the parts


class Eyes:
    def __init__(self) -> None:
        self.news = kernel.News()
        self.spaces = Spaces()
        self.docker, self.podman = Docker(self.spaces.of), Podman(self.spaces.of)
        self.system = _system()
        self.dirty = {kernel.ALL}

    # Between two looks

    def sources(self) -> list[int]:
        """Open files that have something to read when there is news."""
        return [sock.fileno() for sock in (*self.news.sockets, *self.docker.sockets())]

    def heard(self) -> bool:
        """Take the news. False when it is nothing that could be seen."""
        told, dirty = self.news.take()
        self.dirty |= dirty
        return self.docker.happened() or told

    def wait(self, seconds: float) -> bool:
        """Whether there is news of the kernel within that time."""
        poll = select.poll()
        for sock in self.news.sockets:
            poll.register(sock, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    # A look

    @property
    def went(self) -> bool:
        """A namespace was there at the look before, and is not any more: its links go a moment later."""
        return self.spaces.went

    def look(self, told: bool = True) -> str:
        """The body, as JSON. Not `told`: nobody said that anything happened, and Docker would have."""
        self.heard()  # all that a command did is told by the time it ends
        dirty, self.dirty = self.dirty, set()
        self.docker.begin(told)
        spaces = self.spaces.look(dirty, self.podman.begin)
        self.podman.end()
        self.docker.end()
        docker, podman = self.docker.text(), self.podman.text()
        system = dumps(small({"os": self.system, "docker": self.docker.version, "podman": self.podman.version}))
        texts = Texts(MAX_SNAPSHOT - AROUND - len(system) - len(docker) - len(podman))
        left_out = dict.fromkeys(("spaces", "links", "routes", "rules", "containers", "networks", "listeners"), 0)
        for id, space in spaces.items():
            if not texts.add(space.text(id)):
                continue
            for what, count in space.left_out.items():
                left_out[what] += count
        left_out["spaces"] += texts.left_out + self.spaces.left_out
        left_out["containers"] += self.docker.left_out + self.docker.no_room + self.podman.left_out
        left_out["networks"] += self.docker.networks_left_out + self.podman.networks_left_out
        return f'{{"spaces":{texts.array()},"docker":{docker},"podman":{podman},"system":{system},"left_out":{dumps(left_out)}}}'


def _system() -> str:
    """Name and number of what is installed here, in two words."""
    said = {}
    for line in read("/etc/os-release", 8192).decode(errors="replace").splitlines():
        key, _, value = line.partition("=")
        said[key] = value.strip('"')
    return f"{said.get('NAME', 'Linux').split(' ')[0]} {said.get('VERSION_ID', '')}".strip()[:40]
