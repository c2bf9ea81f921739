"""Rules of address translation, read from `iptables-save -t nat` and `nft -j list ruleset`. What cannot be read is left out.

Must not know: how they were got, what is wanted of them.
"""
import shlex
from dataclasses import dataclass
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import Any

DEEPEST = 8  # jumps that are followed


@dataclass(frozen=True)
class Rule:
    """One rule: where it stands, which packets it takes, and what it does with them."""

    table: str
    chain: str
    does: str = ""  # masquerade, dnat or jump; "" for what is of no interest here
    to: str = ""  # of dnat "172.17.0.2:8080", of jump the chain
    source: str = ""  # network, "" for any
    port: str = ""  # of the destination, "" for any
    only_some: bool = False  # it also asks for a destination, a protocol, a mark
    hook: bool = False  # its chain is where packets come by after routing


def from_iptables(text: str) -> list[Rule]:
    return [rule for line in text.splitlines() if line.startswith("-A ") and (rule := _iptables(line))]


def _iptables(line: str) -> Rule | None:
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    given, negated = {}, False
    for at, word in enumerate(words):
        if word.startswith("-") and not negated and at + 1 < len(words):
            given[word] = words[at + 1]
        negated = word == "!"
    chain, target = given.get("-A", ""), given.get("-j", given.get("-g", ""))
    does, to = {"MASQUERADE": ("masquerade", ""), "DNAT": ("dnat", given.get("--to-destination", ""))}.get(target, ("jump", target))
    only_some = "-d" in given or "-p" in given or given.get("-m", "comment") != "comment"
    return Rule("iptables", chain, does, to, given.get("-s", ""), given.get("--dport", ""), only_some, chain == "POSTROUTING")


def from_nft(ruleset: list[Any], six: bool) -> list[Rule]:
    """Only native rules: those of iptables stand there too, but nft does not say where they translate to."""
    hooks, rules = set(), []
    for entry in ruleset:
        match entry:
            case {"chain": {"family": str(family), "table": str(table), "name": str(name), "type": "nat", "hook": "postrouting"}}:
                hooks.add((f"{family} {table}", name))
            case {"rule": {"family": str(family), "table": str(table), "chain": str(chain), "expr": list(parts)}}:
                if family in ("inet", "ip6" if six else "ip"):
                    rules += _nft(f"{family} {table}", chain, parts)
    return [Rule(**{**vars(rule), "hook": (rule.table, rule.chain) in hooks}) for rule in rules]


def _nft(table: str, chain: str, parts: list[Any]) -> list[Rule]:
    """As many rules as it has sources: a set of them is written out."""
    sources, port, only_some, does, to = [""], "", False, "", ""
    for one in parts:
        match one:
            case {"match": {"op": "==", "left": {"payload": {"field": "saddr"}}, "right": right}}:
                sources = _networks(right)
            case {"match": {"op": "==", "left": {"payload": {"field": "dport"}}, "right": int(number)}}:
                port, only_some = str(number), True
            case {"match": {"left": {"meta": {"key": "oif" | "oifname"}}}} | {"match": {"op": "!="}}:
                pass
            case {"match": _}:
                only_some = True
            case {"masquerade": _}:
                does = "masquerade"
            case {"dnat": {"addr": str(address), **rest}}:
                does, to = "dnat", f"[{address}]" if ":" in address else address
                to += f":{rest['port']}" if isinstance(rest.get("port"), int) else ""
            case {"jump": {"target": str(target)}} | {"goto": {"target": str(target)}}:
                does, to = "jump", target
    return [Rule(table, chain, does, to, source, port, only_some) for source in sources]


def _networks(right: Any) -> list[str]:
    match right:
        case str(address):
            return [address]
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return [f"{address}/{length}"]
        case {"range": [str(first), str(last)]}:
            return _range(first, last)
        case {"set": list(some)}:
            return [network for one in some for network in _networks(one)]
    return []


def _range(first: str, last: str) -> list[str]:
    try:
        return [str(network) for network in summarize_address_range(ip_address(first), ip_address(last))]  # type: ignore[type-var]
    except (ValueError, TypeError):
        return []


def masqueraded(rules: list[Rule]) -> list[str]:
    """The networks whose packets get the host's own address on their way out; "" for every network."""
    found: list[str] = []

    def follow(rule: Rule, source: str, deep: int) -> None:
        if rule.only_some:
            return
        source = rule.source or source
        if rule.does == "masquerade":
            found.append(source)
        elif rule.does == "jump" and deep < DEEPEST:
            for other in rules:
                if (other.table, other.chain) == (rule.table, rule.to):
                    follow(other, source, deep + 1)

    for rule in rules:
        if rule.hook:
            follow(rule, "", 0)
    return found


def covers(source: str, network: str) -> bool:
    """Whether all of the network is in the source."""
    try:
        return not source or ip_network(network, strict=False).subnet_of(ip_network(source, strict=False))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
