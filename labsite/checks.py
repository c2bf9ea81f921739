"""System checks: a setting that cannot work is refused at start, in one sentence that says what to do."""
import ipaddress
import shutil
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, register


@register
def channel_layer(app_configs, **kwargs):
    backend = str(settings.CHANNEL_LAYERS.get("default", {}).get("BACKEND", ""))
    if "redis" not in backend.lower():
        return [Error(f"The channel layer {backend or 'is missing and'} does not reach other processes, so no page would learn of its lab.", hint="Use channels_redis.pubsub.RedisPubSubChannelLayer.", id="patchbay.E001")]
    return []


@register
def engine(app_configs, **kwargs):
    if not shutil.which("dockerd", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
        return [Error("There is no dockerd, so no student gets a host.", hint="Run ./lab up as root; it installs one.", id="patchbay.E002")]
    return []


@register
def redis(app_configs, **kwargs):
    scheme = urlsplit(settings.REDIS_URL).scheme
    if scheme not in ("unix", "redis", "rediss"):
        return [Error(f"REDIS_URL begins with {scheme or 'no scheme'}.", hint="Use unix:///path/to/socket, redis://host:6379/0 or rediss://….", id="patchbay.E003")]
    return []


@register
def celery(app_configs, **kwargs):
    if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        return [Error("Celery tasks are eager: a page would boot its own host and wait for it.", hint="Remove CELERY_TASK_ALWAYS_EAGER.", id="patchbay.E004")]
    return []


@register
def numbers(app_configs, **kwargs):
    wrong = [
        (name, least)
        for name, least in (("SANDBOX_MINUTES", 1), ("SANDBOX_IDLE_MINUTES", 1), ("SANDBOX_LONGEST_MINUTES", settings.SANDBOX_MINUTES), ("HISTORY_DAYS", 1), ("HOST_MEMORY_MIB", 256), ("HOST_PIDS", 128), ("POOL_SIZE", 0), ("CAPACITY", 0))
        if getattr(settings, name) < least
    ]
    return [Error(f"{name} is {getattr(settings, name)}.", hint=f"It must be at least {least}; see labsite/settings.py for its variable.", id="patchbay.E005") for name, least in wrong]


@register
def wires(app_configs, **kwargs):
    try:
        pool = ipaddress.ip_network(settings.WIRES)
    except ValueError as wrong:
        return [Error(f"PATCHBAY_WIRES is not a network: {wrong}.", hint="Use one such as 10.73.0.0/16.", id="patchbay.E006")]
    if pool.version != 4 or pool.prefixlen > 24 or pool.overlaps(ipaddress.ip_network("172.16.0.0/12")):
        return [Error(f"PATCHBAY_WIRES {pool} will not do: hosts need IPv4 outside Docker's own 172.16.0.0/12, and at least a /24.", hint="Use one such as 10.73.0.0/16.", id="patchbay.E007")]
    return []
