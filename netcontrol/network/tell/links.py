"""Namespaces and interfaces: what comes, goes, moves, is plugged in, switched on, renamed, addressed. Must not know engines' doings, routes, rules."""
from django.utils.translation import gettext_noop as _

from netcontrol.network.tell.story import Said, Story, Thing, natural

NAMESPACE = Said(
    _("network namespace `%(name)s`"),
    _("A namespace is a network of its own inside the host: own interfaces, own routes, own rules. A new one holds only a loopback interface that is switched off. What `ip netns add` makes has a name and needs no process; a container has one without such a name."),
)
NAMESPACE_GONE = Said(
    _("network namespace `%(name)s` is gone"),
    _("A namespace goes when it has lost its name and its last process has left it. Its interfaces go with it; of a cable that led out, the other end goes too."),
)
NAMESPACE_NAMED = Said(
    _("the namespace of `%(space)s` is called `%(name)s` now"),
    _("The namespace is the same as before and got a name in `/run/netns`. With that, `ip netns exec` finds it."),
)
NAMESPACE_UNNAMED = Said(
    _("the namespace of `%(space)s` is no longer called `%(name)s`"),
    _("Only its name in `/run/netns` was taken away. The namespace itself stays as long as a process is in it."),
)
PAIR = Said(
    _("%(one)s ↔ %(other)s"),
    _("A veth pair is a cable: what enters at one end comes out at the other. One end is in the namespace, the other mostly stays in the host and is plugged into a bridge. So a container, which has its own network, is joined with the others."),
)
PAIR_GONE = Said(
    _("%(one)s ↔ %(other)s is gone"),
    _("Both ends of a veth pair go together: when one is deleted, or the namespace that held it ends, the other goes too, and with it its port on the bridge."),
)
END = Said(
    _("%(link)s, one end of a cable"),
    _("This is one end of a veth pair. Its other end is in a namespace that cannot be seen from here."),
)
END_GONE = Said(
    _("%(link)s, one end of a cable, is gone"),
    _("It was one end of a veth pair. Its other end, wherever it was, is gone with it."),
)
BRIDGE = Said(
    _("bridge %(link)s"),
    _("A bridge is a switch inside the host. What is plugged into it shares one segment: frames go from port to port by hardware address. The host itself takes part with the bridge's own address, if it is given one."),
)
BRIDGE_OF = Said(
    _("bridge %(link)s, of the network `%(network)s`"),
    _("The bridge of a network that the engine knew already. Podman makes it when the first container joins, and takes it away when the last one leaves; Docker makes it with the network."),
)
BRIDGE_GONE = Said(
    _("bridge %(link)s is gone"),
    _("With a bridge go its address and the route to its subnet. The cables that were plugged into it stay, unplugged."),
)
MACVLAN = Said(
    _("%(link)s: `%(type)s` on `%(parent)s`"),
    _("An interface that stands on another one, its parent, and needs no bridge: on the parent's wire it is seen as one more machine. With macvlan it has a hardware address of its own, with ipvlan it shares that of the parent. Parent and child do not hear each other."),
)
VLAN = Said(
    _("%(link)s: VLAN `%(vlan)s` of `%(parent)s`"),
    _("Frames that leave by it get the tag of this VLAN on the parent interface, and of those that arrive there it gets the ones with this tag. So several segments share one wire."),
)
VXLAN = Said(
    _("%(link)s: VXLAN `%(vlan)s`"),
    _("A tunnel: frames that leave by it are packed into UDP packets, and unpacked by the other host. So two hosts share a segment although only packets pass between them. Overlay networks are made of it."),
)
LINK = Said(
    _("%(link)s: interface of type `%(type)s`"),
    _("The kernel has one more interface in this namespace. It leads nowhere by itself: what it does depends on its type, and on the addresses and routes that it is given."),
)
LINK_GONE = Said(
    _("%(link)s is gone"),
    _("The interface was deleted. Its addresses and the routes that led out by it are gone with it."),
)
MOVED = Said(
    _("`%(link)s`: from `%(old)s` to `%(new)s`"),
    _("An interface is in one namespace at a time, and can be moved to another. It is the same interface, and a cable keeps its other end; but it arrives switched off, without addresses, and unplugged from its bridge."),
)
RENAMED = Said(
    _("`%(old)s` is called %(link)s now"),
    _("The name of an interface means nothing to the kernel, which knows it by its number. Addresses and cables stay as they are. Docker too gives a container's end of a cable the name `eth0` only after it has moved it there."),
)
PLUGGED = Said(
    _("%(link)s is plugged into `%(bridge)s`"),
    _("The interface is a port of the bridge now, which Linux calls its master. What arrives by it goes to the other ports; an address on the interface itself would no longer be of use."),
)
PULLED = Said(
    _("%(link)s is pulled out of `%(bridge)s`"),
    _("It is no longer a port of this bridge: what is behind it is cut off from the other ports. The cable itself is still there."),
)
REPLUGGED = Said(
    _("%(link)s: from bridge `%(old)s` to `%(bridge)s`"),
    _("An interface is a port of one bridge at a time. It was pulled out of the one and plugged into the other."),
)
HAS_CABLE = Said(
    _("%(link)s: `down` → `up`, it has a cable"),
    _("A bridge without a port that is up has no carrier, and `ip link` calls it DOWN although it is switched on. With the first cable that is up it is up too."),
)
NO_CARRIER = Said(
    _("%(link)s: `%(old)s` → `%(new)s`"),
    _("A bridge is up while one of its ports is up. What is plugged in is itself still switched off, or its other end is: so the bridge has no carrier."),
)
NO_CABLE = Said(
    _("%(link)s: `up` → `down`, no cable is left"),
    _("The last cable that was up is gone or switched off. The bridge is still switched on and keeps its address, but has no carrier; `ip link` shows NO-CARRIER and DOWN."),
)
STATE = Said(
    _("%(link)s: `%(old)s` → `%(new)s`"),
    _("`down` means switched off, `no-carrier` switched on, but with nobody at the other end: a cable is up only when both of its ends are switched on. A new interface is down until somebody switches it on. Going down costs it the routes that lead out by it."),
)
MTU = Said(
    _("%(link)s: MTU `%(old)s` → `%(new)s`"),
    _("The MTU is the size of the largest packet that leaves by this interface in one piece. Both ends of a cable, and all ports of a bridge, should have the same, or large packets are lost while small ones pass."),
)
MAC = Said(
    _("%(link)s: hardware address `%(old)s` → `%(new)s`"),
    _("On a segment, frames find their way by hardware address. Neighbours that still remember the old one send there until their entry is refreshed."),
)
ADDRESS = Said(
    _("%(link)s: `%(address)s`"),
    _("The interface got an address. The number behind the slash says how many bits name the subnet: whoever is in the same subnet is reached directly, without a router. The kernel adds the route to this subnet by itself, once the interface is up."),
)
ADDRESS_GONE = Said(
    _("%(link)s: no longer `%(address)s`"),
    _("The address was taken away. What was sent to it is no longer answered, and the route to its subnet goes with it if no other address needs it."),
)

