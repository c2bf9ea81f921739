"""How a page's wish to have a step looked at gets to the worker, and how the page learns that it was done. Both ends of it.

    pb:<lab>:ask-check:<sandbox>/<step>    list: wishes that nobody has taken up yet
    pb:<lab>:busy-check:<sandbox>/<step>   a worker was “called” to look after that list, or is “here”; runs out when it does not
    pb:<lab>:told:<token>                  list: the answer to one wish

Wishes that come while an evaluation runs are served together by the next one: so each is served by one that began after it, and a
burst of commands is two evaluations. Must not know: what is evaluated, the database, HTTP.
"""
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import redis
from django.utils.translation import gettext as _

from netcontrol.connection import Unreachable, key, sync
from netcontrol.errors import LabError

WAIT_SECONDS = 6.5  # that a page waits for all of it; an evaluation has 5 s
REDIS_SECONDS = 0.5
KEPT_SECONDS = 8  # whatever nobody takes up
MOST = 64  # wishes in one list: a page has one at a time

Broken = (*Unreachable, redis.RedisError, LabError)

# KEYS: list, busy · ARGV: wish, seconds, most. 1: have a worker come; 0: one comes or is there; -1: there are too many
WISH = """
if redis.call('llen', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
redis.call('rpush', KEYS[1], ARGV[1])
redis.call('expire', KEYS[1], ARGV[2])
return redis.call('set', KEYS[2], 'called', 'NX', 'EX', ARGV[2]) and 1 or 0
"""

# KEYS: list, busy · ARGV: seconds. All wishes; when there are none, the list has nobody to look after it.
TAKE = """
local wishes = redis.call('lrange', KEYS[1], 0, -1)
redis.call('del', KEYS[1])
if #wishes == 0 then redis.call('del', KEYS[2]) else redis.call('set', KEYS[2], 'here', 'EX', ARGV[1]) end
return wishes
"""


@dataclass(frozen=True)
class Wish:
    """What a page wants: its step looked at, by itself (`auto`) or because somebody pressed Check; or the answers of the solution."""

    language: str
    auto: bool = True
    answers: dict[str, str] = field(default_factory=dict)
    solution: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(8))


def ask(place: str, wish: Wish, fetch: Callable[[], None]) -> str | None:
    """Have it served. Returns "" when it was, a sentence when it could not be, None when nobody did. `fetch` has a worker come; never raises."""
    until = time.monotonic() + WAIT_SECONDS
    try:
        with sync(REDIS_SECONDS) as r:
            alone = int(_eval(r, WISH, *_keys(place), json.dumps(asdict(wish)), KEPT_SECONDS, MOST))
            if alone < 0:
                return None
            if alone:
                try:
                    fetch()
                except Broken:
                    r.delete(_keys(place)[1])
                    raise
        left = max(1.0, until - time.monotonic())
        with sync(left + REDIS_SECONDS) as r:
            told: Any = r.blpop([key("told", wish.token)], timeout=left)
            if told is None and r.get(_keys(place)[1]) == b"here":  # behind another look at this step, each of which may take its 5 s
                return _("Your hosts are slow to answer, and are still being looked at. Ask again in a moment.")
        return told[1].decode() if told else None
    except Broken:
        return None


def take(place: str) -> list[Wish]:
    """The wishes that wait. None: whoever took them up before is done."""
    with sync() as r:
        return [Wish(**json.loads(wish)) for wish in _eval(r, TAKE, *_keys(place), KEPT_SECONDS)]


def tell(wishes: list[Wish], sentence: str) -> None:
    with sync() as r:
        for wish in wishes:
            r.rpush(key("told", wish.token), sentence)
            r.expire(key("told", wish.token), KEPT_SECONDS)


def _keys(place: str) -> tuple[str, str]:
    return key("ask-check", place), key("busy-check", place)


def _eval(r: redis.Redis, script: str, first: str, second: str, *arguments: Any) -> Any:
    return r.eval(script, 2, first, second, *arguments)
