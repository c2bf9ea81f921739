"""What the rules of a namespace would do with a packet, as the graph has them. Pure; must not know ways, sentences.

It says when it cannot tell: a rule that might match, and whose words are not all understood here, ends the guess.
"""
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from netcontrol.network.atlas import Atlas, bare

MOST_DEEP, MOST_RULES = 8, 2000
MOST_LOOKED = 100_000  # rules, routes, interfaces, for one question
ON = frozenset(("ACCEPT", "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "TCPMSS", "TTL", "TOS", "DSCP", "CHECKSUM", "TRACE", "CONTINUE", ""))  # it goes on behind these
MODULES = frozenset(("tcp", "udp", "icmp", "icmp6", "ipv6-icmp", "conntrack", "state", "addrtype", "comment", "multiport"))
ODD = re.compile(r"--tcp-flags|--syn|--limit|--string|--uid|@|\bvmap\b|\blimit\b|\bfib\b|\bnumgen\b|\bquota\b|\bsocket\b|\bflags\b|\bether\b|\bskuid\b|…")
TO = re.compile(r"(?:\[([0-9a-f:]+)\]|([0-9.]+|[0-9a-f:]+))(?::([0-9]{1,5}))?")  # behind an address of IPv6 a port only when that is in brackets
ECHO = ("8", "echo-request", "128", "any", "255")


class TooMuch(Exception):
    """A graph that somebody made up may have no end of rules on ways that go round: others' keys wait for this thread."""


class Effort:
    def __init__(self, most: int = MOST_LOOKED):
        self.left = most

    def spend(self, looked: int = 1) -> None:
        """Raises TooMuch."""
        self.left -= looked
        if self.left < 0:
            raise TooMuch


@dataclass(frozen=True)
class Packet:
    """`into` and `out`: the names of the interfaces that it comes by and leaves by."""

    src: str
    dst: str
    proto: str  # "icmp" or "tcp"
    port: int = 0
    sport: int = 0
    state: Literal["NEW", "ESTABLISHED"] = "NEW"
    into: str = ""
    out: str = ""

    @property
    def family(self) -> str:
        return "ip6" if ":" in self.dst else "ip"


@dataclass(frozen=True)
class Fate:
    """`thing`: the rule or the chain's policy that decided. `packet` is as it is afterwards."""

    what: Literal["on", "dropped", "rejected", "unsure"]
    packet: Packet
    thing: str | None = None
    nat: str | None = None  # the rule that rewrote it


class Filter:
    def __init__(self, atlas: Atlas, effort: Effort):
        self.atlas, self.effort = atlas, effort
        self.chains: dict[str, list[dict[str, Any]]] = {}
        for chain in atlas.of_kind("chain"):
            if chain["hook"]:
                self.chains.setdefault(chain["space"], []).append(chain)

    def at(self, space: str, hook: str, packet: Packet, local: frozenset[str]) -> Fate:
        """Through all chains of a hook; `local`: the addresses of this namespace. NAT is done once, for what is new."""
        nat = None
        chains = [c for c in self.chains.get(space, []) if c["hook"] == hook and c["family"] in (packet.family, "inet")]
        if chains and "rules" in self.atlas.left_out:
            return Fate("unsure", packet)
        for chain in sorted(chains, key=lambda c: c["priority"] if isinstance(c["priority"], int) else 0):
            is_nat = chain["table"] == "nat" or chain["name"].lower().startswith("nat")
            if is_nat and (packet.state != "NEW" or nat):
                continue
            one = _Run(self, space, local).chain(chain, packet, 0)
            if one is None:
                if chain["policy"].upper() == "DROP":
                    return Fate("dropped", packet, chain["id"])
            elif one.what != "on":
                return replace(one, nat=nat)
            else:
                packet, nat = one.packet, one.nat or nat
        return Fate("on", packet, None, nat)


class _Run:
    def __init__(self, filter: Filter, space: str, local: frozenset[str]):
        self.atlas, self.effort, self.space, self.local, self.left = filter.atlas, filter.effort, space, local, MOST_RULES

    def chain(self, chain: dict[str, Any], packet: Packet, deep: int) -> Fate | None:
        """None: nothing in it decided."""
        for id in chain["rules"]:
            self.effort.spend()
            self.left -= 1
            rule = self.atlas.thing(id)
            if self.left < 0 or not rule:
                return Fate("unsure", packet, id)
            fits = self.fits(rule, packet)
            if fits is False:
                continue
            action = rule["action"]
            if fits is None:
                if action in ON and action != "ACCEPT":
                    continue
                return Fate("unsure", packet, id)
            if action == "RETURN":
                return None
            fate = self.done(rule, packet, deep)
            if fate is not None:
                return fate
        return None

    def done(self, rule: dict[str, Any], packet: Packet, deep: int) -> Fate | None:
        action, id = rule["action"], rule["id"]
        if action == "ACCEPT":
            return Fate("on", packet, id)
        if action in ("DROP", "REJECT"):
            return Fate("dropped" if action == "DROP" else "rejected", packet, id)
        if action == "jump":
            called = self.atlas.chain(self.space, rule["family"], rule["table"], rule["target"])
            if not called or deep > MOST_DEEP or " -g " in rule["text"]:
                return Fate("unsure", packet, id)
            return self.chain(called, packet, deep + 1)
        if action in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT"):
            return self.rewritten(rule, packet)
        return None if action in ON else Fate("unsure", packet, id)

    def rewritten(self, rule: dict[str, Any], packet: Packet) -> Fate:
        id, action = rule["id"], rule["action"]
        if action == "MASQUERADE":
            return Fate("on", replace(packet, src="masquerade"), id, id)
        if action == "REDIRECT":
            return Fate("unsure", packet, id)
        found = TO.fullmatch(rule["to"])
        if not found or not _address(address := found[1] or found[2]):
            return Fate("unsure", packet, id)
        if action == "SNAT":
            return Fate("on", replace(packet, src=address), id, id)
        return Fate("on", replace(packet, dst=address, port=int(found[3] or packet.port)), id, id)

    def fits(self, rule: dict[str, Any], packet: Packet) -> bool | None:
        sure: bool | None = True
        for key, wanted in rule["match"].items():
            one = self.field(key, wanted.removeprefix("!").strip(), packet)
            if one is not None and wanted.startswith("!"):
                one = not one
            if one is False:
                return False
            sure = None if one is None else sure
        return sure if sure is None or _understood(rule["text"]) else None

    def field(self, key: str, wanted: str, packet: Packet) -> bool | None:
        match key:
            case "comment":
                return True
            case "proto":
                known = {"icmp": ("icmp", "ipv6-icmp", "icmpv6", "1", "58"), "tcp": ("tcp", "6")}[packet.proto]
                return any(word in (*known, "all") for word in _words(wanted))
            case "src" | "dst":
                address = packet.src if key == "src" else packet.dst
                return None if not _address(address) else _any(_inside(address, net) for net in _words(wanted))
            case "in" | "out":
                name = packet.into if key == "in" else packet.out
                return any(name == one.strip('"') or (one.strip('"').endswith(("+", "*")) and name.startswith(one.strip('"')[:-1])) for one in _words(wanted))
            case "dport" | "sport":
                port = packet.port if key == "dport" else packet.sport
                return packet.proto == "tcp" and (_any(_in_range(port, one) for one in _words(wanted)) if port else None)
            case "state":
                return any(word.upper() == packet.state for word in _words(wanted))
            case "dst_type":
                return packet.dst in self.local or packet.dst.startswith("127.") if wanted.upper() == "LOCAL" else None
            case "icmp":
                return packet.proto == "icmp" and packet.state == "NEW" and wanted in ECHO
        return None


@lru_cache(4096)
def _understood(text: str) -> bool:
    """Whether all that it asks of a packet is among the fields that were read."""
    return not ODD.search(text) and all(module in MODULES for module in re.findall(r" -m (\S+)", text))


def _words(wanted: str) -> list[str]:
    return [word for word in re.split(r"[,\s{}]+", wanted) if word]


def _any(found: Iterator[bool | None]) -> bool | None:
    all_ = list(found)
    return True if True in all_ else None if None in all_ else False


def _inside(address: str, net: str) -> bool | None:
    try:
        return ipaddress.ip_address(address) in network(net)
    except ValueError:
        return None


@lru_cache(4096)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def _in_range(port: int, wanted: str) -> bool | None:
    low, dash, high = wanted.replace(":", "-").partition("-")
    if not (low or "0").isdecimal() or not (high or "0").isdecimal():
        return None
    return int(low or 0) <= port <= int(high or 65535) if dash else port == int(low)


def _address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(bare(text)))
    except ValueError:
        return False
