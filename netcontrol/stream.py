"""What lies in Redis, and every operation on it. Must not know: agents, sockets, the database.

    pb:<lab>:in:<sandbox>            what browsers sent, until the agent took it
    pb:<lab>:out:<sandbox>           events that belong to no shell, and {"type": "shell.known"} for each new shell
    pb:<lab>:out:<sandbox>:<shell>   one shell's output and events in order, the newest 1 to 2 MiB
    pb:<lab>:pos:<sandbox>           hash: shell -> how far its log goes; `epoch`, the name of this Redis' memory
    pb:<lab>:lease:<sandbox>         token of the attach that carries it
    pb:<lab>:ask:<sandbox>           somebody asked for an attach a moment ago

Log and position are written by one script that also checks the lease: a worker that lost it can write nothing.
What a keystroke waits for goes over a `Line`; everything else over `client()`.
"""
import asyncio
import contextlib
import json
import logging
import secrets
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from netcontrol.agent.limits import ENTRY_COST, LOG_BYTES, MAX_INPUTS

log = logging.getLogger(__name__)

LEASE_MS = 3000
RENEW_SECONDS = 1.0
KEPT_SECONDS = 6 * 3600  # longer than any sandbox
ASK_MS = 2000
BLOCK_MS = 1000  # a read that waits, less than ANSWER_SECONDS
ANSWER_SECONDS = 5.0

Unreachable = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError)  # Redis is down, or starting


class LeaseLost(Exception):
    """Another attach carries this sandbox now."""


class TooMuchInput(Exception):
    """The agent does not take what the browser sends."""


def _key(kind: str, sandbox: str) -> str:
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


async def cancel(tasks: Iterable[asyncio.Task]) -> None:
    """End these tasks, and wait until they have. A cancellation can be swallowed by what is being awaited (`wait_for` in
    Python 3.11 does it), so it is repeated."""
    tasks = list(tasks)
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)
    await asyncio.gather(*tasks, return_exceptions=True)  # so that none of their errors is called unheard


# The lease

RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


async def _eval(r: redis.asyncio.Redis, script: str, *keys_and_arguments: Any) -> Any:
    return await r.eval(script, *keys_and_arguments)  # type: ignore[misc]


def new_token() -> str:
    return f"{settings.MACHINE}/{secrets.token_hex(8)}"


async def take_lease(r: redis.asyncio.Redis, sandbox: str, token: str) -> bool:
    return bool(await r.set(_key("lease", sandbox), token, nx=True, px=LEASE_MS))


async def renew_lease(r: redis.asyncio.Redis, sandbox: str, token: str) -> bool:
    """False when it is somebody else's, or nobody's: it ran out."""
    return bool(await _eval(r, RENEW, 1, _key("lease", sandbox), token, LEASE_MS))


async def release_lease(r: redis.asyncio.Redis, sandbox: str, token: str) -> None:
    await _eval(r, RELEASE, 1, _key("lease", sandbox), token)


async def lease_alive(r: redis.asyncio.Redis, sandbox: str) -> bool:
    return bool(await r.exists(_key("lease", sandbox)))


async def may_ask(r: redis.asyncio.Redis, sandbox: str) -> bool:
    """Whether to start an attach now: true for one of all who ask within two seconds."""
    return bool(await r.set(_key("ask", sandbox), "1", nx=True, px=ASK_MS))


def _sync(seconds: float = 5.0) -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0))


def alive() -> bool:
    """Whether Redis answers, for the health view."""
    try:
        with _sync(0.5) as r:
            return bool(r.ping())
    except (*Unreachable, redis.RedisError):
        return False


def worker_now(sandbox: str) -> str:
    """`up`, `starting` or `down`, for a view: waits for Redis half a second at most."""
    try:
        with _sync(0.5) as r:
            lease, asked = r.mget(_key("lease", sandbox), _key("ask", sandbox))  # type: ignore[misc]
    except Unreachable:
        return "down"
    return "up" if lease else "starting" if asked else "down"


def void_leases(machine: str = "") -> int:
    """A worker starts on this machine: whatever its predecessor held is free. Returns how many leases that were."""
    machine = machine or settings.MACHINE
    freed = 0
    with _sync() as r:
        for key in r.scan_iter(_key("lease", "*"), count=1000):
            token = r.get(key)
            if isinstance(token, bytes) and token.startswith(f"{machine}/".encode()):
                freed += int(r.eval(RELEASE, 1, key, token))  # type: ignore[arg-type]
    return freed


