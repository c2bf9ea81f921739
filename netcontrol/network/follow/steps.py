"""The way of a packet as steps: what a page plays on its picture, and lists as text. Pure; must not know why it ended (ends.py)."""
from dataclasses import dataclass
from typing import Any

from netcontrol.network.atlas import Atlas
from netcontrol.network.follow.seen import Hit
from netcontrol.network.follow.way import RST, Event, Run, Tuple, Way, is_proxy
from netcontrol.network.tell.telling import T, _, tell

MOST_STEPS = 120
NAT = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "dnat", "snat", "masquerade", "redirect")
FIELDS = ("src", "dst", "sport", "dport")
Step = dict[str, Any]


@dataclass
class _Line:
    """The packet as it was last seen on its way in one direction."""

    addresses: Tuple
    event: Event | None = None


def steps(atlas: Atlas, way: Way) -> tuple[list[Step], int]:
    """All steps but the last, and how many were left out."""
    found = _Steps(atlas, way).all()
    return found[:MOST_STEPS], max(0, len(found) - MOST_STEPS)


class _Steps:
    def __init__(self, atlas: Atlas, way: Way):
        self.atlas, self.way, self.q = atlas, way, way.question
        self.began = way.events[0].packet.at if way.events else way.sent.at  # times count from when it was first seen
        self.found: list[Step] = []
        self.lines: dict[str, _Line] = {}
        self.rules: dict[str, list[tuple[str | None, Hit]]] = {"there": [], "back": []}  # hit since then

    def all(self) -> list[Step]:
        self._sent()
        arrived = self.way.arrived()
        for n in range(-1, len(self.way.events)):
            for (number, side, _n), run in self.way.runs:
                if (number, side) == (n, -1):
                    self._run(run, self.way.events[n].packet.at)
            if n >= 0:
                self._event(self.way.events[n])
            for (number, side, _n), run in self.way.runs:
                if (number, side) == (n, 1):
                    self._run(run, self.way.events[n].packet.at if n >= 0 else self.began)
            if n >= 0 and self.way.events[n] is arrived:
                self._delivered(arrived)
        return self.found

    def _add(self, what: str, text: T, thing: str | None, at: int, direction: str = "there", **more: Any) -> None:
        self.found.append({
            "at": max(0, at - self.began) // 1000, "what": what, "thing": thing, "direction": direction, "packet": None, "rewrote": None, "rule": None, "also": [], "text": text, **more,
        })  # fmt: skip

    def _sent(self) -> None:
        sent, space = self.way.sent, self.atlas.space(self.q.host, self.q.space)
        who = self.atlas.thing(self.q.sender).get("name", self.q.host)
        if sent.names:
            self._add("name", tell(_("`%(who)s` asks what `%(name)s` stands for: `%(address)s`."), who=who, name=sent.names.asked, address=sent.dst), self.q.sender, self.began)
        number = self.q.number if self.q.protocol != "icmp" else None
        first: Tuple = (sent.src, sent.dst, number, self.q.port)
        entry = sent.route.entry() if sent.route else {}
        route, text = None, tell(_("`%(who)s` sends it to `%(to)s`."), who=who, to=where(sent.dst, self.q.port))
        if entry.get("dev"):
            route = self.atlas.route(space, entry.get("dst", ""), entry.get("gateway", ""), entry["dev"])
            line = " ".join(part for part in (entry.get("dst", ""), f"via {entry['gateway']}" if "gateway" in entry else "", f"dev {entry['dev']}") if part)
            text = tell(_("`%(who)s` sends it to `%(to)s`, by its route `%(route)s`."), who=who, to=where(sent.dst, self.q.port), route=line)
        self._add("sent", text, self.q.sender, self.began, also=[route] if route else [], packet=packet(first))
        self.lines["there"] = _Line(first)

    # An interface

    def _event(self, event: Event) -> None:
        one, key = event.packet, "own" if event.own else f"error {event.direction}" if event.error else event.direction
        line = self.lines.get(key)
        thing = self.atlas.interface(event.host, one.space, one.index)
        if event.own and line is None:
            text = tell(_("`docker-proxy` makes a connection of its own, to `%(to)s`. What came in goes on in that one."), to=where(one.dst, one.dport))
            self._add("sent", text, self.atlas.space(*event.place), one.at, packet=packet(event.addresses))
        if event.error and line is None:
            self._add("error", self._complaint(event), self.atlas.shown(self.atlas.space(*event.place)), one.at, event.direction)
        if line is None and event.direction == "back" and not event.error:
            line = self._answer(event)
        if line is not None:
            self._between(line, event, thing)
            if not event.error and line.addresses != event.addresses:
                self._rewritten(line, event, thing)
        verb = _("It leaves `%(where)s` through `%(interface)s`.") if one.out else _("It comes in at `%(interface)s` of `%(where)s`.")
        self._add(
            "out" if one.out else "in", tell(verb, where=self.atlas.called(self.atlas.space(*event.place), event.host), interface=one.name), thing, one.at, event.direction,
            packet=packet(event.addresses),
        )  # fmt: skip
        self.lines[key] = _Line(event.addresses, event)
        self.rules[event.direction] = []

    def _answer(self, event: Event) -> _Line:
        """The answer begins where the packet had come to: with its addresses turned round, as it was there."""
        one = event.packet
        here = [each for each in self.way.going("there") if each.place == event.place]
        refuses = one.type == "tcp" and bool(one.flags & RST)
        text = tell(_("`%(where)s` refuses it.") if refuses else _("`%(where)s` answers."), where=self.atlas.called(self.atlas.space(*event.place), event.host))
        if one.out:
            self._add("refuses" if refuses else "answers", text, self.atlas.shown(self.atlas.space(*event.place)), one.at, "back", packet=packet(event.addresses))
        if here and not here[-1].packet.out:
            src, dst, sport, dport = here[-1].addresses
            return _Line((dst, src, dport, sport), None)
        return _Line(event.addresses, None)

    def _between(self, line: _Line, event: Event, thing: str | None) -> None:
        """What passes it on between two interfaces without one of its own: a bridge, the wire."""
        if line.event is None or event.packet.out == line.event.packet.out:
            return
        before = self.atlas.interface(line.event.host, line.event.packet.space, line.event.packet.index)
        one, other = self.atlas.thing(before), self.atlas.thing(thing)
        if event.packet.out and event.place == line.event.place and one.get("master") and one["master"] == other.get("master"):
            bridge = self.atlas.thing(one["master"])
            self._add("through", tell(_("The bridge `%(bridge)s` passes it on."), bridge=bridge.get("name", "")), one["master"], event.packet.at, event.direction, packet=packet(line.addresses))
        elif not event.packet.out and event.host != line.event.host and one.get("type") == other.get("type") == "wire":
            self._add("through", tell(_("It goes along the wire.")), "wire" if "wire" in self.atlas.things else None, event.packet.at, event.direction, packet=packet(line.addresses))

    def _rewritten(self, line: _Line, event: Event, thing: str | None) -> None:
        rewrote = {name: [old, new] for name, old, new in zip(FIELDS, line.addresses, event.addresses) if old != new and (old or new) is not None}
        if not rewrote or (set(rewrote) == {"src"} and not rewrote["src"][0]):
            return
        src, dst = where(line.addresses[0], line.addresses[2]), where(line.addresses[1], line.addresses[3])
        new_src, new_dst = where(event.addresses[0], event.addresses[2]), where(event.addresses[1], event.addresses[3])
        what = {"old": src, "new": new_src} if src != new_src else {"old": dst, "new": new_dst}
        rule = next(((id, hit) for id, hit in reversed(self.rules[event.direction]) if any(word in hit.text.split() for word in NAT)), None)
        if src != new_src and dst != new_dst:
            text = tell(_("Both ends are rewritten: `%(old)s` is now `%(new)s`, `%(old_to)s` is now `%(new_to)s`."), old_to=dst, new_to=new_dst, **what)
        elif event.direction == "back" and rule is None:
            text = tell(_("The source is rewritten back, as connection tracking remembers: `%(old)s` is now `%(new)s`.") if src != new_src else
                        _("The destination is rewritten back, as connection tracking remembers: `%(old)s` is now `%(new)s`."), **what)  # fmt: skip
        else:
            text = tell(_("The source is rewritten: `%(old)s` is now `%(new)s`.") if src != new_src else _("The destination is rewritten: `%(old)s` is now `%(new)s`."), **what)
        space = self.atlas.shown(self.atlas.space(*event.place))
        self._add("nat", text, rule[0] if rule and rule[0] else space, event.packet.at, event.direction, rewrote=rewrote, packet=packet(event.addresses), also=[space] if rule and space else [])

    # Rules

    def _run(self, run: Run, at: int) -> None:
        space = self.atlas.space(*run.place)
        for hit in run.hits:
            dropped = hit is run.dropped
            if not dropped and (hit.type != "rule" or not hit.text):
                continue
            chain = self.atlas.chain(space, hit.family, hit.table, hit.chain).get("id")
            id = self.atlas.rule(space, hit.family, hit.table, hit.chain, hit.n, hit.text) if hit.type == "rule" else None
            if hit.type == "rule":
                self.rules[run.direction].append((id, hit))
            rule = {"family": hit.family, "table": hit.table, "chain": hit.chain, "text": hit.text, "verdict": hit.policy if hit.type == "policy" else verdict(hit)}
            self._add("dropped" if dropped else "rule", self._said(hit, dropped), id or chain or space, at, run.direction, rule=rule, also=[part for part in (chain, self.atlas.shown(space)) if part])

    def _said(self, hit: Hit, dropped: bool) -> T:
        names = {"table": hit.table, "chain": hit.chain, "rule": hit.text, "to": hit.to}
        if hit.type == "policy":
            return tell(_("No rule of the chain `%(chain)s` (table `%(table)s`) decides. Its policy is to drop."), **names)
        if dropped and verdict(hit) == "reject":
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) rejects it: `%(rule)s`"), **names)
        if dropped:
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) drops it: `%(rule)s`"), **names)
        if hit.verdict in ("jump", "goto"):
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) sends it to the chain `%(to)s`: `%(rule)s`"), **names)
        if hit.verdict == "return":
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) sends it back: `%(rule)s`"), **names)
        if any(word in hit.text.split() for word in NAT):
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) rewrites an address: `%(rule)s`"), **names)
        if hit.verdict == "accept":
            return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) accepts it: `%(rule)s`"), **names)
        return tell(_("A rule of the chain `%(chain)s` (table `%(table)s`) matches: `%(rule)s`"), **names)

    # Ends of it

    def _delivered(self, arrived: Event) -> None:
        one, space = arrived.packet, self.atlas.space(*arrived.place)
        who = self.atlas.called(space, arrived.host)
        listener = self.atlas.listener(space, self.q.protocol, one.dport, one.dst)
        text = tell(_("It is for `%(where)s`."), where=who)
        if self.q.protocol != "icmp" and listener:
            named = {"where": who, "program": listener["program"] or "?", "listens": where(listener["address"], listener["port"])}
            text = tell(_("It is for `%(where)s`: `%(program)s` listens there on `%(listens)s`."), **named)
            if not listener["program"]:
                text = tell(_("It is for `%(where)s`: a program listens there on `%(listens)s`."), **named)
            if is_proxy(self.atlas, arrived):
                text = tell(_("It is for `%(where)s`: Docker's own `docker-proxy` listens there on `%(listens)s`, and takes it. The packet ends here."), **named)
        self._add("delivered", text, self.atlas.shown(space), one.at, also=[listener["id"]] if listener else [], packet=packet(arrived.addresses))

    def _complaint(self, event: Event) -> T:
        who = self.atlas.called(self.atlas.space(*event.place), event.host)
        return tell(_("`%(who)s` sends word of it back, by ICMP: %(what)s"), who=who, what=icmp_said(event))


