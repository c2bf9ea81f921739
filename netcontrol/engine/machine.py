"""Facts about the machine, and the few settings of its kernel that many hosts need. Must not know Docker.

Every choice between two kinds of machine (cgroup v1 or v2, AppArmor or none) is made here, from files, and nowhere else.
"""
import pwd
import resource
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netcontrol.engine import cgroups
from netcontrol.engine.errors import EngineError

OWNER = "patchbay"  # the system user whose subordinate ids the hosts' users are mapped to

# All hosts' users belong to one owner for the kernel, so one host could use up what is counted per owner. What these bound is
# bounded by each host's memory and pids anyway.
SYSCTLS = {
    "fs/inotify/max_user_instances": 1_000_000,
    "fs/inotify/max_user_watches": 10_000_000,
    "fs/fanotify/max_user_groups": 1_000_000,
    "fs/fanotify/max_user_marks": 100_000_000,
    "fs/epoll/max_user_watches": 100_000_000,
    "fs/pipe-user-pages-soft": 100_000_000,
    "fs/file-max": 100_000_000,
    "fs/aio-max-nr": 4_000_000,
    "kernel/pid_max": 4_194_304,
    "kernel/pty/max": 100_000,
    # One table of neighbours for all namespaces: who asks for a thousand addresses that are not there would fill it for everybody.
    **{f"net/{family}/neigh/default/gc_thresh{n}": least for family in ("ipv4", "ipv6") for n, least in ((1, 4096), (2, 262_144), (3, 1_048_576))},
    # Whoever has a network namespace may turn it on, for the whole machine, and nobody off again: so that no student changes anything.
    "net/netfilter/nf_hooks_lwtunnel": 1,
    **{f"user/max_{kind}_namespaces": 1_000_000 for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")},
}


# What the kernel counts of a user namespace it counts once more for the owner of them all, by the limits that the maker of the namespace
# had: the engine has none, or one host's pending signals would leave none to the others. Its memory is charged to the host.
RLIMITS = (resource.RLIMIT_NPROC, resource.RLIMIT_SIGPENDING, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK)


# What no host can have loaded: Docker in it has the right neither to load a module nor to ask for this one. Without it a bridge does not
# show its packets to iptables, and a published port does not answer for a container on the same bridge.
MODULES = {"br_netfilter": "proc/sys/net/bridge"}


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

    def pace(self, device: str, bytes_a_second: int) -> dict[str, list[dict[str, str | int]]]:
        """For a host's configuration: how fast it may write to its disk. Version 1 would bound only what it brings there itself (disk.py)."""
        return {"device_write_bps": [{"Path": device, "Rate": bytes_a_second}]} if self.cgroup == 2 else {}

    def security_options(self) -> list[str]:
        """Docker's AppArmor profile is written for one program and forbids every mount; user namespaces hold instead."""
        return ["apparmor=unconfined"] if self.apparmor else []


def detect(root: Path = Path("/")) -> Machine:
    """Read the facts below `root` (another root only in tests). Raises EngineError when the mapped user is missing."""
    apparmor = root / "sys/module/apparmor/parameters/enabled"
    meminfo = (root / "proc/meminfo").read_text()
    return Machine(
        cgroup=2 if cgroups.two(root / "sys/fs/cgroup") else 1,
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


def top_of_cgroups(root: Path = Path("/")) -> dict[str, object]:
    """The settings of dockerd by which a host's cgroup is at the top of the tree: only there does its turn compare with the lab's and the kernel's own (turns.py).

    Drivers as Docker would choose them: systemd's where systemd has the one tree of version 2.
    """
    systemd = cgroups.two(root / "sys/fs/cgroup") and (root / "run/systemd/system").is_dir()
    driver, top = ("systemd", "-.slice") if systemd else ("cgroupfs", "/")
    return {"exec-opts": [f"native.cgroupdriver={driver}"], "cgroup-parent": top}


def missing_modules(root: Path = Path("/")) -> list[str]:
    """The MODULES that this kernel has neither built in nor loaded."""
    return [name for name, there in MODULES.items() if not (root / there).exists()]


def load_modules(root: Path = Path("/"), modprobe: str = "modprobe") -> None:
    """Load the MODULES that are missing. A machine that cannot (a container) goes on without: `./lab doctor` says so."""
    for name in missing_modules(root):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([modprobe, "-q", name], timeout=20, capture_output=True)


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


def lift_limits() -> None:
    """Lift the RLIMITS of this process and of those that it starts."""
    for limit in RLIMITS:
        with suppress(OSError, ValueError):  # a root that is itself confined
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
