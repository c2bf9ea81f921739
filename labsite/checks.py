"""System checks: a setting that cannot work is refused at start, in one sentence that says what to do."""
import ipaddress
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, register

from netcontrol.egress import destinations


@register
def channel_layer(app_configs, **kwargs):
    backend = str(settings.CHANNEL_LAYERS.get("default", {}).get("BACKEND", ""))
    if "redis" not in backend.lower():
        return [Error(f"The channel layer {backend or 'is missing and'} does not reach other processes, so no page would learn of its lab.", hint="Use channels_redis.pubsub.RedisPubSubChannelLayer.", id="patchbay.E001")]
    return []


@register
def secret(app_configs, **kwargs):
    key = str(settings.SECRET_KEY)
    if len(key) < 50 or len(set(key)) < 5:
        return [Error("PATCHBAY_SECRET_KEY is weak: whoever guesses it signs in as anybody.", hint="Remove it: ./lab up makes one. Or give it 50 random characters.", id="patchbay.E020")]
    return []


@register
def port(app_configs, **kwargs):
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first > settings.PORT:
        return [Error(f"PATCHBAY_PORT is {settings.PORT}, but web is no root and may not have a port below {first}.", hint="Choose another, and put a proxy in front of it.", id="patchbay.E021")]
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


@register
def egress(app_configs, **kwargs):
    try:
        destinations(settings.EGRESS, settings.WIRES)
    except ValueError as wrong:
        return [Error(f"PATCHBAY_EGRESS: {wrong}.", hint="Use entries such as 203.0.113.0/24:443/tcp, with commas between them; see “Let hosts out” in docs/running.md.", id="patchbay.E008")]
    return []


@register
def disk(app_configs, **kwargs):
    """The images and the engine's reserve take 3 GiB."""
    room = (settings.ENGINE_DISK_GIB - 3) * 1024
    if settings.ENGINE_DISK_GIB and room < settings.CAPACITY * settings.HOST_DISK_MIB and Path("/dev/loop-control").exists():
        needed = -(-settings.CAPACITY * settings.HOST_DISK_MIB // 1024) + 3
        return [Error(f"The disks of {settings.CAPACITY} hosts, {settings.HOST_DISK_MIB} MiB each, do not fit into PATCHBAY_ENGINE_DISK_GIB={settings.ENGINE_DISK_GIB}.", hint=f"Set it to {needed} or more (a sparse file), or PATCHBAY_CAPACITY to {max(0, room // settings.HOST_DISK_MIB)} or less.", id="patchbay.E009")]
    return []
