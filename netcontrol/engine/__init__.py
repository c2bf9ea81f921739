"""The engine and what runs on it: our own dockerd, the host image, the image store, wires and hosts.

Must not know: students, lessons, Celery, the database. Everything here is told what to do and raises EngineError.
"""
from functools import cache

from django.conf import settings

from netcontrol import egress
from netcontrol.engine import disk, machine, store
from netcontrol.engine.daemon import Daemon
from netcontrol.engine.gateway import Gateway
from netcontrol.engine.host import Engine, Limits
from netcontrol.engine.wire import Wires


@cache
def this_engine() -> Engine:
    """The engine of this lab on this machine, as settings.py describes it."""
    return Engine(
        socket=settings.ENGINE_SOCKET,
        docks=settings.DOCKS,
        store=settings.RUN / store.VIEW,
        lab_id=settings.LAB_ID,
        machine=machine.detect(),
        wires=this_gateway().wires,
        gateway=this_gateway(),
        disks=disk.Disks(this_daemon().data / "hosts", settings.HOST_DISK_MIB) if disk.possible() else None,
        limits=Limits(settings.HOST_MEMORY_MIB, settings.HOST_PIDS, settings.HOST_CPUS),
    )


@cache
def this_gateway() -> Gateway:
    """The way out of this lab's hosts; none, when settings.py lists nothing."""
    try:
        allowed = egress.destinations(settings.EGRESS, settings.WIRES)
    except ValueError:  # labsite/checks.py refuses to start; whatever else is done meanwhile, nobody is let out
        allowed = []
    return Gateway(Wires(settings.LAB_ID, settings.WIRES), allowed, settings.RUN / "egress.json", settings.EGRESS_UPLINK)


def this_daemon() -> Daemon:
    return Daemon(socket=settings.ENGINE_SOCKET, run=settings.RUN, disk=settings.ENGINE_DISK, disk_gib=settings.ENGINE_DISK_GIB)
