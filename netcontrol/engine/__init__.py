"""The engine and what runs on it: our own dockerd, the host image, the image store, wires and hosts.

Must not know: students, lessons, Celery, the database. Everything here is told what to do and raises EngineError.
"""
from functools import cache

from django.conf import settings

from netcontrol.engine import machine, store
from netcontrol.engine.daemon import Daemon
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
        wires=Wires(settings.LAB_ID, settings.WIRES),
        limits=Limits(settings.HOST_MEMORY_MIB, settings.HOST_PIDS, settings.HOST_CPUS),
    )


def this_daemon() -> Daemon:
    return Daemon(socket=settings.ENGINE_SOCKET, run=settings.RUN, disk=settings.ENGINE_DISK, disk_gib=settings.ENGINE_DISK_GIB)
