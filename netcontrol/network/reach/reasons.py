"""Why one thing reaches another or does not, in words, with the things on the way. Pure.

What was tried is true; the graph only explains it. Where what the graph leads to expect and what was found are not the same, it is said
that the graph does not say why. Must not know: how it is tried, languages, pages.
"""
from contextlib import suppress
from typing import Any

from netcontrol.network.atlas import Atlas, bare, space_of
from netcontrol.network.reach.forecast import Forecast, Walk
from netcontrol.network.reach.packetfilter import Effort, TooMuch
from netcontrol.network.reach.tries import Cell
from netcontrol.network.tell.telling import T, _, tell

Thing = dict[str, Any]
# What is expected, and how a try may then end.
ENDS: dict[str, frozenset[str]] = {
    "no-route": frozenset(("no-route", "no-neighbour", "timeout", "error")),
    "no-neighbour": frozenset(("no-neighbour", "timeout")),
    "macvlan": frozenset(("no-neighbour", "timeout")),
    "down": frozenset(("no-neighbour", "timeout", "no-route", "error")),
    "not-forwarded": frozenset(("timeout",)),
    "dropped": frozenset(("timeout", "dropped-here", "error")),
    "rejected": frozenset(("turned-away", "refused", "prohibited", "no-neighbour", "no-route", "dropped-here")),
    "elsewhere": frozenset(("other", "turned-away", "timeout")),
    "refused": frozenset(("refused",)),
    "no-answer": frozenset(("timeout",)),
}


NOT_SAID = {
    "timeout": _("Nothing comes back from `%(address)s`. The graph does not say why. Follow the packet."),
    "refused": _("`%(address)s` refuses the connection. The graph does not say why. Follow the packet."),
    "other": _("Another one answers for `%(address)s`. The graph does not say who. Follow the packet."),
    "no-route": _("`%(a)s` finds no route to `%(address)s`. The graph does not say why. Follow the packet."),
    "no-neighbour": _("Nobody answers for the address `%(address)s`. The graph does not say why. Follow the packet."),
    "else": _("`%(a)s` does not reach `%(b)s`. The graph does not say why. Follow the packet."),
}


