"""Write the images that all students share.

Must not know what is in them.
"""
import time
from pathlib import Path

import pytest
from django.conf import settings

from .catalogue import control, inside

SEAL = "netcontrol/engine/store.py:seal"
HOLDS = "the store is mounted read-only from outside of the user namespace, which locks the flag"
SEEN = "the machine: each file of the store by size, mode, owner and times; bob, whose images run"


def fingerprint(folder: Path) -> dict[str, tuple]:
    return {str(path): ((s := path.lstat()).st_mode, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def before() -> dict[str, tuple]:
    return fingerprint(settings.STORE)


@pytest.fixture
def unchanged(bob, before):
    """The store is afterwards as it was."""
    yield
    assert len(before) > 1000 and fingerprint(settings.STORE) == before
    assert bob.tries("docker run --rm busybox true").code == 0


@control("a mount that she made read-only herself: the same command makes it writable; the fingerprint sees a touch")
def what_is_not_locked_is_written(alice, tmp_path):
    tried = alice.tries("mkdir -p /tmp/a /tmp/b; mount --bind -o ro /tmp/a /tmp/b; touch /tmp/b/x && echo ro?; mount -o remount,rw,bind /tmp/b; touch /tmp/b/x && echo WRITTEN; umount /tmp/b")
    assert "WRITTEN" in tried.words and "ro?" not in tried.words
    (tmp_path / "x").touch()
    before = fingerprint(tmp_path)
    time.sleep(0.01)
    (tmp_path / "x").touch()
    assert fingerprint(tmp_path) != before


@inside("writes, changes modes, owners, times and attributes, removes", holds=HOLDS, at=SEAL, seen=SEEN)
def writes(alice, unchanged):
    alice.tries("for d in /opt/patchbay/docker /opt/patchbay/podman $(ls -d /var/lib/docker/overlay2/*/diff | head -3); do touch $d/x; mkdir $d/y; chmod 777 $d; chown 1 $d; touch -d 2001-01-01 $d; setfattr -n user.x -v y $d; rm -rf $d/* ; mv $d $d.old; ln $d/* $d/z; truncate -s 0 $d/*; chattr +i $d/*; done")


@inside("remounts it: as it is, in a namespace of her own, by the new mount calls, through /proc/1/root", holds=HOLDS, at=SEAL, seen=SEEN)
def remounts(alice, unchanged):
    alice.tries("""
for store in /opt/patchbay/docker /proc/1/root/opt/patchbay/docker; do
  for how in '' 'unshare -m' 'unshare -Urm'; do
    $how sh -c "mount -o remount,rw $store; mount -o remount,rw,bind $store; mkdir -p /tmp/s; mount --rbind $store /tmp/s; mount -o remount,rw,bind /tmp/s; touch $store/x /tmp/s/x; rm -rf $store/* /tmp/s/*; umount -l /tmp/s"
  done
done""")
    alice.python("""
tree = call(428, -100, b'/opt/patchbay/docker', 1 | 0o2000000)  # a copy, open_tree
print(call(442, tree, b'', 0x1000, struct.pack('<QQQQ', 0, 1, 0, 0), 32))  # take MOUNT_ATTR_RDONLY off
os.makedirs('/tmp/t', exist_ok=True)
print(call(429, tree, b'', -100, b'/tmp/t', 4))
try: open('/tmp/t/x', 'w')
except OSError as no: print(no)
call(166, b'/tmp/t', 2)
""")


@inside("writes by a privileged inner container, and by an overlay whose upper folder the store is", holds=HOLDS, at=SEAL, seen=SEEN)
def writes_by_a_container(alice, unchanged):
    alice.tries("""
docker run --rm --privileged -v /opt/patchbay/docker:/store -v /:/host busybox sh -c 'touch /store/x; mount -o remount,rw /store; mount -o remount,rw,bind /store; rm -rf /store/* /host/opt/patchbay/docker/*; touch /store/x'
mkdir -p /tmp/o; mount -t overlay -o lowerdir=/etc,upperdir=/opt/patchbay/docker/overlay2,workdir=/opt/patchbay/docker/image none /tmp/o && { rm -rf /tmp/o/*; umount /tmp/o; }""", 40)


@inside("changes the images by docker and podman: removes, tags, builds and commits upon them", holds="a host's docker has the layers bound into folders of its own; what it writes lies in its tmpfs", at="netcontrol/engine/store.py:class Store", seen=SEEN)
def changes_images(mallory, unchanged):
    tried = mallory.tries("""
docker run --name evil nginx sh -c 'rm -rf /usr/share; echo evil > /evil' ; docker commit evil busybox:latest; docker rm evil; docker rmi -f nginx:latest nginx:1.26 busybox:1.37
printf 'FROM nettools\\nRUN rm -rf /usr/bin/ping' | docker build -q -t nettools - ; podman rmi -f busybox; docker system prune -af; docker images -q | wc -l""", 60)
    assert tried.code == 0, tried


@inside("locks all files of the store, so that a classmate's docker waits", holds="a lock for writing asks for a file open for writing; docker and podman take no other kind on it", at=SEAL, seen="bob, whose docker and podman start a container meanwhile")
def locks_the_store(alice, bob):
    alice.forces("systemd-run -q --unit=locks python3 -c \"import fcntl, os, time; fds = [os.open(os.path.join(d, f), os.O_RDONLY) for top in ('/opt/patchbay/podman', '/opt/patchbay/docker') for d, _, files in os.walk(top) for f in files if f.endswith('.lock') and os.path.isfile(os.path.join(d, f))]; [fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB) for fd in fds]; open('/tmp/locked', 'w').write(str(len(fds))); time.sleep(60)\"; for n in $(seq 100); do [ -s /tmp/locked ] && break; sleep 0.05; done")
    try:
        assert int((Path(f"/proc/{alice.pid}/root/tmp/locked")).read_text()) > 5
        done = bob.tries("docker run --rm busybox true && podman images -q | head -1 && podman run --rm --net none busybox true", 40)
        assert done.code == 0, done
    finally:
        alice.forces("systemctl stop locks; rm /tmp/locked")
