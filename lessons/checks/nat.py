"""net.nat: rules of the nat table, whoever wrote them."""
from django.utils.translation import gettext as _
from pydantic import model_validator

from lessons.checks.ask import ask, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.nat_rules import Rule, covers, from_iptables, from_nft, masqueraded
from lessons.checks.params import AddressAndPort, Network, Params, Port, wrong
from lessons.checks.verdict import Failed, names, say


class NatParams(Params):
    masquerade: Network | None = None
    publishes: Port | None = None
    to: AddressAndPort | None = None
    exists: bool = True

    @model_validator(mode="after")
    def _one_rule(self):
        if (self.masquerade is None) == (self.publishes is None):
            raise wrong("needs either “masquerade” or “publishes”.")
        if self.to and not self.publishes:
            raise wrong("has “to”, which belongs to “publishes”.")
        return self


def title(p: NatParams) -> str:
    if p.masquerade:
        sentence = _("What comes from `%(network)s` is masqueraded") if p.exists else _("What comes from `%(network)s` is not masqueraded")
        return say(sentence, network=p.masquerade)
    if p.to:
        sentence = _("Port `%(port)s` is passed on to `%(to)s`") if p.exists else _("Port `%(port)s` is not passed on to `%(to)s`")
        return say(sentence, port=p.publishes, to=p.to)
    return say(_("Port `%(port)s` is passed on") if p.exists else _("Port `%(port)s` is not passed on"), port=p.publishes)


async def look(p: NatParams, host: str, run: Run) -> None:
    six = ":" in (p.masquerade or "") or (p.to or "").startswith("[")
    answer = await ask(run, host, "nat", version=6 if six else 4)
    rules = [*from_iptables(part(answer, "iptables", kind=str, host=host)), *from_nft(part(answer, "nft", "nftables", kind=list, host=host), six)]
    if p.masquerade:
        _masqueraded(p, p.masquerade, rules)
    else:
        _passed_on(p, str(p.publishes), rules)


def _masqueraded(p: NatParams, network: str, rules: list[Rule]) -> None:
    good = any(covers(source, network) for source in masqueraded(rules))
    if p.exists and not good:
        raise Failed(say(_("No rule masquerades what comes from `%(network)s`."), network=network))
    if good and not p.exists:
        raise Failed(say(_("What comes from `%(network)s` is still masqueraded."), network=network))


def _passed_on(p: NatParams, port: str, rules: list[Rule]) -> None:
    there = list(dict.fromkeys(rule.to for rule in rules if rule.does == "dnat" and rule.port == port))
    good = [to for to in there if not p.to or to == p.to]
    if p.exists and not good:
        if there:
            raise Failed(say(_("Port `%(port)s` is passed on to %(there)s, not to `%(to)s`."), port=port, there=names(there), to=p.to))
        raise Failed(say(_("No rule passes port `%(port)s` on."), port=port))
    if good and not p.exists:
        raise Failed(say(_("Port `%(port)s` is still passed on to %(there)s."), port=port, there=names(good)))


NAT = CheckType("net.nat", NatParams, title, look)
