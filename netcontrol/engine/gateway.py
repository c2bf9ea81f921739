"""The way out, when the operator opens one: a router in a network namespace of its own, between the wires and the machine's network.

    host eth0 ── wire ── w5 [ gateway ] uplink ── pbXXXX-up [ the machine, or the namespace EGRESS_UPLINK ] ── …

What is not listed does not pass, over IPv4 nor IPv6; nor does anything from wire to wire, to the gateway itself, to the machine's own
addresses, or with another sender than the wire's own. Both sides hold: the table `patchbay` in the gateway, out of any student's reach,
and `patchbay_XXXX` in the machine, which lets nothing of the gateway to the machine itself. The machine becomes a router for
this one neighbour only. Without a list nothing of this exists. Must not know Docker, nor sandboxes.
"""
import fcntl
import hashlib
import ipaddress
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from netcontrol.egress import NEVER, PRIVATE, Destination
from netcontrol.engine.errors import EngineError, run
from netcontrol.engine.wire import GATEWAY, Wires, namespaces

# What one wire may ask for, so that one student can neither use up the uplink nor the machine's table of connections.
CONNECTIONS = 256
NEW_A_SECOND = 50
MBYTES_A_SECOND = 4

SYSCTLS = """\
net/ipv4/conf/all/rp_filter=1
net/ipv4/conf/default/rp_filter=1
net/ipv4/conf/all/arp_ignore=1
net/ipv4/conf/all/accept_redirects=0
net/ipv4/conf/default/accept_redirects=0
net/ipv4/conf/all/send_redirects=0
net/ipv4/conf/default/send_redirects=0
net/ipv6/conf/all/accept_ra=0
net/ipv6/conf/default/accept_ra=0
net/ipv6/conf/all/accept_redirects=0
net/ipv6/conf/default/accept_redirects=0
net/ipv6/conf/default/addr_gen_mode=1
net/netfilter/nf_conntrack_tcp_timeout_established=3600
"""
FORWARDING = "net/ipv4/ip_forward=1\nnet/ipv6/conf/all/forwarding=1\n"  # only when the rules stand
NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"  # IPv6's ARP