STANDING = ("macvlan", "ipvlan")


def tell(story: Story) -> None:
    _namespaces(story)
    _moved(story)
    _gone(story)
    _new(story)
    _plugged(story)
    _renamed(story)
    _addresses(story)
    _states(story)
    _sizes(story)


def _show(story: Story, link: Thing, *detail: str) -> list[tuple[str, str]]:
    """With details it is the host's `ip`: busybox knows none of them."""
    return [story.command(link["space"], "ip", *detail, "link", "show", link["name"], tool_of_the_host=bool(detail))]


# Namespaces


def _namespaces(story: Story) -> None:
    for space in story.comes("namespace", root=False):
        story.say("+", "namespace", NAMESPACE, [space], [(space["host"], "ip netns list")], name=space["name"])
    for space in story.goes("namespace", root=False):
        story.say("-", "namespace", NAMESPACE_GONE, [space], [(space["host"], "ip netns list")], name=story.place(space["id"]))
    for space, facts in list(story.alters("namespace", "name")):
        old, new = facts["name"]
        said = NAMESPACE_NAMED if new else NAMESPACE_UNNAMED
        resident = story.resident(space)
        called = resident["name"] if resident else old
        story.say("~", "namespace", said, [space], [(space["host"], "ip netns list")], space=called, name=new or old)


