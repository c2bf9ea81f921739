"""Set-up steps that say their name, how far they are, and their time. Must not know what they set up."""
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Step:
    """What a step may say while it runs: on a terminal its line is rewritten, elsewhere a line comes every 10 s."""

    def __init__(self, name: str):
        self.name, self.began, self.said = name, time.monotonic(), time.monotonic()
        self.skipped = False

    def say(self, what: str) -> None:
        now = time.monotonic()
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\033[K  {self.name:<30} {now - self.began:3.0f} s  {what[:60]}")
        elif now - self.said > 10:
            sys.stdout.write(f"  {self.name:<30} {now - self.began:3.0f} s so far: {what[:100]}\n")
            self.said = now
        sys.stdout.flush()

    def did(self, something: bool) -> bool:
        """Whether anything was to be done: a step that did nothing is not told of. Returns `something`."""
        self.skipped = not something
        return something


@contextmanager
def step(name: str) -> Iterator[Step]:
    this = Step(name)
    if sys.stdout.isatty():
        this.say("")
    clear = "\r\033[K" if sys.stdout.isatty() else ""
    try:
        yield this
    except BaseException:
        print(f"{clear}  {name:<30} failed after {time.monotonic() - this.began:.1f} s", flush=True)
        raise
    if this.skipped:
        sys.stdout.write(clear)
    else:
        print(f"{clear}  {name:<30} {time.monotonic() - this.began:.1f} s", flush=True)