def icmp_said(event: Event) -> str:
    """As ping and tcpdump say it, in English."""
    one = event.packet
    six = ":" in one.src
    four = {(3, 0): "net unreachable", (3, 1): "host unreachable", (3, 2): "protocol unreachable", (3, 3): "port unreachable", (3, 4): "fragmentation needed",
            (3, 9): "net prohibited", (3, 10): "host prohibited", (3, 13): "administratively prohibited", (11, 0): "time to live exceeded", (5, 0): "redirect", (5, 1): "redirect"}  # fmt: skip
    other = {(1, 0): "no route", (1, 1): "administratively prohibited", (1, 3): "address unreachable", (1, 4): "port unreachable", (1, 5): "policy failed", (1, 6): "reject route",
             (2, 0): "packet too big", (3, 0): "hop limit exceeded"}  # fmt: skip
    return (other if six else four).get((one.icmp or 0, one.code), f"type {one.icmp}, code {one.code}")


def where(address: str, port: int | None) -> str:
    return address if port is None else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def packet(addresses: Tuple) -> dict[str, Any]:
    return dict(zip(FIELDS, addresses))


def target(text: str) -> str:
    words = text.split()
    return next((words[n + 1] for n, word in enumerate(words[:-1]) if word in ("-j", "-g")), "")


def verdict(hit: Hit) -> str:
    return "reject" if hit.verdict == "drop" and (target(hit.text) == "REJECT" or "reject" in hit.text.split()) else hit.verdict
