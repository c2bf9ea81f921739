"""How times and sizes are said, and what was searched for marked, in a page's words. The page's script says them the same (words.js)."""
import re
from datetime import timedelta

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def duration(ms: float) -> str:
    """3 ms, 0.3 s, 12 s, 1 min 5 s, 2 h 3 min"""
    if ms < 100:
        return f"{ms:.0f} ms"
    if ms < 9950:
        return f"{ms / 1000:.1f} s"
    s = int(ms / 1000)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60} s" if s < 3600 else f"{s // 3600} h {s // 60 % 60} min"


@register.filter
def span(length: timedelta) -> str:
    """1 h 42 min, 9 min, 40 s"""
    s = max(0, int(length.total_seconds()))
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min" if s < 3600 else f"{s // 3600} h {s // 60 % 60} min".replace(" 0 min", "")


@register.filter
def count(n: int, words: str) -> str:
    """{{ 1200|count:"byte,bytes" }}: 1,200 bytes"""
    one, many = words.split(",")
    return f"{n:,} {one if n == 1 else many}"


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