# Input: browser to agent

# KEYS: input · ARGV: message, most that may wait, seconds to keep
SEND = """
if redis.call('xlen', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('xadd', KEYS[1], '*', 'm', ARGV[1])
redis.call('expire', KEYS[1], ARGV[3])
return 1
"""


async def send_input(line: Line, sandbox: str, m: dict[str, Any]) -> None:
    """Raises TooMuchInput, and then nothing was sent."""
    if not await line("EVAL", SEND, 1, _key("in", sandbox), json.dumps(m, separators=(",", ":")), MAX_INPUTS, KEPT_SECONDS):
        raise TooMuchInput


async def input_waits(r: redis.asyncio.Redis, sandbox: str) -> int:
    return int(await r.xlen(_key("in", sandbox)))


async def read_input(line: Line, sandbox: str, after: str) -> list[tuple[str, dict[str, Any]]]:
    """What came after this id; nothing when nothing comes within BLOCK_MS."""
    found = await line("XREAD", "COUNT", 200, "BLOCK", BLOCK_MS, "STREAMS", _key("in", sandbox), after)
    return [(id.decode(), json.loads(m)) for _, entries in found or [] for id, (_, m) in entries]


async def trim_input(r: redis.asyncio.Redis, sandbox: str, keep_from: str) -> None:
    """Everything before this id need not be kept."""
    await r.xtrim(_key("in", sandbox), minid=keep_from, approximate=False)


def number(id: str) -> tuple[int, int]:
    """The id of an entry, to compare."""
    high, _, low = id.partition("-")
    return int(high), int(low)


def following(id: str) -> str:
    """The least id that comes after this one."""
    high, low = number(id)
    return f"{high}-{low + 1}"


# The log: agent to browsers

@dataclass
class Entry:
    """One entry of a shell's log: output (`data` at `offset`), or an event (`message`)."""

    shell: str  # "" for what belongs to none
    offset: int = 0
    data: bytes = b""
    message: dict[str, Any] | None = None
    id: str = ""


@dataclass
class Tail:
    """How much of one shell's log there is, so that its old end can be cut off."""

    cost: int = 0
    entries: deque[tuple[str, int]] = field(default_factory=deque)

    def add(self, id: str, cost: int) -> None:
        self.cost += cost
        self.entries.append((id, cost))

    def cut(self) -> str | None:
        """The oldest id to keep, when it is time to cut."""
        if self.cost <= 2 * LOG_BYTES:
            return None
        while self.cost > LOG_BYTES and len(self.entries) > 1:
            self.cost -= self.entries.popleft()[1]
        return self.entries[0][0]


