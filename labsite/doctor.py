"""What runs and what is broken, seen from the machine itself. `./lab status` prints the one, `./lab doctor` the other with what mends it.

One function looks at one part of the lab; LOOKS has them all. A part is not looked at when what it stands on is away: so what is told is
what is to be mended. Must not know pages.
"""
import asyncio
import importlib.metadata
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.checks import run_checks
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from labsite import health, processes, rights
from labsite.celery import app
from labsite.management.commands.up import web_answers
from netcontrol import pool
from netcontrol.connection import sync
from netcontrol.engine import disk, image, machine, store, this_daemon, this_engine, this_gateway
from netcontrol.errors import LabError
from netcontrol.inside import Inside
from netcontrol.models import Host, Machine, Sandbox, Waiting

UP = "./lab up --detach"
ANEW = "./lab down && ./lab up --detach"
FULL = 0.9
HOST_SECONDS = 5.0
COMMANDS = {"redis-server": "redis-server", "dockerd": "docker.io", "mmdebstrap": "mmdebstrap", "ip": "iproute2", "jq": "jq", "node": "nodejs", "npm": "npm", "mkfs.ext4": "e2fsprogs", "nft": "nftables", "msgfmt": "gettext"}


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
        "check": settings.CHECK_QUEUE in workers,
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
            "patchbay": settings.VERSION,
            "django": importlib.metadata.version("django"),
            "engine": _or(lambda: this_engine().api.version()["Version"], None),
        },
    }


@dataclass(frozen=True)
class Finding:
    """`students`: a student did it to their own host. It is told, but the lab is whole."""

    what: str
    mend: str
    students: bool = False


class Seen:
    """What several looks ask about, asked once."""

    @cached_property
    def states(self) -> dict[str, str]:
        return processes.states()

    @cached_property
    def parts(self) -> dict[str, str]:
        return status()["parts"]

    @cached_property
    def running(self) -> bool:
        return any(state != "STOPPED" for state in self.states.values())

    @cached_property
    def database(self) -> bool:
        try:
            connection.ensure_connection()
            return "netcontrol_sandbox" in connection.introspection.table_names()
        except Exception:
            return False

    def up(self, part: str) -> bool:
        return self.parts[part] == "up"


def findings() -> list[Finding]:
    """Everything that is missing or broken, each with what mends it. A look that breaks hides no other."""
    seen, found = Seen(), []
    for look in LOOKS:
        try:
            found += list(look(seen))
        except Exception as broken:
            found.append(Finding(f"{(look.__doc__ or look.__name__).splitlines()[0]} It cannot be looked at: {type(broken).__name__}: {broken}", "Mend the others first, then run ./lab doctor again."))
    return found


def packages(seen: Seen) -> Iterator[Finding]:
    """The programs of other people."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for command, package in COMMANDS.items():
        if not shutil.which(command, path=path):
            yield Finding(f"{command} is not installed.", f"apt-get install {package}")


def wrong_settings(seen: Seen) -> Iterator[Finding]:
    """The settings."""
    for wrong in run_checks():
        if wrong.is_serious() and wrong.id not in ("patchbay.E002",):  # `packages` tells of dockerd
            yield Finding(wrong.msg, wrong.hint or "See docs/running.md.")


def the_machine(seen: Seen) -> Iterator[Finding]:
    """The machine."""
    try:
        this_engine()
    except LabError as missing:
        yield Finding(missing.message, UP)
    for module in machine.missing_modules():
        yield Finding(f"The kernel has not loaded {module}: published ports and isolation behave otherwise in hosts than on other machines.", f"modprobe {module}")


def the_set_up(seen: Seen) -> Iterator[Finding]:
    """What `./lab up` makes once."""
    if not (settings.VAR / "secret").exists():
        yield Finding("The lab has no secret yet.", UP)
    if not (settings.STATIC_ROOT / "made-of").exists():
        yield Finding("The static files are not made.", UP)
    if not (settings.STORE / "made-of").exists():
        yield Finding("The students' images are not built.", UP)
    elif seen.running and not machine.is_mount(settings.RUN / store.VIEW):
        yield Finding("The students' images are not mounted, so no host can start.", UP)
    if seen.running and seen.up("engine") and not this_engine().api.images(image.IMAGE):
        yield Finding("The engine has no host image, so no host can start.", UP)


def whose_files(seen: Seen) -> Iterator[Finding]:
    """Whose the lab's files are."""
    for words in rights.wrong():
        yield Finding(words, UP)
    if path := rights.unreadable():
        yield Finding(f"Web runs as {rights.WEB}, which may not read {path}.", f"chmod -R o+rX {settings.BASE_DIR}")


