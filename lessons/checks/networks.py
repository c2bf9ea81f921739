"""docker.network and docker.attached: Docker's networks, and which containers are on them."""
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _
from pydantic import model_validator

from lessons.checks import containers
from lessons.checks.ask import ask, docker, objects, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Address, Name, Network, Params, Value, same, wrong
from lessons.checks.verdict import Failed, listed, names, say, with_details


class NetworkParams(Params):
    name: Name
    exists: bool = True
    driver: Name | None = None
    subnet: Network | None = None
    gateway: Address | None = None
    ip_range: Network | None = None
    internal: bool | None = None
    ipv6: bool | None = None
    attachable: bool | None = None
    labels: dict[str, Value] = {}
    options: dict[str, Value] = {}

    @model_validator(mode="after")
    def _of_one_that_is_there(self):
        if not self.exists and self.model_fields_set - {"name", "exists"}:
            raise wrong("says “exists: false”, and what the network has to be like.")
        return self


def network_title(p: NetworkParams) -> str:
    if not p.exists:
        return say(_("There is no network `%(name)s`"), name=p.name)
    details = []
    for sentence, value in (
        (_("driver `%(value)s`"), p.driver),
        (_("subnet `%(value)s`"), p.subnet),
        (_("gateway `%(value)s`"), p.gateway),
        (_("range `%(value)s`"), p.ip_range),
    ):
        if value:
            details.append(say(sentence, value=value))
    for yes, no, wanted in (
        (_("internal"), _("not internal"), p.internal),
        (_("with IPv6"), _("without IPv6"), p.ipv6),
        (_("attachable"), _("not attachable"), p.attachable),
    ):
        if wanted is not None:
            details.append(yes if wanted else no)
    if p.labels:
        details.append(say(_("labels %(labels)s"), labels=names(f"{k}={v}" for k, v in p.labels.items())))
    if p.options:
        details.append(say(_("options %(options)s"), options=names(f"{k}={v}" for k, v in p.options.items())))
    return with_details(say(_("There is a network `%(name)s`"), name=p.name), details)


async def look_at_network(p: NetworkParams, host: str, run: Run) -> None:
    (found,) = await docker(run, host, path(p.name))
    there = is_named(found, p.name)
    if there != p.exists:
        raise Failed(say(_("There is no network `%(name)s`.") if p.exists else _("There is still a network `%(name)s`."), name=p.name))
    if not there:
        return
    if p.driver and (driver := part(found, "Driver", kind=str, host=host)) != p.driver:
        raise Failed(say(_("The driver of `%(name)s` is `%(is_so)s`, not `%(wanted)s`."), name=p.name, is_so=driver, wanted=p.driver))
    ranges = objects(part(found, "IPAM", "Config", kind=list, host=host), host)
    if p.subnet:
        sentences = _("The subnet of `%(name)s` is %(is_so)s, not `%(wanted)s`."), _("`%(name)s` has no subnet.")
        _one_of(p, "Subnet", p.subnet, ip_network, ranges, sentences, host)
    if p.gateway:
        if not any(part(r, "Gateway", kind=str, host=host) for r in ranges):
            ranges = await _gateways_on_bridge(found, host, run)
        sentences = _("The gateway of `%(name)s` is %(is_so)s, not `%(wanted)s`."), _("`%(name)s` has no gateway.")
        _one_of(p, "Gateway", p.gateway, ip_address, ranges, sentences, host)
    if p.ip_range:
        sentences = _("The address range of `%(name)s` is %(is_so)s, not `%(wanted)s`."), _("`%(name)s` has no address range: all of its subnet is given out.")
        _one_of(p, "IPRange", p.ip_range, ip_network, ranges, sentences, host)
    for key, wanted, yes, no in (
        ("Internal", p.internal, _("`%(name)s` is internal."), _("`%(name)s` is not internal.")),
        ("EnableIPv6", p.ipv6, _("`%(name)s` has IPv6."), _("`%(name)s` has no IPv6.")),
        ("Attachable", p.attachable, _("`%(name)s` is attachable."), _("`%(name)s` is not attachable.")),
    ):
        if wanted is not None and (is_so := part(found, key, kind=bool, host=host)) != wanted:
            raise Failed(say(yes if is_so else no, name=p.name))
    _pairs(p, part(found, "Labels", kind=dict, host=host), p.labels, _("`%(name)s` has no label `%(key)s`."), _("The label `%(key)s` of `%(name)s` is `%(is_so)s`, not `%(wanted)s`."))
    _pairs(p, part(found, "Options", kind=dict, host=host), p.options, _("`%(name)s` has no option `%(key)s`."), _("The option `%(key)s` of `%(name)s` is `%(is_so)s`, not `%(wanted)s`."))


def path(network: str) -> str:
    return f"/networks/{quote(network, safe='')}"


def is_named(found: Any, name: str) -> bool:
    """Whether this is the network of that name, and not one whose id begins so."""
    return isinstance(found, dict) and found.get("Name") == name


