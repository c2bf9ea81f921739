"""The things of a graph while it is made: each id once, at most so many of a kind on a host, and what was left out is counted."""
from collections import Counter
from hashlib import blake2b
from typing import Any

Thing = dict[str, Any]

# The name under which a body counts what it left out, and how many a host may have.
MOST = {
    "namespace": ("spaces", 128), "interface": ("links", 512), "route": ("routes", 512), "chain": ("rules", 256), "rule": ("rules", 1024),
    "container": ("containers", 128), "network": ("networks", 128), "listener": ("listeners", 256),
}  # fmt: skip
COUNTED = tuple(dict.fromkeys(name for name, _ in MOST.values()))


class Kept:
    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.left_out: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._had: Counter[tuple[str, str]] = Counter()
        self._twins: Counter[str] = Counter()

    def add(self, id: str, kind: str, name: str, host: str | None, **facts: Any) -> Thing | None:
        """The thing, or None when it is one too many, or its id is taken: two of a kind that nothing tells apart."""
        counted, most = MOST.get(kind, ("", 0))
        if id in self.things or (counted and self._had[host or "", kind] >= most):
            self.left_out[counted or "spaces"] += 1
            return None
        self._had[host or "", kind] += 1
        self.things[id] = thing = {"id": id, "kind": kind, "name": name, "host": host, **facts}
        return thing

    def twin(self, id: str) -> str:
        """The id for one more thing that reads the same: the second is `….2`."""
        self._twins[id] += 1
        return id if self._twins[id] == 1 else f"{id}.{self._twins[id]}"

    def missed(self, counted: str, times: int = 1) -> None:
        self.left_out[counted] += times


def digest(said: str) -> str:
    """A rule's own part of its id."""
    return blake2b(said.encode("utf-8", "replace"), digest_size=5).hexdigest()
