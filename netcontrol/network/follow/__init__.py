"""Follow the packet: one real packet, from its sender through every interface, rule and rewriting, and back; or to where it ended, and why.

The way is what followers saw (follower/, one program on every host at once), never what the rules would lead to expect. Must not know
pages. The graph only gives names to what was seen.
"""
import asyncio
import contextlib
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from netcontrol.errors import LabError
from netcontrol.inside import Run, asking, program
from netcontrol.network.atlas import Atlas, bare, shares, space_of
from netcontrol.network.follow.ends import end, unsent
from netcontrol.network.follow.seen import Seen, seen
from netcontrol.network.follow.steps import packet, steps
from netcontrol.network.follow.way import Question, way
from netcontrol.network.tell.telling import T, _, tell

PROGRAM = program(Path(__file__).parent / "follower" / "main.py")
READY = (0.7, 1.8)  # seconds that followers on several hosts have to get ready, at the first try and at the second
SECONDS = 7.2  # for all of it
LEAST = 4.0  # that a second try needs: with less, what a host missed is missing, and that is said
LAST_SECONDS = 1.2  # for the other hosts' followers, once the sender's has ended
PORTS = 61001, 65535  # above those that Linux gives to connections
STOP = "exec python3 -IS -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b\"\", \"\\0{name}\")'"


class CannotError(Exception):
    """It cannot be asked so: the sentence says why."""

    def __init__(self, sentence: T):
        super().__init__(sentence["id"])
        self.sentence = sentence


