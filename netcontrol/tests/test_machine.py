"""The choice between kinds of machine, from files of machines that are not this one."""
from pathlib import Path

import pytest

from netcontrol.engine import machine
from netcontrol.engine.errors import EngineError


@pytest.fixture
def root(tmp_path):
    """A Debian 13: cgroup v2, AppArmor, 8 GB."""
    files = {
        "proc/meminfo": "MemTotal:        8000000 kB\nMemFree: 1 kB\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
        "sys/module/apparmor/parameters/enabled": "Y\n",
        "etc/subuid": "alice:100000:65536\npatchbay:165536:65536\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_cgroup_v2_with_apparmor(root):
    found = machine.detect(root)
    assert found == machine.Machine(cgroup=2, apparmor=True, memory_mib=7812, mapped_root=165536)
    assert found.security_options() == ["apparmor=unconfined"]
    assert "SYSTEMD_PROC_CMDLINE" not in found.environment()


def test_cgroup_v1_tells_systemd_to_bear_it(root):
    (root / "sys/fs/cgroup/cgroup.controllers").unlink()
    found = machine.detect(root)
    assert found.cgroup == 1
    assert "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" in found.environment()["SYSTEMD_PROC_CMDLINE"]


@pytest.mark.parametrize("text", ["N\n", None])
def test_no_apparmor(root, text):
    path = root / "sys/module/apparmor/parameters/enabled"
    path.write_text(text) if text else path.unlink()
    assert machine.detect(root).security_options() == []


@pytest.mark.parametrize("text", ["", "alice:100000:65536\n", "patchbay:165536:1000\n", "patchbay:x:65536\n", "patchbay\n"])
def test_a_user_without_subordinate_ids_is_named(root, text):
    (root / "etc/subuid").write_text(text)
    with pytest.raises(EngineError, match="no 65536 subordinate ids") as caught:
        machine.detect(root)
    assert "./lab up" in caught.value.what_to_do


@pytest.mark.parametrize("cgroup", [1, 2])
def test_a_disk_is_written_no_faster_than_its_host_may(cgroup):
    """On version 1 the disk itself is bounded: test_disk.py."""
    bound = machine.Machine(cgroup, False, 1, 0).pace("/dev/block/7:3", 5)
    assert bound == ({"device_write_bps": [{"Path": "/dev/block/7:3", "Rate": 5}]} if cgroup == 2 else {})


@pytest.mark.parametrize(
    ("two", "systemd", "driver", "top"),
    [(True, True, "systemd", "-.slice"), (True, False, "cgroupfs", "/"), (False, True, "cgroupfs", "/"), (False, False, "cgroupfs", "/")],
)
def test_hosts_are_at_the_top_of_the_cgroups_by_the_driver_that_docker_would_choose(root, two, systemd, driver, top):
    if not two:
        (root / "sys/fs/cgroup/cgroup.controllers").unlink()
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
    assert machine.top_of_cgroups(root) == {"exec-opts": [f"native.cgroupdriver={driver}"], "cgroup-parent": top}


@pytest.mark.parametrize(("memory_mib", "hosts"), [(24105, 28), (4096, 2), (1024, 1)])
def test_capacity_from_memory(memory_mib, hosts):
    assert machine.Machine(2, False, memory_mib, 0).capacity(768) == hosts


def test_limits_are_raised_and_never_lowered(tmp_path):
    for name, value in {**machine.SYSCTLS, "fs/aio-max-nr": 99_999_999, "fs/inotify/max_user_instances": 128}.items():
        path = tmp_path / "proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    machine.raise_limits(tmp_path)
    assert (tmp_path / "proc/sys/fs/inotify/max_user_instances").read_text() == "1000000"
    assert (tmp_path / "proc/sys/fs/aio-max-nr").read_text() == "99999999\n"


def test_a_missing_module_is_loaded_and_one_that_is_there_is_not(tmp_path):
    modprobe = tmp_path / "modprobe"
    modprobe.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nmkdir -p {tmp_path}/proc/sys/net/bridge\n')
    modprobe.chmod(0o755)
    assert machine.missing_modules(tmp_path) == ["br_netfilter"]
    for _ in range(2):
        machine.load_modules(tmp_path, str(modprobe))
    assert machine.missing_modules(tmp_path) == [] and (tmp_path / "asked").read_text() == "-q br_netfilter\n"


def test_a_machine_that_cannot_load_modules_goes_on(tmp_path):
    machine.load_modules(tmp_path, str(tmp_path / "no-modprobe"))
    machine.load_modules(tmp_path, "false")


def test_a_bind_mount_is_seen_where_the_standard_library_sees_none(tmp_path):
    (tmp_path / "mountinfo").write_text("45 27 254:0 /x /run/a\\040b/store ro - ext4 /dev/vda rw\n")
    assert machine.is_mount(Path("/run/a b/store"), tmp_path / "mountinfo")
    assert not machine.is_mount(Path("/run/a b"), tmp_path / "mountinfo")
