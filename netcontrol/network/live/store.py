"""What lies in Redis of a sandbox's network, and every operation on it. Must not know: graphs, agents, pages.

    pb:<lab>:net:<sandbox>       hash: `head`, `graph`, and `body:<host>`, what each host said last: so a carrier goes on where another was killed
    pb:<lab>:changed:<sandbox>   stream: the newest changes, each following on the one before
    pb:<lab>:past:<sandbox>      list: what they were in words, and of which command

A change is written in one step with the graph that it leads to, and only by who holds the lease. What pages read is what the holder of the
lease has seen itself: what is left of one who was killed is not shown as the network of now.
"""
import json
from dataclasses import dataclass, field, fields
from typing import Any

from netcontrol.agent.limits import MAX_CHANGES, MAX_PAST
from netcontrol.connection import Line, key
from netcontrol.stream import BLOCK_MS, KEPT_SECONDS, evaluate


@dataclass
class Head:
    """How far the network is told; its fields are what stands in Redis."""

    token: str = ""  # the carrier's that wrote it
    version: int = 0  # of the graph: each change makes a new one
    read_at: str = ""  # when a host last said what there is
    marks: dict[str, Any] = field(default_factory=dict)  # host -> (boot of its agent, {shell: its last command that was answered for})
    away: dict[str, str] = field(default_factory=dict)  # host that cannot be seen -> the code of why
    awake: bool = False  # somebody looks; else there is no graph

    @classmethod
    def read(cls, text: bytes) -> "Head":
        """Another version may have written it: what it had besides is left away."""
        said = json.loads(text) if text else {}
        return cls(**{each.name: said[each.name] for each in fields(cls) if each.name in said})


@dataclass
class Seen:
    """What a page begins with."""

    head: Head
    graph: bytes  # JSON; nothing when no host was ever seen
    last: str  # the id of the newest change
    past: list[dict[str, Any]]


def _keys(sandbox: str) -> list[str]:
    return [key(kind, sandbox) for kind in ("lease", "net", "changed", "past")]


# KEYS: lease, net, changed, past · ARGV: token, seconds, most changes, most of the past, change, its message, what it was in words, {field, value}…
WRITE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LEASELOST') end
redis.call('hset', KEYS[2], unpack(ARGV, 8))
redis.call('xadd', KEYS[3], 'MAXLEN', ARGV[3], '*', 'c', ARGV[5], 'm', ARGV[6])
if ARGV[7] ~= '' then
  redis.call('rpush', KEYS[4], ARGV[7])
  redis.call('ltrim', KEYS[4], -ARGV[4], -1)
end
for i = 2, 4 do redis.call('expire', KEYS[i], ARGV[2]) end
"""

# KEYS: lease, net, changed, past · ARGV: token, seconds, head. Nobody looks: only the numbers go on, and the past stays.
CLOSE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LEASELOST') end
redis.call('del', KEYS[2])
redis.call('hset', KEYS[2], 'head', ARGV[3])
redis.call('expire', KEYS[2], ARGV[2])
"""

# KEYS: lease, net, changed, past. What there is now, when its writer holds the lease still.
READ = """
local head = redis.call('hget', KEYS[2], 'head')
local last = redis.call('xrevrange', KEYS[3], '+', '-', 'COUNT', 1)
last = last[1] and last[1][1] or '0-0'
local token = redis.call('get', KEYS[1])
if not head or not token or cjson.decode(head)['token'] ~= token then return {'', '', last} end
return {head, redis.call('hget', KEYS[2], 'graph') or '', last, unpack(redis.call('lrange', KEYS[4], 0, -1))}
"""


async def load(line: Line, sandbox: str) -> tuple[Head, bytes, dict[str, bytes]]:
    """What a carrier goes on from: the head, the graph, and each host's body."""
    said = await line("HGETALL", key("net", sandbox))
    found = {name.decode(): value for name, value in zip(said[::2], said[1::2])}
    return Head.read(found.get("head", b"")), found.get("graph", b""), {name.removeprefix("body:"): body for name, body in found.items() if name.startswith("body:")}


async def write(
    line: Line, sandbox: str, head: Head, m: dict[str, Any], change: bytes, past: dict[str, Any] | None, graph: bytes = b"", bodies: dict[str, bytes] | None = None
) -> None:
    """One change and all that it leads to, in one step; no `graph`: it stays as it is. Raises LeaseLost."""
    said = json.dumps(past, separators=(",", ":")) if past else ""
    state = {"head": json.dumps(vars(head)), **({"graph": graph} if graph else {}), **{f"body:{host}": body for host, body in (bodies or {}).items()}}
    pairs = [part for pair in state.items() for part in pair]
    message = json.dumps(m, separators=(",", ":"))
    await evaluate(line, WRITE, _keys(sandbox), [head.token, KEPT_SECONDS, MAX_CHANGES, MAX_PAST, change, message, said, *pairs])


async def close(line: Line, sandbox: str, head: Head) -> None:
    """Nobody looks any more. Raises LeaseLost."""
    await evaluate(line, CLOSE, _keys(sandbox), [head.token, KEPT_SECONDS, json.dumps(vars(head))])


async def read(line: Line, sandbox: str) -> Seen:
    """What a page begins with; its head is not awake when nobody has looked yet."""
    head, graph, last, *past = await line("EVAL", READ, 4, *_keys(sandbox))
    return Seen(Head.read(head), graph, last.decode(), [json.loads(entry) for entry in past])


async def changes(line: Line, sandbox: str, after: str) -> list[tuple[str, dict[str, Any], bytes]]:
    """(id, message, change as JSON) of what came after this id; nothing when nothing comes for a second."""
    found = await line("XREAD", "COUNT", MAX_CHANGES, "BLOCK", BLOCK_MS, "STREAMS", key("changed", sandbox), after)
    return [(id.decode(), json.loads(fields[3]), fields[1]) for _, rows in found or [] for id, fields in rows]
