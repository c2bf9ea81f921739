"""How often somebody may try a password, or a name. Counted in Redis by django-ratelimit. Must not know: forms, pages, students.

Every try counts, the right one too, before it is looked at: tries side by side gain nothing. A name that is not there counts like one
that is. A class often shares one address, so an address may try much more often than one name from one address.
"""
from math import ceil

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from netcontrol.errors import LabError
from netcontrol.throttle import network_of

PASSWORD_TRIES = {"name here": "10/10m", "name": "60/h", "address": "300/10m"}
NAME_TRIES = {"address": "300/h"}  # of somebody who makes an account: the answer tells which names are taken


def minutes_to_wait(request: HttpRequest, what: str, rates: dict[str, str], name: str = "") -> int:
    """Counts one try. 0 when it may go on; else for how long it may not."""
    name = name.strip().casefold()[:200]
    address = network_of(request)
    values = {"name here": f"{address} {name}", "name": name, "address": address}
    try:
        usages = [get_usage(request, group=f"{what} {by}", key=lambda group, request, by=by: values[by], rate=rate, increment=True) for by, rate in rates.items()]
    except RedisError as down:
        raise LabError("not_now", _("The lab's Redis does not answer, so nobody can sign in."), _("It is started again by itself: try again in a few seconds.")) from down
    return max((ceil(max(usage["time_left"], 1) / 60) for usage in usages if usage and usage["should_limit"]), default=0)