def disks(seen: Seen) -> Iterator[Finding]:
    """The disks."""
    where = settings.VAR if settings.VAR.exists() else settings.BASE_DIR
    needed = 1 if (settings.STORE / "made-of").exists() else 5
    free = shutil.disk_usage(where).free / 1024**3
    if free < needed:
        yield Finding(f"Only {free:.1f} GiB are free where var/ is; {'a set-up' if needed > 1 else 'a lab'} needs {needed}.", f"Free the disk: df -h {where}")
    data = this_daemon().data
    if machine.is_mount(data):
        room = os.statvfs(data)
        most = 0.99 if disk.possible() else FULL  # hosts with disks of their own take all but the engine's reserve, as they should
        for what, all, free, full in (("room", room.f_blocks, room.f_bavail, most), ("files", room.f_files, room.f_favail, FULL)):
            if all and free < all * (1 - full):
                yield Finding(f"The engine's disk is full to {100 - 100 * free // all} % ({what}): hosts stop being able to start and to write.", f"End labs, or all of them: {ANEW}. For more room, see PATCHBAY_ENGINE_DISK_GIB in docs/running.md.")


def the_database(seen: Seen) -> Iterator[Finding]:
    """The database."""
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        if trouble := _trouble_of_sqlite(Path(settings.DATABASES["default"]["NAME"])):
            yield trouble
            return
    else:
        try:
            connection.ensure_connection()
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_read_only")
                read_only = cursor.fetchone() == ("on",)
        except Exception as away:
            yield Finding(f"The database does not answer: {str(away).splitlines()[0]}", "See that PostgreSQL runs, and that DATABASE_URL names it.")
            return
        if read_only:
            yield Finding("The database takes no changes: it is a standby, or was set read-only.", "DATABASE_URL must name the primary.")
    if words := health.ready().get("migrations"):
        yield Finding(words, UP)


def _trouble_of_sqlite(file: Path) -> Finding | None:
    """Asked as a writer asks, who waits for others, but not for ever."""
    if not file.exists():
        return Finding("There is no database yet.", UP)
    try:
        asking = sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=5, isolation_level=None)
        try:
            asking.execute("BEGIN IMMEDIATE")
            asking.execute("CREATE TABLE doctor (asks INTEGER)")
            asking.execute("ROLLBACK")
            wrong = asking.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            asking.close()
    except sqlite3.Error as error:
        said = str(error)
        if "locked" in said:
            return Finding("The database is locked: a program holds it and does not let go.", f"See which: fuser -v {file}; end it.")
        if "readonly" in said or "unable to open" in said:
            return Finding(f"The database cannot be written: {said}.", f"See who may: ls -ld {file}* {file.parent}; and whether its disk is mounted read-only: findmnt -T {file}")
        if "full" in said:
            return Finding("The database cannot grow: the disk is full.", f"Free the disk: df -h {file}")
        return Finding(f"The database is damaged: {said}.", "./lab down && ./lab restore FILE, with your last backup")
    return None if wrong == "ok" else Finding(f"The database is damaged: {wrong.splitlines()[0]}.", "./lab down && ./lab restore FILE, with your last backup")


def the_processes(seen: Seen) -> Iterator[Finding]:
    """The lab's processes."""
    if not seen.running:
        yield Finding("The lab does not run.", UP)
        return
    for name in processes.PROGRAMS:
        state, log = seen.states.get(name, "STOPPED"), settings.VAR / "log" / f"{name}.log"
        if state in ("STOPPED", "EXITED", "FATAL"):
            yield Finding(f"{name} does not run; its last words are in {log}.", UP)
        elif state == "BACKOFF":
            yield Finding(f"{name} ends as soon as it is started: {_last_words(log)}", f"Mend what {log} says; it is tried again by itself.")
        elif name in seen.parts and not seen.up(name) and (name in ("redis", "engine") or seen.up("redis")):
            yield Finding(f"{name} runs, but does not answer.", f"kill -9 {processes.ask('getProcessInfo', name)['pid']} and it is started again by itself. Its log: {log}")


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:200] if lines else "it says nothing."


def old_code(seen: Seen) -> Iterator[Finding]:
    """What the processes were started from."""
    if seen.running and processes.runs_old_code():
        yield Finding("The lab's processes run older code than what lies here.", UP)


def memory_of_redis(seen: Seen) -> Iterator[Finding]:
    """The memory of Redis."""
    if not seen.up("redis"):
        return
    with sync(2) as r:
        told: dict[str, Any] = r.info("memory")  # type: ignore[assignment]
    most = int(told["maxmemory"])
    if most and int(told["used_memory"]) > most * FULL:
        yield Finding(f"Redis uses {int(told['used_memory']) // 1024**2} of its {most // 1024**2} MiB; when they are used up it takes nothing more.", f"It shrinks as labs end. All at once: {ANEW}")


