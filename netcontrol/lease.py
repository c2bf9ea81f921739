"""Who carries a sandbox: a key in Redis that runs out unless it is renewed. What is written checks it (stream.py), so two can never write.

Must not know: what is carried, agents, the database.
"""
import secrets
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from netcontrol.connection import Unreachable, key, sync

LEASE_MS = 3000
RENEW_SECONDS = 1.0
ASK_MS = 2000


class LeaseLost(Exception):
    """Another attach carries this sandbox now."""


RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


async def _eval(r: redis.asyncio.Redis, script: str, *keys_and_arguments: Any) -> Any:
    return await r.eval(script, *keys_and_arguments)  # type: ignore[misc]


def new_token() -> str:
    return f"{settings.MACHINE}/{secrets.token_hex(8)}"


async def take(r: redis.asyncio.Redis, sandbox: str, token: str) -> bool:
    return bool(await r.set(key("lease", sandbox), token, nx=True, px=LEASE_MS))


async def renew(r: redis.asyncio.Redis, sandbox: str, token: str) -> bool:
    """False when it is somebody else's, or nobody's: it ran out."""
    return bool(await _eval(r, RENEW, 1, key("lease", sandbox), token, LEASE_MS))


async def release(r: redis.asyncio.Redis, sandbox: str, token: str) -> None:
    await _eval(r, RELEASE, 1, key("lease", sandbox), token)


async def alive(r: redis.asyncio.Redis, sandbox: str) -> bool:
    return bool(await r.exists(key("lease", sandbox)))


async def tell_silent(r: redis.asyncio.Redis, sandbox: str, hosts: list[str]) -> None:
    """Whoever carries it says which of its hosts do not answer. Holds as long as a lease does."""
    await r.set(key("silent", sandbox), ",".join(hosts), px=LEASE_MS)


async def look(r: redis.asyncio.Redis, sandbox: str) -> tuple[bool, list[str]]:
    """Whether somebody carries it, and which of its hosts do not answer."""
    lease, silent = await r.mget(key("lease", sandbox), key("silent", sandbox))
    return lease is not None, silent.decode().split(",") if lease and silent else []


async def may_ask(r: redis.asyncio.Redis, sandbox: str) -> bool:
    """Whether to start an attach now: true for one of all who ask within two seconds."""
    return bool(await r.set(key("ask", sandbox), "1", nx=True, px=ASK_MS))


def first_to_ask(what: str, seconds: float) -> bool:
    """The same for a task of the whole lab: true for one of all who ask, until it begins (`asked_no_more`) or is lost. True also when Redis cannot tell."""
    try:
        with sync() as r:
            return bool(r.set(key("ask", what), "1", nx=True, px=int(seconds * 1000)))
    except Unreachable:
        return True


def asked_no_more(what: str) -> None:
    with sync() as r:
        r.delete(key("ask", what))


def worker_now(sandbox: str) -> str:
    """`up`, `starting` or `down`, for a view: waits for Redis half a second at most."""
    try:
        with sync(0.5) as r:
            lease, asked = r.mget(key("lease", sandbox), key("ask", sandbox))  # type: ignore[misc]
    except Unreachable:
        return "down"
    return "up" if lease else "starting" if asked else "down"


def void(machine: str = "") -> int:
    """A worker starts on this machine: whatever its predecessor held is free. Returns how many leases that were."""
    machine = machine or settings.MACHINE
    freed = 0
    with sync() as r:
        for lease in r.scan_iter(key("lease", "*"), count=1000):
            token = r.get(lease)
            if isinstance(token, bytes) and token.startswith(f"{machine}/".encode()):
                freed += int(r.eval(RELEASE, 1, lease, token))  # type: ignore[arg-type]
    return freed
