"""Where a student's lab stands, as the `sandbox.state` message. Must not know who asks: the WebSocket or a view."""
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from netcontrol import lease, pool, why
from netcontrol.models import Machine, Sandbox, Waiting


def lab_state(user, worker: str | None = None) -> dict[str, Any]:
    """The message for this user, anonymous or not. `worker` is whether somebody carries the shells, for one who knows already."""
    state: dict[str, Any] = {"type": "sandbox.state", "now": timezone.now().isoformat(), "state": "none", "sandbox": None, "hosts": []}
    if not user.is_authenticated:
        return state
    mine = Sandbox.of(user)
    if mine:
        return {**state, **_claimed(mine), "worker": worker or lease.worker_now(str(mine.pk))}
    waiting = Waiting.objects.filter(owner=user).first()
    if waiting:
        return {**state, **_waiting(waiting)}
    last = Sandbox.objects.filter(owner=user, state__in=[Sandbox.State.ENDED, Sandbox.State.FAILED]).order_by("-ended_at").first()
    if last:
        return {**state, "state": last.state, "sandbox": str(last.pk), "why": why.say(last.why)}
    return state


def _claimed(mine: Sandbox) -> dict[str, Any]:
    assert mine.ends_at and mine.claimed_at
    longest = mine.claimed_at + timedelta(minutes=settings.SANDBOX_LONGEST_MINUTES)
    return {
        "state": "claimed",
        "sandbox": str(mine.pk),
        "hosts": [{"name": host.name, "address": host.address} for host in mine.hosts.order_by("pk")],
        "ends_at": mine.ends_at.isoformat(),
        "longest_at": longest.isoformat(),
        "extends_to": settings.SANDBOX_MINUTES,
        "warn": mine.ends_at - timezone.now() <= timedelta(minutes=settings.SANDBOX_WARN_MINUTES),
    }


def _waiting(waiting: Waiting) -> dict[str, Any]:
    booting = Sandbox.objects.filter(owner=waiting.owner_id, state=Sandbox.State.BOOTING).order_by("created_at").first()
    if booting:
        return {"state": "booting", "boot": booting.boot, "place": waiting.place}
    claimed = Sandbox.objects.filter(state=Sandbox.State.CLAIMED)
    frees = claimed.order_by("ends_at").values_list("ends_at", flat=True).first()
    failed = Sandbox.objects.filter(owner=waiting.owner_id, state=Sandbox.State.FAILED, created_at__gte=waiting.since).order_by("-created_at").first()
    return {
        "state": "waiting",
        "why": why.say(failed.why) if failed else "",
        "place": waiting.place,
        "in_use": pool.hosts(claimed.values_list("layout", flat=True)),
        "capacity": Machine.objects.aggregate(all=Sum("capacity"))["all"] or 0,
        "frees_at": frees.isoformat() if frees else None,
    }