def _one_of(p: NetworkParams, key: str, wanted: str, kind: Callable[[str], Any], ranges: list[dict], sentences: tuple[str, str], host: str) -> None:
    """One of the network's ranges has to say so: a network with IPv6 has two."""
    there = [value for r in ranges if (value := part(r, key, kind=str, host=host))]
    if not any(same(value, wanted, kind) for value in there):
        raise Failed(say(sentences[0] if there else sentences[1], name=p.name, is_so=names(there), wanted=wanted))


async def _gateways_on_bridge(found: Any, host: str, run: Run) -> list[dict]:
    """Docker names only a gateway that somebody asked for; the one that it chose itself is the address of the bridge."""
    options = part(found, "Options", kind=dict, host=host)
    bridge = options.get("com.docker.network.bridge.name") or f"br-{part(found, 'Id', kind=str, host=host)[:12]}"
    answer = await ask(run, host, "addresses")
    for link in objects(part(answer, "links", kind=list, host=host), host):
        if link.get("ifname") == bridge:
            return [{"Gateway": part(a, "local", kind=str, host=host)} for a in objects(part(link, "addr_info", kind=list, host=host), host)]
    return []


def _pairs(p: NetworkParams, there: dict, wanted: dict[str, str], missing: str, different: str) -> None:
    for key, value in wanted.items():
        if key not in there:
            raise Failed(say(missing, name=p.name, key=key))
        if there[key] != value:
            raise Failed(say(different, name=p.name, key=key, is_so=there[key], wanted=value))


class AttachedParams(Params):
    container: Name
    network: Name
    exists: bool = True
    ip: Address | None = None
    ip6: Address | None = None
    alias: Name | None = None
    only: bool = False

    @model_validator(mode="after")
    def _of_one_that_is_there(self):
        if not self.exists and self.model_fields_set - {"container", "network", "exists"}:
            raise wrong("says “exists: false”, and how the container has to be attached.")
        return self


def attached_title(p: AttachedParams) -> str:
    if not p.exists:
        return say(_("`%(container)s` is not on `%(network)s`"), container=p.container, network=p.network)
    base = _("`%(container)s` is only on `%(network)s`") if p.only else _("`%(container)s` is on `%(network)s`")
    details = []
    if p.ip or p.ip6:
        details.append(say(_("with the address %(addresses)s"), addresses=names(a for a in (p.ip, p.ip6) if a)))
    if p.alias:
        details.append(say(_("known as `%(alias)s`"), alias=p.alias))
    return listed([say(base, container=p.container, network=p.network), *details])


async def look_at_attached(p: AttachedParams, host: str, run: Run) -> None:
    container, network = await docker(run, host, containers.path(p.container), path(p.network))
    if not containers.is_named(container, p.container):
        raise Failed(say(_("There is no container `%(name)s`."), name=p.container))
    there = part(container, "NetworkSettings", "Networks", kind=dict, host=host)
    if not p.exists:
        if p.network in there:
            raise Failed(say(_("`%(container)s` is still on `%(network)s`."), container=p.container, network=p.network))
        return
    if not is_named(network, p.network):
        raise Failed(say(_("There is no network `%(name)s`."), name=p.network))
    if why := containers.stopped(p.container, container, host):
        raise Failed(why)
    if p.network not in there:
        raise Failed(_elsewhere(p, container, list(there), host))
    here = part(there, p.network, kind=dict, host=host)
    for wanted, key in ((p.ip, "IPAddress"), (p.ip6, "GlobalIPv6Address")):
        if not wanted:
            continue
        is_so = part(here, key, kind=str, host=host)
        if not is_so:
            sentence = _("`%(container)s` has no IPv4 address on `%(network)s`.") if wanted == p.ip else _("`%(container)s` has no IPv6 address on `%(network)s`.")
            raise Failed(say(sentence, container=p.container, network=p.network))
        if not same(is_so, wanted, ip_address):
            sentence = _("The address of `%(container)s` on `%(network)s` is `%(is_so)s`, not `%(wanted)s`.")
            raise Failed(say(sentence, container=p.container, network=p.network, is_so=is_so, wanted=wanted))
    if p.alias:
        known = [*part(here, "Aliases", kind=list, host=host), *part(here, "DNSNames", kind=list, host=host)]
        if p.alias not in known:
            raise Failed(say(_("`%(container)s` is not known as `%(alias)s` on `%(network)s`."), container=p.container, alias=p.alias, network=p.network))
    if p.only and len(there) > 1:
        others = names(name for name in there if name != p.network)
        raise Failed(say(_("`%(container)s` is also on %(networks)s."), container=p.container, networks=others))


def _elsewhere(p: AttachedParams, container: Any, there: list[str], host: str) -> str:
    if there and there != ["none"]:
        return say(_("`%(container)s` is only on %(networks)s."), container=p.container, networks=names(there))
    if part(container, "HostConfig", "NetworkMode", kind=str, host=host).startswith("container:"):
        return say(_("`%(container)s` shares the network of another container, and is on none itself."), container=p.container)
    return say(_("`%(container)s` is on no network."), container=p.container)


NETWORK = CheckType("docker.network", NetworkParams, network_title, look_at_network)
ATTACHED = CheckType("docker.attached", AttachedParams, attached_title, look_at_attached)
