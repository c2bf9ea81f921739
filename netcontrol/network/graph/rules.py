"""Packet filter: what `iptables-save` prints, as chains and rules. Must not know engines; whose a rule is, is read from its own words.

A rule's id is made of its text, so a rule that only moves keeps it; order lives in the chain.
"""
import re
from collections.abc import Iterator
from typing import Any

from netcontrol.network.graph import nft
from netcontrol.network.graph.kept import Kept, Thing, digest
from netcontrol.network.graph.links import Space
from netcontrol.network.graph.shape import RULE, text

HOOKS = {"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output", "POSTROUTING": "postrouting"}
PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
FIELDS = {
    "-p": "proto", "-s": "src", "-d": "dst", "-i": "in", "-o": "out", "--dport": "dport", "--dports": "dport", "--sport": "sport", "--sports": "sport",
    "--ctstate": "state", "--state": "state", "--dst-type": "dst_type", "--src-type": "src_type", "--icmp-type": "icmp", "--icmpv6-type": "icmp", "--mark": "mark", "--mac-source": "mac",
}  # fmt: skip
TARGETS = {"--to-destination", "--to-source", "--to-ports", "--to"}
VERDICTS = {"ACCEPT", "DROP", "RETURN", "QUEUE"}
MOST_LINE, MOST_WORDS = 4096, 128
_DOCKER_RAIL = re.compile(r"br-[0-9a-f]{12}")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


def rules(kept: Kept, host: str, spaces: dict[str, Space], rails: dict[str, str]) -> None:
    """`rails`: bridges of the root namespace that an engine made: name → "docker" or "podman"."""
    for number, space in spaces.items():
        own = rails if space.thing["root"] else {}
        for family, key in (("ip", "iptables"), ("ip6", "ip6tables")):
            _Saved(kept, host, number, space, family, own).read(space.raw.get(key))
        nft.rules(kept, host, number, space)


class _Saved:
    """One output of iptables-save."""

    def __init__(self, kept: Kept, host: str, number: str, space: Space, family: str, rails: dict[str, str]):
        self.kept, self.host, self.space, self.family, self.rails = kept, host, space, family, rails
        self.where = f"{host}/{number}/{family}"
        self.chains: dict[tuple[str, str], Thing | None] = {}
        self.rules: list[Thing] = []
        self.table = ""

    def read(self, saved: Any) -> None:
        for line in _lines(saved):
            if line.startswith("*"):
                self.table = text(line[1:], 32)
            elif line.startswith(":") and self.table:
                name, _, rest = line[1:].partition(" ")
                self._chain(text(name, 64), text(rest.partition(" ")[0], 16))
            elif line.startswith("-A ") and self.table:
                self._rule(line)
        named = {_plain(rule["match"].get(side, "")) for rule in self.rules if chain_owner(rule["chain"]) == "docker" and rule["chain"] != "DOCKER-USER" for side in ("in", "out")}
        self.rails = {**dict.fromkeys(named - {""}, "docker"), **self.rails}
        for rule in self.rules:
            rule["owner"] = self._owner(rule)

    def _chain(self, name: str, policy: str) -> None:
        built_in = policy not in ("-", "")
        self.chains[self.table, name] = (name and self.kept.add(
            f"chain:{self.where}/{self.table}/{name}", "chain", name, self.host,
            space=self.space.thing["id"], family=self.family, table=self.table, policy=policy if built_in else "",
            hook=HOOKS.get(name, "") if built_in else "", priority=_priority(self.table, name) if built_in else None, rules=[],
            owner="system" if built_in else chain_owner(name),
        )) or None  # fmt: skip

    def _rule(self, line: str) -> None:
        words = _words(line)
        chain = self.chains.get((self.table, text(words[1], 64))) if len(words) > 1 else None
        if chain is None:
            self.kept.missed("rules")
            return
        match, target, to, jump = _read(words[2:])
        action = "jump" if jump else target
        id = self.kept.twin(f"rule:{self.where}/{self.table}/{chain['name']}/{digest(line)}")
        thing = self.kept.add(
            id, "rule", text(f"{chain['name']} {target}", 64), self.host,
            space=self.space.thing["id"], family=self.family, table=self.table, chain=chain["name"], text=text(line, RULE),
            action=action, target=target, match=match, to=to, owner="",
        )  # fmt: skip
        if thing:
            chain["rules"].append(id)
            self.rules.append(thing)

    def _owner(self, rule: Thing) -> str:
        """Docker writes into its own chains, and into the built-in ones only what names its chains, its bridges or one container twice."""
        chain, match, target = rule["chain"], rule["match"], rule["target"]
        if chain == "DOCKER-USER":
            return "docker" if not match and target == "RETURN" else "student"
        for named in (chain, target):
            if (owner := chain_owner(named)) != "student":
                return owner
        rails = [whose for side in ("in", "out") if (whose := self._rail(_plain(match.get(side, ""))))]
        plain = set(match) <= {"in", "out", "state", "src"} and target in ("ACCEPT", "DROP", "MASQUERADE")
        if rails and plain and ((rule["table"], chain) == ("filter", "FORWARD") or ((rule["table"], chain, target) == ("nat", "POSTROUTING", "MASQUERADE") and "src" in match)):
            return rails[0]
        hairpin = (rule["table"], chain, target) == ("nat", "POSTROUTING", "MASQUERADE") and "src" in match and match["src"] == match.get("dst") and "dport" in match
        return "docker" if hairpin else "student"

    def _rail(self, name: str) -> str:
        """Which engine made a bridge. Docker's are known by their names too, and by what its chains say of them: it may not run, or be just at it."""
        return self.rails.get(name) or ("docker" if name == "docker0" or _DOCKER_RAIL.fullmatch(name) else "")


