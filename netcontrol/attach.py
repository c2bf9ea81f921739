"""Carries the shells of one sandbox between Redis and the agents of its hosts. Run by Celery, one task a sandbox.

All carriers of a process share one asyncio loop in one thread; the Celery thread only waits. Whoever holds the lease carries. A
keystroke comes in `_read_input` and goes to its host (hostlink.py); what the host prints goes to the outbox (outbox.py), which
appends it to the log; commands are recorded besides (record.py). Must not know: browsers, lessons, Docker.
"""
import asyncio
import contextlib
import logging
import threading
import time
import uuid
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import uvloop
from celery.signals import worker_shutting_down
from django.conf import settings

from netcontrol import connection, lease, orders, stream
from netcontrol.agent.limits import MAX_PLACES, TRIM_INPUTS
from netcontrol.cancel import cancel
from netcontrol.counts import count
from netcontrol.errors import LabError
from netcontrol.hostlink import HostLink
from netcontrol.latency import prefer_latency
from netcontrol.lease import LeaseLost
from netcontrol.models import Sandbox
from netcontrol.network.live.asking import Asking
from netcontrol.network.live.live import Live
from netcontrol.network.live.questions import QUESTIONS
from netcontrol.outbox import Outbox
from netcontrol.record import CommandRecord, in_thread
from netcontrol.stream import Entry, Place, number
from netcontrol.viewers import Viewers

log = logging.getLogger(__name__)

NOBODY_SECONDS = 120.0  # without a viewer
CHECK_SECONDS = 3.0  # is it still claimed?
LOOK_SECONDS = 2.0  # does a host that does not answer still run?
REDIS_PATIENCE = 60.0
TRIM_SECONDS = 1.0
PATIENCE = 1.0  # for an agent to take what it was given, before more is refused
MEET_SECONDS = 2.0  # for hosts to answer before input is read

_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()
_carrying: set[asyncio.Task] = set()


def loop() -> asyncio.AbstractEventLoop:
    """The one loop of this process' carriers."""
    global _loop
    with _loop_lock:
        if _loop is None:
            prefer_latency()
            _loop = uvloop.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="attach", daemon=True).start()
            worker_shutting_down.connect(stop_all, weak=False)
        return _loop


def stop_all(**_: Any) -> None:
    """This worker is to end: let go of every sandbox, or it would wait for them."""
    if _loop:
        asyncio.run_coroutine_threadsafe(cancel(list(_carrying)), _loop)


def carry(sandbox_id: str) -> None:
    """Carry this sandbox until it is over, until nobody looks, or until somebody else does. Blocks."""
    try:
        asyncio.run_coroutine_threadsafe(carry_async(sandbox_id), loop()).result()
    except CancelledError:
        log.info("%s is let go: this worker ends", sandbox_id)


async def carry_async(sandbox_id: str) -> None:
    """As `carry`. When Redis goes away, carries on with the Redis that comes back."""
    this = asyncio.current_task()
    assert this
    _carrying.add(this)
    this.add_done_callback(_carrying.discard)
    gave_up = time.monotonic() + REDIS_PATIENCE
    while time.monotonic() < gave_up:
        carrier = Carrier(sandbox_id)
        try:
            await carrier.run()
            return
        except LeaseLost:  # somebody else's, and then the next try returns; or it ran out, and is nobody's
            log.info("%s: the lease is lost", sandbox_id)
            await asyncio.sleep(0.05)
        except connection.Unreachable as down:
            log.warning("%s: Redis does not answer: %s", sandbox_id, down)
            if carrier.carried:
                gave_up = time.monotonic() + REDIS_PATIENCE
            await asyncio.sleep(0.2)


def have_looked_after(sandbox_id: str) -> None:
    with contextlib.suppress(LabError):  # asked again soon
        orders.enqueue(orders.LOOK_AFTER, sandbox_id, queue=settings.ATTACH_QUEUE, expires=LOOK_SECONDS)  # this machine's, where no boot is in the way


class Over(Exception):
    """There is nothing to carry any more."""


