"""The machine's clock may be set while labs run: what must not notice, and by how much it was set. Must not know what is moved by it."""
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netcontrol import connection

LEAST = timedelta(seconds=5)  # less is drift, which is corrected smoothly
_BEGAN, _AT = time.monotonic(), datetime.now(UTC)


def steady_now() -> datetime:
    """As the clock would be if nobody set it since this process began: for what runs every so many seconds."""
    return _AT + timedelta(seconds=time.monotonic() - _BEGAN)


def stepped(machine: str) -> timedelta:
    """By how much this machine's clock was set since this was asked last. Each step is told once, to one of all who ask. Raises what is in `Unreachable`."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # another boot counts from another zero
    now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    with connection.sync() as r:
        before = r.set(connection.key("clock", f"{machine}/{boot}"), repr(now), get=True)
    by = timedelta(seconds=now - float(before)) if before else timedelta()  # type: ignore[arg-type]
    return by if abs(by) >= LEAST else timedelta()
