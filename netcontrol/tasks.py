"""What Celery runs on a machine: boot, attach, remove, keep the pool, reap, reconcile, forget. Thin: the rules are in pool.py and
models.py, the work is in engine/ and attach.py; who orders it (orders.py) needs none of that. Must not know lessons.

`attach` and `look_after` run in the threads pool of the queue attach@<machine>, everything else here in the prefork pool of `control`.
"""
import logging
import uuid

from celery import shared_task
from celery.signals import heartbeat_sent, worker_ready
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from docker.errors import DockerException
from requests.exceptions import RequestException

from netcontrol import clock, heartbeat, lease, notices, orders, pool, stream, why
from netcontrol.counts import count, observe
from netcontrol.engine import this_engine
from netcontrol.errors import LabError
from netcontrol.models import Command, Host, Machine, Sandbox, Waiting
from netcontrol.orders import refill, tell

log = logging.getLogger(__name__)
ORDER_SECONDS = 60  # after which an order to boot that nobody has begun is given again
ENGINE_FAULTS = (LabError, DockerException, RequestException)  # said once in the log; the next beat tries again


def this_machine() -> Machine:
    """The row of this machine, made or corrected from what it is now."""
    engine = this_engine()
    machine, _ = Machine.objects.update_or_create(
        name=settings.MACHINE, defaults={"capacity": engine.capacity(settings.CAPACITY), "wires": engine.wires.count, "seen_at": timezone.now()}
    )
    return machine


@shared_task
def boot(sandbox_id: str) -> None:
    """Boot one sandbox whose row says `booting`; then it is its waiting student's, the first in line's, or the pool's."""
    sandbox = Sandbox.begin(sandbox_id)
    if sandbox is None:
        return
    engine = this_engine()
    hosts = {name: engine.wires.address(sandbox.wire, n) for n, name in enumerate(sandbox.host_names)}

    def progress(host: str, part: str, seconds: float) -> None:
        sandbox.boot.setdefault(host, {})[part] = round(seconds, 3)
        if sandbox.owner_id:
            sandbox.save(update_fields=["boot"])
            tell(sandbox.owner_id)

    try:
        ids = engine.boot(sandbox.pk, sandbox.wire, hosts, progress)
    except ENGINE_FAULTS as broken:
        count("boots", outcome="failed")
        log.error("sandbox %s did not boot: %s", sandbox, broken)
        message = broken.args[0] if isinstance(broken, LabError) else why.ENGINE
        sandbox.end(message, Sandbox.State.FAILED)
        if sandbox.owner_id:
            pool.give_up(sandbox.owner_id)
        tell(sandbox.owner_id)
        return
    took = max(seconds for parts in sandbox.boot.values() for seconds in parts.values())
    count("boots", outcome="up")
    observe("boot_seconds", took)
    log.info("booted in %.1f s", took)
    Host.objects.bulk_create(Host(sandbox=sandbox, name=name, address=hosts[name], container_id=ids[name]) for name in hosts)
    ready = Sandbox.objects.filter(pk=sandbox.pk, state=Sandbox.State.BOOTING).update(state=Sandbox.State.READY, owner=None, boot=sandbox.boot)
    if not ready:  # ended meanwhile
        remove(sandbox_id)
    hand_out()


def hand_out() -> None:
    """Serve the line. When it moved, everybody in it has another place."""
    given = pool.serve()
    if given:
        notices.notify(*(sandbox.owner_id for sandbox in given), *Waiting.objects.values_list("owner", flat=True))


@shared_task(time_limit=None, soft_time_limit=None)
def attach(sandbox_id: str) -> None:
    """Carry the shells of one sandbox until it ends or nobody looks; returns at once when another worker carries them."""
    from netcontrol.attach import carry

    carry(sandbox_id)


@shared_task
def look_after(sandbox_id: str) -> None:
    """A host of this sandbox does not answer: when it has stopped, the lab is over."""
    sandbox = Sandbox.objects.filter(pk=sandbox_id, state=Sandbox.State.CLAIMED).first()
    try:
        if sandbox and (because := stopped(sandbox)):
            orders.end(sandbox, because)
            tell(sandbox.owner_id)
    except ENGINE_FAULTS as broken:
        log.error("the engine does not answer: %s", broken)


def stopped(sandbox: Sandbox) -> str:
    """Why this sandbox has a host that runs no more; nothing when all run."""
    hosts = this_engine().stopped(sandbox.pk)
    inside = sorted(host for host, shut_down in hosts.items() if shut_down)
    return why.SHUT_DOWN % {"host": inside[0]} if inside else why.HOST_STOPPED if hosts else ""


