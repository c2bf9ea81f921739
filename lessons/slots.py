"""How many threads of the check worker may be at one kind of work: in all, and for one sandbox. Must not know what is done."""
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """`most` in this process, `each` of them for one sandbox."""

    def __init__(self, most: int, each: int):
        self.most, self.each = most, each
        self.lock, self.taken = threading.Lock(), Counter[str]()

    @contextmanager
    def slot(self, sandbox: str) -> Iterator[bool]:
        """Whether there was one; nobody waits here, for a thread that waits does nothing for others."""
        with self.lock:
            mine = self.taken.total() < self.most and self.taken[sandbox] < self.each
            self.taken[sandbox] += mine
        try:
            yield mine
        finally:
            with self.lock:
                self.taken[sandbox] -= mine
                if not self.taken[sandbox]:
                    del self.taken[sandbox]
