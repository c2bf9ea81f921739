"""Packet filter and NAT: a published port is one line, what an engine writes for a network another; whatever else comes or goes is told word by word.

A rule of Docker's own is told word by word too when nothing that Docker did explains it: then somebody took it away.
"""
import re
from shlex import quote

from django.utils.translation import gettext_noop as _

from netcontrol.network.tell.story import Said, Sentence, Story, Thing

NFT_WORD = re.compile(r"[A-Za-z_.][A-Za-z0-9_./\\-]*", re.ASCII)  # nft reads its arguments as commands: a name may look like one

PUBLISHED = Said(
    _("nat: DNAT %(proto)s `%(outer)s` → `%(inner)s`"),
    _("Whoever comes to this port of the host is sent on to the container: the rule puts another destination into the packet. That is what `-p` of `docker run` makes. With it comes a rule in `filter` that lets these packets in, and one for the case that the container calls itself by that port."),
)
PUBLISHED_NO_MORE = Said(
    _("nat: no longer DNAT %(proto)s `%(outer)s` → `%(inner)s`"),
    _("The port of the host leads to no container any longer. The rule goes with the container when it stops, and the ones beside it in `filter` too."),
)
PROXIED = Said(
    _("port %(proto)s `%(outer)s` → `%(inner)s` of `%(name)s`, without a rule"),
    _("The engine says that this port is published, but no rule of the kernel sends it on. A program of the engine, docker-proxy, takes the connection in the host and opens another one to the container."),
)
MASQUERADE = Said(
    _("nat: MASQUERADE `%(subnet)s`, unless by `%(bridge)s`"),
    _("What comes from this subnet and leaves by another interface than the bridge gets the host's address as its source. The world outside knows no way to the containers' addresses, but it knows one to the host; the kernel remembers whose packet it was and puts the answer right."),
)
FOR_A_NETWORK = Said(
    _("filter: %(count)s rules of %(engine)s for `%(bridge)s`"),
    _("For each of its bridges the engine writes a few rules of the same kind: answers may come in, containers may go out and talk on their bridge, and what would cross to another of its bridges is dropped. They go with the network."),
)
RULE = Said(
    _("%(chain)s: `%(text)s`"),
    _("Rules of a chain are tried from the top, and the first that fits and decides is taken: ACCEPT lets a packet pass, DROP makes it vanish, RETURN goes back to the chain before. So it matters where a rule stands: `-I` puts it first, `-A` last. Docker asks DOCKER-USER before its own rules."),
)
RULE_NAT = Said(
    _("%(chain)s: `%(text)s`"),
    _("Rules in `nat` decide about the first packet of a connection only; the kernel remembers what they did for the others, and turns it round for the answers. DNAT puts in another destination, SNAT and MASQUERADE another source."),
)
RULE_GONE = Said(
    _("%(chain)s: no longer `%(text)s`"),
    _("The rule is gone from its chain. Packets that it decided about go on to the rules below it, and at the end to the policy of the chain."),
)
DOCKER_LOST = Said(
    _("%(chain)s: no longer `%(text)s`"),
    _("This rule was written by the engine, and the engine did not take it away: somebody else did. It does not come back by itself; dockerd writes its rules anew when it starts."),
)
POLICY = Said(
    _("%(chain)s: policy `%(old)s` → `%(new)s`"),
    _("The policy says what becomes of a packet that no rule of the chain decided about. dockerd sets it to DROP for FORWARD when it switches forwarding on, so that the host does not pass on everybody's packets."),
)
ORDER = Said(
    _("%(chain)s: the rules stand in another order"),
    _("The rules are the same, but they are tried from the top and the first that decides is taken. So another order can let pass what was dropped before."),
)
CHAIN = Said(
    _("chain %(chain)s"),
    _("A chain is a list of rules with a name. One that somebody makes is asked only when a rule of another chain leads into it; the built-in ones are asked by the kernel, at a fixed point of a packet's way."),
)
CHAIN_GONE = Said(
    _("chain %(chain)s is gone"),
    _("A chain can be deleted when it holds no rule and no rule leads into it."),
)
CHAIN_HOOKED = Said(
    _("chain %(chain)s, asked at `%(hook)s`"),
    _("A chain with a hook is asked by the kernel itself, at this point of a packet's way. Where several chains have the same hook, the one with the lower priority number is asked first, and what one drops the next does not see."),
)


