"""See, stop or impersonate a classmate's programs.

What is shared by all hosts is the kernel and the owner of their ids. Must not know networks: those are wires.py's.
"""
import time
from pathlib import Path

import pytest

from . import machine
from .catalogue import control, inside

HOST = "netcontrol/engine/host.py"


@pytest.fixture(scope="module")
def bobs(bob):
    """A program of bob's with all sorts of things of his own. Gives its name; when this is over it still runs, and has what it had."""
    word = f"bobs-{time.time_ns()}"
    bob.tries(f"""systemd-run -q --unit={word} python3 -c "
import fcntl, mmap, os, socket, time
for folder in ('/dev/shm/', '/tmp/'): print('secret-{word}', file=open(folder + '{word}', 'w'))
s = socket.socket(socket.AF_UNIX); s.bind('\\0{word}'); s.listen(4)
time.sleep(600)"
for n in $(seq 100); do [ -s /tmp/{word} ] && break; sleep 0.05; done; ipcmk -M 4096 >/dev/null; cat /tmp/{word}""")
    yield word
    assert bob.tries(f"systemctl is-active {word}; cat /dev/shm/{word}; ipcs -m | grep -c 4096").words == ["active", f"secret-{word}", "1"]
    bob.tries(f"systemctl stop {word}; ipcrm -a; rm -f /dev/shm/{word} /tmp/{word}")


@control("bob himself sees his program, its socket and its files by the same commands")
def bob_sees_his_own(bob, bobs):
    seen = bob.tries(f"pgrep -f {bobs} | head -1; grep -c {bobs} /proc/net/unix; ls /dev/shm").out
    assert seen.count(bobs) == 1 and len(seen.split()) == 3, seen


@inside("finds and kills a classmate's programs, by name, by the machine's numbers, all at once", holds="a host has a PID namespace of its own", at=f"{HOST}:create_host_config", seen="bob, whose program runs on")
def kills_programs(alice, bob, bobs):
    pids = [int(process.name) for process in machine.processes(bob)]
    tried = alice.python(f"""
import signal
own = {{int(n) for n in os.listdir('/proc') if n.isdigit()}}
for pid in set({pids}) - own:
    for how in (os.kill, os.killpg):
        try: how(pid, signal.SIGKILL); print('KILLED', pid)
        except OSError: pass
    fd = call(434, pid, 0)
    if fd >= 0: print('OPENED', pid)
    if call(101, 16, pid, 0, 0) == 0: print('TRACED', pid)
print(sum(b'{bobs}' in open(f'/proc/{{n}}/cmdline', 'rb').read() for n in own if os.path.exists(f'/proc/{{n}}') and n != os.getpid() and n != os.getppid()))
""")
    assert tried.words == ["0"], tried
    assert len(pids) > 5 and all(Path(f"/proc/{pid}").exists() for pid in pids[:5])


@inside("reads a classmate's shared memory, queues and temporary files", holds="a host has IPC and mount namespaces of its own", at=f"{HOST}:tmpfs", seen="bob, whose segment and files are as they were; his secret is in nothing that alice gets")
def reads_memory(alice, bobs):
    tried = alice.tries(f"cat /dev/shm/* /tmp/bobs* /proc/*/root/dev/shm/*; ipcs -m | grep 4096; for id in $(seq 0 40); do ipcrm -m $id; done; grep -r secret-{bobs} /tmp /dev/shm /run /var/tmp; ls /dev/mqueue", 30)
    assert f"secret-{bobs}" not in tried.out.replace(f"grep -r secret-{bobs}", "")


@inside("connects to a classmate's abstract socket", holds="abstract names belong to a network namespace", at=f"{HOST}:network_mode", seen="bob's program, which runs on; alice's own of that name is another")
def connects_to_an_abstract_socket(alice, bobs):
    tried = alice.python(f"""
try: socket.socket(socket.AF_UNIX).connect('\\0{bobs}'); print('CONNECTED')
except OSError as no: print(no.errno)
s = socket.socket(socket.AF_UNIX); s.bind('\\0{bobs}'); print('free')
""")
    assert tried.words == ["111", "free"], tried


@inside("leaves keys for a classmate, or fills the quota of keys that they share", holds="seccomp: add_key, keyctl and request_key answer ENOSYS; keyrings are not namespaced", at="netcontrol/engine/seccomp.json:keyctl", seen="the machine's /proc/key-users and /proc/keys, before and after")
def leaves_keys(alice):
    before = {line.split(":")[0]: line for line in Path("/proc/key-users").read_text().splitlines()}
    tried = alice.python("print(call(248, b'user', b'evil', b'x', 1, -4), call(248, b'user', b'evil', b'x', 1, -3), call(250, 0, -4, 1), call(249, b'user', b'evil', None, 0))")
    assert tried.words == ["-38"] * 4, tried
    assert "evil" not in Path("/proc/keys").read_text()
    after = {line.split(":")[0]: line for line in Path("/proc/key-users").read_text().splitlines()}
    assert after.keys() == before.keys()


@inside("learns who else is there from what the kernel tells everybody", holds="processes, mounts, interfaces, cgroups and log are of a host's own namespaces", at=f"{HOST}:CgroupnsMode", seen="the names of bob's container, folder and wire, which are in nothing that alice can read")
def learns_who_is_there(alice, bob):
    tried = alice.tries("cat /proc/self/mountinfo /proc/self/mounts /proc/*/cgroup /proc/*/mountinfo /proc/net/* /proc/mdstat /proc/partitions /proc/locks /proc/swaps /proc/diskstats /proc/timer_list /proc/sched_debug /proc/cgroups; ls -R /sys/fs/cgroup /sys/class/net /sys/block | head -3000; ip netns; lsns; findmnt; ps axww", 30)
    names = (bob.container[:12], bob.dock.name, bob.guest.sandbox.hex[:12])
    assert len(tried.out) > 10_000 and [name for name in names if name in tried.out] == []


@inside("speaks with a classmate's docker or agent by their sockets' paths", holds="a socket's path is of a host's own mount namespace", at=f"{HOST}:/run/patchbay", seen="bob's docker: it has the containers that he made, and no other")
def speaks_with_their_docker(alice, bob):
    before = bob.tries("docker ps -aq").out
    alice.tries(f"for s in /run/docker.sock /proc/*/root/run/docker.sock {bob.dock}/agent.sock; do docker -H unix://$s create --name from-alice busybox; done; docker rm -f from-alice")
    assert bob.tries("docker ps -aq").out == before
