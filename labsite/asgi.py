"""What uvicorn serves: pages over HTTP, and the lab's one WebSocket."""
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the imports below: they need the app registry

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from labsite.origin import SameOrigin
from netcontrol.latency import prefer_latency
from netcontrol.routing import websocket_urlpatterns

application = ProtocolTypeRouter(
    {"http": http, "websocket": AllowedHostsOriginValidator(SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))))}
)
prefer_latency()
