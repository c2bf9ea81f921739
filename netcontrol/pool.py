"""Which sandboxes there should be: the pool, the line of those who wait, the reaper's choices. Rows only.

Must not know Docker or Celery: it says what to boot and what to remove; tasks.py does it.
"""
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from netcontrol import why
from netcontrol.counts import observe
from netcontrol.models import Machine, Sandbox, Waiting

DEFAULT_LAYOUT = "lab"
TRIES = 3  # boots that may fail in a row
IN_DOUBT = timedelta(seconds=20)  # a little longer than from one reaping to the next
BOOT_MINUTES = 2  # a row that has been booting for longer has lost its worker


def request(owner, layout: str = DEFAULT_LAYOUT) -> Sandbox | Waiting:
    """The sandbox of this student: the one they have, else one from the pool, else a place in line (served by `serve`)."""
    mine = Sandbox.of(owner)
    if mine and mine.layout == layout:
        return mine
    if mine:
        mine.end(why.OTHER_HOSTS)
    if not Waiting.objects.filter(layout=layout).exclude(owner=owner).exists():
        try:
            with transaction.atomic():
                if sandbox := Sandbox.claim(owner, layout):
                    observe("wait_seconds", 0)
                    return sandbox
        except IntegrityError:  # the same student pressed Start twice, and the other request won
            if mine := Sandbox.of(owner):
                return mine
    waiting, _ = Waiting.objects.get_or_create(owner=owner, defaults={"layout": layout})
    return waiting


def hand_over(before, after) -> Sandbox | None:
    """All that `before` has becomes `after`'s: ended labs with their commands, a lab that boots or runs, the place in line.

    Nobody has two labs: the one of `after` stays, the other is ended and returned, for its caller to have it removed.
    """
    mine, theirs = Sandbox.of(before), Sandbox.of(after)
    ended = mine if mine and theirs and mine.end(why.SIGNED_IN) else None
    Sandbox.objects.filter(owner=before).update(owner=after)
    lines = Waiting.objects.filter(owner__in=[before, after]).order_by("pk")
    if mine or theirs:
        lines.delete()
    elif first := lines.first():  # of two places in line, the better one
        lines.exclude(pk=first.pk).delete()
        Waiting.objects.filter(pk=first.pk).update(owner=after)
    return ended


def serve() -> list[Sandbox]:
    """Give ready sandboxes to those in line, first come first served. Returns what was given.

    Several workers may serve at once. Once there is nothing for somebody in line, nobody behind them who wants the same is served either: what
    becomes ready meanwhile is given by whoever booted it, from the front of the line again.
    """
    given: list[Sandbox] = []
    none: set[str] = set()
    for waiting in Waiting.objects.select_related("owner"):
        if waiting.layout in none:
            continue
        if Sandbox.of(waiting.owner):
            waiting.delete()
            continue
        try:
            with transaction.atomic():
                sandbox = Sandbox.claim(waiting.owner, waiting.layout)
        except IntegrityError:  # another worker served them just now
            continue
        if sandbox:
            given.append(sandbox)
            observe("wait_seconds", (timezone.now() - waiting.since).total_seconds())
        else:
            none.add(waiting.layout)
    return given


def plan(machine: Machine) -> list[Sandbox]:
    """Make the rows of the sandboxes that this machine should boot now, each with a wire of its own.

    Enough for everyone in line and for the pool, as far as the machine's capacity goes, in the order of the line: who needs two hosts is not
    overtaken for ever by those who need one, and gets them on an empty machine even if it has room for less. A row holds its places from here
    on, so that two planners cannot both use them.
    """
    with transaction.atomic():
        machine = Machine.objects.select_for_update().get(pk=machine.pk)
        held = Sandbox.objects.filter(machine=machine, gone_at=None)
        layouts = list(held.values_list("layout", flat=True))
        coming = _coming(held)
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
        rows: list[Sandbox] = []
        for layout, owner in wanted:
            if not machine.capacity or (layouts and hosts([*layouts, layout]) > machine.capacity):
                break
            layouts.append(layout)
            rows.append(Sandbox(machine=machine, layout=layout, owner_id=owner, wire=next(free_wires)))
        return Sandbox.objects.bulk_create(rows)


