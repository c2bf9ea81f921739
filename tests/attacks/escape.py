"""Break out of the container.

Must not know lessons or pages: only a host's root, and what the machine sees of it.
"""
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings

from . import machine
from .catalogue import control, inside

SECCOMP = "netcontrol/engine/seccomp.json"
HOST = "netcontrol/engine/host.py"
IDS = machine.IDS


@control("a system call that the list allows; a canary in her own folders notices that it is read")
def what_is_allowed_works(alice):
    assert int(alice.python("print(call(39))").out) > 1  # getpid
    with machine.Canary(machine.root(alice) / "root" / "canary") as canary:
        assert canary.words in alice.tries("cat /root/canary").out and canary.touched()


@inside("loads a kernel module", holds="seccomp: neither init_module nor finit_module is on the list; CAP_SYS_MODULE counts in the user namespace only", at=SECCOMP, seen="the machine's /proc/modules")
def loads_a_module(alice):
    modules = Path("/proc/modules")
    before = modules.read_text() if modules.exists() else ""
    tried = alice.python("fd = os.memfd_create('evil'); os.write(fd, b'\\x7fELF'); print(call(313, fd, b'', 0), call(175, b'\\x7fELF', 4, b''))")
    assert tried.words == ["-1", "-1"], tried
    assert (modules.read_text() if modules.exists() else "") == before


@inside("starts another kernel, or reboots the machine", holds="seccomp: no kexec; reboot ends the host's own PID namespace", at=SECCOMP, seen="the machine's boot id, which stays; the end of the host alone")
def starts_another_kernel(mallory, bob):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    assert mallory.python("print(call(246, 0, 0, None, 0), call(320, -1, -1, 0, b'', 0))").words == ["-1", "-1"]
    container = mallory.container
    with pytest.raises((OSError, EOFError, TimeoutError)):
        mallory.tries("sync; reboot -ff; sleep 5", seconds=8)
    end = time.monotonic() + 10
    while machine.runs(container):
        assert time.monotonic() < end, "the host still runs"
        time.sleep(0.05)
    assert bob.answers() and Path("/proc/sys/kernel/random/boot_id").read_text() == boot


@inside("uses parts of the kernel that exploits are made of: bpf, perf, io_uring, userfaultfd", holds="seccomp: none of them is on the list", at=SECCOMP, seen="the machine: no process of the host holds such a file")
def uses_what_exploits_are_made_of(alice):
    tried = alice.python("print(call(321, 5, None, 0), call(298, None, 0, -1, -1, 0), call(425, 8, ctypes.create_string_buffer(120)), call(323, 0))")
    assert tried.words == ["-1"] * 4, tried
    held = [str(fd.readlink()) for process in machine.processes(alice) for fd in machine.files(process) if fd.is_symlink()]
    assert held and not [name for name in held if any(kind in name for kind in ("bpf", "[perf", "io_uring", "userfaultfd"))]