def tell(story: Story) -> None:
    for sign, said, found in (("-", PUBLISHED_NO_MORE, story.goes("rule")), ("+", PUBLISHED, story.comes("rule"))):
        _published(story, sign, said, found)
    _proxied(story)
    _for_networks(story)
    _explained(story)
    _chains(story)
    _one_by_one(story)
    _orders(story)


# Published ports


def _published(story: Story, sign: str, said: Said, found: list[Thing]) -> None:
    forwards = [rule for rule in found if rule["target"] == "DNAT" and rule["owner"] in ("docker", "podman") and rule["to"] and "dport" in rule["match"] and _is_root(story, rule)]
    others: dict[tuple[str, str], list[Thing]] = {}
    for rule in found:
        if rule["owner"] in ("docker", "podman") and rule["target"] != "DNAT":
            others.setdefault(_about(rule), []).append(rule)
    for run in _runs(forwards):
        first, last = run[0], run[-1]
        address, port = _split(first["to"])
        beside = [rule for each in run for rule in others.get(_split(each["to"]), ())]
        outer = _range(first["match"]["dport"], last["match"]["dport"])
        to = f"{f'[{address}]' if ':' in address else address}:{_range(port, _split(last['to'])[1])}"
        if (dst := first["match"].get("dst", "")) and not dst.startswith("!"):
            outer = f"{dst.removesuffix('/32')}:{outer}"
        show = [story.command(first["space"], _saves(first), "-t", "nat", "-S", first["chain"])]
        story.say(sign, "rule", said, [*run, *beside], show, proto=first["match"].get("proto", ""), outer=outer, inner=to)


def _runs(rules: list[Thing]) -> list[list[Thing]]:
    """Rules that send neighbouring ports to neighbouring ports of one address are one line, as -p 8000-8010:8000-8010 wrote them."""

    def key(rule: Thing) -> tuple:
        address, port = _split(rule["to"])
        match = rule["match"]
        return rule["space"], match.get("proto", ""), match.get("dst", ""), rule["family"], address, _int(match["dport"]), _int(port)

    runs: list[list[Thing]] = []
    keys: list[tuple] = []
    for rule in sorted(rules, key=key):
        here = key(rule)
        if runs and keys[-1][:5] == here[:5] and -1 not in here[5:] and (keys[-1][5] + 1, keys[-1][6] + 1) == here[5:]:
            runs[-1].append(rule)
        else:
            runs.append([rule])
        keys.append(here)
    return runs


def _int(port: str) -> int:
    return int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1


def _split(to: str) -> tuple[str, str]:
    address, colon, port = to.rpartition(":")
    return (address.strip("[]"), port) if colon else (to, "")


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"


def _about(rule: Thing) -> tuple[str, str]:
    """Address and port: of the rule that lets in what is sent on there, and of the one for a container that calls itself."""
    return rule["match"].get("dst", "").removesuffix("/32").removesuffix("/128"), rule["match"].get("dport", "")


def _proxied(story: Story) -> None:
    rules = {(rule["host"], rule["match"].get("dport"), rule["match"].get("proto")) for rule in story.new.values() if rule["kind"] == "rule" and rule["target"] == "DNAT"}
    for container in story.new.values():
        if container["kind"] == "container" and container["space"] and (story.is_new(container["id"]) or {"published", "space"} & story.changed.get(container["id"], {}).keys()):
            for each in container["published"]:
                if (container["host"], str(each["host_port"]), each["proto"]) not in rules and container["engine"] == "docker":
                    show = [(container["host"], "ss -ltnp")]
                    story.say("+", "container", PROXIED, [container], show, proto=each["proto"], outer=each["host_port"], inner=each["port"], name=container["name"])


# What an engine writes for its networks


