"""How times, dates and amounts are said, and what was searched for marked, in a page's words. The page's script says them the same (words.js)."""
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

register = template.Library()

AMOUNTS: dict[str, Callable[[int], str]] = {
    "byte": lambda n: ngettext("%(n)s byte", "%(n)s bytes", n),
    "line": lambda n: ngettext("%(n)s line", "%(n)s lines", n),
    "command": lambda n: ngettext("%(n)s command", "%(n)s commands", n),
    "day": lambda n: ngettext("%(n)s day", "%(n)s days", n),
}


@register.filter
def duration(ms: float) -> str:
    """3 ms, 0.3 s, 12 s, 1 min 5 s, 2 h 3 min"""
    if ms < 100:
        return _("%(ms)s ms") % {"ms": f"{ms:.0f}"}
    if ms < 9950:
        return _("%(s)s s") % {"s": f"{ms / 1000:.1f}"}
    s = int(ms / 1000)
    if s < 60:
        return _("%(s)s s") % {"s": s}
    return _("%(min)s min %(s)s s") % {"min": s // 60, "s": s % 60} if s < 3600 else hours(s // 60)


@register.filter
def span(length: timedelta) -> str:
    """1 h 42 min, 9 min, 40 s"""
    s = max(0, int(length.total_seconds()))
    if s < 60:
        return _("%(s)s s") % {"s": s}
    return _("%(min)s min") % {"min": s // 60} if s < 3600 else hours(s // 60, whole=True)


def hours(minutes: int, whole: bool = False) -> str:
    """`whole`: 2 h, not 2 h 0 min"""
    if whole and minutes % 60 == 0:
        return _("%(h)s h") % {"h": minutes // 60}
    return _("%(h)s h %(min)s min") % {"h": minutes // 60, "min": minutes % 60}


@register.filter
def count(n: int, what: str) -> str:
    """{{ 1200|count:"byte" }}: 1,200 bytes"""
    return AMOUNTS[what](n) % {"n": f"{n:,}"}


def in_a_row(*sentences: str) -> str:
    """A Chinese full stop brings its own space. Empty ones are left out."""
    return ("" if (get_language() or "").startswith("zh") else " ").join(filter(None, sentences))


def joined(parts: Iterable[str]) -> str:
    """lab, client, server"""
    return pgettext("between things", ", ").join(parts)


@register.filter
def listed(names: list[str]) -> str:
    """lab; lab and client; lab, client and server"""
    return _("%(first)s and %(last)s") % {"first": joined(names[:-1]), "last": names[-1]} if len(names) > 1 else "".join(names)


@register.filter(expects_localtime=True)
def day(when: datetime, now: datetime | None = None) -> str:
    """Wednesday, 4 November; with its year if there is another one `now`, or none is given."""
    if now and timezone.localtime(now).year == when.year:
        return date_format(when, pgettext("format of a date", "l, j F"))
    return date_format(when, pgettext("format of a date", "l, j F Y"))


@register.filter(expects_localtime=True)
def moment(when: datetime) -> str:
    """4 November, 14:02"""
    return date_format(when, pgettext("format of a date", "j F, H:i"))


@register.filter
def marked(text: str, wanted: str) -> SafeString:
    """The text, escaped, with every place where `wanted` stands in a <mark>."""
    if not wanted:
        return escape(text)
    parts = re.split(f"({re.escape(wanted)})", text, flags=re.IGNORECASE)
    return mark_safe("".join(f"<mark>{escape(part)}</mark>" if n % 2 else escape(part) for n, part in enumerate(parts)))


@register.filter
def line(text: str, wanted: str) -> SafeString:
    """As `marked`, for a command line: a word with a hyphen in it is one piece, not to be broken there."""
    if wanted and re.search(re.escape(wanted), text, re.IGNORECASE):
        return marked(text, wanted)
    return mark_safe("".join(f"<span>{escape(word)}</span>" if "-" in word else escape(word) for word in re.split(r"(\s+)", text)))
