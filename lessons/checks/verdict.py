"""What a check says: it passed, it failed and why, or nobody can tell. Must not know: what is checked.

Sentences are plain text. Names stand in backticks, and whatever a host said is cleaned before it stands in one.
"""
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext as _

from netcontrol.templatetags import said

Cells = tuple[tuple[int, int], ...]  # (row, column)
LONGEST = 80  # characters of a value that a host said


@dataclass(frozen=True)
class Verdict:
    """`why` is one sentence for a beginner; "" when it passed."""

    state: Literal["passed", "failed", "unknown"]
    why: str = ""
    cells: Cells = ()


class Failed(Exception):
    """The student has something to mend: the sentence says what. `cells`: which of a matrix that they filled in are not so."""

    def __init__(self, sentence: str, cells: Iterable[tuple[int, int]] = ()):
        super().__init__(sentence)
        self.cells: Cells = tuple(cells)


class NotKnown(Exception):
    """The check itself could not look: the sentence says why. Never counts as failing."""


class Quoted(str):
    """Text whose values have been cleaned."""


def clean(value: object) -> str:
    """One line, without backticks, not long: what a student's host says may be anything."""
    if isinstance(value, Quoted):
        return value
    text = "".join(c if c.isprintable() and c != "`" else " " for c in str(value)[: 4 * LONGEST]).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def say(text: str, /, **values: Any) -> str:
    """The sentence with its values, each of them cleaned."""
    return text % {name: clean(value) for name, value in values.items()}


def names(values: Iterable[object], most: int = 5) -> Quoted:
    """`a`, `b` and `c`, each in backticks."""
    quoted = [f"`{clean(value)}`" for value in values]
    if len(quoted) > most:
        quoted = [*quoted[:most], _("%(number)d more") % {"number": len(quoted) - most}]
    return Quoted(said.listed(quoted))


def listed(parts: Iterable[str]) -> Quoted:
    """Parts of a sentence, one after the other; their values have been cleaned."""
    return Quoted(said.joined(parts))


def with_details(sentence: str, details: Iterable[str]) -> str:
    """The sentence, and what more there is to it."""
    return say(_("%(sentence)s: %(details)s"), sentence=Quoted(sentence), details=more) if (more := listed(details)) else sentence