# Links that come, go and move


def _moved(story: Story) -> None:
    """Gone here and come there: the same interface, when its other end says that it leads there now, or, both ends having moved, by its hardware address."""
    came = {(link["host"], link["type"], link["mac"]): link for link in story.comes("interface") if link["mac"] and link["type"] != "loopback"}
    for was in story.goes("interface"):
        end = story.new.get(was["peer"] or "")
        now = story.everything.get(end["peer"] or "") if end else came.get((was["host"], was["type"], was["mac"]))
        if now is None or now["id"] in story.told or now["id"] in story.old:
            continue
        there = [story.asks(now, "ip", "link", "show")] if now["id"] in story.new else [story.command(end["space"] if end else None, "ip", "link", "show")]
        space = story.everything[now["space"]]
        new = story.where(now["space"]) if now["space"] in story.new else f"pid {space['pid'] or '?'}"
        story.say("~", _kind(now), MOVED, [was, *([now] if now["id"] in story.new else [])], there, link=was["name"], old=story.where(was["space"]), new=new)
        if was["name"] != now["name"] and now["id"] in story.new:
            story.say("~", _kind(now), RENAMED, [now], there, old=was["name"], link=story.link(now))


def _kind(link: Thing) -> str:
    return {"bridge": "bridge", "macvlan": "macvlan", "ipvlan": "macvlan", "vlan": "macvlan", "wire": "wire", "vxlan": "wire", "veth": "veth"}.get(link["type"], "namespace")


def _new(story: Story) -> None:
    for link in story.comes("interface"):
        if link["id"] in story.told:
            continue
        type, parent = link["type"], story.thing(link["parent"])
        if type == "loopback":
            story.let_pass(link)
        elif type == "veth" and (end := story.thing(link["peer"])):
            if end["id"] in story.told or end["id"] not in story.gone:
                _pair(story, "+", PAIR, link, end)
        elif type == "veth":
            story.say("+", "veth", END, [link], _show(story, link, "-d"), link=story.link(link, bridge=True))
        elif type == "bridge":
            network = story.thing(link["network"])
            there = [*_show(story, link, "-d"), story.command(link["space"], "bridge", "link", tool_of_the_host=True)]
            story.say("+", "bridge", BRIDGE_OF if network else BRIDGE, [link], there, link=story.link(link), network=network["name"] if network else "")
        elif type in STANDING and parent:
            story.say("+", "macvlan", MACVLAN, [link], _show(story, link, "-d"), link=story.link(link), type=type, parent=parent["name"])
        elif type == "vlan" and parent:
            story.say("+", "macvlan", VLAN, [link], _show(story, link, "-d"), link=story.link(link), vlan=link["vlan"] or "?", parent=parent["name"])
        elif type == "vxlan":
            story.say("+", "wire", VXLAN, [link], _show(story, link, "-d"), link=story.link(link), vlan=link["vlan"] or "?")
        else:
            story.say("+", _kind(link), LINK, [link], _show(story, link, "-d"), link=story.link(link), type=type)


def _pair(story: Story, sign: str, said: Said, link: Thing, end: Thing) -> None:
    """The end that is plugged in, or in the root namespace, stands first."""
    link, end = sorted((link, end), key=lambda each: (not each["master"], bool(story.place(each["space"])), each["name"]))
    there = [story.asks(each, "ip", "link", "show") for each in (link, end)] if sign == "+" else [story.command(link["space"], "ip", "link", "show")]
    story.say(sign, "veth", said, [link, end], there, one=story.link(link, bridge=True), other=story.link(end, bridge=True))


