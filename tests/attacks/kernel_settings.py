"""Change the machine's settings: sysctl, sysfs, clock, names, kernel log.

Must not know which settings there are: all of them are tried.
"""
import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from netcontrol.engine import this_engine

from . import machine
from .catalogue import control, inside

HOST = "netcontrol/engine/host.py"
SECCOMP = "netcontrol/engine/seccomp.json"

SWEEP = """
for top in TOPS:
    for folder, _, names in os.walk(top):
        for name in names:
            path = folder + '/' + name
            try: fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            except OSError: continue
            try:
                value = os.read(fd, 4096).decode(errors='replace').split()
                os.lseek(fd, 0, 0)
                os.write(fd, ' '.join(str(int(v) + 1 if v != '1' else 0) if v.lstrip('-').isdigit() else v for v in value).encode())
            except OSError: pass
            os.close(fd)
"""


# One that each network namespace shows and all share, which can be turned on only: it has packets of lightweight tunnels pass netfilter.
SHARED_BY_THE_KERNEL = {"net/netfilter/nf_hooks_lwtunnel"}


def system_files_that_she_may_write(student) -> set[str]:
    """Files of her /sys that some id of hers may write, by what the machine sees of their owners and modes."""
    top, found = machine.root(student) / "sys", set()
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not (Path(folder) / name).is_mount() and not (Path(folder) / name).is_symlink()]
        for name in names:
            with suppress(OSError):
                s = (Path(folder) / name).lstat()
                if (s.st_mode & 0o002) or (s.st_mode & 0o220 and (s.st_uid >= machine.IDS or (s.st_mode & 0o020 and s.st_gid >= machine.IDS))):
                    found.add(str((Path(folder) / name).relative_to(top)))
    return found


@control("a setting of her own network namespace, and her own host name: they change there")
def her_own_settings_change(alice):
    assert alice.tries("f=/proc/sys/net/ipv4/ip_default_ttl; old=$(cat $f); echo 77 > $f; cat $f; echo $old > $f; hostname evil; hostname; hostname lab").words == ["77", "evil"]


@inside("writes every setting below /proc/sys that she can open: as root, in new namespaces, by a proc of her own, in a privileged container", holds="those of a namespace are a host's own; the others ask for the machine's root", at=f"{HOST}:ReadonlyPaths", seen="the machine and bob: every setting that root could change, before and after")
def writes_every_setting(mallory, bob):
    bobs = "cd /proc/sys && find . -type f -perm /200 ! -name ns_last_pid -exec grep -H . {} + 2>/dev/null | sort"
    before, with_bob = machine.settings(), bob.tries(bobs).out
    assert len(before) > 200 and len(with_bob) > 5000
    sweep = SWEEP.replace("TOPS", "('/proc/sys', '/dev/.patchbay/proc/sys')")
    mallory.python(sweep, 40)
    mallory.tries(f"unshare -Urmpf --mount-proc python3 - <<'E'\nimport os\n{sweep}\nE\nunshare -mpf --mount-proc python3 - <<'E'\nimport os\n{sweep}\nE", 40)
    after = machine.settings()
    assert {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value and name not in SHARED_BY_THE_KERNEL} == {}
    assert bob.tries(bobs).out == with_bob


@inside("writes the kernel's files below /sys", holds="they belong to the machine's root; only those of her own interfaces are hers", at="netcontrol/engine/lab-runc:sysfs", seen="the machine: owner and mode of each file of her /sys")
def writes_system_files(alice):
    files = {file for file in system_files_that_she_may_write(alice) if not file.startswith("devices/virtual/net/")}
    assert files == set()
    assert "devices/virtual/net/lo/mtu" in system_files_that_she_may_write(alice), "nothing was looked at"


