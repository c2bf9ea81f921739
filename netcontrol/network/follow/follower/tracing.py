"""Which rules a packet of ours hits, told by the kernel (what `nft monitor trace` prints), and what those rules say.

The table that asks for it belongs to one nft process: the kernel removes it when that process is gone, and nobody else can keep it.
"""
import contextlib
import os
import re
import select
import socket
import struct
import subprocess

from netcontrol.agent.observe.kernel import ADD_MEMBERSHIP, FAMILIES, NETLINK_NETFILTER, SOL_NETLINK, attributes, messages
from netcontrol.network.follow.follower.capture import IPV4, IPV6, RST, SYN, parsed

MOST_HITS = 500
TABLE = "patchbay_follow"
TRACE, TRACE_GROUP = 0xA11, 9
TYPES = {1: "policy", 2: "return", 3: "rule"}
VERDICTS = {0: "drop", 1: "accept", 3: "queue", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}

RULES = """
add table inet {table} {{ flags owner; }}
add chain inet {table} in {{ type filter hook prerouting priority -350; }}
add chain inet {table} out {{ type filter hook output priority -350; }}
{rules}
list table inet {table}
"""
MATCHES = {
    "icmp": ["icmp id {port}", "icmpv6 id {port}"],
    "tcp": ["tcp sport {port}", "tcp dport {port}"],
    "udp": ["udp sport {port}", "udp dport {port}"],
}


def text(data):
    return (data or b"").rstrip(b"\0").decode(errors="replace")


def number(data, form=">I"):
    return struct.unpack(form, data)[0] if data and len(data) == struct.calcsize(form) else 0


class Trace:
    """Made in the namespace that one is in. `ready` once nft has its table there."""

    def __init__(self, space, protocol, port):
        self.space, self.hits, self.left_out = space, [], 0
        self.wanted: dict = {}
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.sock.bind((0, 0))
        self.sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, TRACE_GROUP)
        self.fileno = self.sock.fileno
        rules = [f"add rule inet {TABLE} {chain} {match.format(port=port)} meta nftrace set 1" for chain in ("in", "out") for match in MATCHES[protocol]]
        self.nft = subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            os.write(self.nft.stdin.fileno(), RULES.format(table=TABLE, rules="\n".join(rules)).encode())  # type: ignore[union-attr]
        except OSError:
            pass  # it has ended: said by ready

    def ready(self, seconds):
        """Whether the table is there: nft lists it once it has made it."""
        out = self.nft.stdout.fileno()  # type: ignore[union-attr]
        return bool(select.select([out], [], [], seconds)[0]) and b"table inet" in os.read(out, 4096)[:80]

    def read(self):
        """True when ours was dropped."""
        before = len(self.hits)
        for _ in range(200):
            try:
                data = self.sock.recv(65536)
            except OSError:
                break
            for kind, body in messages(data):
                if kind == TRACE:
                    self.keep(attributes(body, 4))
        return any((hit["policy"] if hit["type"] == "policy" else hit["verdict"]) == "drop" for hit in self.hits[before:])

    def keep(self, found):
        """An event of one of our packets in one chain after the other: only the first has the packet, which later ones belong to by its number."""
        number_of, header = number(found.get(6)), None
        if found.get(8):
            with contextlib.suppress(struct.error, IndexError, OSError):
                header = parsed(found[8] + found.get(9, b""), {4: IPV4, 6: IPV6}.get(found[8][0] >> 4, 0), b"\0never\0")
            self.wanted[number_of] = header is not None and (header["type"] != "tcp" or bool(header.get("flags", 0) & (SYN | RST)))
        table, kind, handle = text(found.get(1)), TYPES.get(number(found.get(4)), ""), number(found.get(3), ">Q")
        if not self.wanted.get(number_of) or table == TABLE or (kind == "rule" and not handle and header is None):
            return  # without a handle: a chain came to its end
        if len(self.hits) >= MOST_HITS:
            self.left_out += 1
            return
        verdict = attributes(found.get(5, b""), 0)
        code = number(verdict.get(1), ">i")
        self.hits.append({
            "space": self.space, "id": number_of, "family": FAMILIES.get(number(found.get(15)), ""), "table": table, "chain": text(found.get(2)), "type": kind, "handle": handle,
            "verdict": VERDICTS.get(code if code < 0 else code & 0xFF, ""), "to": text(verdict.get(2)), "policy": VERDICTS.get(number(found.get(16)) & 0xFF, "") if 16 in found else "",
            "iif": number(found.get(10)), "oif": number(found.get(12)), "packet": header,
        })  # fmt: skip

    def close(self):
        self.nft.kill()
        self.nft.wait()
        self.sock.close()


# What the rules say


def output(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, timeout=2, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 1, ""
    return done.returncode, (done.stdout[: 2 << 20] if done.returncode == 0 else done.stderr[:500]).decode(errors="replace")


def listed(ruleset):
    """{(family, table, chain, handle): (its place in the chain, its text as nft writes it)}"""
    found, table, chain, n = {}, ("", ""), "", 0
    for line in ruleset.splitlines():
        if words := re.match(r"table (\w+) (\S+) \{", line):
            table = words[1], words[2]
        elif words := re.match(r"\tchain (\S+) \{", line):
            chain, n = words[1], 0
        elif line == "\t}":
            chain = ""
        elif chain and (words := re.match(r"\t\t(.*) # handle (\d+)$", line)):
            found[(*table, chain, int(words[2]))] = (n, words[1])
            n += 1
    return found


def saved(rules):
    """{(table, chain): [rule as iptables writes it, in order]}"""
    found: dict = {}
    table = ""
    for line in rules.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            found.setdefault((table, line.split(None, 2)[1]), []).append(line)
    return found


def told(hits):
    """Put place and text to each rule that was hit. In the namespace of the hits."""
    by_handle = listed(output("nft", "-a", "-s", "list", "ruleset")[1])
    size: dict = {}
    for family, table, chain, _handle in by_handle:
        size[family, table, chain] = size.get((family, table, chain), 0) + 1
    by_place = {}
    for family, program in (("ip", "iptables-save"), ("ip6", "ip6tables-save")):
        if any(hit["family"] == family for hit in hits):
            by_place[family] = saved(output(program)[1])
    for hit in hits:
        for family in (hit["family"], "inet"):  # the kernel tells the packet's family
            found = by_handle.get((family, hit["table"], hit["chain"], hit["handle"]))
            if found:
                break
        if hit["type"] != "rule" or found is None:
            continue
        hit["n"], hit["text"] = found[0], found[1][:300]
        rules = by_place.get(family, {}).get((hit["table"], hit["chain"]), [])
        if len(rules) == size[family, hit["table"], hit["chain"]]:
            hit["text"] = rules[found[0]][:300]
