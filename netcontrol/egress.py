"""What hosts may reach outside, in the operator's words: PATCHBAY_EGRESS, a list of `network[:port][/tcp|udp|icmp]`.

Must not know how it is held (engine/gateway.py), nor touch the machine: the web process reads this, too, to refuse a wrong setting.
"""
import ipaddress
import re
from dataclasses import dataclass

IPv4 = ipaddress.IPv4Network
IPv6 = ipaddress.IPv6Network
PROTOCOLS = ("tcp", "udp", "icmp")
EXAMPLE = "203.0.113.0/24:443/tcp, 203.0.113.7, [2001:db8::/32]:443/tcp"


def _networks(*texts: str) -> tuple[IPv4 | IPv6, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Not to be reached whatever an operator lists: the sender's own link, everybody on it, who may ask a cloud for the machine's keys, and
# what carries an IPv4 address inside, which would go round all this.
NEVER = _networks(
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",  # metadata: Alibaba, Azure, Oracle; all others in 169.254/16
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fe80::/10", "fec0::/10", "ff00::/8",
    "fd00:ec2::/32", "fd20:ce::254/128",  # metadata: Amazon, Google
)  # fmt: skip

# Reached only when the operator lists a network within one of these, not by a list such as 0.0.0.0/0.
PRIVATE = _networks("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "fc00::/7")


def within(network: IPv4 | IPv6, others: tuple[IPv4 | IPv6, ...]) -> bool:
    return any(network.version == other.version and network.subnet_of(other) for other in others)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Destination:
    """One entry of the list. No port: all of them; no protocol: TCP and UDP, and ping when no port is given either."""

    network: IPv4 | IPv6
    port: int | None = None
    protocol: str | None = None

    @property
    def private(self) -> bool:
        return within(self.network, PRIVATE)

    @property
    def name_server(self) -> str | None:
        """Its address, when it is one address that may be asked for names."""
        return str(self.network.network_address) if self.network.num_addresses == 1 and self.port == 53 and self.protocol != "tcp" else None


FORM = re.compile(
    r"(?:\[(?P<six>[^]]+)\]|(?P<four>[0-9./]+?))(?::(?P<port>[0-9]{1,5}))?(?:/(?P<protocol>[a-z]+))?"
    r"|(?P<bare_six>[0-9a-fA-F:]+(?:/[0-9]+)?)(?:/(?P<bare_protocol>[a-z]+))?"
)


def destination(text: str) -> Destination:
    """Read one entry. Raises ValueError, in words for the operator."""
    found = FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"“{text}” is not of the form {EXAMPLE}")
    port, protocol = int(found["port"]) if found["port"] else None, found["protocol"] or found["bare_protocol"]
    try:
        network = ipaddress.ip_network(found["six"] or found["four"] or found["bare_six"])
    except ValueError as wrong:
        raise ValueError(f"“{text}”: {wrong}") from wrong
    if protocol and protocol not in PROTOCOLS:
        raise ValueError(f"“{text}”: the protocol is one of {', '.join(PROTOCOLS)}")
    if port is not None and protocol == "icmp":
        raise ValueError(f"“{text}”: icmp has no ports")
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"“{text}”: a port is a number from 1 to 65535")
    if within(network, NEVER):
        raise ValueError(f"“{text}” is never let out: it is loopback, link-local, metadata or multicast")
    return Destination(network, port, protocol)


def destinations(texts: list[str], wires: str) -> list[Destination]:
    """Read the whole list; `wires` is the network that the students' own wires are cut from. Raises ValueError."""
    read = [destination(text) for text in texts if text.strip()]
    for entry in read:
        if within(entry.network, _networks(wires)):
            raise ValueError(f"“{entry.network}”: these are the students' own wires ({wires})")
    return read
