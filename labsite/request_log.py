"""What asked for what: each request and each page's WebSocket has an id, which the logs of all processes have that serve it.

`RequestIds` is at the door of both; `RequestLog` writes a line when a request is answered: the route, never the path or what was searched for.
"""
import logging
import re
import time
import uuid

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bound_contextvars

from netcontrol.counts import count, observe

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
WATCHED = ("healthz", "readyz", "metrics")  # asked every few seconds: a line only when something is wrong


class RequestIds:
    """ASGI: takes a proxy's X-Request-ID, or makes one, and sends it back."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        given = dict(scope.get("headers", ())).get(b"x-request-id", b"").decode("latin-1")
        mine = given if _ID.fullmatch(given) else uuid.uuid4().hex[:16]

        async def answer(message):
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", mine.encode())]}
            await send(message)

        with bound_contextvars(request=mine):
            await self.app(scope, receive, answer)


class RequestLog:
    """Django: the line of a request, and its count."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        response = self.get_response(request)
        took = time.monotonic() - began
        found = request.resolver_match
        name = (found.view_name or "unnamed") if found else "none"
        count("requests", route=name, status=f"{response.status_code // 100}xx")
        observe("request_seconds", took)
        level = logging.DEBUG if name in WATCHED and response.status_code < 500 else logging.INFO
        log.log(level, "answered", extra={"method": _method(request), "route": name, "status": response.status_code, "ms": round(took * 1000, 1)})
        return response


def _method(request: HttpRequest) -> str:
    return request.method if request.method in ("GET", "HEAD", "POST") else "other"