def _for_networks(story: Story) -> None:
    """By host and bridge: what hides its subnet, and how many rules beside. Of a network that is new all are told, of others those that came."""
    rails = {(thing["host"], thing["name"]): thing for things in (story.old, story.new) for thing in things.values() if thing["kind"] == "interface" and thing["network"] and thing["type"] == "bridge"}
    networks = {thing["id"] for thing in story.added.values() if thing["kind"] == "network"} - story.silent
    came: dict[tuple[str, str], list[Thing]] = {}
    for rule in story.new.values():
        there = rails.get((rule["host"], _rail(rule))) if rule["kind"] == "rule" and rule["owner"] in ("docker", "podman") else None
        if there and (there["network"] in networks or (rule["id"] in story.added and rule["id"] not in story.told)):
            came.setdefault((rule["host"], there["name"]), []).append(rule)
    for place, own in came.items():
        _for_a_network(story, rails[place], [rule for rule in own if rule["id"] not in story.told])
    for rule in story.comes("rule"):
        if rule["owner"] == "docker" and _rail(rule) and (rule["host"], _rail(rule)) not in rails and (rule["space"], _rail(rule)) in story.link_names:
            story.let_pass(rule)  # a network that is just being made
    for rule in story.goes("rule"):
        if _rail(rule) and _went_with_its_rail(story, rule, rails):
            story.let_pass(rule)


def _for_a_network(story: Story, rail: Thing, own: list[Thing]) -> None:
    hides = [rule for rule in own if rule["target"] == "MASQUERADE" and rule["table"] == "nat"]
    for rule in hides:
        show = [story.command(rule["space"], _saves(rule), "-t", "nat", "-S", rule["chain"])]
        story.say("+", "rule", MASQUERADE, [rule], show, subnet=rule["match"].get("src", ""), bridge=rail["name"])
    others = [rule for rule in own if rule not in hides and rule["table"] == "filter"]
    story.let_pass(*(rule for rule in own if rule not in others))
    if len(others) > 1:
        engine = "Docker" if others[0]["owner"] == "docker" else "Podman"
        story.say("+", "rule", FOR_A_NETWORK, others, [(rail["host"], f"iptables -S | grep -w -e {quote(rail['name'])}")], count=len(others), engine=engine, bridge=rail["name"])


def _rail(rule: Thing) -> str:
    """The bridge that a rule is about, if it is about all of it and not one container."""
    match = rule["match"]
    if rule["target"] == "DNAT" or "dport" in match:
        return ""
    return match.get("in", "").removeprefix("!") or match.get("out", "").removeprefix("!")


def _went_with_its_rail(story: Story, rule: Thing, rails: dict[tuple[str, str], Thing]) -> bool:
    """Its network or its bridge went, now or a moment ago."""
    rail = rails.get((rule["host"], _rail(rule)))
    if rail is None:
        return rule["owner"] != "student" or (_looks_like_docker_s(rule) and (rule["space"], _rail(rule)) not in story.link_names)
    return rule["owner"] in ("docker", "podman") and (rail["network"] in story.gone or rail["id"] not in story.new)


def _looks_like_docker_s(rule: Thing) -> bool:
    """As it writes them for each bridge; whose a rule is cannot be read once a bridge with a chosen name is gone."""
    return rule["target"] in ("ACCEPT", "MASQUERADE", "DOCKER") and set(rule["match"]) <= {"in", "out", "state", "src"} and rule["chain"] in ("FORWARD", "POSTROUTING")


def _explained(story: Story) -> None:
    """The engines' plumbing that came or went because of something that is told: containers that start and end, namespaces that are theirs."""
    busy = {engine for engine in ("docker", "podman") if _is_busy(story, engine)} | ({"docker"} if _makes_a_network(story) else set())
    down = {host["host"] for things in (story.old, story.new) for host in things.values() if host["kind"] == "host" and host["docker_state"] != "up"}
    addresses = {told["address"].partition("/")[0] for thing in story.new.values() if thing["kind"] == "container" for told in thing["networks"].values() if told["address"]}
    for rule in [*story.comes("rule"), *story.goes("rule")]:
        inside = not _is_root(story, rule) and rule["owner"] == "docker"  # its name server, in the containers' namespaces
        late = rule["owner"] == "docker" and (rule["host"] in down or (rule["id"] in story.gone and _of_a_container(rule) - addresses))
        if inside or late or (rule["owner"] in busy and (rule["owner"] == "podman" or _of_a_container(rule) or rule["action"] == "jump")) or rule["space"] in story.gone or _chain_of(rule) in story.gone:
            story.let_pass(rule)
    for chain in [*story.comes("chain"), *story.goes("chain")]:
        if chain["owner"] != "student" or chain["space"] in story.gone:
            story.let_pass(chain)


def _chain_of(rule: Thing) -> str:
    return f"chain:{rule['id'].partition(':')[2].rpartition('/')[0]}"


