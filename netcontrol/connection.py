"""How Redis is reached: a `Line` for what a keystroke waits for, `client()` for everything else, `sync()` outside of event loops.

Must not know what lies there (stream.py and lease.py do).
"""
import asyncio
import contextlib
import weakref
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_SECONDS = 5.0

Unreachable = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError)  # Redis is down, or starting


def key(kind: str, sandbox: str) -> str:
    return f"pb:{settings.LAB_ID}:{kind}:{sandbox}"


def _once() -> redis.asyncio.retry.Retry:
    """No retries inside the client: they wait for seconds, and could send a message twice. Whoever calls tries again."""
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


class Line:
    """One connection of redis-py without its client around it, which costs a fifth of a millisecond a command. For one command at a time: one
    that blocks holds up those behind it. It is never made anew: so all that is read from it is of one memory of Redis, and when that is gone, so
    is the line. Raises what is in `Unreachable`, and `redis.ResponseError`.
    """

    def __init__(self) -> None:
        pool = redis.asyncio.ConnectionPool.from_url(settings.REDIS_URL, socket_connect_timeout=2, retry=_once())
        self.connection = pool.make_connection()
        self.free, self.used = asyncio.Lock(), False

    @property
    def gone(self) -> bool:
        return self.used and not self.connection.is_connected

    async def __call__(self, *command: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """The answer as Redis gives it: bytes, numbers and lists of them."""
        async with self.free:
            if self.gone:
                raise redis.ConnectionError("Redis has gone away")
            self.used = True
            late = asyncio.get_running_loop().call_later(seconds, self._give_up)  # a tenth of what asyncio.timeout costs
            try:
                await self.connection.send_command(*command, check_health=False)  # the first one connects
                return await self.connection.read_response()
            finally:
                late.cancel()

    def _give_up(self) -> None:
        """Redis does not answer: whoever waits for it is told that the connection is gone."""
        self.closing = asyncio.ensure_future(self.connection.disconnect(nowait=True))

    async def close(self) -> None:
        with contextlib.suppress(*Unreachable):
            await self.connection.disconnect()


_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis]" = weakref.WeakKeyDictionary()


def client() -> redis.asyncio.Redis:
    """The client that everything of this event loop shares, for what does not block."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=5, retry=_once())
    return _clients[loop]


def sync(seconds: float = 5.0) -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0))


def alive() -> bool:
    """Whether Redis answers now."""
    try:
        with sync(0.5) as r:
            return bool(r.ping())
    except (*Unreachable, redis.RedisError):
        return False
