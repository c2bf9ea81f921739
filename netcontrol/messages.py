"""What a page may say, and the sentences with which it is told what went wrong. Must not know: Redis, the database, sockets.

As dial.py does for agents: type -> field -> test. docs/protocol.md, section 2, says what each means.
"""
import json
import re
from collections.abc import Callable
from typing import Any

from netcontrol.agent.limits import MAX_BLOCK, MAX_NAME, MAX_OFFSET, MAX_SINCE, MAX_TEXT

NAME = re.compile(r"[a-z0-9-]{1,32}\Z")

ERRORS = {
    "no_sandbox": ("You have no lab.", "Start one with the lesson's Start button."),
    "too_long": ("That is longer than the 64 KiB that a terminal takes at once.", "Send it in pieces, or put it into a file."),
    "bad_message": ("The page said something that the lab does not understand.", "Reload the page."),
    "no_host": ("There is no host of that name in this lab.", "The lesson says which hosts it has; the first one is `lab`."),
    "unknown_shell": ("This terminal is not open.", "Open it again."),
    "too_many_shells": ("No more terminals can be opened on this host.", "Close one first."),
    "busy": ("Another command runs in this terminal.", "Wait until it ends, or end it with Ctrl-C."),
    "not_now": ("The lab does not answer at the moment.", "It comes back by itself: try again in a few seconds."),
}


class BadMessage(Exception):
    """The page said what it may not say, or not now; `code` says why."""

    def __init__(self, code: str = "bad_message"):
        super().__init__(code)
        self.code = code


def error(code: str, **more: Any) -> dict[str, Any]:
    """The message that tells a page of this error; `more` is the shell and block that it is about."""
    message, what_to_do = ERRORS[code]
    return {"type": "error", "code": code, "message": message, "what_to_do": what_to_do, **more}


def check(condition: bool, code: str = "bad_message") -> None:
    if not condition:
        raise BadMessage(code)


# Tests of one field. They raise BadMessage.

Test = Callable[[Any], None]


def _number(least: int, most: int) -> Test:
    return lambda v: check(isinstance(v, int) and not isinstance(v, bool) and least <= v <= most)


def _text(most: int) -> Test:
    def test(v: Any) -> None:
        check(isinstance(v, str))
        check(len(v.encode("utf-8", "replace")) <= most, "too_long")

    return test


def _name(v: Any) -> None:
    check(isinstance(v, str) and NAME.match(v) is not None)


def _title(v: Any) -> None:
    check(isinstance(v, str) and len(v) <= MAX_NAME and v.isprintable() and v == v.strip())


def _since(v: Any) -> None:
    check(isinstance(v, dict) and len(v) <= MAX_SINCE)
    for shell, offset in v.items():
        _name(shell)
        OFFSET(offset)


OFFSET, COLS, ROWS = _number(0, MAX_OFFSET), _number(2, 500), _number(2, 200)
FIELDS: dict[str, dict[str, Test]] = {
    "hello": {"since": _since},
    "shell.open": {"host": _name, "shell": _name, "cols": COLS, "rows": ROWS},
    "shell.input": {"shell": _name, "data": _text(MAX_TEXT)},
    "shell.resize": {"shell": _name, "cols": COLS, "rows": ROWS},
    "shell.name": {"shell": _name, "name": _title},
    "shell.close": {"shell": _name},
    "shell.ack": {"shell": _name, "offset": OFFSET},
    "run": {"shell": _name, "block": _text(MAX_BLOCK), "text": _text(MAX_TEXT)},
    "sandbox.extend": {},
    "active": {},
}


def parse(text: str | None, first: bool) -> dict[str, Any]:
    """The message of this frame, with the fields that it may have. Raises BadMessage. `hello` is the `first` one and no other."""
    if text is None:  # a binary frame
        raise BadMessage
    check(len(text) <= 8 * MAX_TEXT, "too_long")
    try:
        m = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage from None
    check(isinstance(m, dict) and isinstance(m.get("type"), str))
    tests = FIELDS.get(m["type"])
    if tests is None or (m["type"] == "hello") != first:
        raise BadMessage
    for field, test in tests.items():
        test(m.get(field))
    return {"type": m["type"], **{field: m[field] for field in tests}}