def _gone(story: Story) -> None:
    for link in story.goes("interface"):
        if link["id"] in story.told:
            continue
        end = story.thing(link["peer"])
        if link["type"] == "loopback" or (link["space"] in story.gone and not end):
            story.let_pass(link)
        elif end and end["id"] in story.gone:
            _pair(story, "-", PAIR_GONE, link, end)
        elif link["type"] == "bridge":
            story.say("-", "bridge", BRIDGE_GONE, [link], [story.command(link["space"], "ip", "link", "show")], link=story.link(link))
        else:
            said = END_GONE if link["type"] == "veth" else LINK_GONE
            story.say("-", _kind(link), said, [link], [story.command(link["space"], "ip", "link", "show")], link=story.link(link))


# Links that stay


def _plugged(story: Story) -> None:
    for link, facts in list(story.alters("interface", "master")):
        old, new = (story.thing(id) for id in facts["master"])
        there = [*_show(story, link), story.command(link["space"], "bridge", "link", tool_of_the_host=True)]
        if old and new:
            story.say("~", _kind(link), REPLUGGED, [link, new], there, link=story.link(link), old=old["name"], bridge=new["name"])
        elif new:
            story.say("+", _kind(link), PLUGGED, [link, new], there, link=story.link(link), bridge=new["name"])
        elif old and old["id"] not in story.gone:
            story.say("-", _kind(link), PULLED, [link, old], there, link=story.link(link), bridge=old["name"])


def _renamed(story: Story) -> None:
    for link, facts in list(story.alters("interface", "name")):
        story.say("~", _kind(link), RENAMED, [link], _show(story, link), old=facts["name"][0], link=story.link(link))


def _addresses(story: Story) -> None:
    new = [each for each in story.added.values() if each["kind"] == "interface" and each["type"] != "loopback" and each["id"] not in story.silent]
    for link in sorted(new, key=lambda each: natural(story.place(each["space"]))):
        for address in link["addresses"]:
            if not story.comes_new(link["network"]) or link["type"] != "bridge":  # the bridge's address is told with its network
                story.say("+", _kind(link), ADDRESS, [link], [story.asks(link, "ip", "address", "show")], link=story.link(link), address=address)
    for link, facts in list(story.alters("interface", "addresses")):
        old, new = facts["addresses"]
        if link["type"] == "loopback":
            old, new = ([each for each in some if each not in ("127.0.0.1/8", "::1/128")] for some in (old, new))  # they come with `up`
        for sign, said, some, others in (("+", ADDRESS, new, old), ("-", ADDRESS_GONE, old, new)):
            for address in some:
                if address not in others:
                    story.say(sign, _kind(link), said, [link], [story.asks(link, "ip", "address", "show")], link=story.link(link), address=address)


def _states(story: Story) -> None:
    for link, facts in list(story.alters("interface", "state")):
        old, new = facts["state"]
        carrier = {old, new} == {"up", "no-carrier"}
        if link["type"] == "bridge" and story.comes_new(link["network"]):
            continue  # it is just being made
        if link["type"] == "bridge" and carrier:
            was, now = story.ports_up(link["id"])
            said = (HAS_CABLE if now else STATE) if new == "up" else NO_CABLE if was or not story.has_ports(link["id"]) else NO_CARRIER
            story.say("~", "bridge", said, [link], [*_show(story, link), story.command(link["space"], "bridge", "link", tool_of_the_host=True)], link=story.link(link), old=old, new=new)
        elif carrier and (link["peer"] in story.changed or link["peer"] in story.added or link["peer"] in story.gone):
            continue  # its other end was switched, and that is told
        else:
            story.say("~", _kind(link), STATE, [link], _show(story, link), link=story.link(link), old=old, new=new)


def _sizes(story: Story) -> None:
    for link, facts in list(story.alters("interface", "mtu", "mac")):
        if link["type"] == "bridge" and story.ports_changed(link["id"]):
            continue  # a bridge takes both from its ports
        for fact, said in (("mtu", MTU), ("mac", MAC)):
            if fact in facts:
                story.say("~", _kind(link), said, [link], _show(story, link), link=story.link(link), old=facts[fact][0] or "?", new=facts[fact][1] or "?")