class Reasons:
    """For one graph: what it takes to look into it is done once."""

    def __init__(self, graph: dict[str, Any]):
        self.atlas = Atlas(graph)
        effort = Effort()
        self.forecasts = [Forecast(self.atlas, bridged, effort) for bridged in (False, True)]

    def reason(self, a: str, b: str, how: str, cell: Cell) -> dict[str, Any]:
        """{"why": T, "path": ids of things}: of a cell that was tried, from the thing `a` to the thing `b`."""
        one, other = self.atlas.thing(a), self.atlas.thing(b)
        names = {"a": one.get("name", ""), "b": other.get("name", "")}
        if cell.reached is None:
            return {"why": tell(_("Whether `%(a)s` reaches `%(b)s` could not be tried. Probe again."), **names), "path": []}
        if how == "name":
            return {"why": self._known(one, other, cell, names), "path": [a, b] if cell.reached else []}
        if (why := self._not_there(one, other, cell, names)) is not None:
            return {"why": why, "path": []}
        with suppress(TooMuch):
            for forecast in self.forecasts:
                if (found := _Pair(self.atlas, forecast, one, other, how, cell, names).found()) is not None:
                    return found
        return {"why": self._not_said(how, cell, names), "path": []}

    def _not_said(self, how: str, cell: Cell, names: dict[str, str]) -> T:
        if cell.reached:
            return how_it_went(names["a"], names["b"], how, cell)
        return tell(NOT_SAID.get(cell.code) or NOT_SAID["else"], address=cell.address, **names)

    # Names

    def _known(self, a: Thing, b: Thing, cell: Cell, names: dict[str, str]) -> T:
        here = self._networks(a)
        shared = [id for id in here if id in self._networks(b)]
        named = [self.atlas.thing(id) for id in shared if not _is_default(self.atlas.thing(id))]
        if cell.reached:
            if named:
                return tell(_("`%(a)s` and `%(b)s` are both on `%(network)s`, and the name server of such a network knows the names of all that are on it."), network=named[0]["name"], **names)
            return how_it_went(names["a"], names["b"], "name", cell)
        if cell.code == "stopped":
            return self._stopped(a, b, names)
        if cell.code == "other":
            return how_it_went(names["a"], names["b"], "name", cell)
        if b.get("kind") == "namespace":
            return tell(_("`%(b)s` is the name of a namespace for `ip netns`, and no name server knows those."), **names)
        if a.get("kind") != "container" and b.get("engine") == "docker":
            return tell(_("Docker’s name server answers containers only. `%(a)s` asks its own files and its own name server, where `%(b)s` is not known."), **names)
        if a.get("kind") == "container" and b.get("kind") == "host" and cell.code == "no-name":
            return tell(_("The names of hosts stand in the hosts’ own `/etc/hosts`. `%(a)s` has a file of its own, and its name server does not know `%(b)s`."), **names)
        if self._cut_off(a):
            return tell(_("`%(a)s` has no network at all, so it has no name server to ask."), **names)
        if b.get("kind") == "container" and not self._networks(b):
            return tell(_("`%(b)s` is on no network of its own, so no network’s name server knows its name."), **names)
        if a.get("kind") == "container" and b.get("kind") == "container":
            if a["host"] != b["host"] and not shared and a["engine"] == b["engine"] == "docker":
                return tell(_("`%(a)s` and `%(b)s` are on two hosts, and no network of theirs spans both: each Docker knows its own containers only."), **names)
            if shared and not named:
                return tell(_("On the default network `bridge` there are no names: only a network that one creates has a name server."), **names)
            if not shared:
                return tell(_("`%(a)s` and `%(b)s` are on no network together, and a name is known on its own network only."), **names)
        return how_it_went(names["a"], names["b"], "name", cell)

    def _networks(self, thing: Thing) -> list[str]:
        shared = self.atlas.thing(thing["mode"].removeprefix("container:")) if str(thing.get("mode", "")).startswith("container:") else {}
        return list((shared or thing).get("networks", {}))

    # What is not there

    def _not_there(self, a: Thing, b: Thing, cell: Cell, names: dict[str, str]) -> T | None:
        if cell.code == "stopped":
            return self._stopped(a, b, names)
        if cell.code == "no-address":
            if self._cut_off(b):
                return tell(_("`%(b)s` was started with the network `none`: it has its loopback interface and nothing else, so nobody reaches it."), **names)
            return tell(_("`%(b)s` has no address but that of its loopback interface, so nobody can send it anything."), **names)
        if cell.code == "no-route" and self._cut_off(a):
            return tell(_("`%(a)s` was started with the network `none`: it has its loopback interface and nothing else, so it reaches nobody."), **names)
        if cell.code == "no-route" and a.get("kind") != "host" and not self.atlas.addresses(space_of(a)):
            return tell(_("`%(a)s` has no address and no route: it reaches nobody but itself."), **names)
        return None

    def _cut_off(self, thing: Thing) -> bool:
        """Started with the network `none`, and nobody has plugged anything into it since."""
        return thing.get("mode") == "none" and all(one["type"] == "loopback" for one in self.atlas.interfaces(space_of(thing)))

    def _stopped(self, a: Thing, b: Thing, names: dict[str, str]) -> T:
        who = next((one for one in (a, b) if one.get("kind") == "container" and one.get("state") != "running"), None)
        if who is None:
            return how_it_went(names["a"], names["b"], "ping", Cell(False, "stopped"))
        return tell(_("The container `%(who)s` does not run, and a container that does not run has no network."), who=who["name"])


