"""Packet filter: what `nft -j list ruleset` says of tables that iptables does not own, in nft's own words. Must not know engines.

Of an expression that is not known here the JSON is shown: less readable, and true.
"""
import json
from typing import Any

from netcontrol.network.graph.kept import Kept, Thing, digest
from netcontrol.network.graph.links import Space
from netcontrol.network.graph.shape import RULE, items, mapping, text

ENDS = {"accept": "ACCEPT", "drop": "DROP", "return": "RETURN", "continue": "CONTINUE", "masquerade": "MASQUERADE", "dnat": "DNAT", "snat": "SNAT", "redirect": "REDIRECT", "reject": "REJECT", "queue": "QUEUE"}
META = {"iifname": "in", "iif": "in", "oifname": "out", "oif": "out", "l4proto": "proto", "mark": "mark"}
PAYLOAD = {"saddr": "src", "daddr": "dst", "sport": "sport", "dport": "dport", "protocol": "proto", "nexthdr": "proto"}
OPERATORS = {"&", "|", "^", "<<", ">>"}
MOST_DEEP, MOST_WIDE = 6, 32


def rules(kept: Kept, host: str, number: str, space: Space) -> None:
    chains: dict[tuple[str, str, str], Thing] = {}
    objects = [mapping(each) for each in items(space.raw.get("nft"))]
    for raw in (mapping(each["chain"]) for each in objects if "chain" in each):
        family, table, name = (text(raw.get(key), 64) for key in ("family", "table", "name"))
        policy, hook, priority = text(raw.get("policy"), 16), text(raw.get("hook"), 32), raw.get("prio")
        chain = family and table and name and kept.add(
            f"chain:{host}/{number}/{family}/{table}/{name}", "chain", name, host, space=space.thing["id"], family=family, table=table, policy=policy.upper(), hook=hook,
            priority=priority if type(priority) is int and abs(priority) < 2**31 else None, rules=[], owner=_owner(table),
        )  # fmt: skip
        if chain:
            chains[family, table, name] = chain
    for raw in (mapping(each["rule"]) for each in objects if "rule" in each):
        chain = chains.get((text(raw.get("family"), 64), text(raw.get("table"), 64), text(raw.get("chain"), 64)))
        if chain is None:
            kept.missed("rules")
        else:
            _rule(kept, host, number, chain, raw)


def _owner(table: str) -> str:
    return "podman" if table == "netavark" else "docker" if table.startswith("docker") else "student"


def _rule(kept: Kept, host: str, number: str, chain: Thing, raw: dict) -> None:
    words: list[str] = []
    match: dict[str, str] = {}
    action = target = to = ""
    for each in items(raw.get("expr"))[:MOST_WIDE]:
        key, value = next(iter(mapping(each).items()), ("", None))
        if key == "counter":
            continue
        words.append(_statement(key, value))
        if key == "match":
            _match(mapping(value), match)
        elif key in ("jump", "goto"):
            action, target = "jump", text(mapping(value).get("target"), 64)
        elif key in ENDS:
            action = target = ENDS[key]
            to = _to(mapping(value)) if key in ("dnat", "snat", "redirect") else ""
    if comment := text(raw.get("comment")):
        match["comment"] = comment
        words.append(f'comment "{comment}"')
    said = " ".join(word for word in words if word)
    id = kept.twin(f"rule:{host}/{number}/{chain['family']}/{chain['table']}/{chain['name']}/{digest(said)}")
    thing = kept.add(
        id, "rule", text(f"{chain['name']} {target}".strip(), 64), host, space=chain["space"], family=chain["family"], table=chain["table"], chain=chain["name"],
        text=text(said, RULE), action=action, target=target, match=match, to=to, owner=chain["owner"],
    )  # fmt: skip
    if thing:
        chain["rules"].append(id)


def _match(raw: dict, match: dict[str, str]) -> None:
    left = mapping(raw.get("left"))
    meta, payload, state = mapping(left.get("meta")), mapping(left.get("payload")), mapping(left.get("ct"))
    key = META.get(text(meta.get("key"))) or PAYLOAD.get(text(payload.get("field"))) or ("state" if state.get("key") == "state" else None)
    if key:
        match.setdefault(key, text(("!" if raw.get("op") == "!=" else "") + _value(raw.get("right")), 64))
    if key in ("dport", "sport") and (proto := text(payload.get("protocol"), 16)):
        match.setdefault("proto", proto)


def _to(raw: dict) -> str:
    address, port = _value(raw["addr"]) if "addr" in raw else "", _value(raw["port"]) if "port" in raw else ""
    return text(f"{address}:{port}" if port else address, 64)


def _statement(key: Any, value: Any) -> str:
    key = text(key, 32)
    raw = mapping(value)
    if key == "match":
        op = text(raw.get("op"), 4)
        return " ".join(part for part in (_value(raw.get("left")), "" if op in ("==", "in") else op, _value(raw.get("right"))) if part)
    if key in ("jump", "goto"):
        return f"{key} {text(raw.get('target'), 64)}"
    if key in ("dnat", "snat", "redirect"):
        family = text(raw.get("family"), 8)
        return " ".join(part for part in (key, family, "to" if _to(raw) else "", _to(raw) if "addr" in raw else f":{_to(raw).lstrip(':')}" if _to(raw) else "") if part)
    if value is None or value == {}:
        return key
    if key == "log":
        return f'log prefix "{text(raw.get("prefix"))}"' if "prefix" in raw else "log"
    if key == "limit":
        return text(f"limit rate {_value(raw.get('rate'))}/{text(raw.get('per'), 16)}")
    if key == "reject":
        return text(f"reject with {text(raw.get('type'), 16)} {_value(raw.get('expr'))}")
    if key == "vmap":
        return f"{_value(raw.get('key'))} vmap {_value(raw.get('data'))}"
    if key == "mangle":
        return f"{_value(raw.get('key'))} set {_value(raw.get('value'))}"
    return f"{key} {_value(value)}"


def _value(value: Any, deep: int = 0) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else "…"
    if deep >= MOST_DEEP:
        return "…"
    if isinstance(value, list):
        return ", ".join(_value(each, deep + 1) for each in value[:MOST_WIDE])
    key, inner = next(iter(mapping(value).items()), ("", None))
    if key == "meta":
        of = text(mapping(inner).get("key"), 32)
        return of if of in META else f"meta {of}"
    if key == "payload":
        return f"{text(mapping(inner).get('protocol'), 16)} {text(mapping(inner).get('field'), 32)}".strip()
    if key == "ct":
        return f"ct {text(mapping(inner).get('key'), 32)}"
    if key == "fib":
        flags = [text(flag, 16) for flag in items(mapping(inner).get("flags"))[:8]]
        return f"fib {' . '.join(flags)} {text(mapping(inner).get('result'), 16)}"
    if key in OPERATORS and isinstance(inner, list):
        return f" {key} ".join(_value(each, deep + 1) for each in inner[:4])
    if key == "prefix":
        return f"{_value(mapping(inner).get('addr'), deep + 1)}/{_value(mapping(inner).get('len'), deep + 1)}"
    if key == "range" and isinstance(inner, list):
        return "-".join(_value(each, deep + 1) for each in inner[:2])
    if key == "set":
        return "{ " + _value(inner, deep + 1) + " }" if isinstance(inner, list) else _value(inner, deep + 1)
    return _json(value)


def _json(value: Any) -> str:
    try:
        return text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, RecursionError):
        return "…"
