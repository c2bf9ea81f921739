"""What there is in the corpus, and the tables made of it: for a terminal with verdicts, for docs/security.md without. Must not know how an attack works."""
import importlib
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).parent
PAGE = BASE / "docs" / "security.md"
BEGIN, END = "<!-- attacks: made by `python -m tests.attacks write`, do not edit -->", "<!-- attacks: end -->"


@dataclass(frozen=True)
class Attack:
    module: str  # tests.attacks.escape
    name: str
    by: str  # inside, session, lesson, stranger; or control
    tries: str  # "loads a kernel module"
    holds: str  # "seccomp: init_module is not on the list"
    at: str  # netcontrol/engine/seccomp.json, or lessons/views.py:name_in_it
    seen: str  # who says so: "the machine's /proc/modules"

    @property
    def category(self) -> str:
        return (inspect.getdoc(importlib.import_module(self.module)) or self.module).splitlines()[0].rstrip(".")

    def stale(self) -> str:
        """Why `at` is not a place in the code; empty when it is."""
        file, _, word = self.at.partition(":")
        path = BASE / file
        if not path.is_file():
            return f"{self.name}: there is no {file}"
        return "" if word in path.read_text(errors="replace") else f"{self.name}: {file} does not say {word}"


CORPUS: dict[tuple[str, str], Attack] = {}  # by module and name, in the order of the files


def _said_by(by: str) -> Callable[..., Callable]:
    def about(tries: str, *, holds: str, at: str, seen: str) -> Callable:
        def register(function: Callable) -> Callable:
            function.__test__ = True  # type: ignore[attr-defined]  # pytest runs it, whatever it is called
            attack = Attack(function.__module__, function.__name__, by, tries, holds, at, seen)
            CORPUS[attack.module, attack.name] = attack
            return function

        return register

    return about


inside = _said_by("inside")  # root of a host
session = _said_by("session")  # a student with a session of their own
lesson = _said_by("lesson")  # who writes a lesson
stranger = _said_by("stranger")  # somebody who reaches the page, no more


def control(opens: str) -> Callable:
    """The same attempt with the door open: it must work."""
    return _said_by("control")(opens, holds="nothing", at="tests/attacks/__init__.py", seen="")


def load() -> list[Attack]:
    """All of the corpus, by category."""
    for file in sorted(HERE.glob("*.py")):
        if file.stem not in ("__init__", "__main__", "conftest", "catalogue"):
            importlib.import_module(f"tests.attacks.{file.stem}")
    return sorted(CORPUS.values(), key=lambda attack: attack.module)


# For the page

def page_part() -> str:
    """The tables of docs/security.md, markers included."""
    attacks = load()
    lines, category = [BEGIN], ""
    for attack in (a for a in attacks if a.by != "control"):
        if attack.category != category:
            category = attack.category
            lines += ["", f"### {category}", "", "| from | attack | what holds | where | seen by |", "|---|---|---|---|---|"]
        lines.append(f"| {attack.by} | {_cell(attack.tries)} | {_cell(attack.holds)} | `{attack.at}` | {_cell(attack.seen)} |")
    return "\n".join([*lines, "", END])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def written(page: str) -> str:
    """This text of the page with the tables as they are now. Raises ValueError when it has no markers."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"docs/security.md has no line {BEGIN!r}, or no {END!r} after it")
    return before + page_part() + after


# For a terminal

VERDICTS = {"passed": "blocked", "failed": "NOT BLOCKED", "error": "NOT TRIED", "skipped": "not here", "xfailed": "open, known"}


def verdicts(outcomes: dict[tuple[str, str], list[str]], columns: int = 0) -> Iterator[str]:
    """Lines of the table attack | mechanism | verdict. An attack that ran in several ways is held when all of them are."""
    width = max(100, columns or int(os.environ.get("COLUMNS", 150)))
    first, second = (width - 32) * 4 // 9, (width - 32) * 5 // 9
    category, counts = "", dict.fromkeys(VERDICTS, 0)
    for attack in (a for a in sorted(CORPUS.values(), key=lambda a: a.module) if (a.module, a.name) in outcomes):
        worst = max(outcomes[attack.module, attack.name], key=("skipped", "passed", "xfailed", "error", "failed").index)
        verdict = VERDICTS[worst]
        if attack.by == "control":
            verdict = {"passed": "works, as it must", "failed": "PROVES NOTHING"}.get(worst, verdict)
        else:
            counts[worst] += 1
        if attack.category != category:
            category = attack.category
            yield ""
            yield category
        tries = textwrap.wrap(f"{attack.by}: {attack.tries}", first) or [""]
        holds = textwrap.wrap(attack.holds, second) if attack.by != "control" else []
        for n in range(max(len(tries), len(holds))):
            cell = lambda lines, size, n=n: (lines[n] if n < len(lines) else "").ljust(size)  # noqa: E731
            yield f"  {cell(tries, first)} | {cell(holds, second)} | {verdict if n == 0 else ''}".rstrip()
    yield ""
    yield ", ".join(f"{count} {VERDICTS[outcome]}" for outcome, count in counts.items() if count or outcome == "passed")
