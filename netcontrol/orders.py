"""What pages order of the workers: a sandbox, its end, a word to other pages. Tasks are known by their names only: web has no right to the
engine, and loads nothing that would ask it. Must not know how an order is carried out (tasks.py does).
"""
from contextlib import suppress
from typing import Any

from celery import Signature, Task, signature
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from netcontrol import lease, notices, pool
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting

ATTACH, KEEP_POOL, LOOK_AFTER, REMOVE = (signature(f"netcontrol.tasks.{name}") for name in ("attach", "keep_pool", "look_after", "remove"))
REFILL_SECONDS = 5  # after which what was asked for is taken for lost


def enqueue(task: Task | Signature, *args, **how: Any) -> None:
    """Hand a task, or one known by name, to Celery now or never (`how`: countdown, queue, expires). Raises LabError when Redis does not take it."""
    try:
        task.apply_async(args, retry=False, **how)
    except OperationalError as down:
        raise LabError("not_now", _("The lab's Redis does not answer, so nothing can be started."), _("It is started again by itself: try again in a few seconds.")) from down


def start(owner, layout: str) -> Sandbox | Waiting:
    """A student wants a sandbox: claim one or take a place in line, and see that the pool is filled again."""
    got = pool.request(owner, layout)
    waits = isinstance(got, Waiting)
    if waits or not Sandbox.objects.filter(state=Sandbox.State.READY).exists():
        # Refilling competes with the first prompt for the machine's cores, so it comes a moment later, unless somebody waits for it.
        refill(countdown=0 if waits else 1)
    tell(owner.pk)
    return got


def refill(countdown: int = 0) -> None:
    """Have the pool looked after: once for all who ask before it begins, or a crowd that presses Start would keep the workers from booting."""
    if lease.first_to_ask(f"{KEEP_POOL.task}/{countdown}", REFILL_SECONDS):
        enqueue(KEEP_POOL, countdown, countdown=countdown)


def end(sandbox: Sandbox, why: str) -> None:
    """End a sandbox now, and have what it holds removed: at once, or by the reaper when nobody takes the order."""
    if sandbox.end(why):
        with suppress(LabError):
            enqueue(REMOVE, str(sandbox.pk))


def tell(owner_id: int | None) -> None:
    if owner_id:
        notices.notify(owner_id)
