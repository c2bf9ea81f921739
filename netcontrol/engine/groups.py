"""How many cgroups a host has made. Each may make its own, for its containers, and a machine has room for 65535 with memory.

On v2 a limit could be set on each; v1 has none. So they are watched: making one takes about half a millisecond. Must not know Docker.
"""
import os
from pathlib import Path

from netcontrol.engine import cgroups

ROOM = 65_535  # numbers for memory cgroups that a kernel has
MANY = 2_000  # of one host: a container in it takes one or two


def in_use(proc: Path = Path("/proc")) -> int:
    """Memory cgroups of the whole machine."""
    return next((int(line.split()[2]) for line in (proc / "cgroups").read_text().splitlines() if line.startswith("memory\t")), 0)


def made_by(container: str, root: Path = cgroups.ROOT) -> int:
    """Below the container's own; counts no further than MANY + 1, and a tree that is being removed as far as it is there."""
    top, count = cgroups.folder(container, "memory", root), 0
    for _, folders, _ in os.walk(top) if top else ():
        count += len(folders)
        if count > MANY:
            break
    return count
