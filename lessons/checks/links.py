"""net.link, net.address and net.route: what `ip` says, on the host, in a container or in a named network namespace."""
import re
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Literal

from django.utils.translation import gettext as _
from pydantic import model_validator

from lessons.checks.ask import ask, not_there, objects, odd, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Address, AddressOfAnyLength, Destination, Name, Placed, same, wrong
from lessons.checks.verdict import Failed, NotKnown, Quoted, names, say, with_details

Kind = Literal["bridge", "veth", "macvlan", "ipvlan", "vxlan", "vlan", "dummy"]


def placed(sentence: str, p: Placed) -> str:
    """The sentence, and where: "`eth1` is up in `web`"."""
    if p.in_:
        return say(_("%(sentence)s in `%(container)s`"), sentence=Quoted(sentence), container=p.in_)
    if p.netns:
        return say(_("%(sentence)s in the namespace `%(netns)s`"), sentence=Quoted(sentence), netns=p.netns)
    return sentence


def full(sentence: str, p: Placed) -> str:
    """Why it failed, and where: "In `web`: There is no interface `eth1`." """
    if p.in_:
        return say(_("In `%(container)s`: %(sentence)s."), sentence=Quoted(sentence), container=p.in_)
    if p.netns:
        return say(_("In the namespace `%(netns)s`: %(sentence)s."), sentence=Quoted(sentence), netns=p.netns)
    return say(_("%(sentence)s."), sentence=Quoted(sentence))


class LinkParams(Placed):
    name: Name
    exists: bool = True
    kind: Kind | None = None
    up: bool | None = None
    master: Name | None = None

    @model_validator(mode="after")
    def _of_one_that_is_there(self):
        if not self.exists and self.model_fields_set & {"kind", "up", "master"}:
            raise wrong("says “exists: false”, and what the interface has to be like.")
        return self


def link_title(p: LinkParams) -> str:
    if not p.exists:
        return placed(say(_("There is no interface `%(name)s`"), name=p.name), p)
    if p.kind:
        sentence = say(_("There is a %(kind)s `%(name)s`"), kind=p.kind, name=p.name)
    else:
        sentence = say(_("There is an interface `%(name)s`"), name=p.name)
    details = []
    if p.up is not None:
        details.append(_("up") if p.up else _("down"))
    if p.master:
        details.append(say(_("attached to `%(master)s`"), master=p.master))
    return with_details(placed(sentence, p), details)


async def look_at_link(p: LinkParams, host: str, run: Run) -> None:
    link = _link(await _links(p, host, run), p.name)
    if link is None:
        if p.exists:
            raise Failed(full(say(_("There is no interface `%(name)s`"), name=p.name), p))
        return
    if not p.exists:
        raise Failed(full(say(_("There is still an interface `%(name)s`"), name=p.name), p))
    kind = part(link, "linkinfo", "info_kind", kind=str, host=host)
    if p.kind and kind != p.kind:
        is_so = kind or part(link, "link_type", kind=str, host=host)
        if not re.fullmatch(r"[\w./-]+", is_so):  # it stands in no backticks
            raise NotKnown(odd(host))
        raise Failed(full(say(_("`%(name)s` is a %(is_so)s, not a %(wanted)s"), name=p.name, is_so=is_so, wanted=p.kind), p))
    up = "UP" in part(link, "flags", kind=list, host=host)
    if p.up is not None and up != p.up:
        raise Failed(full(say(_("`%(name)s` is up") if up else _("`%(name)s` is down"), name=p.name), p))
    master = part(link, "master", kind=str, host=host)
    if p.master and master != p.master:
        if not master:
            raise Failed(full(say(_("`%(name)s` is attached to no bridge"), name=p.name), p))
        raise Failed(full(say(_("`%(name)s` is attached to `%(is_so)s`, not to `%(wanted)s`"), name=p.name, is_so=master, wanted=p.master), p))


async def _look_there(p: Placed, host: str, run: Run, what: str, **question: Any) -> dict[str, Any]:
    answer = await ask(run, host, what, container=p.in_, netns=p.netns, **question)
    if isinstance(why := answer.get("no"), str):
        raise not_there(why, host, container=p.in_ or "", netns=p.netns or "")
    return answer


async def _links(p: Placed, host: str, run: Run) -> list[dict[str, Any]]:
    return objects(part(await _look_there(p, host, run, "addresses"), "links", kind=list, host=host), host)


