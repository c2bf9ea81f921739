"""The one place where a LabError becomes an answer over HTTP: JSON for programs, a page for people. A database that is away, locked or full is one."""
import logging

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from netcontrol.counts import count
from netcontrol.errors import LabError
from netcontrol.views import wants_json

log = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)  # the others are faults of the code


class LabErrorMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DATABASE_AWAY):
            log.error("%s is refused: %s", request.path, error)
            error = LabError("database", _("The lab's database does not answer at the moment, so nothing can be kept."), _("Your hosts and what runs there go on. Try again in a minute; if it stays so, tell whoever runs this lab."))
        if not isinstance(error, LabError):
            return None
        count("refused", what=error.code)
        if wants_json(request):
            return JsonResponse(error.as_event(), status=error.status)
        return render(request, "error.html", {"error": error, "code": error.code, "message": error.message, "what_to_do": error.what_to_do}, status=error.status)
