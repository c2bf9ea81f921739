"""What a page may say, and the sentences with which it is told what went wrong. Must not know: Redis, the database, sockets.

As dial.py does for agents: type -> field -> test. docs/protocol.md, section 2, says what each means.
"""
import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from netcontrol.agent.limits import MAX_ASKED, MAX_BLOCK, MAX_MESSAGE, MAX_NAME, MAX_OFFSET, MAX_SINCE, MAX_TEXT
from netcontrol.agent.untrusted import Unreadable, read_object

NAME = re.compile(r"[a-z0-9-]{1,32}\Z")
HOW = re.compile(r"(ping|name|(tcp|udp):[1-9][0-9]{0,4})\Z")

ERRORS = {
    "no_sandbox": (_("You have no lab."), _("Start one with the lesson's Start button.")),
    "too_long": (_("That is longer than the 64 KiB that a terminal takes at once."), _("Send it in pieces, or put it into a file.")),
    "bad_message": (_("The page said something that the lab does not understand."), _("Reload the page.")),
    "no_host": (_("There is no host of that name in this lab."), _("The lesson says which hosts it has; the first one is `lab`.")),
    "unknown_shell": (_("This terminal is not open."), _("Open it again.")),
    "too_many_shells": (_("No more terminals can be opened on this host."), _("Close one first.")),
    "busy": (_("Another command runs in this terminal."), _("Wait until it ends, or end it with Ctrl-C.")),
    "too_many_pages": (_("You have this lab open in more pages than it can serve at once."), _("Close some of them; this one comes back by itself.")),
    "not_now": (_("The lab does not answer at the moment."), _("It comes back by itself: try again in a few seconds.")),
}


class BadMessage(Exception):
    """The page said what it may not say, or not now; `code` says why."""

    def __init__(self, code: str = "bad_message"):
        super().__init__(code)
        self.code = code


def error(code: str, **more: Any) -> dict[str, Any]:
    """The message that tells a page of this error; `more` is the shell and block that it is about."""
    message, what_to_do = ERRORS[code]
    return {"type": "error", "code": code, "message": str(message), "what_to_do": str(what_to_do), **more}


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


def _block(v: Any) -> None:
    """It goes into a row of the database: what no database takes would keep others of the same batch out."""
    check(isinstance(v, str) and len(v) <= MAX_BLOCK and v.isprintable())


def _since(v: Any) -> None:
    check(isinstance(v, dict) and len(v) <= MAX_SINCE)
    for shell, offset in v.items():
        _name(shell)
        OFFSET(offset)


def _flag(v: Any) -> None:
    check(isinstance(v, bool))


def _one_of(*words: str) -> Test:
    return lambda v: check(isinstance(v, str) and v in words)


def _port(v: Any) -> None:
    if v is not None:
        _number(1, 65535)(v)


def _who(v: Any) -> None:
    check(isinstance(v, list) and 1 <= len(v) <= MAX_ASKED)
    for thing in v:
        THING(thing)
    check(len(set(v)) == len(v))


def _how(v: Any) -> None:
    check(isinstance(v, str) and HOW.match(v) is not None)
    if ":" in v:
        _port(int(v.partition(":")[2]))


def _predicted(v: Any) -> None:
    check(isinstance(v, list) and len(v) <= MAX_ASKED)
    for row in v:
        check(isinstance(row, list) and len(row) <= MAX_ASKED and all(cell is None or isinstance(cell, bool) for cell in row))


TITLE, THING = _text(64), _text(256)
OFFSET, COLS, ROWS = _number(0, MAX_OFFSET), _number(2, 500), _number(2, 200)
FIELDS: dict[str, dict[str, Test]] = {
    "hello": {"since": _since},
    "shell.open": {"host": _name, "shell": _name, "cols": COLS, "rows": ROWS},
    "shell.input": {"shell": _name, "data": _text(MAX_TEXT)},
    "shell.resize": {"shell": _name, "cols": COLS, "rows": ROWS},
    "shell.name": {"shell": _name, "name": _title},
    "shell.close": {"shell": _name},
    "shell.ack": {"shell": _name, "offset": OFFSET},
    "run": {"shell": _name, "block": _block, "text": _text(MAX_TEXT)},
    "network.watch": {"on": _flag},
    "follow": {"id": TITLE, "from": THING, "to": THING, "protocol": _one_of("icmp", "tcp", "udp"), "port": _port},
    "reach": {"id": TITLE, "who": _who, "how": _how, "predicted": _predicted},
    "sandbox.extend": {},
    "active": {},
}


def parse(text: str | None, first: bool) -> dict[str, Any]:
    """The message of this frame, with the fields that it may have. Raises BadMessage. `hello` is the `first` one and no other."""
    if text is None:  # a binary frame
        raise BadMessage
    check(len(text) <= MAX_MESSAGE, "too_long")
    try:
        m = read_object(text, MAX_MESSAGE)
    except Unreadable:
        raise BadMessage from None
    check(isinstance(m.get("type"), str))
    tests = FIELDS.get(m["type"])
    if tests is None or (m["type"] == "hello") != first:
        raise BadMessage
    for field, test in tests.items():
        test(m.get(field))
    return {"type": m["type"], **{field: m[field] for field in tests}}
