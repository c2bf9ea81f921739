"""The disk of a host: a small filesystem of its own under its root layer, so that it can fill nothing but that.

A file in the engine's data, of full size from the start (nobody can take what was promised to another), behind a loop device. Project quotas
would do the same with less, but not every kernel has them. Must not know Docker, nor whose a host is.
"""
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from netcontrol.engine import cgroups
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.machine import is_mount

INODES_A_MIB = 64  # empty files are bounded, too
BYTES_A_SECOND = 20_000_000  # that are written: more keeps the kernel busy beside everybody's keys
BYTES_BEHIND = 16_000_000  # that wait to be: a `sync` in any host waits for all of them


def possible(root: Path = Path("/")) -> bool:
    """Whether this machine has loop devices; a container may lack them."""
    return (root / "dev/loop-control").exists()


@dataclass(frozen=True)
class Disks:
    """The disks of one lab's hosts: `name.disk`, mounted on `name`, in a folder of the engine's data."""

    folder: Path
    mib: int
    reserve_mib: int = 1024  # stays free for the engine: a new host image, and what it writes about each host

    def existing(self) -> set[str]:
        return {file.stem for file in self.folder.glob("*.disk")}

    def capacity(self) -> int | None:
        """How many there can be at once; None while the engine's data are not there."""
        return len(self.existing()) + self.room() if is_mount(self.folder.parent) else None

    def room(self) -> int:
        """How many more fit."""
        space = os.statvfs(self.folder if self.folder.exists() else self.folder.parent)
        return max(0, (space.f_bavail * space.f_frsize // 1024**2 - self.reserve_mib) // self.mib)

    def make(self, name: str) -> None:
        """Make it and mount it. How fast it is written is bounded here, or on version 2 of cgroups by its host's own (`device`)."""
        file, place = self._file(name), self.folder / name
        self.folder.mkdir(mode=0o700, exist_ok=True)
        place.mkdir()
        if not self.room():
            raise EngineError("disk_full", "The lab's disk has no room for another host.", "This is a fault of the lab, not of yours: get another one.")
        with open(file, "wb") as new:
            os.posix_fallocate(new.fileno(), 0, self.mib * 1024**2)
        # It lives as long as its host, so there is nothing that a journal would save. And nothing may be discarded, not even by writing zeros
        # (to fresh inode tables): a hole in the file is room that others may take.
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-E", "nodiscard,lazy_itable_init=1", "-N", str(self.mib * INODES_A_MIB), str(file))
        # The device is mount's own, who has the kernel detach it with its last user: one that is made first stays, if we are killed before it is mounted.
        run("mount", "-o", "loop,noatime,nodiscard,noinit_itable", str(file), str(place))
        run("losetup", "--direct-io=on", self.device(name))  # past the cache, which would hold everything twice
        _pace(_number(place), BYTES_A_SECOND)

    def device(self, name: str) -> str:
        """What is mounted."""
        return f"/dev/{Path('/sys/dev/block', _number(self.folder / name)).resolve().name}"

    def lay_under(self, name: str, *folders: str) -> None:
        """Move these folders of a container that is not started yet to this disk. A link stays behind: the engine mounts what it leads to,
        and removes no more than the link."""
        for folder in map(Path, folders):
            run("cp", "-a", str(folder), str(self.folder / name))
            shutil.rmtree(folder)
            folder.symlink_to(self.folder / name / folder.name)

    def used_mib(self, name: str) -> int:
        space = os.statvfs(self.folder / name)
        return (space.f_blocks - space.f_bfree) * space.f_frsize // 1024**2

    def remove(self, name: str) -> None:
        """Safe to call twice, and on a half-made one. Who still has a file of it open keeps it until then."""
        place = self.folder / name
        while is_mount(place):
            _pace(_number(place), 0)
            run("umount", "-l", str(place))
        self._file(name).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.disk"


def _number(place: Path) -> str:
    device = place.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def _pace(number: str, bytes_a_second: int) -> None:
    """For all that write to this device, whoever they are: on version 1 what a host has written is brought to the disk by the kernel, in nobody's
    name. 0: unbounded. (Before Linux 6.2 what waits is bounded by the host's memory only.)"""
    bound = cgroups.ROOT / "blkio/blkio.throttle.write_bps_device"
    if bound.exists():
        bound.write_text(f"{number} {bytes_a_second}")
    waits = Path("/sys/class/bdi", number)
    if bytes_a_second and (waits / "max_bytes").exists():
        (waits / "strict_limit").write_text("1")
        (waits / "max_bytes").write_text(str(BYTES_BEHIND))