@inside("asks the kernel for a favour by its keys (sysrq)", holds="the file is the machine's root's", at=f"{HOST}:MaskedPaths", seen="the machine: owner and mode of the file in her /proc")
def presses_sysrq(alice):
    tried = alice.tries("for f in /proc/sysrq-trigger /dev/.patchbay/proc/sysrq-trigger; do echo h > $f && echo DONE; done; unshare -Urmpf --mount-proc sh -c 'echo h > /proc/sysrq-trigger && echo DONE'")
    assert "DONE" not in tried.words
    if not Path("/proc/sysrq-trigger").exists():
        pytest.skip("this kernel has no such keys")
    for path in ("proc/sysrq-trigger", "dev/.patchbay/proc/sysrq-trigger"):
        found = (machine.root(alice) / path).stat()
        assert found.st_uid not in range(this_engine().machine.mapped_root, this_engine().machine.mapped_root + machine.IDS) and not found.st_mode & 0o022


@inside("sets the machine's clock", holds="seccomp: no call that sets it; adjusting it asks for the machine's right", at=SECCOMP, seen="the machine: its clock against a clock that nobody can set")
def sets_the_clock(alice):
    drift = time.time() - time.monotonic()
    tried = alice.python("""
print(call(227, 0, struct.pack('<qq', 1, 0)), call(164, struct.pack('<qq', 1, 0), None))
print(call(159, struct.pack('<I4xq', 0x2, 500000) + bytes(200)), call(305, 0, struct.pack('<I4xq', 0x100, 60) + bytes(200)))
""")
    assert all(int(word) < 0 for word in tried.words) and len(tried.words) == 4, tried
    assert alice.tries("date -s 2001-01-01; hwclock -w; timedatectl set-time 2001-01-01").code != 0
    assert abs(time.time() - time.monotonic() - drift) < 0.5


@inside("changes the machine's and a classmate's names: host, domain, mounts of them", holds="a host has a UTS namespace of its own", at=f"{HOST}:hostname", seen="the machine's and bob's host name")
def changes_names(alice, bob):
    before = socket.gethostname(), bob.tries("hostname").out
    alice.tries("hostname evil; domainname evil; hostnamectl set-hostname evil; docker run --rm --privileged --uts host busybox hostname evil2")
    try:
        assert (socket.gethostname(), bob.tries("hostname").out) == before
    finally:
        alice.tries("hostname lab; domainname '(none)'")


@inside("reads and writes the kernel's log", holds="seccomp: no syslog; /dev/kmsg cannot be made; /proc/kmsg asks for the machine's right", at=SECCOMP, seen="the machine's log, in which her word is not")
def reads_the_kernels_log(alice):
    word = f"evil-{time.time_ns()}"
    tried = alice.tries(f"dmesg | head -1 | grep . && echo READ; timeout 1 head -c1 /proc/kmsg | grep . && echo READ; for f in /dev/kmsg /proc/kmsg; do [ -c $f ] && echo {word} > $f; done; mknod /tmp/kmsg c 1 11 && {{ echo {word} > /tmp/kmsg; timeout 1 head -c1 /tmp/kmsg && echo READ; }}; rm -f /tmp/kmsg")
    assert "READ" not in tried.words
    log = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", timeout=10)
    if log.returncode:
        pytest.skip("this machine keeps its own log from its root")
    assert word not in log.stdout


@inside("has the kernel start a program for a kind of file (binfmt_misc)", holds="what she registers counts in her user namespace only", at="netcontrol/engine/daemon.py:userns-remap", seen="the machine and bob, who run such a file and are refused")
def registers_a_kind_of_file(alice, bob, tmp_path):
    alice.tries("mkdir -p /tmp/bm; mount -t binfmt_misc none /tmp/bm || mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; for d in /tmp/bm /proc/sys/fs/binfmt_misc; do echo ':evil:M::EVILMAGIC::/bin/true:F' > $d/register; done")
    try:
        file = tmp_path / "evil"
        file.write_text("EVILMAGIC")
        file.chmod(0o755)
        with pytest.raises(OSError, match="Exec format"):
            subprocess.run([file], timeout=5)
        assert bob.tries("printf EVILMAGIC > /root/e; chmod 755 /root/e; python3 -c \"import os; os.execv('/root/e', ['e'])\"; rm /root/e").out.count("Exec format error") == 1
    finally:
        alice.tries("echo -1 > /tmp/bm/evil; umount /tmp/bm")
