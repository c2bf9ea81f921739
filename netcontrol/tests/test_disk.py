"""The disks of hosts, on this machine's own loop devices."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netcontrol.engine import cgroups, disk
from netcontrol.engine.disk import Disks
from netcontrol.engine.errors import EngineError
from netcontrol.engine.machine import is_mount
from netcontrol.tests.loops import held

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not disk.possible(), reason="loop devices need root, and a machine that has them")


@pytest.fixture
def disks(tmp_path):
    made = Disks(tmp_path / "hosts", 16, reserve_mib=0)
    yield made
    for name in made.existing():
        made.remove(name)


def fill(path: Path) -> int:
    """MiB that could be written."""
    with open(path, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1024**2))
    return path.stat().st_size // 1024**2


def test_a_full_disk_is_full_for_its_host_alone(disks):
    disks.make("a-lab")
    disks.make("b-lab")
    assert disks.existing() == {"a-lab", "b-lab"}
    assert 12 <= fill(disks.folder / "a-lab/big") < 16 and disks.used_mib("a-lab") >= 12
    assert 12 <= fill(disks.folder / "b-lab/big") < 16


KILLED = """
import os, signal, sys
from pathlib import Path
from netcontrol.engine import disk
folder, steps, run = Path(sys.argv[1]), int(sys.argv[2]), disk.run
def step(*argv, **how):
    global steps
    if not steps:
        os.kill(os.getpid(), signal.SIGKILL)
    steps -= 1
    return run(*argv, **how)
disk.run = step
disk.Disks(folder, 16, reserve_mib=0).make("a-lab")
"""


def test_killed_at_any_step_it_leaves_nothing(disks):
    """No loop device, above all: it would keep the engine's data busy for ever."""
    ended, steps = -9, 0
    while ended == -9:
        ended = subprocess.run([sys.executable, "-c", KILLED, disks.folder, str(steps)], timeout=30).returncode
        if ended == 0:
            assert held(disks.folder)  # the control: this is where one would be seen
        disks.remove("a-lab")
        assert not disks.existing() and not held(disks.folder), f"after {steps} steps"
        steps += 1
    assert ended == 0 and steps > 3


def test_empty_files_are_bounded_too(disks):
    disks.make("a-lab")
    with pytest.raises(OSError, match="No space left"):
        for n in range(16 * disk.INODES_A_MIB + 1):
            (disks.folder / "a-lab" / str(n)).touch()


def bounds() -> set[str]:
    return set(Path("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device").read_text().splitlines())


@pytest.mark.skipif(cgroups.two(), reason="version 1: on 2 it is the host's cgroup that is bounded")
def test_it_is_written_at_a_pace_as_long_as_it_is_there(disks):
    before = bounds()
    disks.make("a-lab")
    there = (disks.folder / "a-lab").stat().st_dev
    number = f"{os.major(there)}:{os.minor(there)}"
    assert Path(disks.device("a-lab")).stat().st_rdev == there
    assert f"{number} {disk.BYTES_A_SECOND}" in bounds()
    disks.remove("a-lab")
    assert bounds() <= before


def test_what_was_promised_is_kept(disks):
    """The whole of it is taken from the start, also after files in it were removed: nobody else can take it."""
    disks.make("a-lab")
    file = disks.folder / "a-lab.disk"
    assert file.stat().st_blocks * 512 >= 16 * 1024**2
    fill(disks.folder / "a-lab/big")
    (disks.folder / "a-lab/big").unlink()
    subprocess.run(["sync", "-f", disks.folder / "a-lab"], check=True, timeout=20)
    assert file.stat().st_blocks * 512 >= 16 * 1024**2


def test_folders_of_a_container_are_moved_with_their_owner(disks, tmp_path):
    layer = tmp_path / "layer"
    for name in ("diff", "work", Path("work", "work")):
        (layer / name).mkdir(parents=True)
        os.chown(layer / name, 165536, 165537)
    (layer / "diff").chmod(0o751)
    disks.make("a-lab")
    disks.lay_under("a-lab", str(layer / "diff"), str(layer / "work"))
    (layer / "diff/file").write_text("here")
    assert (disks.folder / "a-lab/diff/file").read_text() == "here" and (disks.folder / "a-lab" / "work" / "work").is_dir()
    now = (layer / "diff").stat()
    assert (now.st_uid, now.st_gid, now.st_mode & 0o777) == (165536, 165537, 0o751)


def test_nothing_is_left_after_the_end(disks):
    disks.make("a-lab")
    place = disks.folder / "a-lab"
    with open(place / "held", "w") as held:  # a process that would not die
        for _ in range(2):
            disks.remove("a-lab")
        held.write("still")
    assert not is_mount(place) and not list(disks.folder.iterdir())


def test_a_full_engine_says_so_and_keeps_its_reserve(tmp_path):
    disks = Disks(tmp_path / "hosts", 16, reserve_mib=2**40)
    with pytest.raises(EngineError, match="no room for another host"):
        disks.make("a-lab")
    disks.remove("a-lab")
    assert not list(disks.folder.iterdir())


def test_how_many_fit_is_not_known_before_the_engine_has_its_data(disks):
    assert disks.capacity() is None
