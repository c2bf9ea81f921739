"""What Celery runs on a machine: boot, attach, remove, keep the pool, reap, reconcile, forget. Thin: the rules are in pool.py and
models.py, the work is in engine/ and attach.py. Must not know lessons.

`attach` runs in the threads pool of the queue attach@<machine>, everything else in the prefork pool of `control`.
"""
import logging
import uuid

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.utils import timezone
from docker.errors import DockerException
from kombu.exceptions import OperationalError
from requests.exceptions import RequestException

from netcontrol import lease, notices, pool, stream
from netcontrol.engine import this_engine
from netcontrol.errors import LabError
from netcontrol.models import Command, Host, Machine, Sandbox, Waiting

log = logging.getLogger(__name__)
ENGINE_FAULTS = (LabError, DockerException, RequestException)  # said once in the log; the next beat tries again


def this_machine() -> Machine:
    """The row of this machine, made or corrected from what it is now."""
    engine = this_engine()
    capacity = settings.CAPACITY or engine.machine.capacity(settings.HOST_MEMORY_MIB)
    machine, _ = Machine.objects.update_or_create(
        name=settings.MACHINE, defaults={"capacity": min(capacity, engine.wires.count), "wires": engine.wires.count, "seen_at": timezone.now()}
    )
    return machine


def enqueue(task, *args, countdown: float | None = None) -> None:
    """Hand a task to Celery now or never. Raises LabError when Redis does not take it."""
    try:
        task.apply_async(args, countdown=countdown, retry=False)
    except OperationalError as down:
        raise LabError("not_now", "The lab's Redis does not answer, so nothing can be started.", "It is started again by itself: try again in a few seconds.") from down


def start(owner, layout: str) -> Sandbox | Waiting:
    """A student wants a sandbox: claim one or take a place in line, and see that the pool is filled again."""
    got = pool.request(owner, layout)
    waits = isinstance(got, Waiting)
    if waits or not Sandbox.objects.filter(state=Sandbox.State.READY).exists():
        # Refilling competes with the first prompt for the machine's cores, so it comes a moment later, unless somebody waits for it.
        enqueue(keep_pool, countdown=None if waits else 1)
    tell(owner.pk)
    return got


def tell(owner_id: int | None) -> None:
    if owner_id:
        notices.notify(owner_id)


@shared_task
def boot(sandbox_id: str) -> None:
    """Boot one sandbox whose row says `booting`; then it is its waiting student's, the first in line's, or the pool's."""
    sandbox = Sandbox.objects.filter(pk=sandbox_id, state=Sandbox.State.BOOTING).first()
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
        log.error("sandbox %s did not boot: %s", sandbox, broken)
        message = broken.args[0] if isinstance(broken, LabError) else "The lab's engine does not answer."
        sandbox.end(message, Sandbox.State.FAILED)
        if sandbox.owner_id:
            pool.give_up(sandbox.owner_id)
        tell(sandbox.owner_id)
        return
    Host.objects.bulk_create(Host(sandbox=sandbox, name=name, address=hosts[name], container_id=ids[name]) for name in hosts)
    ready = Sandbox.objects.filter(pk=sandbox.pk, state=Sandbox.State.BOOTING).update(state=Sandbox.State.READY, owner=None, boot=sandbox.boot)
    if not ready:  # ended meanwhile
        remove(sandbox_id)
    hand_out()


def hand_out() -> None:
    for sandbox in pool.serve():
        tell(sandbox.owner_id)
    for owner in Waiting.objects.values_list("owner", flat=True):
        tell(owner)


@shared_task(time_limit=None, soft_time_limit=None)
def attach(sandbox_id: str) -> None:
    """Carry the shells of one sandbox until it ends or nobody looks; returns at once when another worker carries them."""
    from netcontrol.attach import carry

    carry(sandbox_id)


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


@shared_task
def keep_pool() -> None:
    """Serve the line, then boot what is missing."""
    hand_out()
    for sandbox in pool.plan(this_machine()):
        boot.delay(str(sandbox.pk))


@shared_task
def reap() -> None:
    """End what is over its time, its student's patience or its disk, and remove what has ended."""
    overdue = pool.overdue()
    try:
        overdue += fat_hosts()
    except ENGINE_FAULTS as broken:
        log.error("the engine does not answer: %s", broken)
    for sandbox, why in overdue:
        if sandbox.end(why):
            tell(sandbox.owner_id)
    for sandbox in pool.lost_boots():
        sandbox.end("Your lab did not start in time. This is a fault of the lab, not of yours: get another one.", Sandbox.State.FAILED)
        tell(sandbox.owner_id)
    for sandbox in pool.to_remove(this_machine()):
        remove(str(sandbox.pk))


def fat_hosts() -> list[tuple[Sandbox, str]]:
    """Sandboxes with a host whose root layer has outgrown HOST_DISK_MIB."""
    fat = {pk for pk, mib in this_engine().disk_use().items() if mib > settings.HOST_DISK_MIB}
    why = f"Your lab ended: a host had written more than {settings.HOST_DISK_MIB} MiB to its disk."
    return [(s, why) for s in Sandbox.objects.filter(pk__in=fat, state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED])]


@shared_task
def reconcile() -> None:
    """Mend both ways of disagreement: rows without their host are ended, hosts without a row are removed."""
    engine = this_engine()
    machine = this_machine()
    try:
        running = engine.sandboxes()
        for sandbox in Sandbox.objects.filter(machine=machine, state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED]).exclude(pk__in=running):
            if sandbox.pk not in engine.sandboxes() and sandbox.end("Your lab's host stopped: the machine or its engine was restarted."):
                tell(sandbox.owner_id)
        alive: dict[uuid.UUID, int] = dict(Sandbox.objects.filter(machine=machine, gone_at=None).values_list("pk", "wire"))
        for name in engine.sweep(alive):
            log.warning("removed %s, which no sandbox owns", name)
    except ENGINE_FAULTS as broken:
        log.error("the engine does not answer: %s", broken)


@shared_task
def forget_old() -> None:
    """History is kept for HISTORY_DAYS."""
    commands, sandboxes = Command.forget_old(), Sandbox.forget_old()
    if commands or sandboxes:
        log.info("forgot %d commands and %d sandboxes", commands, sandboxes)


@worker_ready.connect
def begin(sender, **_) -> None:
    """A worker starts: the leases of its predecessor are void; boots that its predecessor began will never end."""
    if settings.ATTACH_QUEUE in sender.app.amqp.queues.consume_from:
        lease.void()
        return
    for sandbox in Sandbox.objects.filter(machine=this_machine(), state=Sandbox.State.BOOTING):
        sandbox.end("The lab was restarted while your lab started. You keep your place.", Sandbox.State.FAILED)
    reconcile.delay()
    reap.delay()
    keep_pool.delay()
    forget_old.delay()  # a lab that is switched off at night has no daily run
