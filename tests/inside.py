"""What end-to-end tests do in the hosts of a guest, outside of any terminal. Must not know pages."""
import asyncio
import gzip
import json
from typing import Any

from labsite.client import Guest
from netcontrol.dial import dock_path, execute
from netcontrol.models import Sandbox

LOOK = "python3 -IS /usr/lib/patchbay/agent/__main__.py --look | gzip -9"  # the observer, outside of the agent; 256 KiB is all that an execution may print


def in_host(guest: Guest, script: str, host: str = "lab", seconds: float = 20) -> bytes:
    """Run this there. Returns all that it printed; fails when it does."""
    done = asyncio.run(execute(dock_path(guest.sandbox, host), seconds, script=script))
    assert done["exit_code"] == 0 and not done["truncated"], (script[:100], done)
    return done["out"]


def hosts_of(guest: Guest) -> list[dict[str, str]]:
    return [{"name": host.name, "address": host.address} for host in Sandbox.objects.get(pk=guest.sandbox).hosts.all()]


def look(guest: Guest, hosts: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """What the observer sees in each of these now."""
    return {host["name"]: json.loads(gzip.decompress(in_host(guest, LOOK, host["name"], 60))) for host in hosts}
