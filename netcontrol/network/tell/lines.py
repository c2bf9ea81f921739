"""What a person wants to read of a change: in the order in which people ask. Numbers and an engine's own plumbing make no noise. Pure."""
from typing import Any

from django.utils.translation import gettext_noop as _

from netcontrol.network.tell import engines, links, routes, rules
from netcontrol.network.tell.story import Line, Story

MOST_LINES = 40

MOST_IDS = 64

MORE = _("%(count)s more changes")
ALIKE = _("%(count)s more of this kind")
MORE_WHY = _("So much changed at once that not everything is listed. The picture shows how it is now.")


def lines(before: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    """Each: sign, kind (of the glyph), host, ids (what lights up), text and why as sentences in `words.py`'s form, show: [[host, command]]."""
    story = Story(before, after)
    for part in (engines, links, routes, rules):
        part.tell(story)
    return _shortened(story.lines)


def _shortened(lines: list[Line]) -> list[Line]:
    """At most MOST_LINES: of many of a kind the first few stay, so that every kind is still there, and the others are counted."""
    if len(lines) <= MOST_LINES:
        return lines
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line["sign"], line["text"]["id"]), []).append(line)
    each = next((most for most in range(MOST_LINES, 0, -1) if sum(min(len(group), most + 1) for group in groups.values()) <= MOST_LINES), 0)
    if not each:
        return [*lines[: MOST_LINES - 1], _more(lines[MOST_LINES - 1 :], MORE)]
    return [line for group in groups.values() for line in (group if len(group) <= each + 1 else [*group[:each], _more(group[each:], ALIKE)])]


def _more(lines: list[Line], msgid: str) -> Line:
    first = lines[0]
    ids = list(dict.fromkeys(id for line in lines for id in line["ids"]))[:MOST_IDS]
    return {**first, "host": None, "ids": ids, "text": {"id": msgid, "with": {"count": len(lines)}}, "why": {"id": MORE_WHY, "with": {}}, "show": []}
