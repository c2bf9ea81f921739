"""Our own dockerd: its files, its command line, its death. Must not know sandboxes.

It shares nothing with a Docker that the machine may have: own configuration file, socket, data and containerd, no bridge
and no packet filter rule. (A second dockerd that manages iptables flushes the first one's chains when it starts.)
"""
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from netcontrol.engine import machine
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.machine import is_mount

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Daemon:
    socket: Path
    run: Path  # sockets, mounts, and state that does not outlive a boot of the machine
    disk: Path  # where images and root layers are kept
    disk_gib: int  # how large they may grow; 0 for as large as the machine's disk

    @property
    def pidfile(self) -> Path:
        return self.run / "dockerd.pid"

    @property
    def data(self) -> Path:
        """Where `disk` is mounted: below /run, because the mapped root must be able to walk there, and may not walk through /root."""
        return self.run / "data"

    def configuration(self) -> dict:
        return {
            "data-root": str(self.data),
            "exec-root": str(self.run / "engine"),
            "pidfile": str(self.pidfile),
            "hosts": [f"unix://{self.socket}"],
            "group": "root",  # the socket's; Docker's own choice is `docker`, whose members are often people
            "userns-remap": machine.OWNER,
            **machine.top_of_cgroups(),
            "runtimes": {"lab": {"path": str(HERE / "lab-runc")}},
            "storage-driver": "overlay2",
            "features": {"containerd-snapshotter": False},  # Docker 29's default cannot do user namespaces
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            "ip-masq": False,
            "userland-proxy": False,
            "live-restore": True,  # sandboxes outlive a restart of the engine
            "log-level": "warn",
        }

    def become(self) -> None:
        """Replace this process by dockerd. Raises EngineError when it cannot be."""
        binary = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if not binary:
            raise EngineError("no_dockerd", "dockerd is not installed.", "Run `./lab up` as root; it installs it.")
        machine.raise_limits()
        machine.lift_limits()
        machine.load_modules()
        self.run.mkdir(parents=True, exist_ok=True)
        self.mount()
        self.clear_stale()
        config = self.run / "dockerd.json"
        config.write_text(json.dumps(self.configuration(), indent=1))
        os.execv(binary, [binary, "--config-file", str(config)])

    def mount(self) -> None:
        """Put the data on a filesystem of its own size, so that no student fills the machine's disk.

        A sparse ext4 file behind a loop device. Where a machine has no loop devices it is a plain folder.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        if is_mount(self.data):
            return
        if not self.disk_gib or not Path("/dev/loop-control").exists():
            self.disk.mkdir(parents=True, exist_ok=True)
            run("mount", "--bind", str(self.disk), str(self.data))
            return
        file, size = self.disk.with_suffix(".disk"), self.disk_gib * 1024**3
        if not file.exists():
            new = file.with_suffix(".new")
            with open(new, "wb") as empty:
                empty.truncate(size)
            run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(new), timeout=60)
            new.rename(file)
        if file.stat().st_size < size:  # than an earlier setting
            os.truncate(file, size)
            run("sh", "-c", 'e2fsck -fp "$0"; [ $? -le 1 ] && resize2fs "$0"', str(file), timeout=300)  # 1: it mended something
        run("mount", "-o", "loop,noatime,discard", str(file), str(self.data), timeout=60)

    def unmount(self) -> None:
        """Only after the engine has ended. With what an engine that was killed left mounted below, and its containers' network namespaces."""
        until = time.monotonic() + 10
        while is_mount(self.data):
            try:
                run("umount", "-R", str(self.data), timeout=60)
            except EngineError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)  # the disk of a host that has just ended: the kernel lets go of it a moment later
        for namespace in (self.run / "engine" / "netns").glob("*"):
            if is_mount(namespace):
                run("umount", str(namespace))

    def clear_stale(self) -> None:
        """End what an engine that was killed left running, and remove its pid files: they may name somebody else's process."""
        for pid in self.processes("dockerd"):
            _end(pid)
        for pidfile in (self.pidfile, self.run / "engine" / "containerd" / "containerd.pid"):
            if pidfile.exists() and not self.processes("containerd"):
                pidfile.unlink()
        self.socket.unlink(missing_ok=True)

    def processes(self, program: str) -> list[int]:
        """Pids of this engine's `dockerd`, `containerd` or `containerd-shim`, known by the folder on their command lines."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else [b""]
            except OSError:
                continue
            if os.path.basename(argv[0]).decode(errors="replace").startswith(program) and any(str(self.run).encode() in arg for arg in argv[1:]):
                found.append(int(entry.name))
        return found

    def end_leftovers(self) -> None:
        """After the engine ended: its containerd and shims, if they did not follow it."""
        for program in ("dockerd", "containerd"):
            for pid in self.processes(program):
                _end(pid)


def _end(pid: int, seconds: float = 10) -> None:
    """TERM, then KILL; returns when the process is gone."""
    until = time.monotonic() + seconds
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < until:
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
