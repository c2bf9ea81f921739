"""What the follower program of a host says, held to its shape: the host's root is the student, and may say anything. Must not know what it means."""
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from netcontrol.inside import Answer

MOST_PACKETS, MOST_HITS = 600, 600


def _printable(value: Any) -> Any:
    return "".join(c if c.isprintable() else "\ufffd" for c in value) if isinstance(value, str) else value


Space = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[0-9a-f.:]{0,45}$")]
Word = Annotated[str, StringConstraints(max_length=64), BeforeValidator(_printable)]
Text = Annotated[str, StringConstraints(max_length=512), BeforeValidator(_printable)]
Port = Annotated[int, Field(ge=0, le=65535)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Long = Annotated[int, Field(ge=0, lt=2**63)]


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Header(_Told):
    """Of a packet: `id` and `echo` of a ping, `icmp` and `code` of what ICMP says about `inner`."""

    type: Literal["tcp", "udp", "icmp", "arp"]
    src: Address
    dst: Address
    ttl: Port = 0
    sport: Port | None = None
    dport: Port | None = None
    flags: Port = 0
    seq: Long = 0
    ack: Long = 0
    icmp: Port | None = None
    code: Port = 0
    id: Port | None = None
    echo: Literal["ask", "answer", ""] = ""
    token: bool = False
    inner: "Header | None" = None
    mtu: Long = 0
    asks: bool = False  # of ARP, and of its like in IPv6
    mac: Word = ""


class Packet(Header):
    """One that went by an interface. `strange`: it was for another hardware address. `through`: the ends of a VXLAN tunnel that it was in."""

    at: Long
    space: Space
    index: Index = Field(alias="if")
    name: Word
    out: bool
    strange: bool
    ours: bool
    through: Annotated[list[Address], Field(max_length=2)] = []


class Hit(_Told):
    """One step of a packet through a chain; `packet` only at the first in each chain that a hook calls."""

    space: Space
    id: Long
    family: Word
    table: Word
    chain: Word
    type: Literal["rule", "policy", "return"]
    verdict: Word
    to: Word = ""
    policy: Word = ""
    iif: Index = 0
    oif: Index = 0
    packet: Header | None = None
    n: Index | None = None
    text: Text = ""


class Asked(_Told):
    """What the kernel would do with a packet that came in there: `said` and `back` are what `ip route get` complained of."""

    space: Space
    index: Index = Field(alias="if")
    src: Address
    dst: Address
    local: bool
    said: Text = ""
    back: Text = ""
    other: Word = ""  # the interface that an answer would leave by, when it is not this one
    forwards: Index | None = None
    rp_filter: Index | None = None


class Names(_Told):
    asked: Text
    found: Annotated[list[Address], Field(max_length=8)]


class Route(_Told):
    found: Any = None
    said: Text = ""

    def entry(self) -> dict[str, str]:
        """The line of the routing table that was used: `dst`, `gateway`, `dev`."""
        first = self.found[0] if isinstance(self.found, list) and self.found else None
        return {key: value[:64] for key in ("dst", "gateway", "dev") if isinstance(value := first.get(key), str)} if isinstance(first, dict) else {}


class Sent(_Told):
    at: Long
    src: Address
    dst: Address
    heard: Word | None
    names: Names | None = None
    route: Route | None = None


class Seen(_Told):
    """All that one host's follower saw. `no`: why nothing was sent."""

    no: Text = ""
    ready: float = 0.0
    root: Space = "0"
    blind: Annotated[list[Space], Field(max_length=100)] = []
    sent: Sent | None = None
    packets: Annotated[list[Packet], Field(max_length=50 * MOST_PACKETS)] = []
    hits: Annotated[list[Hit], Field(max_length=20 * MOST_HITS)] = []
    asked: Annotated[list[Asked], Field(max_length=50)] = []
    left_out: Index = 0


def seen(answer: Answer) -> Seen | None:
    """None when it is of another shape."""
    try:
        told = Seen.model_validate(answer.object())
    except ValueError:  # Unreadable and ValidationError are
        return None
    return told.model_copy(update={"packets": told.packets[:MOST_PACKETS], "hits": told.hits[:MOST_HITS]})
