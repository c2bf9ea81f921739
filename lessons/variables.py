"""Values that differ from student to student: `${NET}` is one network for alice and another one for bob, each time the same.

Must not know: files, Markdown, students (a student is a key here).
"""
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from lessons.schema import VarKeys

USE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SHELLS_OWN = frozenset(["HOME", "HOSTNAME", "PATH", "PWD", "USER", "UID", "IFS", "RANDOM", "SECONDS", "BASH_VERSION"])


def assign(variables: Mapping[str, VarKeys], lesson: str, key: str) -> dict[str, str]:
    """The values of the student with this key; of nobody (""), the first ones. They change only when the author changes the choice."""
    return {name: _choose(name, var, lesson, key) for name, var in variables.items()}


def _choose(name: str, var: VarKeys, lesson: str, key: str) -> str:
    number = int.from_bytes(hashlib.sha256("\0".join((key, lesson, name)).encode()).digest()[:8], "big") if key else 0
    if var.pick:
        return var.pick[number % len(var.pick)]
    assert var.number
    low, high = var.number
    return str(low + number % (high - low + 1))


def fill(text: str, values: Mapping[str, str]) -> str:
    """What is no variable is left as it is: a shell has its own."""
    return USE.sub(lambda found: values.get(found[1], found[0]), text)


def fill_tree(tree: Any, values: Mapping[str, str]) -> Any:
    """The same for all strings in lists and dictionaries, keys included."""
    if isinstance(tree, str):
        return fill(tree, values)
    if isinstance(tree, Mapping):
        return {fill_tree(key, values): fill_tree(value, values) for key, value in tree.items()}
    return [fill_tree(item, values) for item in tree] if isinstance(tree, list | tuple) else tree


def unknown(text: str, known: Mapping[str, Any]) -> list[str]:
    """The names in `${…}` that are no variables, each once."""
    return list(dict.fromkeys(name for name in USE.findall(text) if name not in known))


def unset(script: str, known: Mapping[str, Any]) -> list[str]:
    """The names in `${…}` that neither the lesson nor the script itself sets."""
    own = set(re.findall(r"(?:^|[\s;(])(?:for\s+|read\s+(?:-\w+\s+)*|local\s+|export\s+)?([A-Za-z_]\w*)(?:=|\s+in\s|\s*$|\s*;)", script, re.MULTILINE))
    return [name for name in unknown(script, known) if name not in SHELLS_OWN and name not in own]
