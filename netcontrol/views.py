"""The few HTTP requests about a lab itself: reset, end, state, history. Thin: models.py, pool.py and history.py decide.

Must not know lessons, nor Docker: the worker does the work.
"""
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from netcontrol import orders, pool, why
from netcontrol import transcript as transcripts
from netcontrol.errors import LabError
from netcontrol.history import MAX_QUERY, Lab, Row, Search, by_lab, commands, on_page
from netcontrol.models import Sandbox, Waiting
from netcontrol.state import lab_state
from netcontrol.throttle import at_most, new_lab


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "") or request.content_type == "application/json"


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
        raise LabError("no_sandbox", _("You have no lab yet."), _("Start a lesson first."), status=409)
    new_lab(request)
    mine = Sandbox.of(request.user)
    layout = mine.layout if mine else pool.DEFAULT_LAYOUT
    if mine:
        orders.end(mine, why.ASKED)
    orders.start(request.user, layout)
    return answer(request)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        Waiting.objects.filter(owner=request.user).delete()
        mine = Sandbox.of(request.user)
        if mine:
            orders.end(mine, why.ENDED)
        orders.tell(request.user.pk)
    return answer(request)


@require_GET
@never_cache
def state(request: HttpRequest) -> JsonResponse:
    return JsonResponse(lab_state(request.user))


def _no_lab() -> LabError:
    return LabError("no_lab", _("You have had no such lab."), _("Your labs are on the page of your history."), status=404)


def _search(request: HttpRequest) -> Search:
    lab = request.GET.get("lab", "")
    try:
        wanted = uuid.UUID(lab) if lab else None
    except ValueError:
        raise _no_lab() from None
    return Search(request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY], bool(request.GET.get("failed")), wanted)


@require_safe
@never_cache
@at_most("history", 120)
def history(request: HttpRequest) -> HttpResponse:
    search = _search(request)
    page, rows = on_page(request.user, search, request.GET.get("page")) if request.user.is_authenticated else (None, [])
    context = {
        "search": search,
        "page": page,
        "labs": by_lab([Row(command, search.text) for command in rows]),
        "days": settings.HISTORY_DAYS,
        "now": timezone.now(),
    }
    return render(request, "netcontrol/history.html", context)


@require_safe
@never_cache
def command(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One command alone, with all that is kept of its output."""
    found = commands(request.user).filter(pk=pk).first() if request.user.is_authenticated else None
    if found is None:
        raise LabError("no_command", _("There is no such command in your history."), _("See the ones there are at /lab/history."), status=404)
    return render(request, "netcontrol/command.html", {"row": Row(found, whole=True), "lab": Lab(found.sandbox), "now": timezone.now()})


@require_safe
@never_cache
@at_most("transcript", 20)
def transcript(request: HttpRequest) -> StreamingHttpResponse:
    search = _search(request)
    if not request.user.is_authenticated:
        raise LabError("no_history", _("This browser has no history yet."), _("Start a lesson: what you run in its lab is kept."), status=404)
    lab = Sandbox.objects.filter(pk=search.lab, owner=request.user).first() if search.lab else None
    if search.lab and lab is None:
        raise _no_lab()
    of = f"lab-{timezone.localtime(Lab(lab).began):%Y-%m-%d-%H%M}" if lab else f"history-{timezone.localdate()}"
    answer = StreamingHttpResponse(transcripts.transcript(commands(request.user, search), search, get_language()), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="patchbay-{of}.txt"'
    return answer