def _is_busy(story: Story, engine: str) -> bool:
    things = [*story.added.values(), *story.gone.values(), *(story.new[id] for id, facts in story.changed.items() if {"state", "space", "networks", "published"} & set(facts))]
    return any(thing.get("engine") == engine for thing in things)


def _makes_a_network(story: Story) -> bool:
    """A bridge that Docker's own rules name is on no list of networks: it is being made, or taken away."""
    rails = {_rail(rule) for rule in story.everything.values() if rule["kind"] == "rule" and rule["owner"] == "docker"} - {""}
    known = {thing["name"] for thing in story.everything.values() if thing["kind"] == "interface" and thing["network"]}
    return bool(rails - known)


def _of_a_container(rule: Thing) -> set[str]:
    """The addresses of one container that a rule names: what Docker writes for a port that is published."""
    named = (rule["match"].get(side, "").removeprefix("!") for side in ("src", "dst"))
    return {address.rpartition("/")[0] for address in named if address.endswith(("/32", "/128"))}


# Word by word


def _chains(story: Story) -> None:
    for chain in story.comes("chain"):
        values: dict = {"chain": _chain(story, chain), "hook": chain["hook"]}
        story.say("+", "rule", CHAIN_HOOKED if chain["hook"] else CHAIN, [chain], [_show(story, chain)], **values)
    for chain in story.goes("chain"):
        story.say("-", "rule", CHAIN_GONE, [chain], [_show(story, chain, gone=True)], chain=_chain(story, chain))
    for chain, facts in list(story.alters("chain", "policy")):
        old, new = facts["policy"]
        story.say("~", "rule", POLICY, [chain], [_show(story, chain)], chain=_chain(story, chain), old=old or "?", new=new or "?")


def _one_by_one(story: Story) -> None:
    for rule in story.comes("rule"):
        story.say("+", "rule", RULE_NAT if rule["table"] == "nat" else RULE, [rule], [_show(story, rule)], chain=_chain(story, rule), text=_words(rule))
    for rule in story.goes("rule"):
        said = DOCKER_LOST if rule["owner"] in ("docker", "podman") and _is_root(story, rule) else RULE_GONE
        story.say("-", "rule", said, [rule], [_show(story, rule)], chain=_chain(story, rule), text=_words(rule))


def _orders(story: Story) -> None:
    for chain, facts in list(story.alters("chain", "rules")):
        old, new = ([id for id in ids if id in story.old and id in story.new and story.new[id]["owner"] == "student"] for ids in facts["rules"])
        if old != new:
            story.say("~", "rule", ORDER, [chain], [_show(story, chain)], chain=_chain(story, chain))


def _words(rule: Thing) -> str:
    """Without the chain that stands before it."""
    return rule["text"].removeprefix(f"-A {rule['chain']} ")


def _chain(story: Story, thing: Thing) -> Sentence | list[str]:
    """`thing`: a chain, or a rule of one."""
    family = "" if thing["family"] == "ip" else f"{thing['family']} "
    space = story.place(thing["space"])
    name = f"{family}{thing['table']} {thing['chain'] if thing['kind'] == 'rule' else thing['name']}"
    return {"id": _("`%(chain)s` in `%(space)s`"), "with": {"chain": name, "space": space}} if space else [name]


def _show(story: Story, thing: Thing, *, gone: bool = False) -> tuple[str, str]:
    name = thing["chain"] if thing["kind"] == "rule" else thing["name"]
    if (thing["kind"] == "rule" and not thing["text"].startswith("-A ")) or (thing["kind"] == "chain" and _is_nft(thing)):
        words = [] if gone else [thing["family"], thing["table"], name]
        if all(NFT_WORD.fullmatch(word) for word in words):
            return story.command(thing["space"], "nft", "list", *(["chain", *words] if words else ["ruleset"]), tool_of_the_host=True)
        return story.command(thing["space"], "nft", "list", "ruleset", tool_of_the_host=True)
    return story.command(thing["space"], _saves(thing), "-t", thing["table"], "-S", *([] if gone else [name]), tool_of_the_host=True)


def _is_nft(chain: Thing) -> bool:
    return chain["family"] not in ("ip", "ip6") or chain["table"] not in ("filter", "nat", "mangle", "raw", "security")


def _saves(thing: Thing) -> str:
    return "ip6tables" if thing["family"] == "ip6" else "iptables"


def _is_root(story: Story, thing: Thing) -> bool:
    space = story.thing(thing["space"])
    return bool(space and space["root"])

