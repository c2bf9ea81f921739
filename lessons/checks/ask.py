"""Asks a host one question by way of probe.py, which is sent there as text, and takes nothing for granted in the answer.

The host's root is the student: the answer may be of any shape. What has another shape than asked for is Not known.
"""
from pathlib import Path
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from lessons.checks.kind import Run
from lessons.checks.verdict import Failed, NotKnown, say
from netcontrol.agent.untrusted import Unreadable
from netcontrol.inside import NoAnswer, asking, program

PROBE = program(Path(__file__).parent / "probe.py")
SECONDS = 5.0

Kind = TypeVar("Kind")


async def ask(run: Run, host: str, what: str, /, **question: Any) -> dict[str, Any]:
    """The answer of probe.py's function of that name. {"no": code} when there is no such thing. Raises NoHost, NotKnown."""
    try:
        answer = await run(host, asking(PROBE, {"ask": what, **question}), SECONDS)
    except NoAnswer:
        raise NotKnown(say(_("`%(host)s` does not answer."), host=host)) from None
    if answer.exit_code is None:
        raise NotKnown(say(_("`%(host)s` did not answer in time."), host=host))
    if answer.exit_code != 0:
        raise NotKnown(say(_("`%(host)s` could not be asked: its `python3` does not run."), host=host))
    try:
        said = answer.object()
    except Unreadable:
        raise NotKnown(odd(host)) from None
    if isinstance(why := said.get("no"), str):
        unknown(why, host)
    return said


def odd(host: str) -> str:
    return say(_("What `%(host)s` answered cannot be understood."), host=host)


def unknown(why: str, host: str) -> None:
    """Raise NotKnown when this code says that nobody could look."""
    code, _colon, detail = why.partition(":")
    sentence = {
        "dockerd-down": _("dockerd does not run on `%(host)s`."),
        "dockerd-silent": _("dockerd does not answer on `%(host)s`."),
        "dockerd-odd": _("What dockerd on `%(host)s` answered cannot be understood."),
        "systemd-silent": _("systemd does not answer on `%(host)s`."),
        "ip-failed": _("The command `ip` failed on `%(host)s`."),
        "ss-failed": _("The command `ss` failed on `%(host)s`."),
        "no-program": _("The program `%(program)s` is missing on `%(host)s`."),
        "odd": _("What `%(host)s` answered cannot be understood."),
    }.get(code)
    if sentence:
        raise NotKnown(say(sentence, host=host, program=detail))


async def docker(run: Run, host: str, *paths: str) -> list[Any]:
    """What dockerd says to each GET: an object or a list, None for 404."""
    answer = await ask(run, host, "docker", paths=list(paths))
    said = part(answer, "said", kind=list, host=host)
    if len(said) != len(paths):
        raise NotKnown(odd(host))
    found: list[Any] = []
    for one in said:
        match one:
            case [404, _message]:
                found.append(None)
            case [200, dict() | list() as body]:
                found.append(body)
            case _:
                raise NotKnown(say(_("What dockerd on `%(host)s` answered cannot be understood."), host=host))
    return found


def part(tree: Any, *path: str, kind: type[Kind], host: str) -> Kind:
    """What lies there, or an empty one of its kind when there is nothing or null. Raises NotKnown when it is of another kind."""
    for key in path:
        if not isinstance(tree, dict):
            raise NotKnown(odd(host))
        tree = tree.get(key)
        if tree is None:
            return kind()
    if not isinstance(tree, kind) or (kind is int and isinstance(tree, bool)):
        raise NotKnown(odd(host))
    return tree


def objects(values: list[Any], host: str) -> list[dict[str, Any]]:
    """The list, when all that is in it are objects."""
    if not all(isinstance(value, dict) for value in values):
        raise NotKnown(odd(host))
    return values


def not_there(why: str, host: str, container: str = "", netns: str = "") -> Failed:
    """Why one cannot look inside a container or a namespace."""
    if why == "no-netns":
        return Failed(say(_("There is no network namespace `%(netns)s`."), netns=netns))
    if why == "stopped":
        return Failed(say(_("The container `%(container)s` is stopped, so it has no network."), container=container))
    return Failed(say(_("There is no container `%(container)s`."), container=container))
