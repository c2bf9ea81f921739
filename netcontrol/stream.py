"""What lies in Redis of each sandbox, and every operation on it. Must not know: agents, sockets, the database.

    pb:<lab>:in:<sandbox>            what browsers sent, until the agent took it
    pb:<lab>:out:<sandbox>           events that belong to no shell, and {"type": "shell.known"} for each new shell
    pb:<lab>:out:<sandbox>:<shell>   one shell's output and events in order, the newest 1 to 2 MiB
    pb:<lab>:pos:<sandbox>           hash: shell -> how far its log goes; `epoch`, the name of this Redis' memory
    pb:<lab>:lease:<sandbox>         token of the attach that carries it (lease.py)
    pb:<lab>:silent:<sandbox>        its hosts that do not answer, joined by commas (lease.py)
    pb:<lab>:ask:<sandbox>           somebody asked for an attach a moment ago (lease.py)

The network that is seen, and how it changed, is in network/live/store.py.

Log and position are written by one script that also checks the lease: a worker that lost it can write nothing.
"""
import json
import logging
import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio

from netcontrol.agent.limits import ENTRY_COST, LOG_BYTES, MAX_INPUTS
from netcontrol.connection import Line, Unreachable, key, sync
from netcontrol.lease import LeaseLost

log = logging.getLogger(__name__)

KEPT_SECONDS = 6 * 3600  # longer than any sandbox
BLOCK_MS = 1000  # a read that waits, less than a Line does


class TooMuchInput(Exception):
    """The agent does not take what the browser sends."""


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
    if not await line("EVAL", SEND, 1, key("in", sandbox), json.dumps(m, separators=(",", ":")), MAX_INPUTS, KEPT_SECONDS):
        raise TooMuchInput


async def input_waits(r: redis.asyncio.Redis, sandbox: str) -> int:
    return int(await r.xlen(key("in", sandbox)))


async def read_input(line: Line, sandbox: str, after: str) -> list[tuple[str, dict[str, Any]]]:
    """What came after this id; nothing when nothing comes within BLOCK_MS."""
    found = await line("XREAD", "COUNT", 200, "BLOCK", BLOCK_MS, "STREAMS", key("in", sandbox), after)
    return [(id.decode(), json.loads(m)) for _, entries in found or [] for id, (_, m) in entries]


async def trim_input(r: redis.asyncio.Redis, sandbox: str, keep_from: str) -> None:
    """Everything before this id need not be kept."""
    await r.xtrim(key("in", sandbox), minid=keep_from, approximate=False)


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
class Place:
    """How far the log of one shell goes; its fields are what stands in Redis."""

    host: str
    boot: str  # of the agent that counted `offset` and `seq`
    offset: int = 0  # output
    seq: int = 0  # events
    recorded: int = 0  # events whose rows are in the database: those after it are asked for again, and recorded again
    pid: int = 0
    open: bool = False
    command: str = ""  # the row of the one that runs
    began: int = 0  # where its output begins
    name: str = ""  # that the student gave it

    def known(self) -> dict[str, Any]:
        """What a page must know of it before its output."""
        return {"host": self.host, "name": self.name, "end": self.offset}


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
    return key("out", sandbox) + (f":{shell}" if shell else "")


async def append(line: Line, sandbox: str, token: str, entries: list[Entry], positions: dict[str, str], tails: dict[str, Tail]) -> None:
    """Write entries and positions in one step. Raises LeaseLost, and then nothing was written."""
    keys = [key("lease", sandbox), key("pos", sandbox)]
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
    ids = await evaluate(line, APPEND, keys, arguments)
    for entry, id, what in zip(entries, ids, written):
        tails.setdefault(entry.shell, Tail()).add(id.decode(), ENTRY_COST + len(what))
    for shell in number:
        oldest = tails[shell].cut()
        if oldest:
            await line("XTRIM", _log_key(sandbox, shell), "MINID", oldest)


async def evaluate(line: Line, script: str, keys: list[str], arguments: list[Any]) -> Any:
    """A script that writes what only the holder of the lease may write. Raises LeaseLost."""
    try:
        return await line("EVAL", script, len(keys), *keys, *arguments)
    except redis.ResponseError as refused:
        if "LEASELOST" in str(refused):
            raise LeaseLost from None
        if str(refused).startswith("OOM"):
            raise redis.ConnectionError("Redis is full") from None
        raise


async def positions(line: Line, sandbox: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The epoch, made if there is none, and each shell's position as it was appended: the fields of its `Place`."""
    where = key("pos", sandbox)
    await line("HSETNX", where, "epoch", secrets.token_hex(8))
    await line("EXPIRE", where, KEPT_SECONDS)
    fields = await line("HGETALL", where)
    found = {name.decode(): value for name, value in zip(fields[::2], fields[1::2])}
    epoch = found.pop("epoch").decode()
    return epoch, {shell: json.loads(value) for shell, value in found.items()}


async def known_shells(r: redis.asyncio.Redis, sandbox: str) -> dict[str, dict[str, Any]]:
    """Shell -> its position, the fields of its `Place`, of every shell that there is or was."""
    found = await r.hgetall(key("pos", sandbox))  # type: ignore[misc]
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
    for name, rows in found or []:
        shell = names[name]
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
        with sync() as r:
            shells = [name.decode() for name in r.hkeys(key("pos", sandbox)) if name != b"epoch"]  # type: ignore[union-attr]
            r.delete(*(key(kind, sandbox) for kind in ("in", "pos", "ask", "net", "changed", "past")), *(_log_key(sandbox, s) for s in ["", *shells]))
    except Unreachable as down:
        log.warning("sandbox %s is not forgotten yet: %s", sandbox, down)