@dataclass(frozen=True)
class Gateway:
    wires: Wires
    allowed: list[Destination]
    record: Path  # a file of ours: what was made, until the machine restarts
    uplink: str = ""  # the network namespace that the way out leads through; empty: the machine's own

    @property
    def name(self) -> str:
        return f"{self.wires.prefix}gateway"

    @property
    def port(self) -> str:
        """The interface in the machine that leads to the gateway."""
        return f"{self.wires.prefix}up"

    @property
    def table(self) -> str:
        """Ours in the machine; another lab there has its own."""
        return f"patchbay_{self.wires.prefix[2:-1]}"

    def lets_out(self, version: int) -> bool:
        return any(entry.network.version == version for entry in self.allowed)

    def environment(self) -> dict[str, str]:
        """For the first program of a host: the name servers that it may ask."""
        servers = [entry.name_server for entry in self.allowed if entry.name_server]
        return {"PATCHBAY_NAME_SERVERS": " ".join(servers)} if servers else {}

    # The gateway as a whole

    def settle(self) -> bool:
        """Make the gateway be as the list says, or not be at all when there is none. True when something had to be done."""
        if not self.allowed:
            return self.remove()
        with self._alone():
            opened, made = set(self._recorded().get("opened", ())), not self._stands()
            if made:
                self._make()
            devices = self._devices()
            opened = set() if self._forwards("all") else opened | {device for device in devices if not self._forwards(device)}
            script = [self.rules(), self.machine_rules(opened)]
            if not made and not self._differs(script) and all(map(self._forwards, devices)):
                return False
            self._outside("nft", "-f", "-", stdin=script[1])  # the machine closes before the gateway opens
            self._inside("nft", "-f", "-", stdin=script[0])
            self._sysctl(self.name, FORWARDING)
            self._write({"opened": sorted(opened), "script": _digest(script), "is": self._listing()})
            for device in devices:
                self._sysctl(self.uplink, f"net/ipv4/conf/{device}/forwarding=1\n")
            for number in self.wires.existing() if made else ():
                self._join(number)
        return True

    def remove(self) -> bool:
        """Remove all of it, and leave the machine's forwarding as it was. False when there was nothing."""
        if not self.record.exists() and self.name not in namespaces():
            return False
        with self._alone():
            if not self.uplink or self.uplink in namespaces():
                for device in () if self._forwards("all") else self._recorded().get("opened", ()):
                    self._sysctl(self.uplink, f"net/ipv4/conf/{device}/forwarding=0\n")
                self._unmake()
                self._outside("nft", "-f", "-", stdin=f"table inet {self.table}\ndelete table inet {self.table}\n")
            elif self.name in namespaces():
                run("ip", "netns", "del", self.name)
            self.record.unlink(missing_ok=True)
        return True

    def faults(self) -> list[tuple[str, str]]:
        """What is not as it should be, and what mends it."""
        if not self.allowed:
            return [("Hosts are not let out, but the gateway of an earlier setting is there.", "./lab down && ./lab up --detach")] if self.name in namespaces() else []
        found = []
        opened = set(self._recorded().get("opened", ()))
        if not self._stands() or self._differs([self.rules(), self.machine_rules(opened)]) or not all(map(self._forwards, self._devices())):
            found.append(("The way out of the hosts (PATCHBAY_EGRESS) is not as it was made: something changed the machine's packet filter or forwarding.", "It is made anew within a minute; if not: ./lab down && ./lab up --detach"))
        if self.lets_out(6) and self._outside("cat", "/proc/sys/net/ipv6/conf/all/forwarding").strip() == "0":
            found.append(("PATCHBAY_EGRESS lists IPv6, but this machine does not forward it.", "sysctl -w net.ipv6.conf.all.forwarding=1 (and net.ipv6.conf.all.accept_ra=2 where the machine's own route comes from its router)"))
        return found

    # One wire, one host

    def join(self, number: int) -> None:
        """Lay the cable from this wire to the gateway, if hosts are let out."""
        if self.allowed:
            with self._alone():
                self._join(number)

    def lead(self, number: int, pid: int, address: str) -> None:
        """Tell the host with this first process and address on the wire that the gateway is its way out, if hosts are let out."""
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
        if self.lets_out(4):
            run(*inside, "ip", "route", "add", "default", "via", self.wires.address(number, GATEWAY))
        if self.lets_out(6):
            host = int(ipaddress.ip_address(address)) % 16 - 2
            run(*inside, "sh", "-c", "for link in lo eth0; do echo 0 > /proc/sys/net/ipv6/conf/$link/disable_ipv6; done")
            run(*inside, "ip", "-batch", "-", stdin=f"addr add {self.wires.address6(number, host)}/124 dev eth0 nodad\nroute add default via {self.wires.address6(number, GATEWAY)} dev eth0\n")

    def _join(self, number: int) -> None:
        end = f"w{number}"
        if f"{end}@" in run("ip", "-n", self.name, "-br", "link"):  # of an earlier wire of this number
            with suppress(EngineError):  # it goes just now, with the other end
                run("ip", "-n", self.name, "link", "del", end)
        address = self.wires.address(number, GATEWAY)
        self.wires.cable(number, "_gateway", address, end, self.name)
        six = f"addr add {self.wires.address6(number, GATEWAY)}/124 dev {end} nodad\n" if self.lets_out(6) else ""
        run("ip", "-n", self.name, "-batch", "-", stdin=f"addr add {address}/28 dev {end}\n{six}link set {end} up\n")

    # Parts

    def _ends(self, version: int) -> tuple[str, str]:
        """The addresses of the cable to the machine: the gateway's end and the machine's. They are what would be the last wire."""
        address = self.wires.address if version == 4 else self.wires.address6
        return address(self.wires.count, 0), address(self.wires.count, GATEWAY)

    def _stands(self) -> bool:
        """Whether its namespace and its cable are there, and were made to the end."""
        return self.record.exists() and self.name in namespaces() and f"{self.port}@" in self._outside("ip", "-br", "link")

    def _make(self) -> None:
        (mine, theirs), (mine6, theirs6) = self._ends(4), self._ends(6)
        self._unmake()
        if f" {theirs}/30 " in self._outside("ip", "-o", "addr"):
            raise EngineError("egress_wires", f"{theirs} is another interface's on this machine, perhaps of another lab that lets its hosts out.", "Give each lab wires of its own: PATCHBAY_WIRES.")
        run("ip", "netns", "add", self.name)
        try:
            self._sysctl(self.name, SYSCTLS)
            run("ip", "-n", self.name, "link", "add", "uplink", "type", "veth", "peer", "name", self.port, "netns", self.uplink or str(os.getpid()))
            six = f"addr add {theirs6}/124 dev {self.port} nodad\n" if self.lets_out(6) else ""
            self._outside("ip", "-batch", "-", stdin=f"link set {self.port} addrgenmode none\naddr add {theirs}/30 dev {self.port}\n{six}link set {self.port} up\n")
            self._sysctl(self.uplink, f"net/ipv4/conf/{self.port}/forwarding=1\nnet/ipv4/conf/{self.port}/accept_redirects=0\nnet/ipv6/conf/{self.port}/accept_ra=0\n")
            six = f"addr add {mine6}/124 dev uplink nodad\nroute add default via {theirs6} dev uplink\n" if self.lets_out(6) else ""
            run("ip", "-n", self.name, "-batch", "-", stdin=f"link set uplink up\naddr add {mine}/30 dev uplink\nroute add default via {theirs} dev uplink\n{six}")
        except EngineError:
            self._unmake()
            raise

    def _unmake(self) -> None:
        if f"{self.port}@" in self._outside("ip", "-br", "link"):
            self._outside("ip", "link", "del", self.port)
        if self.name in namespaces():
            run("ip", "netns", "del", self.name)

    def rules(self) -> str:
        """The gateway's table. It is replaced in one step.

        Counts hang on the number of an interface, which is never given twice, and so do connections (`live`): the next
        sandbox on a wire has the addresses of the one before, and must not get what is still said to that one.
        """
        counted = "flags dynamic,timeout; timeout 1h; size 65535;"
        wires = (self.wires.pool, self.wires.pool6)
        granted = ["\n".join(f"    {match} goto granted" for entry in self.allowed if entry.private is private for match in _matches(entry)) for private in (True, False)]
        return f"""table inet patchbay
delete table inet patchbay
table inet patchbay {{
  {_set("never", (*NEVER, *wires))}
  {_set("private", PRIVATE)}
  {_set("machine", self._machine())}
  set outward {{ type iface_index; {counted} }}
  set inward {{ type iface_index; {counted} }}
  set begun {{ type iface_index; {counted} }}
  set open {{ type iface_index; flags dynamic; size 65535; }}
  set live {{ type iface_index . mark; {counted} }}
  chain arriving {{
    type filter hook prerouting priority raw; policy accept;
    iifname "w*" fib saddr . iif oif missing drop
  }}
  chain input {{
    type filter hook input priority filter; policy drop;
    {NEIGHBOURS}
  }}
  chain output {{
    type filter hook output priority filter; policy drop;
    {NEIGHBOURS}
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
    icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }} accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    iifname "w*" oifname "uplink" jump out
    iifname "uplink" oifname "w*" ct state established,related jump back
  }}
  chain out {{
    ct state invalid drop
    ip daddr @never4 goto refused
    ip6 daddr @never6 goto refused
    ip daddr @machine4 goto refused
    ip6 daddr @machine6 goto refused
{granted[0]}
    ip daddr @private4 goto refused
    ip6 daddr @private6 goto refused
{granted[1]}
    goto refused
  }}
  chain granted {{
    update @outward {{ iif limit rate over {MBYTES_A_SECOND} mbytes/second burst {MBYTES_A_SECOND} mbytes }} drop
    ct state new goto begin
    iif . ct mark @live update @live {{ iif . ct mark }} accept
    drop
  }}
  chain begin {{
    update @begun {{ iif limit rate over {NEW_A_SECOND}/second burst {4 * NEW_A_SECOND} packets }} drop
    add @open {{ iif ct count over {CONNECTIONS} }} drop
    ct mark set jhash iif mod 0x7fffffff
    update @live {{ iif . ct mark }} accept
  }}
  chain back {{
    update @inward {{ oif limit rate over {MBYTES_A_SECOND} mbytes/second burst {MBYTES_A_SECOND} mbytes }} drop
    oif . ct mark @live accept
    drop
  }}
  chain refused {{
    limit rate 100/second reject with icmpx admin-prohibited
    drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "uplink" masquerade
  }}
}}
"""

    def machine_rules(self, opened: Iterable[str]) -> str:
        """The machine's table. `opened` are the interfaces whose forwarding was off before: through them it stays a router for nobody else."""
        four, six = self._ends(4)[0], self._ends(6)[0]
        elements = f"elements = {{ {', '.join(json.dumps(device) for device in sorted(opened))} }};" if opened else ""
        return f"""table inet {self.table}
delete table inet {self.table}
table inet {self.table} {{
  set opened {{ type ifname; {elements} }}
  chain arriving {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "{self.port}" return
    {NEIGHBOURS}
    ip saddr != {four} drop
    ip6 saddr != {six} drop
    fib daddr type != unicast drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname != "{self.port}" return
    {NEIGHBOURS}
    drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname "{self.port}" oifname "{self.port}" drop
    iifname "{self.port}" accept
    oifname "{self.port}" ct state established,related accept
    oifname "{self.port}" drop
    iifname @opened drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {four} masquerade
    ip6 saddr {six} masquerade
  }}
}}
"""

    def _machine(self) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The machine's own addresses, and those of the namespace that the way out leads through."""
        said = [address for listing in {run("ip", "-j", "addr"), self._outside("ip", "-j", "addr")} for link in json.loads(listing) for address in link.get("addr_info", ())]
        return {ipaddress.ip_network(address["local"]) for address in said if address["family"] in ("inet", "inet6")}

    def _devices(self) -> set[str]:
        """The machine's interfaces that lead to what is listed, over IPv4."""
        asked = [("route", "show", "default")]
        for entry in self.allowed:
            if entry.network.version == 4 and entry.network.prefixlen:
                asked.append(("route", "get", str(entry.network[min(1, entry.network.num_addresses - 1)])))
        found = set()
        for words in asked:
            try:
                found |= {route["dev"] for route in json.loads(self._outside("ip", "-j", "-4", *words) or "[]") if "dev" in route}
            except EngineError:  # there is no route to that one now
                continue
        return found - {"lo", self.port}

    def _forwards(self, device: str) -> bool:
        return self._outside("cat", f"/proc/sys/net/ipv4/conf/{device}/forwarding").strip() == "1"

    def _differs(self, script: list[str]) -> bool:
        """Whether the tables are other ones than these, or not what the kernel said of them when they were made."""
        was = self._recorded()
        try:
            return was.get("script") != _digest(script) or was.get("is") != self._listing()
        except EngineError:  # a table is gone
            return True

    def _listing(self) -> str:
        terse = ("nft", "-s", "-t", "list", "table", "inet")
        return _digest([self._inside(*terse, "patchbay"), self._outside(*terse, self.table)])

    def _recorded(self) -> dict:
        return json.loads(self.record.read_text()) if self.record.exists() else {}

    def _write(self, record: dict) -> None:
        new = self.record.with_suffix(".new")
        new.write_text(json.dumps(record))
        new.rename(self.record)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time makes, mends or joins."""
        with open(self.record.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _inside(self, *argv: str, stdin: str | None = None) -> str:
        return run(*_entering(self.name), *argv, stdin=stdin)

    def _outside(self, *argv: str, stdin: str | None = None) -> str:
        return run(*_entering(self.uplink), *argv, stdin=stdin)

    def _sysctl(self, namespace: str, lines: str) -> None:
        """Write settings of a namespace, those that its kernel has (a machine may be without IPv6)."""
        run(*_entering(namespace), "sh", "-c", 'while IFS== read -r name value; do [ ! -e "/proc/sys/$name" ] || echo "$value" > "/proc/sys/$name" || exit 1; done', stdin=lines)


def _entering(namespace: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{namespace}") if namespace else ()


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _set(name: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """Two sets, name4 and name6."""
    made = []
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        of_version = ipaddress.collapse_addresses(n for n in networks if n.version == version)  # type: ignore[type-var]
        elements = ", ".join(sorted(map(str, of_version)))
        made.append(f"set {name}{version} {{ type {kind}; flags interval; {f'elements = {{ {elements} }};' if elements else ''} }}")
    return "\n  ".join(made)


def _matches(entry: Destination) -> Iterator[str]:
    """nft's words for one entry of the list."""
    to, ping = (f"ip daddr {entry.network}", "icmp") if entry.network.version == 4 else (f"ip6 daddr {entry.network}", "icmpv6")
    if entry.protocol != "icmp":
        protocols = entry.protocol or "{ tcp, udp }"
        yield f"{to} meta l4proto {protocols}" + (f" th dport {entry.port}" if entry.port else "")
    if entry.protocol == "icmp" or entry.protocol is entry.port is None:
        yield f"{to} {ping} type echo-request"