class _Pair:
    """One cell, as one forecast sees it."""

    def __init__(self, atlas: Atlas, forecast: Forecast, a: Thing, b: Thing, how: str, cell: Cell, names: dict[str, str]):
        self.atlas, self.forecast, self.a, self.b, self.cell, self.names = atlas, forecast, a, b, cell, names
        self.way, _colon, port = how.partition(":")
        self.port = int(port or 0)
        self.here, self.there = space_of(a), space_of(b)

    def found(self) -> dict[str, Any] | None:
        """None: what was found is not what it leads to expect."""
        if not self.here or not self.there or not self.cell.address:
            return None
        walk = self.forecast.there_and_back(self.here, self.cell.address, "icmp" if self.way == "ping" else "tcp", self.port)
        what, why = self._expected(walk)
        if self.cell.reached != (what == "reached") or (not self.cell.reached and self.cell.code not in ENDS.get(what, ())):
            return None
        return {"why": why, "path": self._path(walk)}

    def _path(self, walk: Walk) -> list[str]:
        ids = [self.a["id"], *walk.path, *([walk.thing] if walk.thing else []), *([self.b["id"]] if self.cell.reached else [])]
        return list(dict.fromkeys(id for id in ids if id in self.atlas.things))

    def _expected(self, walk: Walk) -> tuple[str, T | None]:
        """(what is expected: "reached", or a key of ENDS; why)"""
        if walk.what != "arrives":
            return walk.what, self._ended(walk)
        if walk.at != self.there and not self._sent_on(walk):
            if walk.at == self.here:
                return "elsewhere", self._say(_("`%(address)s` is an address of `%(b)s`, and of `%(a)s` as well, which so gets to nobody but itself."))
            who = self.atlas.called(walk.at)
            return "elsewhere", self._say(_("`%(address)s` is an address of `%(b)s`, and of `%(who)s` as well: that is the one that `%(a)s` gets to."), who=who)
        if walk.back is not None and not (walk.back.what == "arrives" and walk.back.at == self.here):
            return "no-answer", self._no_answer(walk, walk.back)
        if self.way == "tcp" and (refused := self._nobody_listens(walk)) is not None:
            return "refused", refused
        return "reached", self._reached(walk)

    def _sent_on(self, walk: Walk) -> bool:
        """A host that publishes a port is reached where the port is sent on to."""
        return bool(walk.nat) and walk.packet.dst != self.cell.address

    def _nobody_listens(self, walk: Walk) -> T | None:
        port, at = walk.packet.port, walk.at
        here = self.atlas.listeners(at, "tcp", port)
        if any(":" not in one["address"] for one in here) and ":" not in walk.packet.dst:
            here = [one for one in here if ":" not in one["address"]]  # with one of IPv4 beside it, the one of IPv6 takes nothing else
        if any(bare(one["address"]).strip("[]") in (walk.packet.dst, "0.0.0.0", "::", "*") for one in here):
            return None
        who = self.atlas.called(at)
        if here:
            only = here[0]["address"]
            return self._say(_("It gets to `%(who)s`, but there port %(inner)s is open on `%(only)s` only, not on `%(to)s`."), who=who, inner=port, only=only, to=walk.packet.dst)
        return self._say(_("It gets to `%(who)s`, where nothing listens on port %(inner)s, so the kernel there refuses."), who=who, inner=port)

    def _say(self, sentence: str, **values: object) -> T:
        return tell(sentence, **{**self.names, "address": self.cell.address, "port": self.port, **values})

    # Reached

    def _reached(self, walk: Walk) -> T:
        path = [self.atlas.thing(id) for id in walk.path]
        bridges = [one for one in path if one.get("type") == "bridge"]
        first = self._first_dev(walk)
        if walk.at == self.here:
            return self._say(_("`%(a)s` and `%(b)s` share one network namespace: what one sends to the other never leaves it.") if self.here == self.there else _("`%(a)s` reaches `%(b)s`, by `%(address)s`."))
        if self._sent_on(walk):
            return self._say(_("`%(host)s` publishes port %(port)s: a rule there sends what comes for it on to `%(to)s`, port %(inner)s."), host=self.b["host"], to=walk.packet.dst, inner=walk.packet.port)
        if len(walk.spaces) == 2:
            if any(one.get("kind") == "wire" for one in path):
                return self._say(_("Both are on the same wire, so nothing has to pass it on."))
            if first.get("type") == "macvlan":
                return self._say(_("Both have a macvlan interface of their own on `%(parent)s`, so they hear each other there."), parent=self._name(first.get("parent")))
            if self.atlas.thing(self.there).get("root") and bridges:
                return self._say(_("`%(a)s` is plugged into `%(bridge)s`, and `%(b)s` is the host that this bridge belongs to."), bridge=bridges[0]["name"])
            if self.atlas.thing(self.here).get("root") and bridges:
                return self._say(_("`%(a)s` has an interface on `%(bridge)s` itself, and `%(b)s` is plugged in there."), bridge=bridges[0]["name"])
            if bridges:
                return self._say(_("Both are plugged into `%(bridge)s`, which hands over from one to the other."), bridge=bridges[0]["name"])
            return self._say(_("A cable leads from `%(a)s` to `%(b)s`, without anybody between."))
        via = self.atlas.called(walk.spaces[1])
        if self.atlas.thing(self.there).get("root") and walk.at == walk.spaces[1]:
            return self._say(_("`%(b)s` is the gateway of `%(a)s`: whatever it sends out gets there."))
        if any(self.atlas.thing(id).get("action") in ("MASQUERADE", "SNAT") for id in walk.rewrote):
            return self._say(_("`%(a)s` sends it to its gateway, `%(via)s`, which passes it on with its own address in front, so that the answer finds back."), via=via)
        return self._say(_("`%(a)s` sends it to its gateway, `%(via)s`, which passes it on."), via=via)

    def _first_dev(self, walk: Walk) -> Thing:
        return next((one for id in walk.path if (one := self.atlas.thing(id)).get("kind") == "interface"), {})

    def _name(self, id: str | None) -> str:
        return self.atlas.thing(id).get("name", "")

    # Not reached

    def _ended(self, ended: Walk) -> T | None:
        """Why a walk ended on its way there."""
        who, thing = self.atlas.called(ended.at), self.atlas.thing(ended.thing)
        to = ended.packet.dst
        match ended.what:
            case "no-route":
                return self._no_route(ended, who, to)
            case "no-neighbour":
                return self._no_neighbour(ended, who, to, thing)
            case "macvlan":
                return self._say(_("A macvlan interface and the one that it hangs from never hear each other, and `%(address)s` is on the other side of that."))
            case "down":
                return self._say(_("`%(interface)s` of `%(who)s` is down, and the way leads through it."), interface=thing.get("name", ""), who=self.atlas.called(thing.get("space")))
            case "not-forwarded":
                return self._say(_("`%(who)s` would have to pass it on, and forwarding is off there."), who=who)
            case "dropped" | "rejected":
                return self._ruled(ended, who, thing)
        return None

    def _no_route(self, ended: Walk, who: str, to: str) -> T:
        networks = [self.atlas.thing(id) for id in self.a.get("networks", {})] if ended.at == self.here else []
        if networks and all(network.get("internal") for network in networks):
            return self._say(_("`%(network)s` is internal: Docker gives `%(a)s` no way out of it, so it has no route to `%(to)s`."), network=networks[0]["name"], to=to)
        if not self.forecast.routes.get(ended.at):
            return self._say(_("`%(who)s` has no route at all, so it knows no way to `%(to)s`."), who=who, to=to)
        return self._say(_("`%(who)s` has no route to `%(to)s`."), who=who, to=to)

    def _no_neighbour(self, ended: Walk, who: str, to: str, dev: Thing) -> T:
        route = next((self.atlas.thing(id) for id in reversed(ended.path) if self.atlas.thing(id).get("kind") == "route"), {})
        if route.get("via"):
            return self._say(_("`%(who)s` sends it to its gateway `%(via)s`, by `%(interface)s`, and nobody there has that address."), who=who, via=route["via"], interface=dev.get("name", ""))
        return self._say(
            _("`%(who)s` takes `%(to)s` for one of its own network `%(net)s`, looks for it on `%(interface)s`, and nobody there has that address."), who=who, to=to, net=route.get("to", ""), interface=dev.get("name", ""),
        )  # fmt: skip

    def _ruled(self, ended: Walk, who: str, thing: Thing) -> T:
        drops = ended.what == "dropped"
        if thing.get("kind") == "chain":
            return self._say(_("No rule in `%(chain)s` of `%(who)s` lets it through, and the policy of that chain is to drop."), chain=thing["name"], who=who)
        chain = thing.get("chain", "")
        ways = [self._name_of_network(name) for name in (ended.packet.into, ended.packet.out)]
        if chain.startswith("DOCKER-ISOLATION"):
            if all(ways):
                return self._say(_("Docker keeps its networks apart: what comes from `%(from)s` and goes to `%(to)s` is dropped in `%(chain)s`."), **{"from": ways[0], "to": ways[1], "chain": chain})
            return self._say(_("Docker keeps this network apart from the others: it is dropped in `%(chain)s`."), chain=chain)
        if drops:
            return self._say(_("A rule of `%(who)s` drops it: `%(rule)s`"), who=who, rule=thing.get("text", ""))
        return self._say(_("A rule of `%(who)s` rejects it: `%(rule)s`"), who=who, rule=thing.get("text", ""))

    def _name_of_network(self, bridge: str) -> str:
        return next((network["name"] for network in self.atlas.of_kind("network") if network.get("bridge") and self._name(network["bridge"]) == bridge), "")

    def _no_answer(self, walk: Walk, back: Walk) -> T | None:
        who, to = self.atlas.called(back.at), back.packet.dst
        if back.what == "arrives":
            return self._say(_("It gets to `%(b)s`, but the answer to `%(to)s` goes to `%(who)s`, which has that address, too."), to=to, who=who)
        if back.what == "no-route":
            return self._say(_("It gets to `%(b)s`, but no answer comes back: `%(who)s` has no route to `%(to)s`."), who=who, to=to)
        if back.what == "no-neighbour":
            return self._say(_("It gets to `%(b)s`, but no answer comes back: `%(who)s` looks for `%(to)s` on `%(interface)s`, and nobody there has that address."), who=who, to=to, interface=self._name(back.thing))
        if back.what == "not-forwarded":
            return self._say(_("It gets to `%(b)s`, but no answer comes back: `%(who)s` would have to pass it on, and forwarding is off there."), who=who)
        if back.what in ("dropped", "rejected"):
            thing = self.atlas.thing(back.thing)
            return self._say(_("It gets to `%(b)s`, but the answer does not pass `%(who)s`: `%(rule)s`"), who=who, rule=thing.get("text") or f"{thing.get('name', '')} policy DROP")
        if back.what in ("down", "macvlan"):
            return self._say(_("It gets to `%(b)s`, but no answer comes back: the way of the answer ends at `%(interface)s`."), interface=self._name(back.thing))
        return None


