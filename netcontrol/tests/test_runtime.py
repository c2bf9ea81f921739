"""The runtime wrapper beside a runc that only writes down how it was called, and the files of the engine."""
import json
import subprocess
from pathlib import Path

import pytest

from netcontrol.engine.daemon import Daemon
from netcontrol.engine.host import kill

ENGINE = Path(__file__).parents[1] / "engine"


@pytest.fixture
def runc(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    fake = tmp_path / "bin" / "runc"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit ${{RUNC_EXIT:-0}}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    return calls


@pytest.fixture
def bundle(tmp_path):
    config = {
        "mounts": [
            {"destination": "/proc", "type": "proc", "options": ["nosuid", "ro"]},
            {"destination": "/sys", "type": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {"uidMappings": [{"containerID": 0, "hostID": 165536, "size": 65536}], "cgroupsPath": "/no/such/cgroup"},
    }
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/config.json").write_text(json.dumps(config))
    return tmp_path / "bundle"


def wrapper(*argv):
    return subprocess.run([ENGINE / "lab-runc", *argv], capture_output=True, text=True, timeout=10)


def test_create_makes_sys_writable_and_nothing_else(runc, bundle):
    assert wrapper("--root", "/x", "create", "--bundle", str(bundle), "abc").returncode == 0
    proc, sys = json.loads((bundle / "config.json").read_text())["mounts"]
    assert sys["options"] == ["nosuid", "noexec", "nodev", "rw"]
    assert proc["options"] == ["nosuid", "ro"]
    assert runc.read_text() == f"--root /x create --bundle {bundle} abc\n"


def test_other_calls_go_through_untouched(runc, bundle):
    before = (bundle / "config.json").read_text()
    assert wrapper("--root", "/x", "kill", "abc", "9").returncode == 0
    assert (bundle / "config.json").read_text() == before
    assert runc.read_text() == "--root /x kill abc 9\n"


def test_the_exit_code_of_runc_is_ours(runc, bundle, monkeypatch):
    monkeypatch.setenv("RUNC_EXIT", "7")
    assert wrapper("create", "--bundle", str(bundle), "abc").returncode == 7


def test_a_bundle_without_configuration_never_reaches_runc(runc, tmp_path):
    assert wrapper("create", "--bundle", str(tmp_path), "abc").returncode == 1
    assert not runc.exists()


def test_the_engine_shares_nothing_with_another_docker(tmp_path):
    config = Daemon(socket=tmp_path / "run/docker.sock", run=tmp_path / "run", disk=tmp_path / "engine", disk_gib=1).configuration()
    for key in ("data-root", "exec-root", "pidfile"):
        assert config[key].startswith(str(tmp_path))
    assert config["hosts"] == [f"unix://{tmp_path}/run/docker.sock"]
    assert config["bridge"] == "none"
    assert not any(config[key] for key in ("iptables", "ip6tables", "ip-forward", "ip-masq"))
    assert config["userns-remap"] == "patchbay"


def test_the_seccomp_profile_denies_by_default_and_has_no_kernel_doors():
    profile = json.loads((ENGINE / "seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {name for rule in profile["syscalls"] for name in rule["names"] if rule["action"] == "SCMP_ACT_ALLOW"}
    assert {"pivot_root", "mount", "setns", "unshare", "clone3"} <= allowed
    forbidden = {"keyctl", "add_key", "request_key", "bpf", "perf_event_open", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "iopl", "ioperm", "io_uring_setup", "userfaultfd", "open_by_handle_at", "swapon", "acct", "clock_settime", "settimeofday", "syslog", "quotactl"}
    assert not forbidden & allowed


@pytest.mark.parametrize("unit", sorted((ENGINE / "image/files/etc/systemd/system").glob("*.s*")), ids=lambda path: path.name)
def test_every_unit_says_whose_it_is(unit):
    assert "Description=Patchbay: " in unit.read_text()


@pytest.mark.parametrize(
    ("tree", "file", "frozen", "running"),
    [("freezer/docker/abc", "freezer.state", "FROZEN", "THAWED"), ("system.slice/docker-abc.scope", "cgroup.freeze", "1", "0")],
    ids=["v1", "v2"],
)
def test_a_frozen_host_is_thawed_and_killed_to_its_last_group(tmp_path, tree, file, frozen, running):
    for folder in ("", "evil", "evil/deeper"):
        (tmp_path / tree / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / tree / folder / file).write_text(frozen)
    if file == "cgroup.freeze":
        (tmp_path / "cgroup.controllers").touch()
    other = tmp_path / tree.replace("abc", "other")
    other.mkdir(parents=True)
    (other / file).write_text(frozen)
    frozen_process = subprocess.Popen(["sleep", "60"])
    (tmp_path / tree / "evil/deeper/cgroup.procs").write_text(f"{frozen_process.pid}\n")
    kill("abc", tmp_path)
    assert frozen_process.wait(timeout=5) == -9
    assert [(tmp_path / tree / folder / file).read_text() for folder in ("", "evil", "evil/deeper")] == [running] * 3
    assert (other / file).read_text() == frozen
