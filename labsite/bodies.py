"""No request is longer than MAX_BODY, whoever sends it: Django keeps a whole body on disk before anybody looks at it. Must not know what is in it."""
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from netcontrol.agent.limits import MAX_BODY
from netcontrol.counts import count

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class TooLong(Exception):
    """More came than was said, or than may come."""


class BoundedBodies:
    """ASGI, around the application."""

    def __init__(self, app: Callable[[Any, Receive, Send], Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        came = 0

        async def bounded() -> Mapping[str, Any]:
            nonlocal came
            m = await receive()
            came += len(m.get("body", b""))
            if came > MAX_BODY:
                raise TooLong
            return m

        try:
            if _said(scope) > MAX_BODY:
                raise TooLong
            await self.app(scope, bounded, send)
        except TooLong:  # Django reads all of it before it answers: nothing was sent yet
            count("refused", what="too_long_a_request")
            await _refuse(send)


def _said(scope: dict[str, Any]) -> int:
    said = dict(scope["headers"]).get(b"content-length", b"")
    return int(said) if said.isdigit() and len(said) < 20 else 0


async def _refuse(send: Send) -> None:
    text = (_("That is longer than the lab takes in one request.") + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})