def hosts(layouts: Iterable[str]) -> int:
    """How many hosts these sandboxes have: what a machine's capacity counts."""
    return sum(len(layout.split(",")) for layout in layouts)


def _coming(held: QuerySet[Sandbox]) -> Counter[str]:
    """How many of these can be given to somebody, now or when they are up, by their layout."""
    return Counter(held.filter(state__in=[Sandbox.State.BOOTING, Sandbox.State.READY]).values_list("layout", flat=True))


def make_room(machine: Machine) -> list[Sandbox]:
    """End pooled sandboxes that nobody in line can use, as many as are in the way of those who wait for other hosts. Returns them, to be removed."""
    if not Waiting.objects.exists():  # asked every few seconds; the database is locked for those who wait only
        return []
    with transaction.atomic():
        machine = Machine.objects.select_for_update().get(pk=machine.pk)
        held = Sandbox.objects.filter(machine=machine, gone_at=None)
        coming = _coming(held)
        waited_for = Counter(Waiting.objects.values_list("layout", flat=True))
        room = machine.capacity - hosts(held.values_list("layout", flat=True)) - hosts((waited_for - coming).elements())
        ready = held.filter(state=Sandbox.State.READY).order_by("-created_at")
        ended = []
        for sandbox in ready.exclude(layout__in=waited_for):
            if room < 0 and sandbox.end("Its place was needed for a lab with other hosts."):
                ended.append(sandbox)
                room += hosts([sandbox.layout])
        return ended


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


def move(machine: Machine, by: timedelta) -> None:
    """This machine's clock was set by so much: what was to happen in ten minutes still is. Times of the last seconds may be of either clock, and stay:
    nobody's lab ends early for it."""
    now = timezone.now()
    live = Sandbox.objects.filter(machine=machine, state__in=Sandbox.LIVE)
    for field, told_by in (("ends_at", "claimed_at"), ("active_at", "active_at"), ("claimed_at", "claimed_at"), ("created_at", "created_at")):
        live.exclude(**{f"{told_by}__range": (now - IN_DOUBT, now)}).exclude(**{field: None}).update(**{field: F(field) + by})


def overdue() -> list[tuple[Sandbox, str]]:
    """Claimed sandboxes whose time is up or whose student has gone, with the sentence that says so."""
    now = timezone.now()
    late = [
        (s, why.TIME_UP % {"time": f"{timezone.localtime(s.ends_at):%H:%M}"})
        for s in Sandbox.objects.filter(state=Sandbox.State.CLAIMED, ends_at__lte=now)
    ]
    idle = now - timedelta(minutes=settings.SANDBOX_IDLE_MINUTES)
    return late + [
        (s, why.IDLE % {"minutes": settings.SANDBOX_IDLE_MINUTES})
        for s in Sandbox.objects.filter(state=Sandbox.State.CLAIMED, ends_at__gt=now, active_at__lte=idle)
    ]


def unbegun(machine: Machine) -> QuerySet[Sandbox]:
    """Sandboxes that no worker has begun to boot, the first that was planned first."""
    return Sandbox.objects.filter(machine=machine, state=Sandbox.State.BOOTING, begun=False).order_by("created_at")


def lost_boots() -> QuerySet[Sandbox]:
    """Rows that say `booting`, although whoever booted them must be gone."""
    return Sandbox.objects.filter(state=Sandbox.State.BOOTING, created_at__lte=timezone.now() - timedelta(minutes=BOOT_MINUTES))


def to_remove(machine: Machine) -> QuerySet[Sandbox]:
    """Sandboxes that are over, but of which the machine may still hold something."""
    return Sandbox.objects.filter(machine=machine, gone_at=None).exclude(state__in=Sandbox.LIVE)