def _link(links: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((link for link in links if link.get("ifname") == name), None)


class AddressParams(Placed):
    link: Name
    address: AddressOfAnyLength
    exists: bool = True


def address_title(p: AddressParams) -> str:
    sentence = _("`%(link)s` has the address `%(address)s`") if p.exists else _("`%(link)s` does not have the address `%(address)s`")
    return placed(say(sentence, link=p.link, address=p.address), p)


async def look_at_address(p: AddressParams, host: str, run: Run) -> None:
    links = await _links(p, host, run)
    link = _link(links, p.link)
    there = _addresses(link, host) if link else []
    if any(_is(address, p.address) for address in there):
        if p.exists:
            return
        raise Failed(full(say(_("`%(link)s` still has the address `%(address)s`"), link=p.link, address=p.address), p))
    if not p.exists:
        return
    if link is None:
        raise Failed(full(say(_("There is no interface `%(name)s`"), name=p.link), p))
    for other in links:
        if any(_is(address, p.address) for address in _addresses(other, host)):
            sentence = _("The address `%(address)s` is on `%(other)s`, not on `%(link)s`")
            raise Failed(full(say(sentence, address=p.address, other=other.get("ifname"), link=p.link), p))
    same_kind = [address for address in there if (":" in address) == (":" in p.address) and not address.startswith("fe80:")]
    if not same_kind:
        raise Failed(full(say(_("`%(link)s` has no IPv6 address") if ":" in p.address else _("`%(link)s` has no IPv4 address"), link=p.link), p))
    sentence = _("`%(link)s` has the address %(is_so)s, not `%(wanted)s`")
    raise Failed(full(say(sentence, link=p.link, is_so=names(same_kind), wanted=p.address), p))


def _addresses(link: dict[str, Any], host: str) -> list[str]:
    there = objects(part(link, "addr_info", kind=list, host=host), host)
    return [f"{part(a, 'local', kind=str, host=host)}/{part(a, 'prefixlen', kind=int, host=host)}" for a in there]


def _is(address: str, wanted: str) -> bool:
    try:
        is_so = ip_interface(address)
        return is_so == ip_interface(wanted) if "/" in wanted else is_so.ip == ip_address(wanted)
    except ValueError:
        return False


class RouteParams(Placed):
    to: Destination
    via: Address | None = None
    dev: Name | None = None
    exists: bool = True


def route_title(p: RouteParams) -> str:
    if p.to == "default":
        sentence = _("There is a default route") if p.exists else _("There is no default route")
    else:
        sentence = say(_("There is a route to `%(to)s`") if p.exists else _("There is no route to `%(to)s`"), to=p.to)
    if p.via:
        sentence = say(_("%(sentence)s by way of `%(via)s`"), sentence=Quoted(sentence), via=p.via)
    if p.dev:
        sentence = say(_("%(sentence)s through `%(dev)s`"), sentence=Quoted(sentence), dev=p.dev)
    return placed(sentence, p)


async def look_at_route(p: RouteParams, host: str, run: Run) -> None:
    version = 6 if ":" in p.to or ":" in (p.via or "") else 4
    answer = await _look_there(p, host, run, "routes", version=version)
    routes = [_way(route, host) for route in objects(part(answer, "routes", kind=list, host=host), host)]
    ways = [way for to, some in routes if _same_network(to, p.to, version) for way in some]
    good = [way for way in ways if (not p.via or same(way[0], p.via)) and (not p.dev or way[1] == p.dev)]
    if p.exists and not good:
        raise Failed(full(_other_way(p, ways), p))
    if good and not p.exists:
        sentence = _("There is still a default route") if p.to == "default" else say(_("There is still a route to `%(to)s`"), to=p.to)
        raise Failed(full(sentence, p))


def _way(route: dict[str, Any], host: str) -> tuple[str, list[tuple[str, str]]]:
    """(where to, [(gateway, interface)]): one way, or as many as a multipath route has."""
    hops = objects(part(route, "nexthops", kind=list, host=host), host) or [route]
    return part(route, "dst", kind=str, host=host), [
        (part(hop, "gateway", kind=str, host=host) or part(hop, "via", "host", kind=str, host=host), part(hop, "dev", kind=str, host=host)) for hop in hops
    ]


def _other_way(p: RouteParams, ways: list[tuple[str, str]]) -> str:
    """Why none of these ways to the place is the wanted one."""
    if not ways:
        return _("There is no default route") if p.to == "default" else say(_("There is no route to `%(to)s`"), to=p.to)
    via, dev = ways[0]
    route = Quoted(_("The default route") if p.to == "default" else say(_("The route to `%(to)s`"), to=p.to))
    if p.via and not same(via, p.via):
        if not via:
            return say(_("%(route)s goes to the wire of `%(dev)s`, not by way of `%(wanted)s`"), route=route, dev=dev, wanted=p.via)
        return say(_("%(route)s goes by way of `%(is_so)s`, not of `%(wanted)s`"), route=route, is_so=via, wanted=p.via)
    return say(_("%(route)s goes through `%(is_so)s`, not through `%(wanted)s`"), route=route, is_so=dev, wanted=p.dev)


def _same_network(one: str, other: str, version: int) -> bool:
    everywhere = "0.0.0.0/0" if version == 4 else "::/0"
    try:
        return ip_network(everywhere if one == "default" else one) == ip_network(everywhere if other == "default" else other, strict=False)
    except ValueError:
        return False


LINK = CheckType("net.link", LinkParams, link_title, look_at_link)
ADDRESS = CheckType("net.address", AddressParams, address_title, look_at_address)
ROUTE = CheckType("net.route", RouteParams, route_title, look_at_route)
