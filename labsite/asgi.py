"""What uvicorn serves: pages over HTTP, and the lab's one WebSocket."""
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the imports below: they need the app registry

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from labsite.bodies import BoundedBodies
from labsite.origin import SameOrigin
from labsite.request_log import RequestIds
from lessons.loader import catalogue
from netcontrol.latency import prefer_latency
from netcontrol.routing import websocket_urlpatterns

application = RequestIds(
    ProtocolTypeRouter({"http": BoundedBodies(http), "websocket": AllowedHostsOriginValidator(SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))))})
)
prefer_latency()
catalogue()  # read now: the first reader is not to wait for it
