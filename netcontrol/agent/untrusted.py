"""The one reader of JSON that somebody else wrote: a host's agent, a program sent there, a student's dockerd, a page.

It bounds size, depth and numbers, and so the time that reading takes; whoever waits for a text bounds that time. What comes out is made of plain
values that can be written, sent and stored again. That it has the right shape is to be seen to by who asked. The agent and the programs that are
sent to hosts have this file too, so it imports nothing of ours.
"""
import json
import re

MOST_DEPTH = 64  # of lists and objects in one another; nft's own are not 20 deep
MOST_DIGITS = 20  # of a whole number: those of 64 bits
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # one that is not closed goes on to the end: no text is looked at twice
ALIKE = bytes.maketrans(b"{}", b"[]")
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Unreadable(ValueError):
    """It is not JSON, or too much, too deep, or not what was asked for."""


def read_json(text, most, depth=MOST_DEPTH):
    """The value of this text, of at most so many bytes (of a str: characters). Raises Unreadable."""
    if len(text) > most:
        raise Unreadable("too long")
    try:
        text, data = (text, text.encode(errors="replace")) if isinstance(text, str) else (str(text, "utf-8"), text)
        if not _shallow(data, depth):
            raise Unreadable("too deep, or not JSON")
        value = _decode(text)
    except Unreadable:
        raise
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    return _whole(value) if b"\\ud" in data or b"\\uD" in data else value


def read_object(text, most, depth=MOST_DEPTH):
    """As `read_json`, when it is an object."""
    value = read_json(text, most, depth)
    if not isinstance(value, dict):
        raise Unreadable("not an object")
    return value


def _shallow(data, depth):
    """Whether nothing in it is deeper: the innermost brackets are taken away so many times, and then there are none. Never so for brackets that do not match."""
    if data.count(b"[") + data.count(b"{") <= depth:
        return True
    left = STRING.sub(b"", data).translate(ALIKE, NO_BRACKETS)
    for _ in range(depth):
        left = left.replace(b"[]", b"")
        if not left:
            return True
    return False


def _whole(value):
    """Without halves of characters, which no database and no page takes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="replace").decode()
    elif isinstance(value, list):
        return [_whole(item) for item in value]
    elif isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def _int(text):
    if len(text) > MOST_DIGITS:
        raise Unreadable("a number that is too large")
    return int(text)


def _float(text):
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Unreadable("a number that is too large")
    return value


def _no_number(name):
    raise Unreadable(f"{name} is no number")


_decode = json.JSONDecoder(parse_int=_int, parse_float=_float, parse_constant=_no_number).decode
