"""net.listen: which program waits for TCP connections on the host."""
import re

from django.utils.translation import gettext as _

from lessons.checks.ask import ask, part
from lessons.checks.kind import CheckType, Run
from lessons.checks.params import Address, Name, Params, Port, same
from lessons.checks.verdict import Failed, Quoted, names, say


class ListenParams(Params):
    """`program` is its short name, as `ss -p` and `ps -o comm` say it (15 characters at most)."""

    port: Port
    address: Address | None = None
    program: Name | None = None
    expect: bool = True


def title(p: ListenParams) -> str:
    if p.program:
        sentence = _("`%(program)s` listens on `%(at)s`") if p.expect else _("`%(program)s` does not listen on `%(at)s`")
    else:
        sentence = _("Something listens on `%(at)s`") if p.expect else _("Nothing listens on `%(at)s`")
    return say(sentence, program=p.program, at=at(p))


def at(p: ListenParams) -> str:
    """The socket, as `ss` writes it: "127.0.0.1:2375"; ":2375" for any address."""
    if not p.address:
        return f":{p.port}"
    return f"[{p.address}]:{p.port}" if ":" in p.address else f"{p.address}:{p.port}"


async def look(p: ListenParams, host: str, run: Run) -> None:
    answer = await ask(run, host, "listening")
    sockets = [socket for line in part(answer, "lines", kind=list, host=host) if isinstance(line, str) and (socket := _socket(line))]
    there = [(address, programs) for address, port, programs in sockets if port == p.port]
    here = [(address, programs) for address, programs in there if not p.address or _is(address, p.address, p.expect)]
    good = [(address, programs) for address, programs in here if not p.program or p.program in programs]
    if p.expect and not good:
        raise Failed(_why(p, there, here))
    if good and not p.expect:
        address, programs = good[0]
        raise Failed(say(_("%(program)s listens on `%(at)s`."), program=_who(programs), at=f"{address}:{p.port}"))


def _socket(line: str) -> tuple[str, str, list[str]] | None:
    """(address, port, names of programs) of a line of `ss -Hltnp`."""
    words = line.split(None, 5)
    if len(words) < 5:
        return None
    address, _colon, port = words[3].rpartition(":")
    return address.strip("[]").partition("%")[0], port, re.findall(r'\("([^"]+)",pid=', words[5] if len(words) > 5 else "")


def _is(address: str, wanted: str, expect: bool) -> bool:
    """A socket on every address is on this one too, when the question is whether anything is."""
    every = address in ("*", "0.0.0.0", "::")
    if wanted in ("0.0.0.0", "::"):
        return address in ("*", wanted)
    return same(address, wanted) or (every and not expect)


def _who(programs: list[str]) -> str:
    return names(dict.fromkeys(programs)) if programs else Quoted(_("Something"))


def _why(p: ListenParams, there: list[tuple[str, list[str]]], here: list[tuple[str, list[str]]]) -> str:
    if here:
        programs = [program for _address, some in here for program in some]
        return say(_("%(is_so)s listens on `%(at)s`, not `%(wanted)s`."), is_so=_who(programs), at=at(p), wanted=p.program)
    if not there:
        return say(_("Nothing listens on port `%(port)s`."), port=p.port)
    addresses = [address for address, _programs in there]
    if any(address in ("*", "0.0.0.0", "::") for address in addresses):
        return say(_("Port `%(port)s` is open on every address, not only on `%(address)s`."), port=p.port, address=p.address)
    return say(_("Port `%(port)s` is open on %(there)s, not on `%(address)s`."), port=p.port, there=names(dict.fromkeys(addresses)), address=p.address)


LISTEN = CheckType("net.listen", ListenParams, title, look)
