"""A WebSocket is for the page's own origin only: host and port. Must not know what is said over it.

Cookies do not tell ports apart, and Channels' own validator compares host names only: without this, another program's page on
this host could type into a student's terminal.
"""
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings


def same_origin(headers: dict[bytes, bytes]) -> bool:
    """Whether Origin is that of the Host that was asked, or one that the operator trusts (PATCHBAY_ORIGINS)."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    return origin in settings.CSRF_TRUSTED_ORIGINS or urlsplit(origin).netloc == headers.get(b"host", b"-").decode("latin-1")


class SameOrigin:
    def __init__(self, application):
        self.application = application

    async def __call__(self, scope, receive, send):
        if same_origin(dict(scope["headers"])):
            return await self.application(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)
