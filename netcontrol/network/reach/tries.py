"""Who reaches whom, really tried: from each of some hosts, containers and namespaces to each other, by ping, by TCP, or by name.

matrix.py is sent to each host, twice: to learn which addresses its ends have, and to try them all at once, on all hosts at the same time.
To one host alone it is sent once.
A host's root is the student: an answer may have any shape, and what cannot be understood is not known. Must not know: graphs, pages,
lessons.
"""
import asyncio
import ipaddress
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netcontrol.agent.untrusted import Unreadable
from netcontrol.inside import NoAnswer, NoHost, Run, asking, program

MOST = 8  # ends
LEADS = (0.5, 1.4)  # seconds from here until all hosts begin to try; the second one when some were not ready by then
WHERE_SECONDS = 2.5
TRY_SECONDS = 5.0  # 1.6 of them for the tries themselves; names may take longer
PROGRAM = program(Path(__file__).parent / "matrix.py")


@dataclass(frozen=True)
class End:
    """Who tries and is tried: the host itself, one of its containers, one of its named namespaces, or the one with an inode."""

    name: str
    host: str
    container: str = ""
    netns: str = ""
    space: str = ""


@dataclass(frozen=True)
class Cell:
    """Whether it is reached; None: nobody can tell. `code` says how it went, "" when it is reached. `address` is the one that was tried."""

    reached: bool | None
    code: str = ""
    address: str = ""


@dataclass
class _There:
    """What a host said of one of its ends. `no`: why it is not there."""

    no: str = ""
    addresses: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)  # goal -> what was found of it
    seen: frozenset[str] = frozenset()
    ready: float = 0.0  # when it could see what arrives
    began: float = 0.0  # when it tried for the last time
    deaf: bool = True  # it cannot say what did not arrive


async def matrix(run: Run, ends: Sequence[End], how: str, leads: Sequence[float] = LEADS) -> list[list[Cell]]:
    """A row for each end: what it found of each. `how`: "ping", "name" or "tcp:80". The cell of an end and itself is not known.

    `leads`: one of them where there is no time for a second try.
    """
    there = [_There() for _ in ends]
    by_host: dict[str, list[int]] = {}
    for n, end in enumerate(ends):
        by_host.setdefault(end.host, []).append(n)
    way, _colon, port = how.partition(":")
    names = [end.name.rpartition("/")[2] for end in ends]
    question: dict[str, Any] = {"how": way, "port": int(port or 0), "token": secrets.token_hex(8)}
    if len(by_host) == 1:
        for n, said in await _ask(run, ends[0].host, list(range(len(ends))), ends, there, question | {"ask": "alone", "names": names}, TRY_SECONDS):
            _located(there[n], said)
            _told(there[n], said)
        return [[_cell(a, b, there, way) for b in range(len(ends))] for a in range(len(ends))]
    await asyncio.gather(*(_where(run, host, numbers, ends, there) for host, numbers in by_host.items()))
    goals = [{"n": n, "name": names[n], "addresses": there[n].addresses} for n in range(len(ends))]
    for lead in leads:
        question |= {"ask": "tries", "begin": time.time() + lead, "goals": goals}
        await asyncio.gather(*(_tries(run, host, numbers, ends, there, question) for host, numbers in by_host.items()))
        tried = [one for one in there if one.began]
        if way == "name" or all(one.ready <= other.began for one in tried for other in tried):
            break
    return [[_cell(a, b, there, way) for b in range(len(ends))] for a in range(len(ends))]


async def _where(run: Run, host: str, numbers: list[int], ends: Sequence[End], there: list[_There]) -> None:
    for n, said in await _ask(run, host, numbers, ends, there, {"ask": "where"}, WHERE_SECONDS):
        _located(there[n], said)


async def _tries(run: Run, host: str, numbers: list[int], ends: Sequence[End], there: list[_There], question: dict[str, Any]) -> None:
    for n, said in await _ask(run, host, [n for n in numbers if not there[n].no], ends, there, question, TRY_SECONDS):
        _told(there[n], said)