# KEYS: lease, pos, log… · ARGV: token, seconds to keep, number of positions, {shell, position}…, {number of the key, s, o, d or m}…
APPEND = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LEASELOST') end
local at, ids = 4, {}
for _ = 1, tonumber(ARGV[3]) do
  redis.call('hset', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while at <= #ARGV do
  local key = KEYS[tonumber(ARGV[at])]
  if ARGV[at + 1] == '' then
    ids[#ids + 1] = redis.call('xadd', key, '*', 'm', ARGV[at + 3])
  else
    ids[#ids + 1] = redis.call('xadd', key, '*', 's', ARGV[at + 1], 'o', ARGV[at + 2], 'd', ARGV[at + 3])
  end
  at = at + 4
end
for i = 2, #KEYS do redis.call('expire', KEYS[i], ARGV[2]) end
return ids
"""


def _log_key(sandbox: str, shell: str) -> str:
    return _key("out", sandbox) + (f":{shell}" if shell else "")


async def append(line: Line, sandbox: str, token: str, entries: list[Entry], positions: dict[str, str], tails: dict[str, Tail]) -> None:
    """Write entries and positions in one step. Raises LeaseLost, and then nothing was written."""
    keys = [_key("lease", sandbox), _key("pos", sandbox)]
    number: dict[str, int] = {}
    written: list[bytes | str] = []
    arguments: list[Any] = [token, KEPT_SECONDS, len(positions)]
    for shell, position in positions.items():
        arguments += [shell, position]
    for entry in entries:
        if entry.shell not in number:
            keys.append(_log_key(sandbox, entry.shell))
            number[entry.shell] = len(keys)
        what = entry.data if entry.message is None else json.dumps(entry.message, separators=(",", ":"))
        written.append(what)
        arguments += [number[entry.shell], entry.shell if entry.message is None else "", entry.offset, what]
    try:
        ids = await line("EVAL", APPEND, len(keys), *keys, *arguments)
    except redis.ResponseError as refused:
        if "LEASELOST" in str(refused):
            raise LeaseLost from None
        if str(refused).startswith("OOM"):
            raise redis.ConnectionError("Redis is full") from None
        raise
    for entry, id, what in zip(entries, ids, written):
        tails.setdefault(entry.shell, Tail()).add(id.decode(), ENTRY_COST + len(what))
    for shell in number:
        oldest = tails[shell].cut()
        if oldest:
            await line("XTRIM", _log_key(sandbox, shell), "MINID", oldest)


async def positions(line: Line, sandbox: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The epoch, made if there is none, and each shell's position as it was appended."""
    key = _key("pos", sandbox)
    await line("HSETNX", key, "epoch", secrets.token_hex(8))
    await line("EXPIRE", key, KEPT_SECONDS)
    fields = await line("HGETALL", key)
    found = {name.decode(): value for name, value in zip(fields[::2], fields[1::2])}
    epoch = found.pop("epoch").decode()
    return epoch, {shell: json.loads(value) for shell, value in found.items()}


async def known_shells(r: redis.asyncio.Redis, sandbox: str) -> dict[str, dict[str, Any]]:
    """Shell -> its position, of every shell that there is or was."""
    found = await r.hgetall(_key("pos", sandbox))  # type: ignore[misc]
    return {name.decode(): json.loads(place) for name, place in found.items() if name != b"epoch"}


async def log_end(r: redis.asyncio.Redis, sandbox: str, shell: str = "") -> str | None:
    """The id of the newest entry."""
    last = await r.xrevrange(_log_key(sandbox, shell), count=1)
    return last[0][0].decode() if last else None


async def old_tails(r: redis.asyncio.Redis, sandbox: str, shells: Iterable[str]) -> dict[str, Tail]:
    """What a log holds already, taken as one piece of full size: it is cut off whole once as much again was written."""
    tails = {}
    for shell in ["", *shells]:
        if end := await log_end(r, sandbox, shell):
            tails[shell] = Tail()
            tails[shell].add(end, LOG_BYTES)
    return tails


async def read_log(line: Line, sandbox: str, after: dict[str, str], wait: bool = True) -> list[Entry]:
    """Entries of these shells' logs after these ids, each shell's in order; with `wait`, up to BLOCK_MS for the first. `after` is moved on."""
    names = {_log_key(sandbox, shell).encode(): shell for shell in after}
    found = await line("XREAD", "COUNT", 500, *(("BLOCK", BLOCK_MS) if wait else ()), "STREAMS", *names, *after.values())
    entries = []
    for key, rows in found or []:
        shell = names[key]
        for id, fields in rows:
            if len(fields) == 2:
                entries.append(Entry(shell, message=json.loads(fields[1]), id=id.decode()))
            else:
                entries.append(Entry(shell, int(fields[3]), fields[5], id=id.decode()))
        after[shell] = rows[-1][0].decode()
    return entries


def forget(sandbox: str) -> None:
    """The sandbox is over: nothing of it need be kept. Redis may be down: then it forgets by itself, later."""
    try:
        with _sync() as r:
            shells = [name.decode() for name in r.hkeys(_key("pos", sandbox)) if name != b"epoch"]  # type: ignore[union-attr]
            r.delete(_key("in", sandbox), _key("pos", sandbox), _key("ask", sandbox), *(_log_key(sandbox, s) for s in ["", *shells]))
    except Unreachable as down:
        log.warning("sandbox %s is not forgotten yet: %s", sandbox, down)


# Notices

def group(student_id: Any) -> str:
    return f"student.{student_id}"


def notify(student_id: Any) -> None:
    """Tell this student's pages to read the state again. From tasks and views; never raises: pages look by themselves too."""
    try:
        async_to_sync(_notify)(student_id)
    except Exception as down:  # the layer's errors are those of whatever is behind it
        log.warning("no notice to student %s: %s", student_id, down)


async def _notify(student_id: Any) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group(student_id), {"type": "lab.changed"})


async def anotify(student_id: Any) -> None:
    try:
        await _notify(student_id)
    except Exception as down:
        log.warning("no notice to student %s: %s", student_id, down)
