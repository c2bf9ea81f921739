"""The one place where a LabError becomes an answer over HTTP: JSON for programs, a page for people."""
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from netcontrol.errors import LabError
from netcontrol.views import wants_json


class LabErrorMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, LabError):
            return None
        if wants_json(request):
            return JsonResponse(error.as_event(), status=error.status)
        return render(request, "error.html", {"error": error, "code": error.code, "message": error.message, "what_to_do": error.what_to_do}, status=error.status)
