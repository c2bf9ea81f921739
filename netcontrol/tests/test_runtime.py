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
        "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}, "uidMappings": [{"containerID": 0, "hostID": 165536, "size": 65536}], "cgroupsPath": "/no/such/cgroup"},
    }
    place = tmp_path / "run/engine/containerd/abc"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(config))
    return place


def wrapper(*argv):
    return subprocess.run([ENGINE / "lab-runc", *argv], capture_output=True, text=True, timeout=10)


def test_create_makes_sys_writable_and_names_who_answers_for_rings(runc, bundle, tmp_path):
    before = json.loads((bundle / "config.json").read_text())
    assert wrapper("--root", "/x", "create", "--bundle", str(bundle), "abc").returncode == 0
    after = json.loads((bundle / "config.json").read_text())
    assert after["linux"].pop("seccomp") == {**before["linux"].pop("seccomp"), "listenerPath": f"{tmp_path}/run/rings.sock"}
    assert after["linux"] == before["linux"]
    proc, sys = after["mounts"]
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
    assert all(arch["subArchitectures"] == [] for arch in profile["archMap"]), "i386's socketcall hides arguments from every rule below"
    families = {rule["args"][0]["value"] for rule in profile["syscalls"] if rule["names"] == ["socket"] and rule["action"] == "SCMP_ACT_ALLOW"}
    assert families == {1, 2, 10, 16, 17} and not {"socket", "socketcall"} & {name for rule in profile["syscalls"] if not rule.get("args") for name in rule["names"]}


def test_what_takes_uncharged_memory_of_the_kernel_is_asked_about_or_refused():
    """The rules for `setsockopt` as the kernel reads them: 32 bits of each number, whatever stands above."""
    rules = [rule for rule in json.loads((ENGINE / "seccomp.json").read_text())["syscalls"] if "setsockopt" in rule["names"]]
    assert all(rule["args"] for rule in rules)

    def holds(arg: dict, value: int) -> bool:
        return {"SCMP_CMP_LT": value < arg["value"], "SCMP_CMP_MASKED_EQ": value & arg["value"] == arg.get("valueTwo")}[arg["op"]]

    def answers(level: int, option: int) -> set[str]:
        return {rule["action"] for rule in rules if all(holds(arg, (0, level, option)[arg["index"]]) for arg in rule["args"])}

    for high in (0, 1 << 32, 0xDEAD << 40):
        assert answers(263 | high, 5) == answers(263, 5 | high) == {"SCMP_ACT_NOTIFY"}  # PACKET_RX_RING
        assert answers(263 | high, 13) == answers(263, 13 | high) == {"SCMP_ACT_ERRNO"}  # PACKET_TX_RING
    for option in set(range(32)) - {5, 13}:
        assert answers(263, option) == {"SCMP_ACT_ALLOW"}, option
    for level in set(range(288)) - {263}:
        assert answers(level, 5) == answers(level, 13) == {"SCMP_ACT_ALLOW"}, level


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