def _located(here: _There, said: dict[str, Any]) -> None:
    addresses = said.get("addresses")
    here.addresses = [a for a in addresses if _is_address(a)][:6] if isinstance(addresses, list) else []


def _told(here: _There, said: dict[str, Any]) -> None:
    here.found = said["found"] if isinstance(said.get("found"), dict) else {}
    seen = said.get("seen")
    here.seen = frozenset(s for s in seen[:4096] if isinstance(s, str)) if isinstance(seen, list) else frozenset()
    here.ready, here.began = _number(said.get("ready")), _number(said.get("began"))
    here.deaf = said.get("deaf") is not False


async def _ask(
    run: Run, host: str, numbers: list[int], ends: Sequence[End], there: list[_There], question: dict[str, Any], seconds: float
) -> list[tuple[int, dict[str, Any]]]:
    """(which end, what was said of it); of those that are not there or of which nothing can be understood, `no` is set."""
    if not numbers:
        return []
    asked = [{"n": n} | {key: value for key in ("container", "netns", "space") if (value := getattr(ends[n], key))} for n in numbers]
    try:
        answer = await run(host, asking(PROGRAM, question | {"ends": asked}), seconds)
        told = answer.object().get("ends")
    except (NoAnswer, NoHost, Unreadable):
        told = None
    if not isinstance(told, list) or len(told) != len(numbers) or not all(isinstance(one, dict) for one in told):
        told = [{"no": "silent"}] * len(numbers)
    for n, one in zip(numbers, told):
        if "no" in one:
            there[n].no = _text(one["no"])[:100] or "odd"
    return [(n, one) for n, one in zip(numbers, told) if "no" not in one]


NOT_THERE = frozenset(("stopped", "no-container", "no-netns"))
# Of several addresses that are not reached, the one that says most; the first one, where they say the same.
TELLING = ("refused", "prohibited", "dropped-here", "no-neighbour", "timeout", "turned-away", "other", "no-route", "error")


def _cell(a: int, b: int, there: list[_There], how: str) -> Cell:
    here, goal = there[a], there[b]
    if a == b:
        return Cell(None)
    for side in (here, goal):
        if side.no in NOT_THERE:
            return Cell(False, side.no)
        if side.no:
            return Cell(None, side.no)
    found = here.found.get(str(b))
    if how == "name":
        return _known(found, goal)
    if not goal.addresses:
        return Cell(False, "no-address")
    tried = [one for one in found if _is_try(one)] if isinstance(found, list) else []
    if not tried:
        return Cell(None, "odd")
    cells = [_tried(one, f"{a}/{b}/{n}" if how == "ping" else one[2], here, goal) for n, one in enumerate(tried)]
    for wanted in (True, None):
        for cell in cells:
            if cell.reached is wanted:
                return cell
    return min(cells, key=lambda cell: TELLING.index(cell.code) if cell.code in TELLING else len(TELLING))


def _tried(one: list[str], sent: str, here: _There, goal: _There) -> Cell:
    """An answer counts when what was sent is known to have arrived there: another one may have the same address, or answer in its name."""
    code, address, _serial = one
    if code and code != "refused":
        return Cell(False, code[:40], address)
    if sent in goal.seen or goal.deaf:
        return Cell(not code, code, address)
    if not sent or not goal.ready or goal.ready > here.began:
        return Cell(None, "late", address)
    return Cell(False, "turned-away" if code else "other", address)


def _known(found: Any, goal: _There) -> Cell:
    match found:
        case ["", [*addresses]]:
            known = [address for address in addresses if _is_address(address)]
            if meant := [address for address in known if address in goal.addresses]:
                return Cell(True, "", meant[0])
            return Cell(False, "other", known[0] if known else "")
        case [str() as code, list()]:
            return Cell(False, code[:100])
    return Cell(None, "odd")


def _is_try(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 3 and all(isinstance(part, str) for part in one) and _is_address(one[1])


def _is_address(text: Any) -> bool:
    try:
        return isinstance(text, str) and len(text) < 50 and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