async def follow(run: Run, graph: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """question: {from, to, protocol, port}. Without `ok` there is a sentence `failed`."""
    atlas = Atlas(graph)
    until = time.monotonic() + SECONDS
    try:
        asked = understood(atlas, question)
        asked, told, late = await _look(run, atlas, asked, READY[0], SECONDS)
        if late and until - time.monotonic() > LEAST:
            with contextlib.suppress(CannotError):  # then what the first try saw is what there is
                asked, told, late = await _look(run, atlas, asked, READY[1], until - time.monotonic())
    except CannotError as cannot:
        return {"ok": False, "code": "cannot", "failed": cannot.sentence}
    return await asyncio.to_thread(answer, atlas, asked, told, late)


def answer(atlas: Atlas, asked: Question, told: dict[str, Seen], late: tuple[str, ...] = ()) -> dict[str, Any]:
    """What was seen, as the page is told. `late`: hosts that were not watched when the packet was sent."""
    atlas.meant = [id for id in (asked.sender, asked.to) if id]
    own = told[asked.host]
    base = {"ok": True, "from": asked.sender, "to": asked.to or asked.goal, "protocol": asked.protocol, "port": asked.port}
    left_out = sum(one.left_out for one in told.values())
    unseen = [atlas.space(host, number) for host, one in told.items() for number in one.blind]
    if own.sent is None:
        return {**base, "packet": None, "steps": [], "end": {**unsent(atlas, asked, own.no), "place": asked.sender}, "left_out": left_out, "unseen": [], "late": []}
    found = way(atlas, asked, told)
    found.late = late
    listed, more = steps(atlas, found)
    ended = end(atlas, found)
    ended["place"] = _drawn(atlas, ended["where"], listed)
    if ended["what"] == "answered":
        listed.append(_answered(listed, asked, ended))
    first = (own.sent.src, own.sent.dst, asked.number if asked.protocol != "icmp" else None, asked.port)
    return {**base, "packet": packet(first), "steps": listed, "end": ended, "left_out": left_out + more, "unseen": [id for id in unseen if id][:20], "late": list(late)}


def _drawn(atlas: Atlas, id: str | None, listed: list[dict[str, Any]]) -> str | None:
    """Where a picture shows the end: a rule is nowhere in it, so where the packet was when it hit that."""
    last: list[str | None] = [step["thing"] for step in listed]
    return next((each for each in (id, *reversed(last)) if each and atlas.thing(each).get("kind") not in (None, "rule", "chain", "route", "listener", "network")), None)


def _answered(listed: list[dict[str, Any]], asked: Question, ended: dict[str, Any]) -> dict[str, Any]:
    at = listed[-1]["at"] if listed else 0
    return {"at": at, "what": "answered", "thing": asked.sender, "direction": "back", "packet": None, "rewrote": None, "rule": None, "also": [], "text": ended["why"]}


# The question


def understood(atlas: Atlas, question: dict[str, Any]) -> Question:
    protocol, port = question.get("protocol"), question.get("port")
    if protocol not in ("icmp", "tcp", "udp"):
        raise CannotError(tell(_("A packet is of ICMP, TCP or UDP.")))
    if protocol == "icmp":
        port = None
    elif type(port) is not int or not 0 < port < 65536:
        raise CannotError(tell(_("A port is a number from 1 to 65535.")))
    sender = atlas.thing(question.get("from") if isinstance(question.get("from"), str) else None)
    space = space_of(sender)
    if sender.get("kind") == "container" and not space:
        raise CannotError(tell(_("`%(name)s` does not run, so nothing can be sent from it."), name=sender["name"]))
    if not space:
        raise CannotError(tell(_("A packet begins in a container, a namespace or a host that is there now.")))
    goal, to = _goal(atlas, sender, space, question.get("to"))
    named = sender["name"] if sender["kind"] == "namespace" else ""
    container = sender["id"].rpartition("/")[2] if sender["kind"] == "container" else ""
    return Question(sender["host"], space.rpartition("/")[2], sender["id"], goal, to, protocol, port, container, named)


def _goal(atlas: Atlas, sender: dict[str, Any], space: str, to: Any) -> tuple[str, str | None]:
    """The address or name to send to, and the thing that was meant."""
    if not isinstance(to, str) or not to.strip():
        raise CannotError(tell(_("Say where the packet is to go: choose something, or write a name or an address.")))
    thing = atlas.thing(to)
    if not thing:
        name = to.strip()
        if len(name) > 253 or not name.isprintable() or any(c in " /\\`'\"%" for c in name):
            raise CannotError(tell(_("`%(name)s` is neither a name nor an address."), name=name))
        return name, None
    if thing["kind"] == "interface":
        addresses = [bare(each) for each in thing["addresses"]]
        if addresses:
            return addresses[0], thing["id"]
    if thing["kind"] == "container" and not thing["space"]:
        raise CannotError(tell(_("`%(name)s` does not run, so it has no address."), name=thing["name"]))
    there = space_of(thing)
    if not there:
        raise CannotError(tell(_("Nothing can be sent to `%(name)s`: choose a container, a namespace or a host."), name=thing["name"]))
    if thing["kind"] != "container" and atlas.thing(there).get("root"):
        host = atlas.thing(f"host:{thing['host']}")
        return host["address"], thing["id"]
    own = [address for address, _one in atlas.addresses(space)]
    networks = {one.get("network") for _address, one in atlas.addresses(space)} - {None}
    found = sorted(atlas.addresses(there), key=lambda each: (":" in each[0], each[1].get("network") not in networks, not any(shares(one, each[0]) for one in own)))
    if not found:
        raise CannotError(tell(_("`%(name)s` has no address but that of its `lo`, so nothing can be sent to it."), name=thing["name"]))
    return bare(found[0][0]), thing["id"]


# The followers


async def _look(run: Run, atlas: Atlas, asked: Question, ready: float, seconds: float) -> tuple[Question, dict[str, Seen], tuple[str, ...]]:
    """All hosts' followers at once, and which of them were late. Of a host that does not answer nothing is told; the sender's has to."""
    asked = replace(asked, number=PORTS[0] + secrets.randbelow(PORTS[1] - PORTS[0] + 1))
    name, until = f"patchbay-follow-{secrets.token_hex(8)}", time.monotonic() + seconds
    common = {
        "number": asked.number, "token": secrets.token_hex(8), "protocol": asked.protocol, "port": asked.port, "stop": name,
        "at": time.time() + ready if len(atlas.hosts) > 1 else 0, "look": [each for each in [(space_of(atlas.thing(asked.to)) or "").rpartition("/")[2]] if each],
    }  # fmt: skip
    sender = {"space": asked.space, "container": asked.container, "netns": asked.netns, "goal": asked.goal}
    tasks = {host: asyncio.create_task(_told(run, host, {**common, "from": sender if host == asked.host else None}, seconds)) for host in atlas.hosts}
    try:
        own = await tasks[asked.host]
        if own is None:
            raise CannotError(tell(_("`%(host)s` does not answer in time, or what it answers cannot be understood."), host=asked.host))
        others = {host: task for host, task in tasks.items() if host != asked.host}
        if others and own.sent:
            await asyncio.gather(*(_stop(run, host, name) for host, task in others.items() if not task.done()))
            await asyncio.wait(others.values(), timeout=min(LAST_SECONDS, max(0.1, until - time.monotonic())))
        found = {host: answer for host, task in others.items() if task.done() and (answer := task.result())}
        late = tuple(host for host in others if own.sent and (host not in found or found[host].ready * 1e9 > own.sent.at))
        return asked, {asked.host: own, **found}, late
    finally:
        for task in tasks.values():
            task.cancel()


async def _told(run: Run, host: str, question: dict[str, Any], seconds: float) -> Seen | None:
    try:
        done = await run(host, asking(PROGRAM, question), seconds)
    except LabError:
        return None
    return await asyncio.to_thread(seen, done)


async def _stop(run: Run, host: str, name: str) -> None:
    try:
        await run(host, STOP.format(name=name), 1.0)
    except LabError:
        pass