def chain_owner(name: str) -> str:
    """Whose chain this is, by the names that the engines give theirs."""
    if name == "DOCKER" or name.startswith(("DOCKER-", "DOCKER_")):
        return "docker"
    return "podman" if name.startswith(("NETAVARK", "CNI-")) else "student"


def _plain(name: str) -> str:
    return name.removeprefix("!")


def _lines(saved: Any) -> Iterator[str]:
    if isinstance(saved, str):
        for line in saved.split("\n"):
            yield re.sub(r" \[\d+:\d+\]$", "", line[:MOST_LINE]) if line.startswith(":") else line[:MOST_LINE]


def _words(line: str) -> list[str]:
    """Split at blanks; what iptables-save puts into quotes, mostly a comment, is one word."""
    if '"' not in line:
        return line.split(None, MOST_WORDS)[:MOST_WORDS]
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in _WORD.findall(line)[:MOST_WORDS]]


def _read(words: list[str]) -> tuple[dict[str, str], str, str, bool]:
    """What it wants of a packet, its target, where that sends it, and whether the target is a chain."""
    match: dict[str, str] = {}
    target, to, sure = "", "", iter(range(len(words)))
    for at in sure:
        word = words[at]
        after = text(words[at + 1], 64) if at + 1 < len(words) else ""
        if word in ("-j", "-g"):
            target = after
        elif word in TARGETS:
            to = after
        elif word == "--comment":
            match["comment"] = after
        elif word in FIELDS:
            match.setdefault(FIELDS[word], ("!" if at and words[at - 1] == "!" else "") + after)
        else:
            continue
        next(sure, None)  # its value is no word of its own
    return match, target, to, bool(target) and target not in VERDICTS and not _is_target(target)


def _is_target(target: str) -> bool:
    """Extensions, unlike chains, are known by name."""
    return target in {
        "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "REJECT", "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "TCPMSS", "TTL", "HL", "TOS", "DSCP", "NFQUEUE",
        "NOTRACK", "TRACE", "SET", "CHECKSUM", "CLASSIFY", "TPROXY", "AUDIT", "SECMARK", "CONNSECMARK", "ECN", "TEE", "SYNPROXY",
    }  # fmt: skip


def _priority(table: str, chain: str) -> int | None:
    if table == "nat":
        return {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}.get(chain)
    return PRIORITIES.get(table)
