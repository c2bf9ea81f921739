"""Which workers live: each says so every two seconds, by its name, in Redis' own time. Must not know what they do.

    pb:<lab>:heard:all   sorted set: `control@machine` -> when it was last heard of
"""
from contextlib import suppress

import redis

from netcontrol.connection import Unreachable, key, sync

SILENT_SECONDS = 10  # a busy machine may swallow some beats
FORGOTTEN_SECONDS = 24 * 3600


def tell(worker: str) -> None:
    with suppress(*Unreachable, redis.RedisError), sync(1) as r:
        now = r.time()[0]  # type: ignore[index]
        r.zadd(key("heard", "all"), {worker: now})
        r.zremrangebyscore(key("heard", "all"), "-inf", now - FORGOTTEN_SECONDS)


def heard() -> set[str]:
    """Names of the workers that live. Raises what is in `Unreachable`."""
    with sync(1) as r:
        since = r.time()[0] - SILENT_SECONDS  # type: ignore[index]
        return {name.decode() for name in r.zrangebyscore(key("heard", "all"), since, "+inf")}  # type: ignore[union-attr]
