"""The peer: the engine's own `docker` command, used as a plain script would use it."""
import os
import subprocess
import time
import uuid

from django.conf import settings

from netcontrol.engine import this_engine
from netcontrol.engine.host import HERE, IMAGE


def docker(*argv: str, check: bool = True) -> str:
    env = {**os.environ, "DOCKER_HOST": f"unix://{settings.ENGINE_SOCKET}"}
    return subprocess.run(["docker", *argv], env=env, check=check, capture_output=True, text=True, timeout=60).stdout


class Bare:
    """A bare `docker run` of the same image with what it needs to boot, and nothing of the lab: no wire, no dock, no limits."""

    def __init__(self) -> None:
        self.name = f"bare-{uuid.uuid4().hex[:6]}"

    def __enter__(self) -> "Bare":
        machine = this_engine().machine
        environment = [word for name, value in machine.environment().items() for word in ("-e", f"{name}={value}")]
        security = [word for option in machine.security_options() for word in ("--security-opt", option)]
        docker(
            "run", "-d", "--name", self.name, "--runtime", "lab", "--network", "none", "--cap-add", "ALL", "--cgroupns=private",
            "--security-opt", f"seccomp={HERE / 'seccomp.json'}", "--security-opt", "systempaths=unconfined", *security, *environment,
            "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--mount", "type=tmpfs,destination=/var/lib/docker,tmpfs-size=256m",
            "--mount", "type=tmpfs,destination=/run/patchbay,tmpfs-size=64k", "-v", f"{this_engine().store}/docker:/opt/patchbay/docker:ro", IMAGE,
        )  # fmt: skip
        return self

    def wait(self, seconds: float = 20) -> None:
        """Until the host's own dockerd answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if docker("exec", self.name, "docker", "version", "-f", "{{.Server.Version}}", check=False).strip():
                return
        raise TimeoutError(self.name)

    def __exit__(self, *_: object) -> None:
        docker("rm", "-f", "-v", self.name, check=False)
