"""Where a packet's way ended, and why. Only what was seen counts: where that does not tell, it is not known. Pure."""
from typing import Any

from netcontrol.network.atlas import Atlas, Thing, bare
from netcontrol.network.follow.seen import Hit, Packet
from netcontrol.network.follow.steps import icmp_said, verdict, where
from netcontrol.network.follow.way import Event, Run, Way, is_proxy
from netcontrol.network.tell.telling import T, _, tell

End = dict[str, Any]
NO_WAY = ("ENETUNREACH", "EINVAL", "EADDRNOTAVAIL", "ENETDOWN")


def end(atlas: Atlas, way: Way) -> End:
    finder = _Ends(atlas, way)
    for look in (finder.answered, finder.dropped, finder.complained, finder.refused, finder.never_sent, finder.stuck):
        if found := look():
            return found
    return finder.not_known()


def unsent(atlas: Atlas, question: Any, no: str) -> End:
    """Nothing was sent: the follower says why."""
    code, _colon, detail = no.partition(":")
    who = atlas.thing(question.sender).get("name", question.host)
    text = {
        "no-name": tell(_("Nobody whom `%(who)s` asks knows the name `%(name)s`."), who=who, name=question.goal),
        "no-nameserver": tell(_("`%(who)s` has no name server to ask what `%(name)s` stands for: its `/etc/resolv.conf` names none."), who=who, name=question.goal),
        "nameserver-silent": tell(_("`%(who)s` asks the name server `%(server)s` what `%(name)s` stands for, and it does not answer."), who=who, name=question.goal, server=detail),
    }.get(code)
    return _ended("no_name", question.sender, text) if text else _ended("unknown", question.sender, tell(_("Not known: nothing could be sent from `%(who)s`."), who=who))


def _ended(what: str, place: str | None, why: T) -> End:
    return {"what": what, "where": place, "why": why}


