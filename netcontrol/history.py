"""A student's own commands: which are found, and what of each stands on a page. Must not know: HTTP, HTML, lessons, who else there is.

Every row comes through `commands`, which begins with the owner.
"""
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.utils import timezone

from netcontrol.models import Command, Sandbox

PAGE = 50  # commands on a page
SHOWN = 3000  # characters of an output that stand on a page with others
BEFORE = 240  # of these, before the place where a search found something: it is to be seen without scrolling
FOLDED_LINES, FOLDED = 6, 480  # a command line that is longer is folded
MAX_QUERY = 200


@dataclass(frozen=True)
class Search:
    """What the student asked for. `text` is literal, in any case."""

    text: str = ""
    failed: bool = False
    lab: UUID | None = None

    def __bool__(self) -> bool:
        return bool(self.text or self.failed or self.lab)


def commands(owner, search: Search = Search()) -> QuerySet[Command]:
    rows = Command.objects.filter(sandbox__owner=owner).select_related("sandbox")
    if search.lab:
        rows = rows.filter(sandbox=search.lab)
    if search.text:
        rows = rows.filter(Q(text__icontains=search.text) | Q(output_head__icontains=search.text) | Q(output_tail__icontains=search.text))
    if search.failed:
        rows = rows.exclude(exit_code=None).exclude(exit_code__in=Command.NO_FAILURE)
    return rows


def on_page(owner, search: Search, number: str | None) -> tuple[Page, list[Command]]:
    """A page of what was found, newest first. Which rows these are is asked without the rows: sorting would carry every output along."""
    order = commands(owner, search).order_by("-started_at", "-pk").values_list("pk", flat=True)
    page = Paginator(order, PAGE).get_page(number)
    rows = {row.pk: row for row in commands(owner).filter(pk__in=list(page))}
    return page, [rows[pk] for pk in page if pk in rows]


class Part(NamedTuple):
    """A piece of an output: `text` that was printed; or why none is here (`left_out` bytes not kept, `lines` on another page)."""

    text: str = ""
    left_out: int = 0
    lines: int = 0


@dataclass
class Row:
    """One command as it stands on a page. `whole`: alone on it, with everything that is kept."""

    command: Command
    wanted: str = ""
    whole: bool = False

    @cached_property
    def folded(self) -> bool:
        text = self.command.shown
        return not self.whole and (len(text) > FOLDED or text.count("\n") >= FOLDED_LINES)

    @property
    def first_line(self) -> str:
        return self.command.shown.strip().split("\n", 1)[0][:FOLDED]

    @property
    def found_in_text(self) -> bool:
        return find(self.command.shown, self.wanted) >= 0

    @cached_property
    def found_in_output(self) -> bool:
        return any(find(text, self.wanted) >= 0 for text in (self.command.output_head, self.command.output_tail))

    @property
    def lines(self) -> int:
        """That are kept."""
        return sum(text.count("\n") + (text[-1:] not in ("", "\n")) for text in (self.command.output_head, self.command.output_tail))

    @property
    def in_part(self) -> bool:
        return any(part.lines for part in self.parts)

    @cached_property
    def parts(self) -> list[Part]:
        c = self.command
        parts = [Part(c.output_head), Part(left_out=c.output_left_out), Part(c.output_tail)]
        if not self.whole and len(c.output_head) + len(c.output_tail) > SHOWN:
            parts = _around_match(parts, self.wanted) if self.found_in_output else [*_first(parts[0]), parts[1], *_last(parts[2])]
        return [part for part in parts if any(part)]


def find(text: str, wanted: str) -> int:
    """Where it stands first, in any case; -1 for nowhere, and for nothing that is wanted."""
    found = re.search(re.escape(wanted), text, re.IGNORECASE) if wanted else None
    return found.start() if found else -1


def _folded(text: str) -> Part:
    """Text that is not shown here."""
    return Part(lines=max(1, text.count("\n"))) if text else Part()


def _first(part: Part) -> list[Part]:
    """The beginning of a long text, up to the end of a line."""
    text = part.text
    if len(text) <= SHOWN // 2:
        return [part]
    end = text.rfind("\n", 0, SHOWN // 2) + 1 or SHOWN // 2
    return [Part(text[:end]), _folded(text[end:])]


def _last(part: Part) -> list[Part]:
    text = part.text
    if len(text) <= SHOWN // 2:
        return [part]
    begin = text.find("\n", len(text) - SHOWN // 2) + 1 or len(text) - SHOWN // 2
    return [_folded(text[:begin]), Part(text[begin:])]


def _around_match(parts: list[Part], wanted: str) -> list[Part]:
    """The place where it is found first, with what stands around it."""
    head, gap, tail = parts
    in_head = find(head.text, wanted) >= 0
    text = head.text if in_head else tail.text
    at = find(text, wanted)
    begin = text.rfind("\n", 0, max(0, at - BEFORE)) + 1
    begin = max(begin, at - 2 * BEFORE)  # a line without an end
    end = text.rfind("\n", at, begin + SHOWN) + 1
    end = end if end >= at + len(wanted) else max(begin + SHOWN, at + len(wanted))
    window = [_folded(text[:begin]), Part(text[begin:end]), _folded(text[end:])]
    return [*window, gap, _folded(tail.text)] if in_head else [_folded(head.text), gap, *window]


@dataclass
class Day:
    date: date
    rows: list[Row] = field(default_factory=list)


@dataclass
class Lab:
    """The commands of one sandbox that stand on this page, newest first."""

    sandbox: Sandbox
    days: list[Day] = field(default_factory=list)

    @property
    def began(self) -> datetime:
        return self.sandbox.claimed_at or self.sandbox.created_at

    @property
    def length(self) -> timedelta | None:
        """None while it runs."""
        return self.sandbox.ended_at - self.began if self.sandbox.ended_at else None


def by_lab(rows: list[Row]) -> list[Lab]:
    labs: list[Lab] = []
    for row in rows:
        sandbox, day = row.command.sandbox, timezone.localdate(row.command.started_at)
        if not labs or labs[-1].sandbox != sandbox:
            labs.append(Lab(sandbox))
        days = labs[-1].days
        if not days or days[-1].date != day:
            days.append(Day(day))
        days[-1].rows.append(row)
    return labs
