"""Which pages look at a sandbox's shells, and how far each has drawn: what a program may print ahead is measured by it; and whether one
shows the network.

Must not know: Redis, agents, the database.
"""
import time
from dataclasses import dataclass, field

VIEWER_SECONDS = 15.0  # a viewer that was not heard of for so long is gone
LINGER_SECONDS = 3.0  # that the network is looked at for nobody: a page that is loaded anew is back by then
BEHIND_SECONDS = 10.0  # a viewer that stands still for so long no longer holds back the others


@dataclass
class Viewer:
    acks: dict[str, int] = field(default_factory=dict)  # shell -> what it has drawn
    moved: dict[str, float] = field(default_factory=dict)  # shell -> when that grew
    heard_at: float = 0.0
    network: bool = False  # it shows it


class Viewers:
    def __init__(self) -> None:
        self.of: dict[str, Viewer] = {}
        self.began = self.left_at = time.monotonic()  # left_at: when the last one went
        self.any_yet = False
        self.watched_at = 0.0  # when the network was last shown

    def hear(self, name: str, acks: dict[str, int], gone: bool, network: bool = False) -> None:
        now = time.monotonic()
        if gone:
            self.of.pop(name, None)
        else:
            self.any_yet = True
            viewer = self.of.setdefault(name, Viewer())
            for shell, offset in acks.items():
                if viewer.acks.get(shell) != offset:
                    viewer.moved[shell] = now
            viewer.acks, viewer.heard_at, viewer.network = acks, now, network
        self.left_at = now if not self.of else float("inf")

    def sweep(self) -> None:
        now = time.monotonic()
        self.of = {name: viewer for name, viewer in self.of.items() if now - viewer.heard_at <= VIEWER_SECONDS}
        if not self.of:
            self.left_at = min(self.left_at, now)

    def nobody_for(self) -> float:
        """Seconds since the last one went; below zero while somebody looks."""
        return time.monotonic() - self.left_at

    def watched(self) -> bool | None:
        """Whether some page shows the network. None while one that does had no time to say so, to a carrier that follows another."""
        now = time.monotonic()
        if any(viewer.network for viewer in self.of.values()):
            self.watched_at = now
            return True
        if now - self.watched_at < LINGER_SECONDS:
            return True
        return None if not self.watched_at and now - self.began < VIEWER_SECONDS else False

    def acks(self, ends: dict[str, int]) -> dict[str, int] | None:
        """Shell -> what its slowest viewer has drawn; `ends` is what there is to draw. One that stands still counts only while it is alone.

        None while viewers had no time to speak yet: until then the agents hold to what the carrier before this one told them.
        """
        now = time.monotonic()
        if not self.any_yet and now - self.began < VIEWER_SECONDS:
            return None
        slowest = {}
        for shell in {shell for viewer in self.of.values() for shell in viewer.acks}:
            looking = [viewer for viewer in self.of.values() if shell in viewer.acks]
            awake = [v.acks[shell] for v in looking if now - v.moved[shell] < BEHIND_SECONDS or v.acks[shell] >= ends.get(shell, 0)]
            slowest[shell] = min(awake) if awake else max(viewer.acks[shell] for viewer in looking)
        return slowest
