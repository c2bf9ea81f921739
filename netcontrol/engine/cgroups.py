"""Where a container's cgroups are, and what runs in them: version 1 or 2, dockerd's own driver or systemd's. Must not know what is counted there.

(turns.py looks for itself: it runs alone, without the lab's code.)
"""
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def two(root: Path = ROOT) -> bool:
    """Whether it is version 2: one tree, and not one for each controller."""
    return (root / "cgroup.controllers").exists()


def folder(container: str, controller: str, root: Path = ROOT) -> Path | None:
    """The container's own cgroup; None when there is none any more."""
    top = root if two(root) else root / controller
    known = (top / container, top / f"docker-{container}.scope")
    return next((path for path in known if path.is_dir()), None) or next((path for name in known for path in top.glob(f"**/{name.name}")), None)


def processes(top: Path | None) -> Iterator[int]:
    """In this cgroup or below it. What goes meanwhile is not there."""
    for group, _, _ in os.walk(top) if top else ():
        with suppress(OSError):
            yield from map(int, Path(group, "cgroup.procs").read_text().split())
