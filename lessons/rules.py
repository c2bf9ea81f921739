"""What must hold between the keys of a lesson: names that are used exist, nothing waits for itself, scripts end.

Each rule adds Mistakes with the line that they are about. Must not know: where files lie, Markdown, students.
"""
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lessons import variables
from lessons.checks.predicted import PREDICTED, PredictedParams, read
from lessons.documents import Document
from lessons.errors import Mistake
from lessons.fences import endless
from lessons.schema import CheckBase, LessonKeys, Script, ShowKeys, StepKeys, StepProse, WrongKeys, field_of
from netcontrol.images import image_names

_LAYOUT_LENGTH = 64  # netcontrol.models.Sandbox.layout
Wrong = Callable[..., None]


def _wrong(document: Document, mistakes: list[Mistake]) -> Wrong:
    def wrong(sentence: str, *loc: str | int) -> None:
        mistakes.append(Mistake(document.file, document.line(*loc), ".".join(map(str, loc)), sentence))

    return wrong


def lesson(document: Document, keys: LessonKeys, mistakes: list[Mistake]) -> None:
    wrong = _wrong(document, mistakes)
    for key in ("hosts", "images", "steps"):
        _once(getattr(keys, key), wrong, key)
    slugs: dict[str, str] = {}
    for n, name in enumerate(keys.steps):
        slug = name[3:]
        if slug in slugs and slugs[slug] != name:
            wrong(f"“{name}” has the name of {slugs[slug]}: a student's progress could not tell them apart.", "steps", n)
        slugs.setdefault(slug, name)
    for n, image in enumerate(keys.images):
        if image not in image_names():
            wrong(f"there is no image “{image}” in the lab's store. It has: {', '.join(sorted(image_names()))}.", "images", n)
    for name in keys.names:
        if name in keys.hosts:
            wrong("is a host of this lesson already.", "names", name)
    if len(",".join(keys.hosts)) > _LAYOUT_LENGTH:
        wrong(f"are longer than {_LAYOUT_LENGTH} characters together.", "hosts")


def step(document: Document, keys: StepKeys, hosts: list[str], known: Mapping[str, Any], mistakes: list[Mistake]) -> None:
    """`known`: the variables of this step and those before it."""
    wrong = _wrong(document, mistakes)
    for name in set(known) & set(keys.vars):
        if known[name] is not keys.vars[name]:
            wrong("is a variable of an earlier step already, and keeps its value.", "vars", name)
    _variables(keys.title, known, wrong, "title")
    _scripts(keys.setup, hosts, known, wrong, "setup")
    _scripts(keys.solve, hosts, known, wrong, "solve")
    if keys.show:
        _show(keys.show, hosts, known, wrong)
    for name, check in keys.checks.items():
        _check(name, check, keys, hosts, known, wrong)
    for name in _in_a_circle(keys.checks):
        wrong("waits for itself, by way of what it needs.", "checks", name, "needs")
    for n, case in enumerate(keys.wrong):
        _case(n, case, keys, hosts, known, wrong)
    asks_only = all(check.answered or check.guard for check in keys.checks.values())
    if keys.solve and not keys.checks:
        wrong("is proved by nothing: a check belongs here that it makes pass.", "solve")
    if keys.hold and not keys.checks:
        wrong("there is no check to wait for.", "hold")
    if keys.checks and not keys.solve and not asks_only:
        wrong("is missing: a lesson proves that its checks can pass.", "solve")


def _check(name: str, check: CheckBase, keys: StepKeys, hosts: list[str], known: Mapping[str, Any], wrong: Wrong) -> None:
    at = ("checks", name)
    for n, other in enumerate(check.needs):
        if other not in keys.checks:
            wrong(f"there is no check “{other}” in this step. There are: {', '.join(keys.checks)}.", *at, "needs", n)
    if check.host is not None and check.host not in hosts:
        wrong(_no_host(check.host, hosts), *at, "host")
    if check.choices and check.answer is not None and not (isinstance(check.answer, list) and set(check.answer) <= set(check.choices)):
        wrong("has to be one of the choices, as it stands there.", *at, "answer")
    if check.kind == "run":
        _scripts((Script("", check.run or ""),), hosts, known, wrong, *at, "run")
    elif check.answer is not None and not isinstance(check.answer, list):
        _scripts((Script("", check.answer.run),), hosts, known, wrong, *at, "answer", "run")
    if matrix := _predicted(check):
        for n, thing in enumerate(matrix.between):
            _place(thing, hosts, wrong, *at, check.kind, "between", n)
    for key, text in _texts(check):
        _variables(text, known, wrong, *at, key)


def _show(show: ShowKeys, hosts: list[str], known: Mapping[str, Any], wrong: Wrong) -> None:
    for at, name in show.names:
        _place(name, hosts, wrong, "show", *at)
        _variables(name, known, wrong, "show", *at)
    if show.follow:
        _variables(show.follow.port or "", known, wrong, "show", "follow", "port")
        if show.follow.from_ == show.follow.to:
            wrong(f"“{show.follow.to}” is where the packet comes from.", "show", "follow", "to")
    if show.reach:
        _variables(show.reach.how, known, wrong, "show", "reach", "how")
        _once(show.reach.who, wrong, "show", "reach", "who")


