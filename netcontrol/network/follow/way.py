"""What several followers saw of one packet, put into one order: where it went by, there and back, and the rules that it hit. Pure.

Must not know: why it ended where it did (ends.py), sentences (steps.py).
"""
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from netcontrol.network.atlas import Atlas
from netcontrol.network.follow.seen import Asked, Header, Hit, Packet, Seen

SYN, RST, ACK = 2, 4, 16
PROXIED_NS = 500_000_000  # from a connection that docker-proxy takes to the one that it makes

Direction = Literal["there", "back"]
Tuple = tuple[str, str, int | None, int | None]


@dataclass(frozen=True)
class Question:
    """What is followed. `space` (its number) on `host` is where it begins, `sender` the thing that was chosen for it; `number` is our port, or the ping's id."""

    host: str
    space: str
    sender: str
    goal: str
    to: str | None
    protocol: str
    port: int | None
    container: str = ""
    netns: str = ""
    number: int = 0


@dataclass(frozen=True)
class Event:
    """It went by an interface. `error`: an ICMP message about it. `own`: docker-proxy's connection, which begins where ours ends."""

    host: str
    packet: Packet
    direction: Direction
    error: bool = False
    own: bool = False

    @property
    def place(self) -> tuple[str, str]:
        return self.host, self.packet.space

    @property
    def addresses(self) -> Tuple:
        return addresses(self.packet)


@dataclass(frozen=True)
class Run:
    """It went through a chain that a hook calls, and through those that this one called."""

    host: str
    space: str
    direction: Direction
    hits: tuple[Hit, ...]

    @property
    def place(self) -> tuple[str, str]:
        return self.host, self.space

    @property
    def dropped(self) -> Hit | None:
        """The last thing that happened in it, if that was the end of the packet."""
        last = self.hits[-1]
        return last if (last.policy if last.type == "policy" else last.verdict) == "drop" else None


@dataclass
class Way:
    question: Question
    seen: dict[str, Seen]
    events: list[Event]
    runs: list[tuple[tuple[int, int, int], Run]]  # (before or after which event: its number, -1 or 1; which run), in order
    arps: list[tuple[str, Packet]] = field(default_factory=list)
    late: tuple[str, ...] = ()  # hosts that were not watched in time: what was not seen there may have been

    @property
    def sent(self) -> Any:
        return self.seen[self.question.host].sent

    def going(self, direction: Direction) -> list[Event]:
        return [event for event in self.events if event.direction == direction and not event.error and not event.own]

    def errors(self) -> list[Event]:
        return [event for event in self.events if event.error]

    def asked(self, event: Event) -> Asked | None:
        """What the kernel says that it does with such a packet there."""
        one = event.packet
        return next((each for each in self.seen[event.host].asked if (each.space, each.index, each.src, each.dst) == (one.space, one.index, one.src, one.dst)), None)

    def arrived(self) -> Event | None:
        """Where somebody took it: the last place that it reached, if that answered, or has its address."""
        there = self.going("there")
        last = there[-1] if there else None
        if last is None or last.packet.out or last.packet.strange:
            return None
        if any(run.dropped and run.place == last.place and run.direction == "there" for _, run in self.runs):
            return None
        answers = any(event.place == last.place and event.packet.out for event in self.going("back"))
        local = (asked := self.asked(last)) is not None and asked.local
        return last if answers or local or self.sent.heard == "answered" else None


def addresses(packet: Header) -> Tuple:
    return packet.src, packet.dst, packet.sport, packet.dport


def way(atlas: Atlas, question: Question, seen: dict[str, Seen]) -> Way:
    first = next((one.seq for told in seen.values() for one in told.packets if one.type == "tcp" and one.sport == question.number and one.flags & SYN), -1)
    events, arps = [], []
    for host, told in seen.items():
        for one in told.packets:
            if one.type == "arp":
                arps.append((host, one))
            elif (direction := _direction(one, question.number, first)) is not None:
                events.append(Event(host, one, direction, error=one.inner is not None))
    events = _once(sorted(events, key=lambda event: event.packet.at))
    events = _not_flooded(atlas, events)
    found = Way(question, seen, events, [], sorted(arps, key=lambda arp: arp[1].at))
    if proxied := _proxied(atlas, found):
        found.events = sorted([*events, *proxied], key=lambda event: event.packet.at)
    found.runs = _runs(atlas, found, first)
    return found


def _direction(one: Header, number: int, first: int) -> Direction | None:
    if one.type == "tcp":
        if one.flags & SYN and not one.flags & ACK:
            return "there" if one.sport == number or one.seq == first else None
        if one.flags & (SYN | RST):
            return "back" if one.dport == number or one.ack == first + 1 else None
        return None
    if one.type == "udp":
        return "back" if one.dport == number else "there" if one.sport == number or one.token else None
    if one.inner is not None:  # about ours, it goes back; about the answer, it goes to whoever answered
        return "back" if number in (one.inner.sport, one.inner.id) and one.inner.echo != "answer" else "there" if number in (one.inner.dport, one.inner.id) else None
    if one.echo and (one.id == number or one.token):
        return "there" if one.echo == "ask" else "back"
    return None


