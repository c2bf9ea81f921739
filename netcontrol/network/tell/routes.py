"""Routes, forwarding and sockets that listen. Must not know rules."""
from ipaddress import ip_interface

from django.utils.translation import gettext_noop as _

from netcontrol.network.tell.story import Said, Sentence, Story, Thing

ROUTE = Said(
    _("%(where)s: %(way)s"),
    _("A route says by which interface packets to these destinations leave, and to which router they are handed. The narrowest one that fits is taken. For the subnet of an address the kernel makes the route by itself; others somebody adds, as Docker does with the default route of a container."),
)
DEFAULT = Said(
    _("%(where)s: %(way)s"),
    _("The default route is for everything that no other route fits. Packets are handed to this router, for a container mostly the host's address on the bridge, and it passes them on. Without a default route only the own subnets can be reached."),
)
ROUTE_GONE = Said(
    _("%(where)s: no longer %(way)s"),
    _("Packets to these destinations now take a wider route that fits, mostly the default route; where there is none, sending fails with “Network is unreachable”. Routes also go when their interface is switched off or loses the address that they need."),
)
ROUTE_OTHER = Said(
    _("%(where)s: %(old)s → %(new)s"),
    _("Packets to the same destinations now take another way. Whether the new router exists, and passes them on, the kernel does not ask."),
)
FORWARDS = Said(
    _("forwarding in `%(space)s`: `%(old)s` → `%(new)s`"),
    _("A host passes packets on between its interfaces only when this is switched on: it is then a router. Without it containers still reach the host and one another on their bridge, but nothing beyond. dockerd switches it on when it starts."),
)
FORWARDS6 = Said(
    _("IPv6 forwarding in `%(space)s`: `%(old)s` → `%(new)s`"),
    _("The same switch as for IPv4: only with it IPv6 packets are passed on from one interface to another. It also decides whether the host listens to routers that announce themselves."),
)
LISTENS = Said(
    _("%(program)s listens on %(proto)s `%(where)s`"),
    _("A program waits for connections on this port. Only from now on is anybody answered there: a started container is not yet a program that listens. On 0.0.0.0 or :: it listens on all addresses of its namespace, on 127.0.0.1 only for programs in the same namespace."),
)
LISTENS_NO_MORE = Said(
    _("%(program)s no longer listens on %(proto)s `%(where)s`"),
    _("Nobody waits on this port any longer. Whoever connects is refused at once, for the address still answers, but no program does."),
)


def tell(story: Story) -> None:
    _routes(story)
    _forwarding(story)
    _listeners(story)


# Routes


def _routes(story: Story) -> None:
    gone = [route for route in story.goes("route") if route["space"] not in story.gone and not _dev_gone(story, route)]
    old: dict[tuple, list[Thing]] = {}
    for route in gone:
        old.setdefault(_same(route), []).append(route)
    for route in story.comes("route"):
        if _comes_with_its_space(story, route) or _comes_by_itself(story, route):
            story.let_pass(route)
        elif was := old.get(_same(route)):
            told = was.pop()
            story.say("~", "route", ROUTE_OTHER, [told, route], _show(story, route), where=_where(story, route), old=_way(story, told), new=_hop(story, route))
        else:
            said = DEFAULT if route["to"] == "default" and route["via"] else ROUTE
            story.say("+", "route", said, [route], _show(story, route), where=_where(story, route), way=_way(story, route))
    for route in gone:
        if route["id"] not in story.told and not _comes_by_itself(story, route):
            story.say("-", "route", ROUTE_GONE, [route], _show(story, route), where=_where(story, route), way=_way(story, route))


def _same(route: Thing) -> tuple:
    return route["space"], route["family"], route["table"], route["to"], route["metric"]


def _dev_gone(story: Story, route: Thing) -> bool:
    """It went with its interface, and that is told."""
    return route["dev"] in story.gone


def _comes_with_its_space(story: Story, route: Thing) -> bool:
    """What a container has from its start is told by its address."""
    space = story.thing(route["space"])
    return story.is_new(route["space"]) and bool(space and space["containers"])


def _comes_by_itself(story: Story, route: Thing) -> bool:
    """The kernel's own route to the subnet of an address: it comes and goes with the address, or with its interface's being up, and these are told."""
    dev = story.thing(route["dev"])
    if route["via"] or route["type"] != "unicast" or dev is None or route["table"] != "main":
        return False
    news = story.changed.get(dev["id"], {})
    addresses = {*dev["addresses"], *(address for side in news.get("addresses", ()) for address in side)}
    return (dev["id"] in story.added or "addresses" in news or "state" in news) and any(_is_subnet_of(route["to"], address) for address in addresses)


