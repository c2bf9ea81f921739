"""What stands behind the ``` of a fence: ```bash {run host=client exit=1}``` and its relatives.

Must not know: Markdown, HTML.
"""
import re
from dataclasses import dataclass, field

from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_INFO = re.compile(r"(?P<language>[A-Za-z0-9+-]*)\s*(?:\{(?P<words>[^{}]*)\})?")
_KINDS = ("run", "copy", "expect")
# Command lines that run until they are stopped: how they begin, and an option with which they do end.
_ENDLESS = (
    (r"ping6?\b", r"\s-\w*[cw]"),
    (r"tcpdump\b", r"\s-\w*c"),
    (r"top\b", r"\s-\w*n"),
    (r"watch\b", None),
    (r"tail\b.*\s(-\w*[fF]|--follow)", r"\s--pid"),
    (r"(docker (container )?logs|podman logs|journalctl)\b.*\s(-\w*f\w*|--follow)", r"\s--until"),
    (r"docker events\b", r"\s--until"),
)


@dataclass(frozen=True)
class Block:
    """A command line with a Run button. Its id stays the same as long as no block is added before it in its step."""

    id: str
    host: str
    command: str
    expect: int = 0  # the exit code that it is said to have
    background: bool = False  # runs beside the others, until it is stopped
    line: int = field(default=0, compare=False)  # of the text, 0 for the first

    @property
    def shell(self) -> str:
        return f"{self.host}-2" if self.background else self.host

    def context(self) -> dict[str, object]:
        return {
            "block": self.id,
            "host": self.host,
            "shell": self.shell,
            "command": self.command,
            "expect": self.expect,
            "background": self.background,
        }


@dataclass(frozen=True)
class Fence:
    """`kind` is one of run, copy, expect or listing. host, exit and background only mean something for run."""

    language: str
    kind: str = "listing"
    host: str = ""
    exit: int = 0
    background: bool = False


def fence(info: str, text: str, hosts: list[str]) -> tuple[Fence, list[str]]:
    """The fence, and a sentence for each thing that is wrong with it."""
    found = _INFO.fullmatch(info.strip())
    if not found:
        return Fence("text"), [f"“{info.strip()}” is not of the form LANGUAGE or LANGUAGE {{run}}, {{copy}} or {{expect}}."]
    language, wrong = found["language"] or "text", []
    words = (found["words"] or "").split()
    if found["words"] is not None and not words:
        wrong.append("there is nothing between the braces: run, copy or expect belongs there.")
    if not words:
        return Fence(language), wrong + _language(language)
    if words[0] not in _KINDS:
        return Fence(language), [f"“{words[0]}” is not known here. Known are: {', '.join(_KINDS)}."]
    if words[0] != "run":
        wrong += [f"“{word}” is not known for a {words[0]} block, which takes nothing more." for word in words[1:]]
        if words[0] == "expect" and language != "text":
            wrong.append(f"expected output is “text”, not “{language}”.")
        return Fence(language, words[0]), wrong + _language(language)
    return _run(language, words[1:], text, hosts, wrong)


def _run(language: str, words: list[str], text: str, hosts: list[str], wrong: list[str]) -> tuple[Fence, list[str]]:
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key in given:
            wrong.append(f"“{key}” is given twice.")
        elif key not in ("host", "exit", "background") or bool(equals) == (key == "background"):
            wrong.append(f"“{word}” is not known for a run block. Known are: host=NAME, exit=NUMBER, background.")
        given[key] = value
    host, code = given.get("host", hosts[0]), given.get("exit", "0")
    if host not in hosts:
        wrong.append(f"this lesson has no host “{host}”. Its hosts: {', '.join(hosts)}.")
    if not re.fullmatch(r"[0-9]{1,3}", code) or int(code) > 255:
        wrong.append(f"an exit code is a number from 0 to 255, not “{code}”.")
        code = "0"
    if "background" in given and "exit" in given:
        wrong.append("a background block runs until it is stopped, so it cannot promise an exit code.")
    if "background" not in given and (program := endless(text.strip())):
        wrong.append(f"“{program}” does not end by itself here: give it an end (`ping -c 3`), or make the block “bash {{run background}}”.")
    if language != "bash":
        wrong.append(f"a run block is “bash”, not “{language}”.")
    lines = text.strip().splitlines()
    if len(lines) != 1:
        wrong.append(f"a run block is one command line, and this one has {len(lines)}: give each its own block.")
    elif not lines[0].isprintable():
        wrong.append("a command line cannot hold tabs or control characters: the shell would take them as keys.")
    return Fence(language, "run", host, int(code), "background" in given), wrong


def endless(line: str) -> str:
    """The program that this line waits for without end, "" if there is none that we know of. What stands before a pipe is not looked at."""
    last = re.split(r"&&|\|\||;", line)[-1].strip()
    last = re.sub(r"^(sudo |(docker|podman) exec (-\S+ )*\S+ |ip netns exec \S+ )+", "", last)
    for begins, ends in _ENDLESS:
        if re.match(begins, last) and not (ends and re.search(ends, last)) and "|" not in last and not last.endswith("&"):
            return last.split()[0]
    return ""


def _language(name: str) -> list[str]:
    try:
        get_lexer_by_name(name)
    except ClassNotFound:
        return [f"“{name}” is no language that can be coloured. Use “text” for plain text."]
    return []