def the_clock(seen: Seen) -> Iterator[Finding]:
    """The clock, and beat, which lives by it."""
    if not seen.database or not seen.running:
        return
    now = timezone.now()
    if Sandbox.objects.filter(created_at__gt=now + timedelta(minutes=1)).exists():
        yield Finding("The machine's clock went back: some labs began in the future, and end too late.", "Set the clock (timedatectl); the labs can be ended by their students.")
    if seen.up("redis") and seen.up("worker") and seen.up("beat") and not Machine.objects.filter(name=settings.MACHINE, seen_at__gte=now - timedelta(seconds=health.BEAT_SECONDS)).exists():
        pid = processes.ask("getProcessInfo", "beat")["pid"]
        yield Finding(f"Nothing has looked after the pool for {health.BEAT_SECONDS} s, though beat and worker run: the clock was set back, or beat hangs.", f"kill -9 {pid} and beat is started again by itself.")


def boots(seen: Seen) -> Iterator[Finding]:
    """Whether hosts start."""
    if not seen.database or not seen.running:
        return
    if (here := Machine.objects.filter(name=settings.MACHINE).first()) and pool.failing(here):
        last = Sandbox.objects.filter(machine=here, state=Sandbox.State.FAILED).order_by("-created_at")[:1].get()
        yield Finding(f"No host starts: {last.why}", f"See {settings.VAR}/log/worker.log and engine.log; it is tried again each minute.")


def hosts(seen: Seen) -> Iterator[Finding]:
    """The hosts of students: what a student did to their own is told, and no fault of the lab."""
    if not (seen.database and seen.up("engine")):
        return
    running = this_engine().sandboxes()
    live = list(Sandbox.objects.filter(machine__name=settings.MACHINE, state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED]))
    for sandbox in live:
        if sandbox.pk not in running and sandbox.pk not in this_engine().sandboxes():
            yield Finding(f"Sandbox {sandbox} has no host that runs.", "It is ended within a minute, and its student is told.")
    claimed = [sandbox.pk for sandbox in live if sandbox.state == Sandbox.State.CLAIMED and sandbox.pk in running]
    asked = [(host.sandbox_id, host.name) for host in Host.objects.filter(sandbox__in=claimed).order_by("pk")]
    for (pk, host), words in zip(asked, asyncio.run(_ask_hosts(asked))):
        if words:
            yield Finding(f"Host {host} of sandbox {pk.hex[:8]}: {words}", "Its student mends it, or presses Reset.", students=True)


async def _ask_hosts(hosts: list[tuple[uuid.UUID, str]]) -> list[str]:
    return list(await asyncio.gather(*(_ask_host(*host) for host in hosts)))


async def _ask_host(sandbox: uuid.UUID, host: str) -> str:
    """The answer is the student's: it is only compared."""
    try:
        answer = await Inside(sandbox).run(host, "systemctl is-active docker", HOST_SECONDS)
    except LabError:
        return "its agent does not answer."
    return "" if answer.out.strip() == "active" else "its dockerd does not run."


def way_out(seen: Seen) -> Iterator[Finding]:
    """The way out of the hosts."""
    if seen.running and seen.up("engine"):
        yield from (Finding(*fault) for fault in this_gateway().faults())


def strays(seen: Seen) -> Iterator[Finding]:
    """What belongs to no sandbox."""
    if not (seen.database and seen.up("engine")):
        return
    engine, told = this_engine(), "It is removed within a minute; if not: " + ANEW
    alive = dict(Sandbox.objects.filter(gone_at=None).values_list("pk", "wire"))
    short = {pk.hex[:12] for pk in alive}
    for pk in engine.sandboxes(all=True) - set(alive):
        yield Finding(f"Left over: host of sandbox {pk}.", told)
    for dock in engine.docks.iterdir() if engine.docks.exists() else ():
        if dock.name.partition("-")[0] not in short:
            yield Finding(f"Left over: dock {dock.name}.", told)
    for name in engine.disks.existing() if engine.disks else ():
        if name.partition("-")[0] not in short:
            yield Finding(f"Left over: disk {name}.", told)
    for number in engine.wires.existing() - set(alive.values()):
        yield Finding(f"Left over: wire {number}.", told)
    for volume in engine.api.volumes()["Volumes"] or ():
        yield Finding(f"Left over: volume {volume['Name']} of the engine.", f"docker -H unix://{engine.socket} volume rm {volume['Name']}")
    for network in engine.api.networks():
        if network["Name"] not in ("none", "host"):
            yield Finding(f"Left over: network {network['Name']} of the engine.", f"docker -H unix://{engine.socket} network rm {network['Name']}")


LOOKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    packages, wrong_settings, the_machine, the_set_up, whose_files, disks, the_database, the_processes, old_code, memory_of_redis, the_clock, boots, hosts, way_out, strays,
)  # fmt: skip


def _workers() -> list[str]:
    return list(app.control.inspect(timeout=2).ping() or ())


def _or(ask: Callable, otherwise):
    try:
        return ask()
    except Exception:
        return otherwise
