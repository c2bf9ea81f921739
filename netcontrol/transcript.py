"""A history as plain text, oldest first, a few rows at a time. Must not know: HTTP.

What ran and what it printed stands four spaces in, and has no character that begins a line but the line feed: so nothing that a
command printed can look like a line of ours.
"""
from collections.abc import AsyncIterator, Callable, Iterator

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from netcontrol.history import Lab, Search
from netcontrol.models import Command
from netcontrol.plain import shown
from netcontrol.templatetags.said import count, duration, span

ROWS = 50  # read at once
INDENT = "    "


async def transcript(rows: QuerySet[Command], search: Search, language: str | None = None) -> AsyncIterator[str]:
    """The database is not held open for as long as somebody downloads: the order is asked once, then a few rows at a time.

    `language`: of the request, which is over when most of this is made.
    """
    language = language or get_language()

    def in_language(say: Callable[[], str]) -> str:
        with override(language):
            return say()

    yield in_language(lambda: heading(search))
    order = [pk async for pk in rows.order_by("started_at", "pk").values_list("pk", flat=True)]
    last: Command | None = None
    for n in range(0, len(order), ROWS):
        found = {command.pk: command async for command in rows.filter(pk__in=order[n : n + ROWS])}
        for command in (found[pk] for pk in order[n : n + ROWS] if pk in found):  # one may have been forgotten meanwhile
            new_lab = last is None or command.sandbox_id != last.sandbox_id
            yield in_language(lambda command=command, new_lab=new_lab: "".join(said(command, new_lab)))  # type: ignore[misc]
            last = command
    if last is None:
        yield in_language(lambda: f"\n{_('No commands.')}\n")


def heading(search: Search) -> str:
    now = timezone.localtime()
    lines = [_("Patchbay: commands and what they printed")]
    if search.text:
        lines.append(_("Only those that contain “%(text)s”.") % {"text": shown(search.text)})
    if search.failed:
        lines.append(_("Only those that failed."))
    lines.append(_("Written %(time)s; all times are %(zone)s.") % {"time": f"{now:%Y-%m-%d %H:%M %Z}", "zone": f"{now:%Z}"})
    return "".join(f"{line}\n" for line in lines)


def said(command: Command, new_lab: bool) -> Iterator[str]:
    if new_lab:
        lab = Lab(command.sandbox)
        began = _("Lab of %(time)s") % {"time": f"{timezone.localtime(lab.began):%Y-%m-%d %H:%M}"}
        yield f"\n=== {began}{f', {span(lab.length)}' if lab.length is not None else ''}\n"
    took = f"  {duration(command.duration_ms)}" if command.duration_ms is not None else ""
    yield f"\n--- {timezone.localtime(command.started_at):%Y-%m-%d %H:%M:%S}  {command.where}  {command.outcome}{took}\n"
    first, *more = (command.shown or _("(not known: the shell’s history was off)")).split("\n")
    yield f"{INDENT}{command.host}# {first}\n"
    yield from (f"{INDENT}> {line}\n" for line in more)
    yield from _lines(command.output_head)
    if command.output_left_out:
        yield f"  [{_('%(bytes)s left out') % {'bytes': count(command.output_left_out, 'byte')}}]\n"
    yield from _lines(command.output_tail)


def _lines(text: str) -> Iterator[str]:
    return (f"{INDENT}{line}\n" for line in text.removesuffix("\n").split("\n")) if text else iter(())
