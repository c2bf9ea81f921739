"""One host: a container of the engine in a user namespace, its dock, its place on the wire. Must not know who it is for.

The dock is a tiny tmpfs, seen inside as /run/patchbay: there the host says how far its boot is, and there the agent's
socket appears. The student is root inside: nothing in a dock may be trusted after the host was claimed.
"""
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from netcontrol.engine import cgroups, flights, groups
from netcontrol.engine.disk import BYTES_A_SECOND, Disks
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.gateway import Gateway
from netcontrol.engine.machine import Machine, is_mount
from netcontrol.engine.wire import Wires

HERE = Path(__file__).parent
IMAGE = "patchbay/host:current"
BOOT_SECONDS = 20.0  # a host that has not answered by then has failed
FAULT = "This is a fault of the lab, not of yours: get another one."
STAMP = "made-of"  # a file in the image store, once it is whole
SHUT_DOWN = (128 + signal.SIGHUP, 128 + signal.SIGINT)  # how the first process of a PID namespace ends at `reboot` and `poweroff` (man 2 reboot)
MARKS = ("systemd", "docker0")  # files that the host's units make in the dock, in order


def dock_name(sandbox: uuid.UUID, host: str) -> str:
    return f"{sandbox.hex[:12]}-{host}"


@dataclass(frozen=True)
class Limits:
    memory_mib: int
    pids: int
    cpus: float
    docker_mib: int = 256  # the tmpfs of /var/lib/docker, inside memory_mib
    tmp_mib: int = 64