def _is_subnet_of(to: str, address: str) -> bool:
    try:
        return str(ip_interface(address.replace(" peer ", "/").split("/")[0] + "/" + address.rpartition("/")[2]).network) == to
    except ValueError:
        return False


def _where(story: Story, route: Thing) -> Sentence:
    table, space = route["table"], story.place(route["space"])
    values = {"space": space, "table": table}
    if table != "main":
        return {"id": _("route in `%(space)s`, table `%(table)s`") if space else _("route in table `%(table)s`"), "with": values}
    return {"id": _("route in `%(space)s`") if space else _("route"), "with": values}


def _way(story: Story, route: Thing) -> Sentence:
    dev = story.thing(route["dev"])
    values = {"to": route["to"], "via": route["via"] or "", "dev": dev["name"] if dev else "", "type": route["type"]}
    if route["type"] != "unicast":
        return {"id": _("`%(to)s`: `%(type)s`"), "with": values}
    if route["via"]:
        return {"id": _("`%(to)s` via `%(via)s` by `%(dev)s`"), "with": values}
    return {"id": _("`%(to)s` by `%(dev)s`"), "with": values}


def _hop(story: Story, route: Thing) -> Sentence:
    dev = story.thing(route["dev"])
    values = {"via": route["via"] or "", "dev": dev["name"] if dev else route["type"]}
    return {"id": _("via `%(via)s` by `%(dev)s`") if route["via"] else _("by `%(dev)s`"), "with": values}


def _show(story: Story, route: Thing) -> list[tuple[str, str]]:
    words = ["ip", *(["-6"] if route["family"] == "ip6" else []), "route", "show", *(["table", route["table"]] if route["table"] != "main" else [])]
    return [story.command(route["space"], *words)]


# Forwarding


def _forwarding(story: Story) -> None:
    for space, facts in list(story.alters("namespace", "forward", "forward6")):
        for fact, said, name in (("forward", FORWARDS, "net.ipv4.ip_forward"), ("forward6", FORWARDS6, "net.ipv6.conf.all.forwarding")):
            if fact in facts:
                old, new = ("on" if value else "off" for value in facts[fact])
                kind = "host" if space["root"] else "namespace"
                story.say("~", kind, said, [space], [story.command(space["id"], "sysctl", name, tool_of_the_host=True)], space=story.where(space["id"]), old=old, new=new)


# Listeners

ANY = {"0.0.0.0", "::", "*"}


def _listeners(story: Story) -> None:
    for sign, said, found, others in (("+", LISTENS, story.comes("listener"), story.goes("listener")), ("-", LISTENS_NO_MORE, story.goes("listener"), story.comes("listener"))):
        stays = {_socket(each) for each in others}
        groups: dict[tuple, list[Thing]] = {}
        for listener in found:
            if listener["space"] in story.gone or _plumbing(listener):
                story.let_pass(listener)
            elif _socket(listener) not in stays:
                groups.setdefault(_socket(listener), []).append(listener)
        for group in groups.values():
            _listener(story, sign, said, group)


def _socket(listener: Thing) -> tuple:
    """One program on one port, whether of IPv4, of IPv6 or of both."""
    return listener["space"], listener["proto"], listener["port"], listener["program"], "" if listener["address"] in ANY else listener["address"]


def _plumbing(listener: Thing) -> bool:
    """What the engines open for themselves: the port of a published port is told by its rule."""
    return listener["program"] in ("docker-proxy", "containerd", "conmon") or (listener["program"] in ("dockerd", "") and listener["address"] == "127.0.0.11")


def _listener(story: Story, sign: str, said: Said, group: list[Thing]) -> None:
    first = group[0]
    space, name = story.place(first["space"]), first["program"]
    values = {"program": name, "space": space}
    program: Sentence | list[str]
    if name:
        program = {"id": _("`%(program)s` in `%(space)s`"), "with": values} if space else [name]
    else:
        program = {"id": _("a program in `%(space)s`") if space else _("a program"), "with": values}
    address = "" if first["address"] in ANY else f"[{first['address']}]:" if ":" in first["address"] else f"{first['address']}:"
    space_thing = story.thing(first["space"])
    kind = "host" if space_thing is None or space_thing["root"] else "container" if space_thing["containers"] else "namespace"
    show = [story.command(first["space"], "ss", "-ltnp" if first["proto"] == "tcp" else "-lunp", tool_of_the_host=True)]
    story.say(sign, kind, said, group, show, program=program, proto=first["proto"], where=f"{address}{first['port']}")