def _variables(text: str, known: Mapping[str, Any], wrong: Wrong, *at: str | int) -> None:
    if unset := variables.unknown(text, known):
        wrong(f"${{{unset[0]}}} is no variable of this lesson.", *at)


def _place(name: str, hosts: list[str], wrong: Wrong, *at: str | int) -> None:
    """HOST/NAME, where a name alone would not say which."""
    host, slash, _name = name.partition("/")
    if slash and host not in hosts:
        wrong(_no_host(host, hosts), *at)


def _predicted(check: CheckBase) -> PredictedParams | None:
    return getattr(check, field_of(PREDICTED.name))


def _once(names: list[str], wrong: Wrong, *at: str | int) -> None:
    for n, name in enumerate(names):
        if name in names[:n]:
            wrong(f"“{name}” is listed twice.", *at, n)


def _texts(check: CheckBase) -> Iterator[tuple[str, str]]:
    """(key, text) of everything in a check that is no script."""
    for key in ("title", "why", "ask"):
        if text := getattr(check, key):
            yield key, text
    for key in ("hint", "choices"):
        yield from ((key, text) for text in getattr(check, key) or ())
    if isinstance(check.answer, list):
        yield from (("answer", text) for text in check.answer)
    if check.kind not in ("run", "ask"):
        yield check.kind, getattr(check, field_of(check.kind)).model_dump_json()


def _in_a_circle(checks: Mapping[str, CheckBase]) -> list[str]:
    found: list[str] = []
    for name in checks:
        seen: set[str] = set()
        ahead = list(checks[name].needs)
        while ahead:
            other = ahead.pop()
            if other == name:
                found.append(name)
                break
            if other not in seen and other in checks:
                seen.add(other)
                ahead += checks[other].needs
    return found


def _case(n: int, case: WrongKeys, keys: StepKeys, hosts: list[str], known: Mapping[str, Any], wrong: Wrong) -> None:
    for key, names in (("fails", case.fails), ("answers", list(case.answers))):
        for name in names:
            if name not in keys.checks:
                wrong(f"there is no check “{name}” in this step. There are: {', '.join(keys.checks)}.", "wrong", n, key)
            elif key == "answers" and not keys.checks[name].answered:
                wrong(f"“{name}” asks nothing.", "wrong", n, key)
            elif key == "answers" and (matrix := _predicted(keys.checks[name])) and read(case.answers[name], len(matrix.between)) is None:
                wrong(f"has to be a row of {len(matrix.between)} signs for each of {', '.join(matrix.between)}: y, n or ?, and - for itself.", "wrong", n, key, name)
    _scripts(case.run or (), hosts, known, wrong, "wrong", n, "run")
    _scripts(case.undo or (), hosts, known, wrong, "wrong", n, "undo")


def _scripts(scripts: tuple[Script, ...], hosts: list[str], known: Mapping[str, Any], wrong: Wrong, *at: str | int) -> None:
    for script in scripts:
        if script.host and script.host not in hosts:
            wrong(_no_host(script.host, hosts), *at)
        for name in variables.unset(script.text, known):
            wrong(f"${{{name}}} is no variable of this lesson, and the script does not set it.", *at)
        for line in script.text.splitlines():
            if program := endless(line.strip()) or _for_ever(line.strip()):
                wrong(f"“{program}” never ends here: give it an end (`ping -c 3`, `timeout 5 …`), or put it into the background.", *at)


def _for_ever(line: str) -> str:
    found = re.match(r"(while (?:true|:)\s*;|sleep (?:inf\w*|[0-9]{3,})\b|(?:nc|ncat) .*-\w*l|python3 -m http\.server)", line)
    return found[1].rstrip(" ;") if found and not line.endswith("&") else ""


def _no_host(name: str, hosts: list[str]) -> str:
    return f"this lesson has no host “{name}”. Its hosts: {', '.join(hosts)}."


def same_checks(prose: Document, keys: StepProse, original: StepKeys, mistakes: list[Mistake]) -> None:
    """A translation says the same of the same checks: whatever is prose, and nothing else."""
    wrong = _wrong(prose, mistakes)
    for name in keys.checks:
        if name not in original.checks:
            wrong(f"there is no check “{name}” in the original. There are: {', '.join(original.checks)}.", "checks", name)
    for name, check in original.checks.items():
        told = keys.checks.get(name)
        for key in ("title", "hint", "why", "ask", "choices"):
            there, here = getattr(check, key), getattr(told, key) if told else None
            if bool(there) != bool(here):
                wrong("is missing." if there else "is not in the original.", "checks", name, key)
            elif isinstance(there, list) and isinstance(here, list) and len(there) != len(here):
                wrong(f"has {len(here)} lines, and the original {len(there)}.", "checks", name, key)