def _once(events: list[Event]) -> list[Event]:
    """Without what was sent again because nobody answered."""
    found: dict[tuple, Event] = {}
    for event in events:
        found.setdefault((event.host, event.packet.space, event.packet.index, event.packet.out, event.direction, event.error, event.addresses), event)
    return list(found.values())


def _not_flooded(atlas: Atlas, events: list[Event]) -> list[Event]:
    """Without the copies that a bridge sends out of every port while it does not know where one lives: those end unread."""
    parents = {one["parent"] for one in atlas.of_kind("interface") if one.get("parent")}

    def unread(event: Event) -> bool:
        id = _interface(atlas, event)
        return event.packet.strange and not event.packet.out and bool(id) and not atlas.thing(id).get("master") and id not in parents and atlas.thing(id)["type"] != "bridge"

    copies = {(atlas.thing(_interface(atlas, event)).get("peer"), event.direction, event.addresses) for event in events if unread(event)}
    kept = [event for event in events if not unread(event) and not (event.packet.out and (_interface(atlas, event), event.direction, event.addresses) in copies)]
    return kept if any(not event.error for event in kept) or not events else events


def _interface(atlas: Atlas, event: Event) -> str | None:
    return atlas.interface(event.host, event.packet.space, event.packet.index)


def _proxied(atlas: Atlas, way: Way) -> list[Event]:
    """The connection that docker-proxy makes for the one that it took."""
    taken = way.arrived()
    if taken is None or way.question.protocol != "tcp" or not is_proxy(atlas, taken):
        return []
    goals = {
        (address.partition("/")[0], each["port"])
        for container in atlas.of_kind("container")
        if container["host"] == taken.host
        for each in container["published"]
        if each["host_port"] == taken.packet.dport and each["proto"] == "tcp"
        for network in container["networks"].values()
        if (address := network["address"])
    }
    begun = [
        Event(host, one, "there", own=True)
        for host, told in way.seen.items()
        for one in told.packets
        if one.type == "tcp" and not one.ours and one.flags & (SYN | ACK) == SYN and (one.dst, one.dport) in goals and 0 <= one.at - taken.packet.at < PROXIED_NS
    ]
    begun.sort(key=lambda event: event.packet.at)
    mine = [event for event in begun if event.packet.seq == begun[0].packet.seq]
    return _once(mine) if begun and begun[0].place == taken.place and begun[0].packet.out else []


def is_proxy(atlas: Atlas, taken: Event) -> bool:
    one = taken.packet
    return atlas.listener(atlas.space(*taken.place), "tcp", one.dport, one.dst).get("program") == "docker-proxy"


# Rules


def _runs(atlas: Atlas, way: Way, first: int) -> list[tuple[tuple[int, int, int], Run]]:
    runs = []
    heard: set[tuple] = set()
    for host, told in way.seen.items():
        for run in _apart(host, told.hits, way.question.number, first):
            begin = run.hits[0]
            key = (run.place, run.direction, begin.family, begin.table, begin.chain, begin.iif, begin.oif, begin.packet and addresses(begin.packet))
            if key not in heard:
                heard.add(key)
                runs.append((_where(atlas, way, run), run))
    return sorted(((number, side, n), run) for n, ((number, side), run) in enumerate(runs))


def _apart(host: str, hits: list[Hit], number: int, first: int) -> Iterator[Run]:
    """Each chain that a hook called, with all that happened in it."""
    open_: dict[tuple[str, int], list[Hit]] = {}
    begun: list[list[Hit]] = []
    for hit in hits:
        if hit.packet is not None:
            begun.append([])
            open_[hit.space, hit.id] = begun[-1]
        if (hit.space, hit.id) in open_:
            open_[hit.space, hit.id].append(hit)
    for group in begun:
        packet = group[0].packet
        if packet and (direction := _direction(packet, number, first)) is not None:
            yield Run(host, group[0].space, direction, tuple(group))


def _where(atlas: Atlas, way: Way, run: Run) -> tuple[int, int]:
    """After which event a run came, or before which one. The kernel gives no times with rules, but tells the interfaces."""
    begin = run.hits[0]

    def at(index: int, event: Event) -> bool:
        master = atlas.thing(atlas.thing(_interface(atlas, event)).get("master")).get("index")
        return index in (event.packet.index, master)

    here = [(n, event) for n, event in enumerate(way.events) if event.place == run.place and event.direction == run.direction and not event.error and not event.own]
    same = [(n, event) for n, event in here if begin.packet and event.addresses == addresses(begin.packet)]
    for some in (same, here):
        if begin.iif and (found := [n for n, event in some if not event.packet.out and at(begin.iif, event)]):
            return found[-1], 1
    if not begin.iif and (found := [n for n, event in here if event.packet.out and at(begin.oif, event)]):
        return found[0], -1
    if found := [n for n, event in here if not event.packet.out]:
        return found[-1], 1
    before = [n for n, event in enumerate(way.events) if event.place == run.place and not event.own and event.direction == "there"]
    return (before[-1], 1) if before and run.direction == "back" else (-1, 1)
