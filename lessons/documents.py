"""Reads one YAML document, or the front matter of one Markdown file, and says on which line each mistake is.

Whoever writes a lesson may not stop the lab: of YAML only keys, values and lists are read. An alias, a few of which make gigabytes, a tag, and what is
nested deeper than anything here are mistakes like any other. Must not know: which files there are.
"""
import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from lessons.errors import Mistake
from lessons.schema import Strict, problems

Keys = TypeVar("Keys", bound=Strict)
DEPTH = 16  # lists and mappings in one another


@dataclass(frozen=True)
class Document(Generic[Keys]):
    """What a file said: `keys` as checked, and where each of them stands."""

    file: str
    keys: Keys
    tree: CommentedMap
    first_line: int

    def line(self, *loc: str | int) -> int:
        return _line(self.tree, loc, self.first_line)


class _Plain(Composer):
    """Takes no alias, no tag, and nothing that is too deep."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if getattr(event, "anchor", None) is not None:
            mark = "*" if isinstance(event, AliasEvent) else "&"
            raise ComposerError(None, None, f"“{mark}{event.anchor}” is an alias, which a lesson cannot have: write it out, or put it into quotes", event.start_mark)
        if getattr(event, "ctag", None) is not None:
            raise ComposerError(None, None, f"“{event.ctag}” is a tag, which a lesson cannot have: put the value into quotes", event.start_mark)
        if self.depth >= DEPTH:
            raise ComposerError(None, None, f"is nested deeper than the {DEPTH} levels that are read", event.start_mark)
        return super().compose_node(parent, index)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Composer = _Plain
    return yaml


def read(model: type[Keys], text: str, file: str, mistakes: list[Mistake], first_line: int = 1) -> Document[Keys] | None:
    """None when there is no document to speak of; what is wrong with it is then in `mistakes`."""
    try:
        tree = _yaml().load(text)
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = first_line + (mark.line if mark else 0)
        mistakes.append(Mistake(file, line, "YAML", f"{(e.problem or 'cannot be read').strip()}."))
        return None
    except (YAMLError, ValueError) as e:
        mistakes.append(Mistake(file, first_line, "YAML", f"cannot be read: {' '.join(str(e).split())}."))
        return None
    if not isinstance(tree, CommentedMap):
        mistakes.append(Mistake(file, first_line, "YAML", f"has to be a list of keys with values: {', '.join(model.model_fields)}."))
        return None
    try:
        keys = model.model_validate(plain(tree))
    except ValidationError as e:
        for loc, sentence in problems(model, e):
            key = ".".join(str(part) for part in loc if part != "[key]")
            mistakes.append(Mistake(file, _line(tree, loc, first_line), key, sentence))
        return None
    return Document(file, keys, tree, first_line)


def plain(tree: Any) -> Any:
    """The same without what YAML knows of its lines."""
    if isinstance(tree, dict):
        return {plain(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    return str(tree) if isinstance(tree, str) else tree


def split(text: str, file: str, mistakes: list[Mistake]) -> tuple[str, str, int] | None:
    """(front matter, body, line on which the body begins) of a step."""
    found = re.match(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        mistakes.append(Mistake(file, 1, "front matter", "is missing: the file has to begin with “---”, “title: …” and “---”."))
        return None
    return found[1], text[found.end() :], 1 + found[0].count("\n")


def _line(tree, loc: tuple[str | int, ...], first_line: int) -> int:
    line = 0
    for part in loc:
        try:
            line = (tree.lc.item(part) if isinstance(part, int) else tree.lc.key(part))[0]
            tree = tree[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break  # a key that is missing has no line: its parent's is the nearest
    return first_line + line