class _Ends:
    def __init__(self, atlas: Atlas, way: Way):
        self.atlas, self.way, self.q, self.sent = atlas, way, way.question, way.sent
        self.source = atlas.space(self.q.host, self.q.space)
        self.who = atlas.thing(self.q.sender).get("name", self.q.host)
        self.goal = where(self.sent.dst, self.q.port)

    def place(self, event: Event) -> str | None:
        return self.atlas.space(*event.place)

    def called(self, event: Event) -> str:
        return self.atlas.called(self.place(event), event.host)

    def answered(self) -> End | None:
        if self.sent.heard != "answered":
            return None
        taken = self.way.arrived()
        by = self.called(taken) if taken else self.sent.dst
        if taken and self.q.protocol == "tcp" and is_proxy(self.atlas, taken):
            text = tell(_("Answered: `docker-proxy` on `%(by)s` took the connection, and makes one of its own to the container."), by=by)
        elif self.q.protocol == "tcp":
            text = tell(_("Answered: `%(by)s` takes the connection, and `%(who)s` has it."), by=by, who=self.who)
        else:
            text = tell(_("Answered: what `%(by)s` says is back at `%(who)s`."), by=by, who=self.who)
        return _ended("answered", self.q.sender, text)

    # A rule

    def dropped(self) -> End | None:
        found = [(run, run.dropped) for _n, run in self.way.runs if run.dropped]
        return self._by_rule(*found[-1]) if found else None  # type: ignore[arg-type]

    def _by_rule(self, run: Run, hit: Hit) -> End:
        space = self.atlas.space(*run.place)
        chain = self.atlas.chain(space, hit.family, hit.table, hit.chain).get("id")
        rule = self.atlas.rule(space, hit.family, hit.table, hit.chain, hit.n, hit.text) if hit.type == "rule" else None
        names = {"chain": hit.chain, "table": hit.table, "rule": hit.text, "where": self.atlas.called(space, run.host)}
        if hit.type == "policy":
            text = tell(_("Dropped on `%(where)s`: no rule of the chain `%(chain)s` lets it through, and its policy is to drop."), **names)
            if run.direction == "back":
                text = tell(_("The answer was dropped on `%(where)s`: no rule of the chain `%(chain)s` lets it through, and its policy is to drop."), **names)
        elif run.direction == "back":
            text = tell(_("The answer was dropped on `%(where)s` by a rule of the chain `%(chain)s`: `%(rule)s`"), **names)
        elif verdict(hit) == "reject":
            text = tell(_("Rejected on `%(where)s` by a rule of the chain `%(chain)s`: `%(rule)s`"), **names)
        elif hit.chain.startswith("DOCKER-ISOLATION-STAGE-1"):
            text = tell(_("Dropped on `%(where)s`: the network is internal, and Docker lets nothing in or out: `%(rule)s`"), **names)
        elif hit.chain.startswith("DOCKER-ISOLATION"):
            text = tell(_("Dropped on `%(where)s`: Docker keeps its networks apart, and nothing goes from one to the other: `%(rule)s`"), **names)
        elif hit.chain == "DOCKER":
            text = tell(_("Dropped on `%(where)s`: this port of the container is not published, and Docker lets nothing else in from outside: `%(rule)s`"), **names)
        else:
            text = tell(_("Dropped on `%(where)s` by a rule of the chain `%(chain)s`: `%(rule)s`"), **names)
        return _ended("rejected" if verdict(hit) == "reject" and hit.type == "rule" else "dropped", rule or chain or space, text)

    # A word of ICMP, or of TCP

    def complained(self) -> End | None:
        errors = [event for event in self.way.errors() if (event.packet.icmp, ":" in event.packet.src) != (5, False)]
        if not errors:
            return None
        event = errors[0]
        one, who = event.packet, self.called(event) if event.packet.out or event.packet.name == "lo" else event.packet.src
        six = ":" in one.src
        place = self.place(event)
        inner = one.inner.dst if one.inner else self.sent.dst
        kind = (one.icmp or 0, one.code)
        if kind == ((1, 4) if six else (3, 3)) and self.q.protocol == "udp":  # of TCP the kernel says it otherwise, and a ping needs nobody: then it is a rule's word
            return self._nobody_listens(place, who, inner)
        if kind == ((1, 0) if six else (3, 0)):
            return _ended("no_route", place, tell(_("`%(who)s` has no route to `%(to)s`, and says so."), who=who, to=inner))
        if kind == ((1, 3) if six else (3, 1)):
            text = tell(_("`%(who)s` says that it reaches nobody who has the address `%(to)s`."), who=who, to=inner)
            return self._asked_in_vain(*event.place) or _ended("no_neighbour", place, text)
        if kind == (2, 0) if six else kind == (3, 4):
            return _ended("too_big", place, tell(_("The packet is too big for the way on: `%(who)s` lets through at most %(mtu)s bytes."), who=who, mtu=one.mtu))
        if kind == (3, 0) if six else kind == (11, 0):
            return _ended("ttl", place, tell(_("It went through too many routers: at `%(who)s` its time to live was over."), who=who))
        return _ended("rejected", place, tell(_("`%(who)s` does not let it through, and says so: %(what)s."), who=who, what=icmp_said(event)))

    def _nobody_listens(self, place: str | None, who: str, address: str) -> End:
        port = self.way.going("there")[-1].packet.dport if self.way.going("there") else self.q.port
        here = self.atlas.listeners(place, self.q.protocol, port)
        names = {"who": who, "proto": self.q.protocol, "port": port, "address": address, "listens": ", ".join(one["address"] for one in here)}
        if self.atlas.listener(place, self.q.protocol, port, address):  # and yet
            text = tell(_("Refused by `%(to)s`."), to=where(address, port))
        elif here and place:
            text = tell(_("Refused: on `%(who)s` something listens on port %(port)s, but only on `%(listens)s`, not on `%(address)s`."), **names)
        else:
            text = tell(_("Refused: it reached `%(who)s`, but nothing listens there on %(proto)s port %(port)s."), **names)
        return _ended("refused", self.atlas.shown(place), text)

    def refused(self) -> End | None:
        if self.sent.heard not in ("ECONNREFUSED", "ECONNRESET"):
            return None
        back, there = self.way.going("back"), self.way.going("there")
        event = back[0] if back else there[-1] if there else None
        if event is None:
            return _ended("refused", self.q.sender, tell(_("Refused by `%(to)s`."), to=self.goal))
        return self._nobody_listens(self.place(event), self.called(event), event.packet.src if back else event.packet.dst)

    def never_sent(self) -> End | None:
        """The kernel would not even begin."""
        if self.way.events or (self.sent.heard not in (*NO_WAY, "EHOSTUNREACH", "EPERM", "EACCES")):
            return None
        if self.sent.heard == "EPERM":
            return _ended("dropped", self.source, tell(_("A rule on `%(who)s` does not let it out. Which one is not known."), who=self.who))
        if self.sent.heard == "EACCES":
            return _ended("no_route", self.source, tell(_("`%(who)s` may not send to `%(to)s`: its route forbids it, or it is the address of everybody."), who=self.who, to=self.sent.dst))
        if self.sent.heard == "EHOSTUNREACH" and (found := self._asked_in_vain(self.q.host, self.q.space)):
            return found
        return _ended("no_route", self.atlas.shown(self.source), self._no_route(self.source, self.who, self.sent.dst))

    def _no_route(self, space: str | None, who: str, to: str) -> T:
        networks = self.atlas.networks(space)
        names = {"who": who, "to": to, "network": networks[0]["name"] if networks else ""}
        routes = [one for one in self.atlas.of_kind("route") if one["space"] == space and one["family"] == ("ip6" if ":" in to else "ip")]
        if not self.atlas.addresses(space):
            return tell(_("`%(who)s` has no route to `%(to)s`: no interface but `lo` has an address."), **names)
        if networks and all(network["internal"] for network in networks):
            return tell(_("`%(who)s` has no route to `%(to)s`: its network `%(network)s` is internal, so it was given no default route."), **names)
        if not any(one["to"] == "default" for one in routes):
            return tell(_("`%(who)s` has no route to `%(to)s`: none of its routes covers that address, and it has no default route."), **names)
        return tell(_("`%(who)s` has no route to `%(to)s`."), **names)

    # Silence

    def stuck(self) -> End | None:
        """It was last seen somewhere, and nobody said a word. The answer, if there was one, is what got lost."""
        events = [event for event in self.way.events if not event.error and not event.own]
        if not events:
            return self._asked_in_vain(self.q.host, self.q.space) or self._no_carrier()
        back = self.way.going("back")
        last = back[-1] if back else events[-1]
        if found := self._asked_in_vain(last.host, last.packet.space, last.packet.at):
            return found
        return self._after_out(last) if last.packet.out else self._after_in(last)

    def _after_in(self, last: Event) -> End | None:
        asked, place, who = self.way.asked(last), self.place(last), self.called(last)
        one = last.packet
        names = {"who": who, "src": one.src, "dst": one.dst, "interface": one.name}
        if asked is None or one.strange:
            return None
        if "cross-device" in asked.said.lower() or ("invalid argument" in asked.said.lower() and asked.rp_filter and asked.other):
            return _ended("rp_filter", place, tell(_("`%(who)s` drops it: it would not send to `%(src)s` through `%(interface)s`, where it came in (`rp_filter`)."), **names))
        if "no route to host" in asked.said.lower() and not asked.forwards:
            return _ended("not_forwarded", place, tell(_("It is not for `%(who)s`, which does not pass on packets: forwarding is off there."), **names))
        if "unreachable" in asked.said.lower():
            return _ended("no_route", place, self._no_route(place, who, one.dst))
        if asked.said:
            return _ended("unknown", place, tell(_("`%(who)s` does not take it: its kernel says “%(said)s”."), who=who, said=asked.said.removeprefix("RTNETLINK answers: ")))
        if not asked.local:
            if not asked.forwards:
                return _ended("not_forwarded", place, tell(_("It is not for `%(who)s`, which does not pass on packets: forwarding is off there."), **names))
            return None
        if last.direction == "back":
            return None
        if asked.back:
            text = tell(_("It reached `%(who)s`, but no answer can come back: `%(who)s` has no route to `%(src)s`."), **names)
            return _ended("no_route", self.atlas.shown(place), text)
        listener = self.atlas.listener(place, self.q.protocol, one.dport, one.dst)
        if self.q.protocol == "udp":
            program = listener.get("program")
            text = tell(_("Delivered to `%(who)s`. No answer came, and UDP asks for none."), **names)
            if program:
                text = tell(_("Delivered to `%(who)s`, where `%(program)s` listens. No answer came, and UDP asks for none."), program=program, **names)
            return _ended("delivered", self.atlas.shown(place), text)
        return _ended("lost", self.atlas.shown(place), tell(_("It reached `%(who)s`, which did not answer. Why is not known."), **names))

    def _after_out(self, last: Event) -> End | None:
        id = self.atlas.interface(last.host, last.packet.space, last.packet.index)
        one = self.atlas.thing(id)
        other = self.atlas.thing(one.get("peer"))
        if other and other["state"] == "down":
            text = tell(_("It left through `%(interface)s`, but the other end of that cable, `%(other)s`, is down."), interface=one["name"], other=other["name"])
            return _ended("lost", other["id"], text)
        if self.way.late and one.get("type") in ("wire", "macvlan", "ipvlan", "vlan", "vxlan"):
            text = tell(_("Not known: it left `%(who)s` through `%(interface)s`, and `%(host)s` was not ready to be watched. Try again."), who=self.called(last), interface=one["name"], host=self.way.late[0])
            return _ended("unknown", id, text)
        if one.get("type") == "wire":
            return _ended("lost", "wire" if "wire" in self.atlas.things else id, tell(_("It left `%(who)s` by the wire, and no host there took it."), who=self.called(last)))
        if one.get("type") == "bridge":
            text = tell(_("It left `%(who)s` by the bridge `%(bridge)s`, and nothing that is plugged in there took it."), who=self.called(last), bridge=one["name"])
            return _ended("lost", id, text)
        return None

    def _no_carrier(self) -> End | None:
        """It was never seen: the interface that its route names may have no other end."""
        dev = self.sent.route.entry().get("dev") if self.sent.route else None
        through = next((one for one in self.atlas.interfaces(self.source) if one["name"] == dev and one["state"] != "up"), None)
        if through is None:
            return None
        names = {"who": self.who, "interface": through["name"]}
        if through["state"] == "down":
            return _ended("lost", through["id"], tell(_("The route of `%(who)s` leads through `%(interface)s`, which is down."), **names))
        return _ended("lost", through["id"], tell(_("The route of `%(who)s` leads through `%(interface)s`, which has no carrier: nothing that is up is at its other end."), **names))

    def _asked_in_vain(self, host: str, number: str, since: int = 0) -> End | None:
        """It waits in this namespace for the hardware address of the next one on its way, who does not tell it."""
        here = [one for at, one in self.way.arps if at == host and one.space == number and one.at >= since - 1_000_000]
        wanted = [one for one in here if one.out and one.asks and one.src not in ("::", "0.0.0.0")]  # who has no address yet looks whether it may take one
        told = {one.src for one in here if not one.out and not one.asks} | {one.dst for one in here if not one.out and not one.asks and one.type == "arp" and ":" in one.dst}
        asked: Packet | None = next((one for one in wanted if one.dst not in told and one.dst != one.src), None)
        if asked is None:
            return None
        space = self.atlas.space(host, number)
        who, id = self.atlas.called(space, host), self.atlas.interface(host, number, asked.index)
        return _ended("no_neighbour", id or space, self._why_silent(space, who, self.atlas.thing(id), asked))

    def _why_silent(self, space: str | None, who: str, through: Thing, asked: Packet) -> T:
        names = {"who": who, "to": asked.dst, "interface": asked.name}
        owner = self.atlas.owner(asked.dst)
        if not owner:
            having = [one for one in self.atlas.of_kind("interface") if any(bare(each) == asked.dst for each in one["addresses"])]
            if having or not self.atlas.whole:
                return tell(_("`%(who)s` asks on `%(interface)s` who has `%(to)s`, and nobody there answers."), **names)
            return tell(_("`%(who)s` asks on `%(interface)s` who has `%(to)s`, and nobody answers: no interface in this lab has that address."), **names)
        whose = self.atlas.called(owner["space"], owner["host"])
        names |= {"owner": whose, "there": owner["name"]}
        if through and (owner.get("parent") == through["id"] or through.get("parent") == owner["id"]):
            return tell(_("`%(who)s` asks on `%(interface)s` who has `%(to)s`. That is `%(there)s` of `%(owner)s`, and an interface that hangs from another (`macvlan`, `ipvlan`) never talks with the one that it hangs from."), **names)
        if owner["state"] == "down":
            return tell(_("`%(who)s` asks on `%(interface)s` who has `%(to)s`. That is `%(there)s` of `%(owner)s`, which is down."), **names)
        return tell(_("`%(who)s` asks on `%(interface)s` who has `%(to)s`, and nobody there answers. `%(there)s` of `%(owner)s` has that address."), **names)

    def not_known(self) -> End:
        events = [event for event in self.way.events if not event.own]
        if not events:
            return _ended("unknown", self.source, tell(_("Not known: `%(who)s` sent it, and it was seen nowhere."), who=self.who))
        last = events[-1]
        place = self.atlas.interface(last.host, last.packet.space, last.packet.index) or self.place(last)
        text = tell(_("Not known: it was last seen at `%(interface)s` of `%(where)s`."), interface=last.packet.name, where=self.called(last))
        if last.direction == "back":
            text = tell(_("Not known: the answer was last seen at `%(interface)s` of `%(where)s`."), interface=last.packet.name, where=self.called(last))
        return _ended("unknown", place, text)

