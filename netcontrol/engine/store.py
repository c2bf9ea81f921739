"""The image store: what `docker images` and `podman images` list in every new host. Built once, shared read-only by all.

It is built inside a host, by the host's own dockerd and podman, so that its files are in their format and belong to
the mapped root. Each image is one layer of Debian's packages. Must not know sandboxes.
"""
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from docker.errors import DockerException

from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.host import IMAGE, STAMP, Engine
from netcontrol.engine.image import SUITE, debian
from netcontrol.engine.machine import is_mount
from netcontrol.images import RECIPES, Recipe

BUILDING = ("building", "inputs")  # the names of its mounts while it is built
VIEW = "store"  # the name of its read-only mount among the lab's mounts


@dataclass
class Store:
    path: Path
    mounts: Path  # a folder that the mapped root may walk, as it may not walk through /root
    cache: Path
    mirror: str
    say: Callable[[str], None] = field(default=print)

    @property
    def stamp(self) -> Path:
        return self.path / STAMP

    def wanted(self, engine: Engine) -> str:
        base = engine.api.inspect_image(IMAGE)["RootFS"]["Layers"][0]
        return hashlib.sha256(json.dumps([SUITE, base, [asdict(r) for r in RECIPES]]).encode()).hexdigest()

    def build(self, engine: Engine) -> bool:
        """Make the store if it is missing or made of something else. True when it was built. Leaves nothing on failure."""
        wanted = self.wanted(engine)
        if self.stamp.exists() and self.stamp.read_text() == wanted:
            self.seal()
            return False
        new = self.path.with_suffix(".new")
        self._wipe(new)
        for folder in ("docker", "podman"):
            (new / folder).mkdir(parents=True)
            os.chown(new / folder, engine.machine.mapped_root, engine.machine.mapped_root)
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            with ThreadPoolExecutor(2) as pool:  # mmdebstrap is one process that waits for the disk half of the time
                tars = list(pool.map(self._root, RECIPES))
            with self._mounted(building=new, inputs=self.cache) as (output, inputs):
                self._fill(engine, output, inputs, tars)
            (new / STAMP).write_text(wanted)
            self.unseal()
            self._wipe(self.path)
            new.rename(self.path)
            self.seal()
        except DockerException as broken:
            raise EngineError("store", f"The students' images could not be built: {str(broken)[:300].rstrip('.')}.", "See var/log/engine.log.") from broken
        finally:
            for recipe in RECIPES:
                self._tar(recipe).unlink(missing_ok=True)
            self._wipe(new)
        return True

    def seal(self) -> None:
        """Mount it read-only. A host's own mount is then read-only from outside its user namespace, and the kernel locks
        that; the `:ro` of a container is set inside, where the student's root may take it off again."""
        view = self.mounts / VIEW
        if not is_mount(view):
            view.mkdir(parents=True, exist_ok=True)
            run("mount", "--bind", str(self.path), str(view))
            run("mount", "-o", "remount,bind,ro", str(view))

    def unseal(self) -> None:
        """Hosts that run keep their own mounts of it. With what a build that was killed left mounted."""
        for name in (VIEW, *BUILDING):
            self._free(self.mounts / name)

    def _free(self, place: Path) -> None:
        while is_mount(place):
            run("umount", "-l", str(place))

    @contextmanager
    def _mounted(self, **folders: Path) -> Iterator[list[Path]]:
        """These folders, mounted under these names where the builder can reach them."""
        places = []
        try:
            for name, folder in folders.items():
                place = self.mounts / name
                self._free(place)
                place.mkdir(parents=True, exist_ok=True)
                run("mount", "--bind", str(folder), str(place))
                places.append(place)
            yield places
        finally:
            for place in places:
                self._free(place)
                place.rmdir()

    def _tar(self, recipe: Recipe) -> Path:
        return self.cache / f"{recipe.name}.tar"

    def _root(self, recipe: Recipe) -> Path:
        when = "extract" if recipe.variant == "extract" else "customize"  # the variant `extract` has no later moment
        hooks = [f"--{when}-hook={hook}" for hook in recipe.hooks]
        debian(recipe.packages, self._tar(recipe), self.mirror, lambda line: self.say(f"{recipe.name}: {line}"), *hooks, variant=recipe.variant)
        return self._tar(recipe)

    def _fill(self, engine: Engine, new: Path, inputs: Path, tars: list[Path]) -> None:
        """Boot a host whose /var/lib/docker is the store itself, and let it import the roots."""
        builder = uuid.uuid4()
        container = engine.boot_builder(builder, new, inputs)
        try:
            for recipe, tar in zip(RECIPES, tars, strict=True):
                self.say(f"{recipe.name}: into the store")
                changes = [word for change in recipe.changes for word in ("--change", change)]
                self._exec(engine, container, "docker", "import", *changes, f"/in/{tar.name}", f"{recipe.name}:{recipe.tags[0]}")
                for tag in recipe.tags[1:]:
                    self._exec(engine, container, "docker", "tag", f"{recipe.name}:{recipe.tags[0]}", f"{recipe.name}:{tag}")
                if recipe.podman:
                    self._exec(engine, container, "podman", "--root", "/out/podman", "--storage-driver", "vfs", "import", *changes, f"/in/{tar.name}", f"docker.io/library/{recipe.name}:{recipe.tags[0]}")
                tar.unlink()
            self._exec(engine, container, "systemctl", "stop", "docker.service", "docker.socket")
        finally:
            engine.remove_builder(builder)
        for leftover in ("buildkit", "containers", "containerd", "network", "plugins", "runtimes", "swarm", "tmp", "volumes", "engine-id"):
            path = new / "docker" / leftover
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _exec(self, engine: Engine, container: str, *argv: str) -> None:
        made = engine.api.exec_create(container, list(argv))
        output = engine.api.exec_start(made["Id"])
        if engine.api.exec_inspect(made["Id"])["ExitCode"]:
            last = output.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise EngineError("store", f"`{' '.join(argv[:2])}` failed while the students' images were built: {last[0][:200].rstrip('.')}.", "The disk may be full: see `df -h var`.")

    def _wipe(self, path: Path) -> None:
        """Remove a store. A host that still runs keeps its own mounts of it: the files go when it ends."""
        if path.exists():
            shutil.rmtree(path)
