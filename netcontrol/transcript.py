"""A history as plain text, oldest first, a few rows at a time. Must not know: HTTP.

What ran and what it printed stands four spaces in, and has no character that begins a line but the line feed: so nothing that a
command printed can look like a line of ours.
"""
from collections.abc import AsyncIterator, Iterator

from django.db.models import QuerySet
from django.utils import timezone

from netcontrol.history import Lab, Search
from netcontrol.models import Command
from netcontrol.plain import shown
from netcontrol.templatetags.said import count, duration, span

ROWS = 50  # read at once
INDENT = "    "


async def transcript(rows: QuerySet[Command], search: Search) -> AsyncIterator[str]:
    """The database is not held open for as long as somebody downloads: the order is asked once, then a few rows at a time."""
    yield heading(search)
    order = [pk async for pk in rows.order_by("started_at", "pk").values_list("pk", flat=True)]
    last: Command | None = None
    for n in range(0, len(order), ROWS):
        found = {command.pk: command async for command in rows.filter(pk__in=order[n : n + ROWS])}
        for command in (found[pk] for pk in order[n : n + ROWS] if pk in found):  # one may have been forgotten meanwhile
            yield "".join(said(command, new_lab=last is None or command.sandbox_id != last.sandbox_id))
            last = command
    if last is None:
        yield "\nNo commands.\n"


def heading(search: Search) -> str:
    now = timezone.localtime()
    only = "".join((
        f"Only those that contain “{shown(search.text)}”.\n" if search.text else "",
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
