"""What runs and what is broken, seen from the machine itself. `./lab status` prints it; `./lab doctor` adds what mends it."""
import importlib.metadata
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db.models import Count

from labsite import processes
from labsite.celery import app
from labsite.management.commands.up import web_answers
from netcontrol.engine import this_engine
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting


def status() -> dict:
    """`healthy`, each part's state, the pool, the sandboxes by state, versions. Never raises: a part that cannot be asked is down."""
    states = processes.states()
    workers = set(_or(_workers, []))
    parts = {
        "web": _or(web_answers, False),
        "redis": _or(lambda: redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2).ping(), False),
        "engine": _or(lambda: this_engine().answers(), False),
        "worker": any(name.startswith("control@") for name in workers),
        "attach": settings.ATTACH_QUEUE in workers,
        "beat": states.get("beat") == "RUNNING",
    }
    counts = _or(lambda: dict(Sandbox.objects.filter(gone_at=None).values_list("state").annotate(Count("pk"))), {})
    return {
        "healthy": all(parts.values()),
        "address": f"http://{settings.LISTEN}:{settings.PORT}/",
        "parts": {name: "up" if up else "down" for name, up in parts.items()},
        "pool": {"ready": counts.get("ready", 0), "wanted": settings.POOL_SIZE, "booting": counts.get("booting", 0)},
        "sandboxes": counts,
        "waiting": _or(Waiting.objects.count, 0),
        "versions": {
            "patchbay": _or(version, "unknown"),
            "django": importlib.metadata.version("django"),
            "engine": _or(lambda: this_engine().api.version()["Version"], None),
        },
    }


def version() -> str:
    return (settings.BASE_DIR / "VERSION").read_text().strip()


@dataclass(frozen=True)
class Finding:
    what: str
    mend: str


def findings() -> list[Finding]:
    """Everything that is missing or broken, each with the command that mends it."""
    found = []
    for command, package in (("redis-server", "redis-server"), ("dockerd", "docker.io"), ("mmdebstrap", "mmdebstrap"), ("ip", "iproute2"), ("jq", "jq"), ("node", "nodejs"), ("npm", "npm")):
        if not shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            found.append(Finding(f"{command} is not installed.", f"apt-get install {package}"))
    try:
        this_engine()
    except LabError as missing:
        found.append(Finding(missing.args[0], "./lab up"))
    free = shutil.disk_usage(settings.VAR if settings.VAR.exists() else settings.BASE_DIR).free // 1024**3
    if free < 5:
        found.append(Finding(f"Only {free} GiB are free where var/ is; a set-up needs 5.", f"df -h {settings.VAR}"))
    if not (settings.STORE / "made-of").exists():
        found.append(Finding("The students' images are not built.", "./lab up"))
    now = status()
    if not any(part == "up" for part in now["parts"].values()):
        found.append(Finding("The lab does not run.", "./lab up --detach"))
    else:
        for name, state in now["parts"].items():
            if state == "down":
                found.append(Finding(f"{name} does not answer; its last words are in {settings.VAR}/log/{name}.log.", "./lab up --detach"))
    if now["parts"]["engine"] == "up":
        found += _or(strays, [])
    return found


def strays() -> list[Finding]:
    """Containers, docks and wires that belong to no sandbox."""
    engine = this_engine()
    alive = dict(Sandbox.objects.filter(gone_at=None).values_list("pk", "wire"))
    docks = {dock.name for dock in engine.docks.iterdir() if dock.name.partition("-")[0] not in {pk.hex[:12] for pk in alive}} if engine.docks.exists() else set()
    names = [f"host of sandbox {pk}" for pk in engine.sandboxes() - set(alive)] + [f"dock {name}" for name in docks] + [f"wire {n}" for n in engine.wires.existing() - set(alive.values())]
    return [Finding(f"Left over: {name}.", "It is removed within a minute; if not: ./lab down && ./lab up --detach") for name in names]


def _workers() -> list[str]:
    return list(app.control.inspect(timeout=2).ping() or ())


def _or(ask: Callable, otherwise):
    try:
        return ask()
    except Exception:
        return otherwise