@shared_task
def remove(sandbox_id: str) -> None:
    """Remove what this machine holds of a sandbox that is over."""
    sandbox = Sandbox.objects.filter(pk=sandbox_id, gone_at=None).exclude(state__in=Sandbox.LIVE).first()
    if sandbox is None:
        return
    try:
        this_engine().remove(sandbox.pk, sandbox.wire)
    except ENGINE_FAULTS as broken:
        log.error("sandbox %s is not removed yet: %s", sandbox, broken)
        return
    stream.forget(str(sandbox.pk))
    Sandbox.objects.filter(pk=sandbox.pk).update(gone_at=timezone.now())
    log.info("removed")
    if Waiting.objects.exists():
        refill()


@shared_task
def keep_pool(asked: int | None = None) -> None:
    """Serve the line, make room for who waits for other hosts than the pooled ones, then boot what is missing. `asked`: by `refill`, with this countdown."""
    if asked is not None:
        lease.asked_no_more(f"{keep_pool.name}/{asked}")  # who asks from now on may have come too late for what is read below
    hand_out()
    machine = this_machine()
    for sandbox in pool.make_room(machine):
        remove(str(sandbox.pk))
    pool.plan(machine)
    for sandbox in pool.unbegun(machine):
        if lease.first_to_ask(f"{boot.name}/{sandbox.pk}", ORDER_SECONDS):  # once; and at once again when Redis has forgotten both
            boot.delay(str(sandbox.pk))


@shared_task
def reap() -> None:
    """End what is over its time, its student's patience or its share, and remove what has ended."""
    machine = this_machine()
    if by := clock.stepped(machine.name):
        log.warning("the clock of %s was set by %s", machine.name, by)
        pool.move(machine, by)
    overdue = pool.overdue()
    try:
        overdue += greedy_hosts()
    except ENGINE_FAULTS as broken:
        log.error("the engine does not answer: %s", broken)
    for sandbox, because in overdue:
        if sandbox.end(because):
            tell(sandbox.owner_id)
    for sandbox in pool.lost_boots():
        sandbox.end(why.LATE, Sandbox.State.FAILED)
        tell(sandbox.owner_id)
    for sandbox in pool.to_remove(machine):
        remove(str(sandbox.pk))


def greedy_hosts() -> list[tuple[Sandbox, str]]:
    """Sandboxes with a host that takes more than its share of what is watched, not bounded."""
    engine, running = this_engine(), Sandbox.objects.filter(state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED])
    fat = {pk for pk, mib in engine.disk_use().items() if mib > settings.HOST_DISK_MIB}
    greedy = {why.FAT % {"mib": settings.HOST_DISK_MIB}: fat, why.GROUPS: engine.many_groups(), why.UNDER_WAY: engine.many_under_way()}
    return [(sandbox, because) for because, pks in greedy.items() for sandbox in running.filter(pk__in=pks)]


@shared_task
def reconcile() -> None:
    """Mend both ways of disagreement: rows without their host are ended, hosts without a row are removed."""
    engine = this_engine()
    machine = this_machine()
    try:
        running = engine.sandboxes()
        for sandbox in Sandbox.objects.filter(machine=machine, state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED]).exclude(pk__in=running):
            if sandbox.pk not in engine.sandboxes() and sandbox.end(stopped(sandbox) or why.HOST_STOPPED):
                tell(sandbox.owner_id)
        alive: dict[uuid.UUID, int] = dict(Sandbox.objects.filter(machine=machine, gone_at=None).values_list("pk", "wire"))
        for name in engine.sweep(alive):
            log.warning("removed %s, which no sandbox owns", name)
    except ENGINE_FAULTS as broken:
        log.error("the engine does not answer: %s", broken)
    try:
        if engine.gateway.settle():
            log.warning("the way out of the hosts was not as it should be, and is made anew")
    except LabError as broken:
        log.error("the way out of the hosts cannot be made: %s", broken)


@shared_task
def forget_old() -> None:
    """History is kept for HISTORY_DAYS, and no session longer than its cookie."""
    call_command("clearsessions")
    commands, sandboxes = Command.forget_old(), Sandbox.forget_old()
    if commands or sandboxes:
        log.info("forgot %d commands and %d sandboxes", commands, sandboxes)


@worker_ready.connect
def begin(sender, **_) -> None:
    """A worker starts: the leases of its predecessor are void; boots that its predecessor began will never end."""
    queues = sender.app.amqp.queues.consume_from
    if settings.ATTACH_QUEUE in queues:
        lease.void()
    if settings.CELERY_TASK_DEFAULT_QUEUE not in queues:
        return
    for sandbox in Sandbox.objects.filter(machine=this_machine(), state=Sandbox.State.BOOTING):
        sandbox.end(why.RESTARTED, Sandbox.State.FAILED)
    reconcile.delay()
    reap.delay()
    keep_pool.delay()
    forget_old.delay()  # a lab that is switched off at night has no daily run


@heartbeat_sent.connect
def beat(sender, **_) -> None:
    """Every two seconds in each worker's main process, whatever its tasks are at."""
    heartbeat.tell(sender.eventer.hostname)
