"""Rules of packet filters, as their own programs say them, without what counts. Pure; must not know namespaces."""
import re

from .bounded import MOST_DEPTH, Texts, dumps, small

OURS = "patchbay"
IPTABLES = frozenset(("filter", "nat", "mangle", "raw", "security"))
WORD = re.compile(r"[A-Za-z_.][A-Za-z0-9_./\\-]*", re.ASCII)
NUMBERS = ("handle", "packets", "bytes", "used", "expires")


def ours(table: str) -> bool:
    """The lab's own, which follows packets: it is there for a moment, and is nobody's to see."""
    return table.startswith(OURS)


def is_word(table: str) -> bool:
    """Whether nft reads the name as one word. The kernel takes any, and nft reads its arguments as commands: what follows a `;` would be one."""
    return WORD.fullmatch(table) is not None


def may_be_iptables(family: str, table: str) -> bool:
    """Whether this is a table that iptables works on. One of `nft` may have the same name: then iptables-save leaves it out."""
    return family in ("ip", "ip6") and table in IPTABLES


def saved(text: str, room: int) -> tuple[str, int]:
    """What iptables-save printed, and how many lines had no room."""
    texts = Texts(room)
    for line in text.splitlines():
        if line.startswith(":"):
            line = line.partition(" [")[0]
        if line and not line.startswith("#"):
            texts.add(line, len(dumps(line)))
    return "\n".join(texts.kept), texts.left_out


def tables_in(text: str) -> set[str]:
    return {line[1:] for line in text.splitlines() if line.startswith("*")}


def listed(objects: list[object], room: int) -> tuple[str, int]:
    """What `nft -j list table …` printed below "nftables", of one table or of several."""
    texts = Texts(room)
    for object in objects:
        if isinstance(object, dict) and "metainfo" not in object:
            texts.add(dumps(small(_without_numbers(object, MOST_DEPTH * 2), MOST_DEPTH * 2)))
    return texts.array(), texts.left_out


def _without_numbers(value: object, depth: int) -> object:
    """What counts is different each time, although nobody changed it."""
    if isinstance(value, list) and depth:
        return [_without_numbers(item, depth - 1) for item in value]
    if isinstance(value, dict) and depth:
        return {key: _without_numbers(item, depth - 1) for key, item in value.items() if key not in NUMBERS}
    return None if isinstance(value, (list, dict)) else value
