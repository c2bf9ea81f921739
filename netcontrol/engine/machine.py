"""Facts about the machine, and the few settings of its kernel that many hosts need. Must not know Docker.

Every choice between two kinds of machine (cgroup v1 or v2, AppArmor or none) is made here, from files, and nowhere else.
"""
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netcontrol.engine.errors import EngineError

OWNER = "patchbay"  # the system user whose subordinate ids the hosts' users are mapped to

# All hosts' users belong to one owner for the kernel, so one host could use up what is counted per owner. What these bound is
# bounded by each host's memory and pids anyway.
SYSCTLS = {
    "fs/inotify/max_user_instances": 1_000_000,
    "fs/inotify/max_user_watches": 10_000_000,
    "fs/aio-max-nr": 4_000_000,
    "kernel/pty/max": 100_000,
    **{f"user/max_{kind}_namespaces": 1_000_000 for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")},
}


@dataclass(frozen=True)
class Machine:
    """What the rest of this folder chooses by."""

    cgroup: int  # 1 or 2
    apparmor: bool
    memory_mib: int
    mapped_root: int  # the machine's uid of the root of every host

    def capacity(self, host_mib: int, reserve_mib: int = 2048) -> int:
        """How many one-host sandboxes fit into memory at their limits, at least one."""
        return max(1, (self.memory_mib - reserve_mib) // host_mib)

    def environment(self) -> dict[str, str]:
        """For a host's systemd: version 256 and later refuse cgroup v1 unless the kernel's command line says otherwise."""
        env = {"container": "docker"}
        if self.cgroup == 1:
            env["SYSTEMD_PROC_CMDLINE"] = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
        return env

    def security_options(self) -> list[str]:
        """Docker's AppArmor profile is written for one program and forbids every mount; user namespaces hold instead."""
        return ["apparmor=unconfined"] if self.apparmor else []


def detect(root: Path = Path("/")) -> Machine:
    """Read the facts below `root` (another root only in tests). Raises EngineError when the mapped user is missing."""
    apparmor = root / "sys/module/apparmor/parameters/enabled"
    meminfo = (root / "proc/meminfo").read_text()
    return Machine(
        cgroup=2 if (root / "sys/fs/cgroup/cgroup.controllers").exists() else 1,
        apparmor=apparmor.exists() and apparmor.read_text().strip() == "Y",
        memory_mib=int(meminfo.split("MemTotal:")[1].split()[0]) // 1024,
        mapped_root=subordinate_id((root / "etc/subuid").read_text() if (root / "etc/subuid").exists() else ""),
    )


def subordinate_id(subuid: str) -> int:
    """The first id of OWNER's range in the text of /etc/subuid, by name or by number (`man 5 subuid`)."""
    names = {OWNER}
    try:
        names.add(str(pwd.getpwnam(OWNER).pw_uid))
    except KeyError:
        pass
    for line in subuid.splitlines():
        name, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if name in names and first.isdigit() and count.isdigit() and int(count) >= 65536:
            return int(first)
    raise EngineError("no_subuid", f"The user `{OWNER}` has no 65536 subordinate ids in /etc/subuid.", "Run `./lab up` as root; it makes them.")


def is_mount(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether something is mounted there. `os.path.ismount` does not see a bind mount within one filesystem (`man 5 proc`: field 5)."""
    escaped = str(path).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    return any(line.split()[4] == escaped for line in mountinfo.read_text().splitlines())


def raise_limits(root: Path = Path("/")) -> None:
    """Raise the SYSCTLS that are lower; never lower one that the operator raised. What a kernel lacks, or keeps from a root that
    is itself confined (no CAP_SYS_RESOURCE), stays as it is."""
    for name, least in SYSCTLS.items():
        path = root / "proc/sys" / name
        with suppress(FileNotFoundError, PermissionError):
            if int(path.read_text()) < least:
                path.write_text(str(least))