class Carrier:
    """One sandbox, for as long as one lease and one connection to Redis last."""

    def __init__(self, sandbox_id: str):
        self.id, self.uuid, self.token = sandbox_id, uuid.UUID(sandbox_id), lease.new_token()
        self.redis = connection.client()
        self.carried = False
        self.outbox = Outbox(self.redis, sandbox_id, self.token)
        self.record = CommandRecord(self.uuid, lambda m: self.outbox.add(Entry(m["shell"], message=m)))
        self.hosts: dict[str, HostLink] = {}
        self.viewers = Viewers()
        self.network = Live(self.uuid, self.token)
        self.asking = Asking(self.uuid, self.network, lambda m: self.outbox.add(Entry("", message=m)))
        self.refusing = False
        self.silent: list[str] = []  # hosts that do not answer, as pages are told
        self.had_looked = 0.0  # when the machine was asked about them
        self.read_to, self.kept_from = "0-0", "0-1"  # ids of the input
        self.untrimmed, self.much = 0, asyncio.Event()  # input that was read since the last trim; and that it is much

    async def run(self) -> None:
        hosts = await in_thread(self._look_up)
        if not hosts or not await lease.take(self.redis, self.id, self.token):
            return
        self.carried = True
        line = connection.Line()
        rows = asyncio.create_task(self.record.write())  # ends after the others, to write what they leave
        tasks: list[asyncio.Task] = []
        try:
            epoch = await self.outbox.load(line)
            self.network.hosts = hosts
            self.hosts = {host["name"]: HostLink(host["name"], self.uuid, epoch, self.outbox, self.record, self.network) for host in hosts}
            jobs = [self._renew(), self._check(), self._read_input(line), self._trim(), self.outbox.write(), self.network.work(), *(host.keep() for host in self.hosts.values())]
            tasks = [asyncio.create_task(job) for job in jobs]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (error := task.exception()):
                    raise error
        except Over as why:
            log.info("%s: %s", self.id, why)
        finally:
            await cancel([*tasks, *self.asking.tasks])
            await self.record.settle()
            rows.cancel()
            await line.close()
            await self.outbox.line.close()
            try:
                await lease.release(self.redis, self.id, self.token)
            except connection.Unreachable:
                pass

    # The lease, and when to stop

    def _look_up(self) -> list[dict[str, str]]:
        """The names and addresses of its hosts; none when it is not claimed."""
        sandbox = Sandbox.objects.filter(pk=self.uuid, state=Sandbox.State.CLAIMED).first()
        if sandbox is None:
            return []
        self.record.room_for -= sandbox.commands.count()
        addresses = dict(sandbox.hosts.values_list("name", "address"))
        return [{"name": name, "address": addresses.get(name, "")} for name in sandbox.host_names]

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(lease.RENEW_SECONDS)
            if not await lease.renew(self.redis, self.id, self.token):
                raise LeaseLost
            await self._tell_silent()

    async def _tell_silent(self) -> None:
        """Pages are told of hosts that do not answer, and the machine is asked whether they still run: it knows, and nobody else."""
        silent = [host.name for host in self.hosts.values() if host.silent]
        if silent or self.silent:
            await lease.tell_silent(self.redis, self.id, silent)
        self.silent = silent
        if silent and time.monotonic() - self.had_looked > LOOK_SECONDS:
            self.had_looked = time.monotonic()
            await in_thread(partial(have_looked_after, self.id))

    async def _check(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(1)
            self.viewers.sweep()
            self._tell_acks()
            self._tell_watched()
            self.network.look({name: host.unseen_since for name, host in self.hosts.items()})
            if self.viewers.nobody_for() > NOBODY_SECONDS:
                raise Over("nobody looks")
            if time.monotonic() - looked > CHECK_SECONDS:
                looked = time.monotonic()
                try:
                    claimed = await in_thread(Sandbox.objects.filter(pk=self.uuid, state=Sandbox.State.CLAIMED).exists)
                except Exception as trouble:  # the database does not answer: the shells go on
                    log.warning("%s: %s", self.id, trouble)
                    continue
                if not claimed:
                    raise Over("it is no longer claimed")

    # What the pages send

    async def _read_input(self, line: connection.Line) -> None:
        if not self.outbox.places:  # a Redis that forgot: the agents know their shells, and keys for one are not to be refused meanwhile
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MEET_SECONDS):
                    for host in self.hosts.values():
                        await host.met.wait()
        while True:
            for id, m in await stream.read_input(line, self.id, self.read_to):
                self.read_to = id
                self.untrimmed += 1
                if m["type"] == "view":
                    self.viewers.hear(m["viewer"], m["acks"], m["gone"], m.get("network", False))
                    self._tell_acks()
                    self._tell_watched()
                elif m["type"] in QUESTIONS:
                    self.asking.ask(m, number(id)[0] / 1000)
                else:
                    refused = await self._give_patiently(id, m)
                    if refused:
                        count("refused", what=refused)
                        self.outbox.event(m["shell"], "error", code=refused, block=m.get("block", ""))
            if self.untrimmed >= TRIM_INPUTS:
                self.much.set()

    async def _give_patiently(self, id: str, m: dict[str, Any]) -> str:
        """Single keys of a paste come faster than an agent says that it took them: that is no reason to refuse one. Once it did not help, refuse at once."""
        until = time.monotonic() + (0 if self.refusing else PATIENCE)
        while (refused := self._give(id, m)) == "not_now" and time.monotonic() < until:
            await asyncio.sleep(0.005)
        self.refusing = refused == "not_now"
        return refused

    def _give(self, id: str, m: dict[str, Any]) -> str:
        """To the host that has this shell, or is to have it. Returns "", or why not."""
        shell, opens = m["shell"], m["type"] == "shell.open"
        place = self.outbox.places.get(shell)
        host = self.hosts.get(m["host"] if opens else place.host if place else "")
        if host is None:
            return "no_host" if opens else "unknown_shell"
        if place and place.host != host.name:
            return "unknown_shell"
        if place is None and len(self.outbox.places) >= MAX_PLACES:
            return "too_many_shells"
        if host.full:
            return "not_now"
        if place is None:
            self.outbox.places[shell] = Place(host.name, host.boot)
        host.give(id, m)
        return ""

    def _tell_acks(self) -> None:
        acks = self.viewers.acks({shell: place.offset for shell, place in self.outbox.places.items()})
        if acks is not None:
            for host in self.hosts.values():
                host.view(acks)

    def _tell_watched(self) -> None:
        on = self.viewers.watched()
        if on is not None:
            self.network.watch(on)
            for host in self.hosts.values():
                host.watch(on)

    async def _trim(self) -> None:
        """Input that every agent has taken need not be kept. Not with every key: it costs as much as the key."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRIM_SECONDS):
                    await self.much.wait()
            self.much.clear()
            waiting = [host.held[0][0] for host in self.hosts.values() if host.held]
            keep_from = min(waiting, key=number) if waiting else stream.following(self.read_to)
            if number(keep_from) > number(self.kept_from):
                self.kept_from, self.untrimmed = keep_from, 0
                await stream.trim_input(self.redis, self.id, keep_from)
            if sum(len(host.held) for host in self.hosts.values()) >= TRIM_INPUTS:  # on its way to the agents: look again soon
                self.much.set()
                await asyncio.sleep(0.02)
