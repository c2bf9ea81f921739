"""net.reach and net.resolve: whether one thing reaches another, and what a name stands for, tried from where a student would."""
from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _
from pydantic import model_validator

from lessons.checks.ask import ask, not_there, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Address, From, Goal, Name, same, target, wrong
from lessons.checks.verdict import Failed, NotKnown, names, say
from netcontrol.inside import NoHost


def who(p: From) -> str:
    """Who tries, for a sentence: its own name, "" for the check's host."""
    return p.from_ or p.netns or ""


class ReachParams(From):
    to: Goal
    expect: bool = True


def reach_title(p: ReachParams) -> str:
    if not who(p):
        return say(_("`%(to)s` is reached") if p.expect else _("`%(to)s` is not reached"), to=p.to)
    return say(_("`%(who)s` reaches `%(to)s`") if p.expect else _("`%(who)s` does not reach `%(to)s`"), who=who(p), to=p.to)


async def look_at_reach(p: ReachParams, host: str, run: Run) -> None:
    goal = target(p.to)
    if goal is None:
        raise NotKnown(say(_("`%(to)s` is nothing that can be reached."), to=p.to))
    how, name, port, path = goal
    answer = await _tried(p, host, run, "reach", how=how, goal=name, port=port, path=path)
    why = part(answer, "no", kind=str, host=host)
    if p.expect and why:
        raise Failed(_not_reached(p, host, why, name, part(answer, "address", kind=str, host=host)))
    if not p.expect and not why:
        raise Failed(say(_("`%(who)s` reaches `%(to)s`."), who=who(p) or host, to=p.to))


async def _tried(p: From, host: str, run: Run, what: str, **question: Any) -> dict[str, Any]:
    """Tried from there. `from` names a host of the sandbox, or else a container on the check's host."""
    answer = None
    if p.from_ and p.from_ != host:
        with suppress(NoHost):
            answer = await ask(run, p.from_, what, **question)
    if answer is None:
        container = p.from_ if p.from_ != host else None
        answer = await ask(run, host, what, container=container, netns=p.netns, **question)
    if (why := answer.get("no")) in ("no-container", "no-netns", "stopped"):
        raise not_there(why, host, container=p.from_ or "", netns=p.netns or "")
    return answer


def _not_reached(p: ReachParams, host: str, why: str, name: str, address: str) -> str:
    sentence = {
        "timeout": _("`%(who)s` gets no answer from `%(to)s`."),
        "refused": _("`%(to)s` refuses the connection from `%(who)s`: nothing listens there."),
        "no-route": _("`%(who)s` has no route to `%(address)s`."),
        "no-neighbour": _("Nobody answers for the address `%(address)s` on the wire."),
        "http-timeout": _("`%(to)s` takes the connection from `%(who)s`, but answers nothing in time."),
        "http-closed": _("`%(to)s` takes the connection from `%(who)s`, and closes it without an answer."),
        "http-odd": _("`%(to)s` answers `%(who)s`, but not in HTTP."),
    }.get(why) or _no_name(why) or _("`%(who)s` cannot reach `%(to)s`.")
    return say(sentence, who=who(p) or host, to=p.to, name=name, address=address, server=_server(why))


def _no_name(why: str) -> str:
    """Why a name could not be turned into an address; "" when it is not that."""
    return {
        "no-name": _("`%(who)s` does not know the name `%(name)s`."),
        "no-nameserver": _("`%(who)s` does not know the name `%(name)s`, and has no name server to ask."),
        "nameserver-silent": _("`%(who)s` does not know the name `%(name)s`, and its name server `%(server)s` does not answer."),
    }.get(why.partition(":")[0], "")


def _server(why: str) -> str:
    return why.partition(":")[2]


class ResolveParams(From):
    name: Name
    to: Address | None = None
    expect: bool = True

    @model_validator(mode="after")
    def _to_something(self):
        if self.to and not self.expect:
            raise wrong("says “expect: false”, and what the name has to stand for.")
        return self


def resolve_title(p: ResolveParams) -> str:
    if p.to:
        sentence = _("The name `%(name)s` stands for `%(to)s`") if not who(p) else _("For `%(who)s`, the name `%(name)s` stands for `%(to)s`")
    elif p.expect:
        sentence = _("The name `%(name)s` is known") if not who(p) else _("`%(who)s` knows the name `%(name)s`")
    else:
        sentence = _("The name `%(name)s` is not known") if not who(p) else _("`%(who)s` does not know the name `%(name)s`")
    return say(sentence, who=who(p), name=p.name, to=p.to)


async def look_at_resolve(p: ResolveParams, host: str, run: Run) -> None:
    answer = await _tried(p, host, run, "resolve", name=p.name)
    tells = who(p) or host
    if why := part(answer, "no", kind=str, host=host):
        if p.expect:
            raise Failed(say(_no_name(why) or _no_name("no-name"), who=tells, name=p.name, server=_server(why)))
        return
    there = part(answer, "addresses", kind=list, host=host)
    if not p.expect:
        raise Failed(say(_("`%(who)s` knows the name `%(name)s`: it stands for %(there)s."), who=tells, name=p.name, there=names(there)))
    if p.to and not any(isinstance(address, str) and same(address, p.to) for address in there):
        sentence = _("For `%(who)s`, the name `%(name)s` stands for %(there)s, not for `%(to)s`.")
        raise Failed(say(sentence, who=tells, name=p.name, there=names(there), to=p.to))


REACH = CheckType("net.reach", ReachParams, reach_title, look_at_reach)
RESOLVE = CheckType("net.resolve", ResolveParams, resolve_title, look_at_resolve)
