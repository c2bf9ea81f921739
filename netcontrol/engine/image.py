"""The image of a sandbox host: a Debian root from packages.txt, then image/Dockerfile on top. No registry is asked.

Both layers are tagged by a hash of what they are made of, so that a second call does nothing. Must not know sandboxes.
"""
import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.host import IMAGE

HERE = Path(__file__).parent
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SAY = Callable[[str], None]


def debian(packages: Iterable[str], output: Path, mirror: str, say: SAY, *options: str, variant: str = "minbase") -> None:
    """Make a root filesystem of Debian packages, as a tar file. Raises EngineError; then no file is left."""
    with tempfile.TemporaryDirectory(prefix="root-", dir=output.parent) as work:
        argv = [
            "mmdebstrap", f"--variant={variant}", f"--include={','.join(packages)}",
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
            *([f"--keyring={KEYRING}"] if KEYRING.exists() else []),
            *options, SUITE, str(output),
            f"deb {mirror} {SUITE} main", f"deb {mirror} {SUITE}-updates main",
        ]  # fmt: skip
        lines: list[str] = []
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={"TMPDIR": work, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        assert process.stderr
        for line in process.stderr:
            lines.append(line.strip())
            if line.startswith("I: "):
                say(line[3:].strip().rstrip("."))
        if process.wait():
            output.unlink(missing_ok=True)
            raise EngineError("image", f"Debian's packages for the image could not be installed: {_reason(lines)}.", f"{_mend(lines)} Then run `./lab up` again.")


def clear(cache: Path) -> None:
    """Remove what builds that were killed left here: hundreds of MB each. Not while one runs."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]  # a killed mmdebstrap leaves its /proc, /sys and /dev
    for left in (*cache.glob("root-*"), *cache.glob("*.tar")):
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{left}/")]):
            run("umount", "-l", mount)
        run("rm", "-rf", "--one-file-system", str(left), timeout=120)


FULL = ("No space left on device", "enough free space", "not enough space")


def _reason(lines: list[str]) -> str:
    if _full(lines):
        return "the disk is full"
    for words in ("Temporary failure resolving", "Could not connect", "Unable to locate package"):
        for line in lines:
            if words in line:
                return line.removeprefix("E: ")[:200].rstrip(".")
    errors = [line for line in lines if line.startswith(("E:", "W:"))] or lines
    return errors[-1].removeprefix("E: ")[:200].rstrip(".") if errors else "mmdebstrap said nothing"


def _mend(lines: list[str]) -> str:
    if _full(lines):
        return "Free about 4 GB where `var/` is."
    return "See that this machine reaches a Debian mirror, or set PATCHBAY_DEBIAN_MIRROR."


def _full(lines: list[str]) -> bool:
    return any(words in line for line in lines for words in FULL)


def build(api: docker.APIClient, cache: Path, mirror: str, agent: Path, say: SAY) -> bool:
    """Make IMAGE if what it is made of has changed. True when something was built."""
    packages = [line for line in (HERE / "image/packages.txt").read_text().split("\n") if line and not line.startswith("#")]
    base = f"patchbay/base:{_hash(SUITE, *packages)}"
    context = _context(agent)
    wanted = f"patchbay/host:{_hash(base, hashlib.sha256(context).hexdigest())}"
    try:
        if api.inspect_image(wanted)["Id"] == api.inspect_image(IMAGE)["Id"]:
            return False
    except ImageNotFound:
        pass
    cache.mkdir(parents=True, exist_ok=True)
    try:
        if not api.images(base):
            root = cache / "host.tar"
            debian(packages, root, mirror, say)
            try:
                say("handing it to the engine")
                api.import_image_from_file(str(root), *base.split(":"))
            finally:
                root.unlink(missing_ok=True)
        say("adding the lab's own files")
        for line in api.build(fileobj=io.BytesIO(context), custom_context=True, buildargs={"BASE": base}, network_mode="none", tag=wanted, rm=True, forcerm=True, decode=True):
            if "error" in line:
                raise EngineError("image", f"The host image could not be built: {line['error'].strip().rstrip('.')}.", "This is a fault of the lab: please report it.")
        if not api.images(base) or not api.images(wanted):
            raise EngineError("image", "The engine took the image, but does not have it.", "See var/log/engine.log: its disk may be full.")
        api.tag(wanted, *IMAGE.split(":"))
        for old in api.images("patchbay/host") + api.images("patchbay/base"):
            for tag in old["RepoTags"] or ():
                if tag not in (base, wanted, IMAGE):
                    with suppress(APIError):  # a host of it still runs; the next build removes it
                        api.remove_image(tag)
    except (DockerException, BuildError) as broken:
        raise EngineError("image", f"The host image could not be built: {str(broken)[:300].rstrip('.')}.", "See var/log/engine.log.") from broken
    return True


def _context(agent: Path) -> bytes:
    """The Dockerfile, image/files and the agent as a tar that is the same for the same content: owners and times are left out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        places = [(HERE / "image/Dockerfile", Path("Dockerfile"))]
        for source, target in ((HERE / "image/files", Path("files")), (agent, Path("agent"))):
            places += [(path, target / path.relative_to(source)) for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
        for path, name in places:
            info = tarfile.TarInfo(str(name))
            info.size, info.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(info, file)
    return out.getvalue()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
