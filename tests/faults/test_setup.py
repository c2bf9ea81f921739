"""Set-ups that cannot be: one clear sentence, nothing left behind. And one that is killed half-way, in each of its steps: the next one goes on."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from ..conftest import BASE
from ..driving import run


def test_a_lab_of_another_version_runs(lab, student):
    """What it did not know of cannot be started in it: it is left alone, with the student in it."""
    stamp = settings.RUN / "runs"
    now = stamp.read_text()
    stamp.write_text(json.dumps({**json.loads(now), "config": "of another version"}))
    try:
        up = lab("up", "--detach")
    finally:
        stamp.write_text(now)
    assert up.returncode == 1 and "had other processes. Run ./lab down" in up.stderr and "Traceback" not in up.stderr
    assert run(student, "echo there")[1].startswith("there")


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder for another lab; afterwards nothing of it may run or be mounted."""
    var = tmp_path_factory.mktemp("v")
    yield var
    assert not [m for m in Path("/proc/mounts").read_text().splitlines() if f"{var}/" in m]
    assert not subprocess.run(["pgrep", "-f", f"{var}/"], capture_output=True, timeout=5).stdout
    subprocess.run(["umount", str(var)], capture_output=True, timeout=10)
    shutil.rmtree(var, ignore_errors=True)


def test_not_root(tmp_path):
    shutil.copy("lab", tmp_path / "lab")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:-1]:
        if not parent.stat().st_mode & 0o005:
            parent.chmod(parent.stat().st_mode | 0o005)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", tmp_path / "lab", "up"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert done.stderr == "./lab up needs root, for the engine and its network. Run: sudo ./lab up\n"
    assert {p.name for p in tmp_path.iterdir()} == {"lab"}


def test_port_taken(lab, elsewhere):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        up = lab("up", "--detach", PATCHBAY_VAR=str(elsewhere), PATCHBAY_PORT=str(port))
    assert up.returncode == 1
    assert f"Port {port} cannot be used: address already in use. Stop the other program, or choose another port" in up.stderr
    assert "Traceback" not in up.stderr


def test_disk_full_while_building(lab, elsewhere):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(elsewhere)], check=True, timeout=10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = lab("up", "--detach", seconds=200, PATCHBAY_VAR=str(elsewhere), PATCHBAY_PORT=str(port), PATCHBAY_ENGINE_DISK_GIB="4", PATCHBAY_CAPACITY="1")
    assert up.returncode == 1
    assert "the disk is full. Free about 4 GB" in up.stderr, up.stdout + up.stderr
    assert "Traceback" not in up.stderr
    assert not list((elsewhere / "cache").iterdir())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PATCHBAY_WIRES", "172.17.0.0/16", "hosts need IPv4 outside Docker's own"),
        ("PATCHBAY_MINUTES", "0", "must be at least 1"),
        ("PATCHBAY_PORT", "eighty", "PATCHBAY_PORT"),
        ("PATCHBAY_EGRESS", "0.0.0.0/0:443/tcp, 169.254.169.254", "is never let out"),
        ("REDIS_URL", "http://redis", "REDIS_URL begins with http"),
    ],
)
def test_wrong_setting(lab, elsewhere, name, value, words):
    up = lab("up", "--detach", **{"PATCHBAY_VAR": str(elsewhere), "PATCHBAY_PORT": "18765", name: value})
    assert up.returncode == 1
    assert words in up.stderr
    assert "Traceback" not in up.stderr


def test_unknown_command(lab):
    done = lab("frobnicate")
    assert done.returncode == 1 and 'There is no "./lab frobnicate".' in done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def killed(var: Path, port: int, when) -> str:
    """Run ./lab up for that folder and kill -9 all of it as soon as `when` says so. Returns what it printed."""
    said = var / "said"
    with said.open("w") as out:
        up = subprocess.Popen(
            [BASE / "lab", "up", "--detach"], stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "PATCHBAY_VAR": str(var), "PATCHBAY_PORT": str(port), "PATCHBAY_ENGINE_DISK_GIB": "4", "PATCHBAY_CAPACITY": "1"},
        )  # fmt: skip
    end = time.monotonic() + 90
    try:
        while not when(said.read_text()) and up.poll() is None:
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.02)
        assert up.poll() is None, said.read_text()
    finally:
        os.killpg(up.pid, signal.SIGKILL)
        up.wait(10)
    return said.read_text()


@pytest.mark.timeout(300)
def test_killed_in_each_step(lab, elsewhere):
    """Each run gets further than the one before, over what that one left; and `down` finds all of it."""
    port, there = free_port(), elsewhere
    steps = [
        ("folders", lambda said: (there / "secret").exists()),
        ("static files", lambda said: (there / "static").exists()),
        ("database", lambda said: "static files" in said or (there / "database").exists()),
        ("Redis and the engine", lambda said: (there / "engine.disk").exists() or (there / "engine.new").exists()),
        ("host image", lambda said: (there / "cache").exists() and any((there / "cache").iterdir())),
        ("host image, again", lambda said: "Redis and the engine" not in said and (there / "cache").exists() and any((there / "cache").iterdir())),
    ]
    for step, begun in steps:
        said = killed(there, port, begun)
        assert "Traceback" not in said and "failed" not in said, (step, said)
    down = lab("down", PATCHBAY_VAR=str(there), PATCHBAY_PORT=str(port))
    assert down.returncode == 0, down.stdout + down.stderr


def test_a_store_that_was_half_built(lab, tmp_path):
    """Killed while it filled the store, `./lab up` leaves mounts of it; the next one takes them away and mounts its own."""
    from labsite import setup

    store = setup.image_store(lambda _: None)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "here").write_text(folder.name)
    left = store._mounted(building=old)
    left.__enter__()
    shutil.rmtree(old)
    with store._mounted(building=new) as (place,):
        assert (place / "here").read_text() == "new"
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1] == str(place)]
    assert not place.exists()
    with suppress(FileNotFoundError):
        left.__exit__(None, None, None)  # there is nothing left for it to remove
