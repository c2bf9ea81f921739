"""`./lab bench`: the lab beside a peer that does the same work on the same machine in the same run.

A benchmark is a module with `bench()`, which yields rows. Ours and the peer's trials are interleaved, so that whatever else the
machine does slows both. Must not know how the lab does its work: it uses the page's own HTTP and WebSocket, and `docker`.
"""
import statistics
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    bench: str
    figure: str
    unit: str
    ours: float
    peer: float | None = None
    goal: float | None = None  # at most this: the ratio when there is a peer, else `ours`

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        value = self.ratio if self.peer is not None else self.ours
        return None if self.goal is None or value is None else value <= self.goal

    def as_dict(self) -> dict:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def percentile(samples: list[float], q: int) -> float:
    """The q-th percentile, by linear interpolation."""
    return statistics.quantiles(samples, n=100, method="inclusive")[q - 1]
