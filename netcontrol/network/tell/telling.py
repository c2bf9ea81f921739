"""Sentences for somebody else to say: which one, and with what in it. See said.py, which says them in the reader's language."""
from typing import Any

from django.utils.translation import gettext_noop as _

__all__ = ["T", "_", "tell"]

T = dict[str, Any]
LONGEST = 120  # characters of a value


def tell(sentence: str, /, **values: object) -> T:
    """The sentence, marked with _, and its values: one line each, without backticks, not long."""
    return {"id": sentence, "with": {name: _clean(value) for name, value in values.items()}}


def _clean(value: object) -> str:
    text = "".join(c if c.isprintable() and c != "`" else " " for c in str(value)[: 4 * LONGEST]).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
