"""Which sandboxes there should be: the pool, the line of those who wait, the reaper's choices. Rows only.

Must not know Docker or Celery: it says what to boot and what to remove; tasks.py does it.
"""
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from netcontrol.models import Machine, Sandbox, Waiting

DEFAULT_LAYOUT = "lab"
TRIES = 3  # boots that may fail in a row
BOOT_MINUTES = 2  # a row that has been booting for longer has lost its worker


def request(owner, layout: str = DEFAULT_LAYOUT) -> Sandbox | Waiting:
    """The sandbox of this student: the one they have, else one from the pool, else a place in line (served by `serve`)."""
    mine = Sandbox.of(owner)
    if mine and mine.layout == layout:
        return mine
    if mine:
        mine.end("You went on to a lesson that needs other hosts.")
    if not Waiting.objects.filter(layout=layout).exclude(owner=owner).exists():
        try:
            with transaction.atomic():
                if sandbox := Sandbox.claim(owner, layout):
                    return sandbox
        except IntegrityError:  # the same student pressed Start twice, and the other request won
            if mine := Sandbox.of(owner):
                return mine
    waiting, _ = Waiting.objects.get_or_create(owner=owner, defaults={"layout": layout})
    return waiting


def serve() -> list[Sandbox]:
    """Give ready sandboxes to those in line, first come first served. Returns what was given."""
    given = []
    for waiting in Waiting.objects.select_related("owner"):
        if Sandbox.of(waiting.owner):
            waiting.delete()
        elif sandbox := Sandbox.claim(waiting.owner, waiting.layout):
            given.append(sandbox)
    return given


def plan(machine: Machine) -> list[Sandbox]:
    """Make the rows of the sandboxes that this machine should boot now, each with a wire of its own.

    Enough for everyone in line and for the pool, as far as the machine's capacity goes. A row holds its place from
    here on, so that two planners cannot both use it.
    """
    with transaction.atomic():
        machine = Machine.objects.select_for_update().get(pk=machine.pk)
        held = Sandbox.objects.filter(machine=machine, gone_at=None)
        room = machine.capacity - held.count()
        coming = Counter(held.filter(state__in=[Sandbox.State.BOOTING, Sandbox.State.READY]).values_list("layout", flat=True))
        taken = set(held.values_list("wire", flat=True))
        free_wires = (number for number in range(machine.wires) if number not in taken)
        wanted: list[tuple[str, int | None]] = []
        for waiting in Waiting.objects.all():
            if coming[waiting.layout]:
                coming[waiting.layout] -= 1
            else:
                wanted.append((waiting.layout, waiting.owner_id))
        if not failing(machine):
            wanted += [(DEFAULT_LAYOUT, None)] * max(0, settings.POOL_SIZE - coming[DEFAULT_LAYOUT])
        rows = [
            Sandbox(machine=machine, layout=layout, owner_id=owner, wire=next(free_wires)) for layout, owner in wanted[: max(0, room)]
        ]
        return Sandbox.objects.bulk_create(rows)


def failing(machine: Machine) -> bool:
    """Whether this machine boots nothing at the moment: then the pool waits a minute, and only students in line are tried for."""
    last = Sandbox.objects.filter(machine=machine, created_at__gte=timezone.now() - timedelta(minutes=1)).order_by("-created_at")[:TRIES]
    return [s.state for s in last] == [Sandbox.State.FAILED] * TRIES


def give_up(owner_id: int) -> bool:
    """After TRIES boots that failed for a student in line: take them out of it, so that their page says why. True when it did."""
    waiting = Waiting.objects.filter(owner_id=owner_id).first()
    if not waiting or Sandbox.objects.filter(owner_id=owner_id, state=Sandbox.State.FAILED, created_at__gte=waiting.since).count() < TRIES:
        return False
    waiting.delete()
    return True


def overdue() -> list[tuple[Sandbox, str]]:
    """Claimed sandboxes whose time is up or whose student has gone, with the sentence that says so."""
    now = timezone.now()
    late = [
        (s, f"Your lab ended at {timezone.localtime(s.ends_at):%H:%M}: its time was up.")
        for s in Sandbox.objects.filter(state=Sandbox.State.CLAIMED, ends_at__lte=now)
    ]
    idle = now - timedelta(minutes=settings.SANDBOX_IDLE_MINUTES)
    return late + [
        (s, f"Your lab ended: nothing was typed or read for {settings.SANDBOX_IDLE_MINUTES} minutes.")
        for s in Sandbox.objects.filter(state=Sandbox.State.CLAIMED, ends_at__gt=now, active_at__lte=idle)
    ]


def lost_boots() -> QuerySet[Sandbox]:
    """Rows that say `booting`, although whoever booted them must be gone."""
    return Sandbox.objects.filter(state=Sandbox.State.BOOTING, created_at__lte=timezone.now() - timedelta(minutes=BOOT_MINUTES))


def to_remove(machine: Machine) -> QuerySet[Sandbox]:
    """Sandboxes that are over, but of which the machine may still hold something."""
    return Sandbox.objects.filter(machine=machine, gone_at=None).exclude(state__in=Sandbox.LIVE)