def _is_default(network: Thing) -> bool:
    """Docker's own network of that name, and podman's: without names of containers."""
    return network.get("name") in ("bridge", "podman", "host", "none")


# What a try says by itself


def how_it_went(a: str, b: str, how: str, cell: Cell) -> T:
    """One sentence about the try from `a` to `b`, without a graph."""
    way, _colon, port = how.partition(":")
    if cell.reached:
        sentence = {"name": _("`%(a)s` knows the name `%(b)s`: it stands for `%(address)s`."), "tcp": _("`%(a)s` reaches `%(b)s` on port %(port)s, by `%(address)s`.")}
        return tell(sentence.get(way, _("`%(a)s` reaches `%(b)s`, by `%(address)s`.")), a=a, b=b, address=cell.address, port=port)
    code, _colon, detail = cell.code.partition(":")
    sentence = NAMES if way == "name" else WENT
    return tell(sentence.get(code) or sentence["else"], a=a, b=b, address=cell.address, port=port, server=detail)


WENT = {
    "timeout": _("`%(a)s` does not reach `%(b)s`: nothing comes back from `%(address)s`."),
    "refused": _("`%(a)s` does not reach `%(b)s` on port %(port)s: it refuses, for nothing listens there."),
    "turned-away": _("`%(a)s` does not reach `%(b)s` on port %(port)s: something on the way refuses, or another one with the address `%(address)s`."),
    "other": _("`%(a)s` does not reach `%(b)s`: another one answers for the address `%(address)s`."),
    "no-route": _("`%(a)s` does not reach `%(b)s`: it has no route to `%(address)s`."),
    "no-neighbour": _("`%(a)s` does not reach `%(b)s`: where it looks for `%(address)s`, nobody has that address."),
    "prohibited": _("`%(a)s` does not reach `%(b)s`: something on the way says that it is not allowed."),
    "dropped-here": _("`%(a)s` does not reach `%(b)s`: its own rules do not let the packet out."),
    "no-address": _("`%(a)s` does not reach `%(b)s`: `%(b)s` has no address that could be reached."),
    "stopped": _("`%(a)s` does not reach `%(b)s`: one of the two is stopped, so it has no network."),
    "else": _("`%(a)s` does not reach `%(b)s`."),
}
NAMES = {
    "no-nameserver": _("`%(a)s` does not know the name `%(b)s`, and has no name server to ask."),
    "nameserver-silent": _("`%(a)s` does not know the name `%(b)s`, and its name server `%(server)s` does not answer."),
    "other": _("`%(a)s` knows the name `%(b)s`, but it stands for `%(address)s`, which is another one’s address."),
    "stopped": _("`%(a)s` does not know the name `%(b)s`: one of the two is stopped, so it has no network."),
    "else": _("`%(a)s` does not know the name `%(b)s`."),
}
