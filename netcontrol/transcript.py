"""A history as plain text, oldest first, a few rows at a time. Must not know: HTTP.

What ran and what it printed stands four spaces in, and has no character that begins a line but the line feed: so nothing that a
command printed can look like a line of ours.
"""
from collections.abc import AsyncIterator, Iterator

from django.db.models import Q, QuerySet
from django.utils import timezone

from netcontrol.history import Lab, Search
from netcontrol.models import Command
from netcontrol.plain import shown
from netcontrol.templatetags.said import count, duration, span

ROWS = 50  # read at once
INDENT = "    "


async def transcript(rows: QuerySet[Command], search: Search) -> AsyncIterator[str]:
    """Reads on from the last row each time, instead of holding the database open for as long as somebody downloads."""
    yield heading(search)
    rows = rows.order_by("started_at", "pk")
    last: Command | None = None
    while True:
        following = rows if last is None else rows.filter(Q(started_at__gt=last.started_at) | Q(started_at=last.started_at, pk__gt=last.pk))
        found = [command async for command in following[:ROWS]]
        for command in found:
            yield "".join(said(command, new_lab=last is None or command.sandbox_id != last.sandbox_id))
            last = command
        if len(found) < ROWS:
            break
    if last is None:
        yield "\nNo commands.\n"


def heading(search: Search) -> str:
    now = timezone.localtime()
    only = "".join((
        f"Only those that contain “{shown(search.text)}”.\n".replace("\n”", "”") if search.text else "",
        "Only those that failed.\n" if search.failed else "",
    ))
    return f"Patchbay: commands and what they printed\n{only}Written {now:%Y-%m-%d %H:%M %Z}; all times are {now:%Z}.\n"


def said(command: Command, new_lab: bool) -> Iterator[str]:
    if new_lab:
        lab = Lab(command.sandbox)
        length = f", {span(lab.length)}" if lab.length is not None else ""
        yield f"\n=== Lab of {timezone.localtime(lab.began):%Y-%m-%d %H:%M}{length}\n"
    took = f"  {duration(command.duration_ms)}" if command.duration_ms is not None else ""
    yield f"\n--- {timezone.localtime(command.started_at):%Y-%m-%d %H:%M:%S}  {command.where}  {command.outcome}{took}\n"
    first, *more = (command.shown or "(not known: the shell’s history was off)").split("\n")
    yield f"{INDENT}{command.host}# {first}\n"
    yield from (f"{INDENT}> {line}\n" for line in more)
    yield from _lines(command.output_head)
    if command.output_left_out:
        yield f"  [{count(command.output_left_out, 'byte,bytes')} left out]\n"
    yield from _lines(command.output_tail)


def _lines(text: str) -> Iterator[str]:
    return (f"{INDENT}{line}\n" for line in text.removesuffix("\n").split("\n")) if text else iter(())
