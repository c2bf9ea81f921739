"""What `ip -j -d route show table all` says in each namespace, and the sockets that listen there. Must not know engines, rules.

Left out: what every interface has whether anybody asked or not (fe80::/64, ff00::/8, the kernel's own `unreachable default`).
"""
from typing import Any

from netcontrol.network.graph.kept import Kept
from netcontrol.network.graph.links import Link, Space
from netcontrol.network.graph.shape import items, mapping, number, text

TABLES = {"254": "main", "255": "local", "253": "default", "": "main"}
TYPES = {"": "unicast", "1": "unicast", "6": "blackhole", "7": "unreachable", "8": "prohibit", "9": "throw"}
NO_ROUTES = {"2", "3", "4", "5", "local", "broadcast", "anycast", "multicast"}
ALWAYS = {"fe80::/64", "ff00::/8"}


def routes(kept: Kept, host: str, spaces: dict[str, Space]) -> None:
    for number_of, space in spaces.items():
        for raw in items(space.raw.get("routes")):
            raw = mapping(raw)
            to, kind = text(raw.get("dst"), 64), _said(raw.get("type"))
            if not to:
                kept.missed("routes")
            elif kind not in NO_ROUTES and to not in ALWAYS and not (kind in ("7", "unreachable") and raw.get("dev") == "lo"):
                _route(kept, host, number_of, space, raw, to, TYPES.get(kind, kind))


def _route(kept: Kept, host: str, number_of: str, space: Space, raw: dict, to: str, kind: str) -> None:
    family = "ip6" if raw.get("family") == "ip6" else "ip"
    hops = [hop for each in items(raw.get("nexthops"))[:8] if (hop := _hop(space, mapping(each)))["via"] or hop["dev"]] or [_hop(space, raw)]
    via, dev = hops[0]["via"], hops[0]["dev"]
    table, metric = _said(raw.get("table")), number(raw.get("metric"))
    table = TABLES.get(table, table)
    index = dev.rpartition("/")[2] if dev else 0
    kept.add(
        kept.twin(f"route:{host}/{number_of}/{family}/{table}/{to}/{index}/{via or ''}/{'' if metric is None else metric}"), "route", to, host,
        space=space.thing["id"], family=family, to=to, via=via, dev=dev, table=table, metric=metric, source=text(raw.get("prefsrc"), 64) or None,
        type=kind, hops=hops if len(hops) > 1 else None,
    )  # fmt: skip


def _hop(space: Space, raw: dict) -> dict[str, str | None]:
    dev: Link | None = space.by_name.get(raw["dev"]) if isinstance(raw.get("dev"), str) else None
    via = text(raw.get("gateway"), 64) or text(mapping(raw.get("via")).get("host"), 64)
    return {"via": via or None, "dev": dev.thing["id"] if dev else None}


def _said(value: Any) -> str:
    """`ip` says some words as numbers when it is asked with -N."""
    return str(value) if type(value) is int and 0 <= value < 2**32 else text(value, 32)


def listeners(kept: Kept, host: str, spaces: dict[str, Space]) -> None:
    for number_of, space in spaces.items():
        for raw in items(space.raw.get("listen")):
            raw = mapping(raw)
            proto, port, address = raw.get("proto"), number(raw.get("port")), text(raw.get("address"), 64)
            if proto not in ("tcp", "udp") or not port or port > 65535 or not address:
                kept.missed("listeners")
                continue
            six = raw.get("family") == "ip6"
            if six and address == "*":
                address = "::"
            id = f"listen:{host}/{number_of}/{proto}/{f'[{address}]' if six else address}:{port}"
            if id not in kept.things:  # several processes may share one
                kept.add(id, "listener", f"{proto} {port}", host, space=space.thing["id"], proto=proto, address=address, port=port, program=text(raw.get("program"), 64))
