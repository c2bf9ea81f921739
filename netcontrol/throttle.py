"""How often one student, or one network address, may ask for what costs the lab something; and how many labs one address has at once.

Counted in Redis by django-ratelimit, which every web process asks; the labs of an address stand in a set there, and whether one runs is in the
database. No address is kept as it is. While Redis is away nothing is refused here: nothing that is limited works without it. Passwords have
a throttle of their own (lessons/throttle.py). Must not know lessons.
"""
import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any

import redis
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_ratelimit.core import get_usage

from netcontrol.connection import Unreachable, key, sync
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting

CROWD = 20  # people who come from one address and do the same thing in the same minute
KEPT_SECONDS = 24 * 3600  # longer than any lab

View = Callable[..., HttpResponseBase]


class TooOften(LabError):
    def __init__(self, seconds: int):
        minutes = ceil(seconds / 60)
        wait = (
            ngettext("Wait %(n)d second, and try again.", "Wait %(n)d seconds, and try again.", seconds) % {"n": seconds}
            if seconds < 90
            else ngettext("Wait %(n)d minute, and try again.", "Wait %(n)d minutes, and try again.", minutes) % {"n": minutes}
        )
        super().__init__("too_often", _("That was asked for too often, so nothing was done."), wait, status=429)


def at_most(what: str, number: int) -> Callable[[View], View]:
    """For a view: one student may ask for it so often in a minute; all of an address who are no students yet, CROWD times as often together."""

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.is_authenticated:
                _count(request, what, f"{number}/m", _student(request))
            else:
                _count(request, what, f"{number * CROWD}/m", network_of(request))
            return view(request, *args, **kwargs)

        return limited

    return decorate


def new_guest(request: HttpRequest) -> None:
    """Somebody becomes a guest. Raises TooOften."""
    _count(request, "guest", f"{settings.GUESTS_PER_ADDRESS}/h", network_of(request))


def new_lab(request: HttpRequest) -> None:
    """This student is to have a lab, or a place in line. Raises TooOften, and LabError when others have all that their address may have."""
    _count(request, "lab", f"{settings.LABS_PER_STUDENT}/h", _student(request))
    where, owner = key("labs-of", network_of(request)), request.user.pk
    try:
        with sync(1) as r:
            others = {int(pk) for pk in r.smembers(where)} - {owner}  # type: ignore[union-attr]
            have = {*Sandbox.objects.filter(owner__in=others, state=Sandbox.State.CLAIMED).values_list("owner", flat=True), *Waiting.objects.filter(owner__in=others).values_list("owner", flat=True)}
            if over := others - have:
                r.srem(where, *over)
            if len(have) >= settings.LABS_PER_ADDRESS:
                message = _("The network that you come from has %(number)d labs, and may have no more at once.") % {"number": len(have)}
                raise LabError("too_many_labs", message, _("Try again when one of them has ended, or tell whoever runs this lab."), status=429)
            r.sadd(where, owner)
            r.expire(where, KEPT_SECONDS)
    except (*Unreachable, redis.RedisError):
        return


def network_of(request: HttpRequest) -> str:
    """The address that a request comes from, as nobody can read it; of IPv6 its /64, all of which one machine may have."""
    said = request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(said.partition("%")[0])
        network = str(ipaddress.ip_network(f"{address}/64", strict=False)) if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped else str(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        network = said[:64]
    return hmac.new(settings.SECRET_KEY.encode(), network.encode(), hashlib.sha256).hexdigest()[:24]


def _student(request: HttpRequest) -> str:
    return f"student {request.user.pk}"


def _count(request: HttpRequest, what: str, rate: str, who: str) -> None:
    try:
        usage = get_usage(request, group=what, key=lambda group, request: who, rate=rate, increment=True)
    except redis.RedisError:
        return
    if usage and usage["should_limit"]:
        raise TooOften(max(1, ceil(usage["time_left"])))
