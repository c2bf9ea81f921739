"""Whether a web process lives (/healthz), and whether its lab can serve a student (/readyz). For load balancers and watchers.

Sees what a web process may see: the database and Redis. Must not know the engine: what only the machine itself can see, `./lab doctor` tells.
"""
from collections.abc import Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from netcontrol import heartbeat
from netcontrol.connection import Unreachable, alive
from netcontrol.models import Machine

BEAT_SECONDS = 60  # the pool is looked after every 5 s, when beat and a worker run


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """This process lives; `lab` tells whose it is."""
    return JsonResponse({"lab": settings.LAB_ID})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    wrong = {name: words for name, words in ready().items() if words}
    return JsonResponse({"ready": not wrong, "wrong": wrong}, status=503 if wrong else 200)


def ready() -> dict[str, str]:
    """Each part that a student needs: "", or what is wrong with it. What cannot be known, because a part below it is away, is not told of."""
    parts = {"database": _database(), "redis": "" if alive() else "Redis does not answer."}
    if not parts["database"]:
        parts |= {"migrations": _told(_migrations), "beat": _told(_beat)}
    if not parts["redis"]:
        parts |= _workers()
    return parts


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()  # it may be of a server that is gone
        return "The database does not answer."
    return ""


_migrated = False  # once they are applied, they stay so for the life of a process


def _migrations() -> str:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "" if _migrated else "The database is older than the code: ./lab up brings it on."


def _beat() -> str:
    """Beat sends, and a worker of `control` runs what looks after the pool, if that was looked after lately."""
    late = timezone.now() - timedelta(seconds=BEAT_SECONDS)
    return "" if Machine.objects.filter(seen_at__gte=late).exists() else f"Nothing has looked after the pool for {BEAT_SECONDS} s."


def _told(look: Callable[[], str]) -> str:
    try:
        return look()
    except DatabaseError:
        return "The database cannot tell."


def _workers() -> dict[str, str]:
    try:
        kinds = {name.partition("@")[0] for name in heartbeat.heard()}
    except (*Unreachable, redis.RedisError):
        kinds = set()
    names = {"worker": "control", "attach": "attach", "check": "check"}
    return {part: "" if kind in kinds else f"No {part} has been heard of for {heartbeat.SILENT_SECONDS} s." for part, kind in names.items()}
