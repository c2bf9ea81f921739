"""An answer of the worker in a page's language. The worker has no reader: it says which sentences, wherever they stand (words.py).

Not for a graph: what a student named may look like a sentence there. Must not know what any of them is about.
"""
from typing import Any

from netcontrol.network.tell.words import say


def said(value: Any) -> Any:
    """The same, with all of its sentences said."""
    if isinstance(value, dict):
        return say(value) if value.keys() == {"id", "with"} else {name: said(part) for name, part in value.items()}
    return [said(part) for part in value] if isinstance(value, (list, tuple)) else value
