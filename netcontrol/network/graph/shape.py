"""Values of a body that a student's own root may have made up: read one by one, of the wanted shape and bounded, or not at all."""
import re
from typing import Any

NAME, TEXT, RULE = 128, 256, 512  # most characters of a name, of other text, of a rule
MOST_NUMBER = 2**53  # what JavaScript still counts exactly
_HEX = re.compile(r"[0-9a-f]{12,64}")
_DIGITS = re.compile(r"[0-9]{1,20}")


def text(value: Any, most: int = NAME) -> str:
    """Printable and of one line: what is not (controls, marks that turn the way of writing, halves of characters) becomes �."""
    if not isinstance(value, str):
        return ""
    value = value if len(value) <= most else value[: most - 1] + "…"
    return value if value.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in value)


def number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < MOST_NUMBER else None


def mapping(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list:
    return value if isinstance(value, list) else []


def texts(value: Any, most: int = 32, length: int = NAME) -> list[str]:
    """Without the empty ones and twins, in their order."""
    return list(dict.fromkeys(said for each in items(value)[:most] if (said := text(each, length))))


def short_id(value: Any) -> str:
    """The twelve characters by which Docker names a thing, or "" when this is no such id."""
    return value[:12] if isinstance(value, str) and _HEX.fullmatch(value) else ""


def inode(value: Any) -> str:
    return value if isinstance(value, str) and _DIGITS.fullmatch(value) else ""


def labels(value: Any, most: int = 16) -> dict[str, str]:
    """A mapping of text to text: labels, options."""
    found = {}
    for key, said in list(mapping(value).items())[:most]:
        if key := text(key):
            found[key] = text(said, TEXT)
    return found
