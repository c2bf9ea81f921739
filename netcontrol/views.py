"""The few HTTP requests about a lab itself: reset, end, state, health. Thin: models.py and pool.py decide.

Must not know lessons, nor Docker: the worker does the work.
"""
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from netcontrol import pool, stream, tasks
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting
from netcontrol.state import lab_state


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def answer(request: HttpRequest, fallback: str = "/") -> HttpResponse:
    """After a POST: where the student now stands as JSON, or the page they came from."""
    if wants_json(request):
        return JsonResponse(lab_state(request.user))
    back = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(back if safe and fallback == "/" else fallback, status=303)


@require_POST
def reset(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        raise LabError("no_sandbox", "You have no lab yet.", "Start a lesson first.", status=409)
    mine = Sandbox.of(request.user)
    layout = mine.layout if mine else pool.DEFAULT_LAYOUT
    if mine and mine.end("You asked for a fresh one."):
        tasks.enqueue(tasks.remove, str(mine.pk))
    tasks.start(request.user, layout)
    return answer(request)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        Waiting.objects.filter(owner=request.user).delete()
        mine = Sandbox.of(request.user)
        if mine and mine.end("You ended it."):
            tasks.enqueue(tasks.remove, str(mine.pk))
        tasks.tell(request.user.pk)
    return answer(request)


@require_GET
@never_cache
def state(request: HttpRequest) -> JsonResponse:
    return JsonResponse(lab_state(request.user))


@require_GET
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """What the web process itself can see: its database and Redis. `./lab status` looks at the rest."""
    try:
        connection.ensure_connection()
        database = True
    except DatabaseError:
        database = False
    redis = stream.alive()
    return JsonResponse({"web": True, "database": database, "redis": redis, "lab": settings.LAB_ID}, status=200 if database and redis else 503)
