"""Sentences that are kept as {"id": msgid, "with": values}, said in the language of now. Must not know what they are about.

A value is text, a number, a list of values, or a sentence again. What comes from a host is shown between backticks, so it may hold none.
"""
from typing import Any

from django.utils.translation import gettext, pgettext

MOST_DEEP = 4


def say(sentence: Any, deep: int = 0) -> str:
    """`sentence` may have been kept by an older program: what its words are not known for is said as it stands."""
    if isinstance(sentence, dict) and isinstance(sentence.get("id"), str) and deep < MOST_DEEP:
        values = {name: say(value, deep + 1) for name, value in (sentence.get("with") or {}).items()}
        said = gettext(sentence["id"]) if sentence["id"] else ""
        try:
            return said % values
        except (KeyError, ValueError, TypeError):
            return said
    if isinstance(sentence, list):
        return pgettext("between things", ", ").join(say(each, deep + 1) if isinstance(each, dict) else f"`{_plain(each)}`" for each in sentence)
    return _plain(sentence)


def say_line(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "text": say(line["text"]), "why": say(line["why"])}


def _plain(value: Any) -> str:
    return "" if value is None else str(value).replace("`", "ˋ")