@dataclass
class Engine:
    """The engine of one lab on this machine, and the hosts on it."""

    socket: Path
    docks: Path
    store: Path
    lab_id: str
    machine: Machine
    wires: Wires
    gateway: Gateway
    disks: Disks | None  # None where the machine has no loop devices: then `disk_use` must be watched
    limits: Limits

    @cached_property
    def api(self) -> docker.APIClient:
        try:
            return docker.APIClient(base_url=f"unix://{self.socket}", version="auto", timeout=30)
        except DockerException as down:
            raise EngineError("engine_down", "The lab's engine does not answer.", "It is started again by itself; `./lab status` tells when.") from down

    def answers(self) -> bool:
        try:
            return bool(self.api.ping())
        except (EngineError, DockerException, RequestException):
            return False

    @cached_property
    def seccomp(self) -> str:
        return json.dumps(json.loads((HERE / "seccomp.json").read_text()))

    def capacity(self, wanted: int) -> int:
        """How many hosts fit, of those that are wanted (0: as many as memory has room for)."""
        fits = wanted or self.machine.capacity(self.limits.memory_mib)
        on_disk = self.disks.capacity() if self.disks else None
        return min(fits, self.wires.count, fits if on_disk is None else on_disk)

    # One sandbox

    def boot(self, sandbox: uuid.UUID, wire: int, hosts: dict[str, str], progress: Callable[[str, str, float], None]) -> dict[str, str]:
        """Boot a sandbox: its wire, and each host (name to address). Returns name to container id.

        `progress(host, part, seconds)` is called as each part is there: `container`, `systemd`, `docker0`; seconds since
        the start. Raises EngineError, and leaves nothing behind, when a host is not there after BOOT_SECONDS.
        """
        began = time.monotonic()
        ids: dict[str, str] = {}
        try:
            if not (self.store / STAMP).exists():  # Docker would make an empty folder of it
                raise EngineError("no_store", "The lab's images are missing, so no host can be started.", FAULT)
            self.wires.make(wire)
            self.gateway.join(wire)
            for name, address in hosts.items():
                ids[name] = self._create(sandbox, name, hosts, [f"{self.store}/{kind}:/opt/patchbay/{kind}:ro" for kind in ("docker", "podman")])
                self._start(ids[name], wire, name, address)
                progress(name, "container", time.monotonic() - began)
            for name, mark in self._marks(sandbox, ids, began):
                progress(name, mark, time.monotonic() - began)
            for container in ids.values():  # one CPU from here on; booting had the whole machine
                self.api.update_container(container, cpu_period=100_000, cpu_quota=int(self.limits.cpus * 100_000))
        except (EngineError, DockerException, OSError) as broken:
            self.remove(sandbox, wire)
            if isinstance(broken, EngineError):
                raise
            raise EngineError("boot", f"The host could not be started: {_words(broken)}.", FAULT) from broken
        return ids

    def remove(self, sandbox: uuid.UUID, wire: int | None) -> None:
        """Remove all that the machine holds of a sandbox. Safe to call twice, and on a half-made one."""
        for container in self.containers(sandbox):
            self.discard(container)
        for dock in self.docks.glob(f"{sandbox.hex[:12]}-*"):
            self._remove_dock(dock)
        if self.disks:
            for name in self.disks.existing():
                if name.startswith(f"{sandbox.hex[:12]}-"):
                    self.disks.remove(name)
        if wire is not None:
            self.wires.remove(wire)

    # The host that the image store is built in

    def boot_builder(self, builder: uuid.UUID, store: Path, inputs: Path) -> str:
        """Boot a host without a wire whose dockerd writes into `store`, with `inputs` as /in. Returns its container id."""
        began = time.monotonic()
        container = self._create(
            builder, "builder", {}, [f"{store}/docker:/var/lib/docker", f"{store}:/out", f"{inputs}:/in:ro"], memory_mib=2048, tmpfs_docker=False
        )
        self.api.start(container)
        for _ in self._marks(builder, {"builder": container}, began):
            pass
        return container

    def remove_builder(self, builder: uuid.UUID) -> None:
        self.remove(builder, None)

    # What there is, for the reaper

    def containers(self, sandbox: uuid.UUID | None = None) -> list[str]:
        """Ids of the lab's containers, running or not: of one sandbox, or of all."""
        label = f"patchbay.sandbox={sandbox}" if sandbox else f"patchbay.lab={self.lab_id}"
        return [c["Id"] for c in self.api.containers(all=True, filters={"label": [label]})]

    def sandboxes(self, all: bool = False) -> set[uuid.UUID]:
        """The sandboxes that have at least one running host; `all`: or one that does not run."""
        return {sandbox for sandbox, _ in self._hosts(all=all)}

    def stopped(self, sandbox: uuid.UUID) -> dict[str, bool]:
        """Its hosts that have ended, and whether each was shut down or restarted from inside; else it was killed, or its machine was."""
        found = {}
        for c in self.api.containers(all=True, filters={"label": [f"patchbay.sandbox={sandbox}"], "status": ["exited", "dead"]}):
            code = self.api.inspect_container(c["Id"])["State"]["ExitCode"]
            found[c["Labels"]["patchbay.host"]] = code in SHUT_DOWN
        return found

    def disk_use(self) -> dict[uuid.UUID, int]:
        """MiB written to the root layer of each sandbox's largest host, of those that have no disk of their own to bound it."""
        use: dict[uuid.UUID, int] = {}
        for sandbox, c in () if self.disks else self._hosts(size=True):
            written = c.get("SizeRw", 0)
            if written < 0:  # Docker could not measure it: nobody has so deep a tree by accident
                written = 2**50
            use[sandbox] = max(use.get(sandbox, 0), written // 1024**2)
        return use

    def many_groups(self) -> set[uuid.UUID]:
        """The sandboxes with a host that has made so many cgroups that the machine could run out of them; none while it is far from that."""
        if groups.in_use() < groups.ROOM // 8:
            return set()
        return {sandbox for sandbox, c in self._hosts() if groups.made_by(c["Id"]) > groups.MANY}

    def many_under_way(self) -> set[uuid.UUID]:
        """The sandboxes with a host that has so many files under way in sockets that no host can hand one over; none while all can. Should nobody
        seem to have so many, it is the one that has most: they can be hidden in sockets that are under way themselves, but not all of them."""
        if not flights.held_up(self.machine.mapped_root):
            return set()
        have = sorted(((flights.of(c["Id"]), sandbox) for sandbox, c in self._hosts()), reverse=True)
        return {sandbox for number, sandbox in have if number > flights.MANY} or {sandbox for number, sandbox in have[:1] if number}

    def memory(self) -> dict[uuid.UUID, float]:
        """MiB that the largest host of each sandbox uses: what its cgroup is charged, less file pages that can be dropped."""
        use: dict[uuid.UUID, float] = {}
        for sandbox, c in self._hosts():
            stats = self.api.stats(c["Id"], stream=False, one_shot=True)["memory_stats"]
            droppable = stats["stats"].get("total_inactive_file", stats["stats"].get("inactive_file", 0))
            use[sandbox] = max(use.get(sandbox, 0), (stats["usage"] - droppable) / 1024**2)
        return use

    def sweep(self, alive: dict[uuid.UUID, int]) -> list[str]:
        """Remove every container, dock and wire of this lab that belongs to none of `alive` (sandbox to wire). Returns their names."""
        gone = []
        for sandbox, container in self._hosts(all=True):
            if sandbox not in alive:
                self.discard(container["Id"])
                gone.append(f"container {container['Names'][0].lstrip('/')}")
        return gone + self.sweep_machine({sandbox.hex[:12] for sandbox in alive}, set(alive.values()))

    def sweep_machine(self, docks: set[str], wires: set[int]) -> list[str]:
        """The part of `sweep` that needs no engine: docks and disks of other sandboxes than these, and other wires."""
        gone = []
        for dock in self.docks.iterdir() if self.docks.exists() else ():
            if dock.name.partition("-")[0] not in docks:
                self._remove_dock(dock)
                gone.append(f"dock {dock.name}")
        if self.disks:
            for name in self.disks.existing():
                if name.partition("-")[0] not in docks:
                    self.disks.remove(name)
                    gone.append(f"disk {name}")
        for number in self.wires.existing() - wires:
            self.wires.remove(number)
            gone.append(f"wire {number}")
        return gone

    # Parts

    def _hosts(self, **how: bool) -> list[tuple[uuid.UUID, dict[str, Any]]]:
        """Each running host of the lab as Docker lists it (`how`: all, size), with its sandbox."""
        found = self.api.containers(filters={"label": [f"patchbay.lab={self.lab_id}"]}, **how)
        return [(uuid.UUID(c["Labels"]["patchbay.sandbox"]), c) for c in found]

    def _create(
        self, sandbox: uuid.UUID, name: str, hosts: dict[str, str], binds: list[str], memory_mib: int | None = None, tmpfs_docker: bool = True
    ) -> str:
        dock = self._make_dock(sandbox, name)
        limits, memory = self.limits, (memory_mib or self.limits.memory_mib) * 1024 * 1024
        tmpfs = {"/run": "size=64m,mode=755,exec", "/run/lock": "size=5m", "/tmp": f"size={limits.tmp_mib}m,mode=1777,exec"}
        if tmpfs_docker:
            tmpfs["/var/lib/docker"] = f"size={limits.docker_mib}m,mode=710,exec,suid,dev"
        pace = {}
        if self.disks:
            self.disks.make(dock.name)
            pace = self.machine.pace(self.disks.device(dock.name), BYTES_A_SECOND)
        config = self.api.create_host_config(
            runtime="lab",
            network_mode="none",
            cap_add=["ALL"],
            security_opt=[f"seccomp={self.seccomp}", *self.machine.security_options()],
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=limits.pids,
            extra_hosts=hosts,
            binds=[f"{dock}:/run/patchbay", *binds],
            tmpfs=tmpfs,
            log_config={"Type": "none"},
            ulimits=[docker.types.Ulimit(name="nofile", soft=1024, hard=16384)],
            **pace,
        )
        config["CgroupnsMode"] = "private"
        config["MaskedPaths"] = config["ReadonlyPaths"] = []  # what `systempaths=unconfined` is to the docker command
        made = self.api.create_container_from_config(
            self.api.create_container_config(
                IMAGE,
                None,
                hostname=name,
                environment={**self.machine.environment(), **self.gateway.environment()},
                labels={"patchbay.lab": self.lab_id, "patchbay.sandbox": str(sandbox), "patchbay.host": name},
                stop_signal="SIGRTMIN+3",
                host_config=config,
            ),
            name=f"pb{self.lab_id}-{dock_name(sandbox, name)}",
        )
        if self.disks:
            layer = self.api.inspect_container(made["Id"])["GraphDriver"]["Data"]
            self.disks.lay_under(dock.name, layer["UpperDir"], layer["WorkDir"])
        return made["Id"]

    def _start(self, container: str, wire: int, name: str, address: str) -> None:
        self.api.start(container)
        pid = self.api.inspect_container(container)["State"]["Pid"]
        if not pid:
            raise EngineError("boot", f"{name} did not start: it ended at once.", FAULT)
        self.wires.plug(wire, name, pid, address)
        self.gateway.lead(wire, pid, address)

    def _marks(self, sandbox: uuid.UUID, ids: dict[str, str], began: float) -> Iterator[tuple[str, str]]:
        """Yield (host, mark) as the hosts get there. Polls files: a mark is seen within 5 ms, and no client runs in the host."""
        left = [(name, mark) for name in ids for mark in MARKS]
        looked = began
        while left:
            for name, mark in list(left):
                if os.path.lexists(self.docks / dock_name(sandbox, name) / mark):
                    left.remove((name, mark))
                    yield name, mark
            now = time.monotonic()
            if left and now - looked > 0.5:
                looked = now
                for name, container in ids.items():
                    if not self.api.inspect_container(container)["State"]["Running"]:
                        raise EngineError("boot", f"{name} stopped while it was starting.", FAULT)
            if left and now - began > BOOT_SECONDS:
                name, mark = left[0]
                what = "systemd did not come up" if mark == "systemd" else "systemd runs, but dockerd did not answer"
                raise EngineError("boot", f"{name} did not start: {what} within {BOOT_SECONDS:g} s.", FAULT)
            if left:
                time.sleep(0.005)

    def _make_dock(self, sandbox: uuid.UUID, name: str) -> Path:
        """A tmpfs of the host's root and the worker's group, with the group kept by what is made in it."""
        dock = self.docks / dock_name(sandbox, name)
        dock.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", f"size=64k,nr_inodes=32,mode=2770,uid={self.machine.mapped_root},gid={os.getegid()},nosuid,nodev,noexec", "patchbay", str(dock))
        return dock

    def _remove_dock(self, dock: Path) -> None:
        while is_mount(dock):
            run("umount", "-l", str(dock))
        shutil.rmtree(dock, ignore_errors=True)

    def discard(self, container: str) -> None:
        """Remove a container, whatever its student did to stay. Raises EngineError when it is still there after some tries.

        On cgroup v1 a host has its own freezer folder, and frozen processes do not die: they are thawed first. And when
        somebody killed the container's shim, its processes run on, although the engine says it exited.
        """
        for _ in range(5):
            kill(container)
            try:
                self.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError:  # being removed already, or it would not die: look again
                time.sleep(0.2)
        raise EngineError("remove", f"The host {container[:12]} cannot be removed.", "The reaper tries again; see var/log/engine.log.")


def kill(container: str, root: Path = cgroups.ROOT) -> None:
    """Thaw and kill all that is in a container's cgroup or below it."""
    state, running = ("cgroup.freeze", "0") if cgroups.two(root) else ("freezer.state", "THAWED")
    if folder := cgroups.folder(container, "freezer", root):
        for pid in cgroups.processes(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for file in sorted(folder.rglob(state), key=lambda path: len(path.parts), reverse=True):  # the innermost first
            with suppress(OSError):
                file.write_text(running)


def _words(error: Exception) -> str:
    explanation = getattr(error, "explanation", None) or str(error)
    return str(explanation).strip().rstrip(".")[:300]