@inside("makes system calls by the numbers of 32-bit and x32 programs", holds="seccomp: there is one way into the kernel, another one is the program's end", at=f"{SECCOMP}:subArchitectures", seen="the machine's /proc: none of the host's processes is without a filter")
def enters_by_another_door(alice, bob):
    tried = alice.python("""
import mmap
def by_int80(number, first, second=0):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b'\\x53\\xb8' + struct.pack('<I', number) + b'\\xbb' + struct.pack('<i', first) + b'\\xb9' + struct.pack('<I', second) + b'\\x31\\xd2\\xcd\\x80\\x48\\x98\\x5b\\xc3')
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
for try_it in (lambda: by_int80(20, 0), lambda: by_int80(359, 40, 1), lambda: by_int80(102, 1), lambda: call(0x40000000 + 39), lambda: call(39)):
    child = os.fork()
    if not child: os._exit(try_it() >= 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    assert tried.words == ["-31", "-31", "-31", "-31", "1"], "SIGSYS, save for the last, which is no attack"
    assert machine.loose(alice, bob) == []


@inside("turns the filter off: prctl, a privileged inner container without one", holds="a filter is inherited and cannot be taken off", at=f"{HOST}:security_opt", seen="the machine's /proc: Seccomp is 2 for each process of the host, inner ones too")
def turns_the_filter_off(alice, bob):
    started = alice.tries("docker run -d --name evil --privileged --pid host --security-opt seccomp=unconfined busybox sleep 60")
    try:
        assert started.code == 0, started
        alice.python("print(call(157, 22, 0, 0, 0, 0))")
        assert any("sleep\0" in (process / "cmdline").read_text() for process in machine.processes(alice))
        assert machine.loose(alice, bob) == []
    finally:
        alice.tries("docker rm -f evil")


@inside("opens a file of the machine's by its handle (“shocker”)", holds="seccomp: open_by_handle_at is not on the list; it asks for a capability of the machine's", at=SECCOMP, seen="a canary on the same filesystem")
def opens_by_handle(alice):
    with machine.Canary(settings.STORE.parent / "canary") as canary:
        tried = alice.python(f"""
for path in ('/opt/patchbay/docker', '/etc/hosts', '/'):
    for inode in ({canary.path.stat().st_ino}, 2):
        for generation in range(64):
            print(call(304, os.open(path, os.O_RDONLY), ctypes.create_string_buffer(struct.pack('<IiII', 8, 1, inode, generation), 160), 0))
""")
        assert set(tried.words) == {"-1"}, tried
        assert not canary.touched()


@inside("makes nodes of disks and of memory", holds="a user namespace may make none; the machine's cgroup of devices allows no disk", at=f"{HOST}:cap_add", seen="the machine, which finds no node in the host's root")
def makes_devices(alice):
    tried = alice.tries("cd /root; for d in 'b 7 0' 'b 7 1' 'b 8 0' 'b 254 0' 'c 1 1' 'c 1 4' 'c 1 11' 'c 10 237' 'c 10 229' 'c 10 200'; do mknod evil $d && echo made; done; docker run --rm --privileged busybox sh -c 'mknod /d b 7 0 && echo made; ls /dev/loop* /dev/vd* /dev/sd* 2>/dev/null'")
    assert "made" not in tried.words, tried
    nodes = subprocess.run(["find", f"{machine.root(alice)}/", "-xdev", "-type", "b,c"], capture_output=True, text=True, timeout=20)
    assert nodes.stdout == "", nodes


@inside("mounts the machine's disks and the kernel's own filesystems", holds="a user namespace may mount none of these kinds", at=f"{HOST}:MaskedPaths", seen="mountinfo of each of the host's processes, on the machine")
def mounts_the_machine(alice):
    kinds = ("ext4", "xfs", "vfat", "iso9660", "devtmpfs", "debugfs", "tracefs", "securityfs", "configfs", "pstore", "efivarfs", "nfsd", "hugetlbfs")
    before = machine.mount_types(alice)
    alice.tries(f"mkdir -p /tmp/m; for kind in {' '.join(kinds)}; do for source in none /dev/loop0 /dev/loop1 /dev/vda /dev/sda; do timeout 2 mount -t $kind $source /tmp/m; done; done")
    try:
        assert machine.mount_types(alice) - before == set()
    finally:
        alice.tries("umount /tmp/m")


@inside("has the kernel run a program when a cgroup is empty (release_agent)", holds="only the machine's root cgroup has that file; what a cgroup namespace mounts begins at the host's own", at=f"{HOST}:CgroupnsMode", seen="the machine's release_agent files, which stay as they are")
def sets_a_release_agent(alice):
    agents = {path: path.read_text() for path in Path("/sys/fs/cgroup").glob("*/release_agent")}
    tried = alice.tries("""
for way in '' 'unshare -UrmC' 'unshare -mC'; do
  $way sh -c 'mkdir -p /tmp/cg; for c in memory pids rdma misc cpuset,cpu none,name=evil name=systemd freezer; do
    mount -t cgroup -o $c cgroup /tmp/cg && { find /tmp/cg -maxdepth 2 -name release_agent | while read -r f; do echo /tmp/evil > $f && echo SET; done; umount /tmp/cg; }
  done'
done; find /sys/fs/cgroup -name release_agent | grep . && echo SEEN""")
    assert not {"SET", "SEEN"} & set(tried.words), tried
    assert {path: path.read_text() for path in Path("/sys/fs/cgroup").glob("*/release_agent")} == agents


@inside("gets ids of the machine's by a user namespace in the user namespace, or by a setuid program", holds="only ids that the host has can be mapped; those are subordinate ids outside", at="netcontrol/engine/daemon.py:userns-remap", seen="the machine: every process of the host, and the program, has such ids")
def gets_ids_of_the_machine(alice, bob):
    tried = alice.python("""
for line in ('0 0 4294967295', '0 65536 1', '0 100000 65536', '0 1000000 1'):
    go, gone = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        call(272, 0x10000000); os.write(gone[1], b'x'); os.read(go[0], 1); os._exit(0)
    os.read(gone[0], 1)
    file = os.open(f'/proc/{child}/uid_map', os.O_WRONLY)
    try: os.write(file, line.encode()); print('mapped', line)
    except OSError as no: print(no.errno)
    os.write(go[1], b'x'); os.waitpid(child, 0)
""")
    assert "mapped" not in tried.out and len(tried.words) == 4, tried
    alice.tries("cp /bin/true /root/evil; chmod 6755 /root/evil; chown 0:0 /root/evil; chmod 6755 /root/evil")
    found = (machine.root(alice) / "root" / "evil").stat()
    assert found.st_mode & stat.S_ISUID and found.st_uid >= IDS and found.st_gid >= IDS
    assert machine.loose(alice, bob) == []


@inside("reads the machine's files: /proc/1/root, chroot twice, .. and mounts of /", holds="the host's mount namespace holds its own root only", at=f"{HOST}:create_host_config", seen="a canary on the machine that notices who opens it")
def reads_the_machines_files(alice):
    with machine.Canary(settings.RUN / "canary") as canary:
        tried = alice.tries(f"""
p={canary.path}
cat $p /proc/1/root$p /proc/self/root$p /proc/*/root$p /proc/*/cwd$p /proc/1/cwd/../../../../..$p /../../..$p /dev/.patchbay/proc/*/root$p
mkdir -p /tmp/r; mount --rbind / /tmp/r && chroot /tmp/r cat $p; umount -lR /tmp/r
unshare -Urm sh -c "mount --make-rshared /; mount -t overlay -o lowerdir=/run:/ none /tmp/r; cat /tmp/r/$p"
docker run --rm --privileged --pid host -v /:/machine busybox sh -c "cat /machine$p; nsenter -t 1 -m cat $p"
python3 -c "
import os
os.makedirs('/tmp/c', exist_ok=True); fd = os.open('/', os.O_RDONLY); os.chroot('/tmp/c'); os.fchdir(fd)
for _ in range(64): os.chdir('..')
os.chroot('.'); print(open('$p').read())"
""")
        assert canary.words not in tried.out and "No such file" in tried.out and not canary.touched()


@inside("uses a file that the runtime left open", holds="nothing of the machine's is open in a host from its first process on", at="netcontrol/engine/lab-runc:runc", seen="the machine: each open file of each process lies on a mount that the process sees")
def uses_a_left_file(alice):
    alice.tries("for fd in /proc/[0-9]*/fd/*; do ls $fd/../../../run/patchbay; done")
    assert machine.foreign_files(alice) == []


@inside("enters the namespaces of the machine or of a classmate", holds="a host's PID namespace shows its own processes only, and the right to enter others does not count outside", at=f"{HOST}:create_host_config", seen="/proc/<pid>/ns of each process of the host, on the machine")
def enters_other_namespaces(alice, bob):
    tried = alice.python(f"""
entered, user = 0, os.readlink('/proc/self/ns/user')
for pid in [{os.getpid()}, {bob.pid}] + list(range({bob.pid} - 50, {bob.pid} + 50)):
    fd = call(434, pid, 0)
    if fd >= 0:
        call(308, fd, 0x7c020000); os.close(fd)  # every namespace of that process at once
for folder in ('/proc/1/ns', '/dev/.patchbay/proc/1/ns'):
    for name in os.listdir(folder):
        space = os.open(folder + '/' + name, os.O_RDONLY)
        for ask in (0xb701, 0xb702):  # its owner, its parent
            got = call(16, space, ask)
            if got >= 0 and os.readlink('/proc/self/fd/%d' % got) != user: entered += call(308, got, 0) == 0
print(entered)
""")
    assert tried.words == ["0"], tried
    assert machine.loose(alice, bob) == []
