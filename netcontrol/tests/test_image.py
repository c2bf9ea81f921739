"""What a set-up that was killed leaves of an image."""
import subprocess
from pathlib import Path

from netcontrol.engine import image


def test_what_a_killed_build_left_mounted_goes_with_it(tmp_path):
    """mmdebstrap mounts /proc, /sys and /dev below its root, and cannot unmount them when it is killed with -9."""
    inside = tmp_path / "root-x" / "mmdebstrap.y" / "dev"
    inside.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", inside], check=True, timeout=10)
    (inside / "shm").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", inside / "shm"], check=True, timeout=10)
    (tmp_path / "kept.txt").touch()
    image.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
