"""A lesson as its files say it (`…Source`), and as one student reads it in one language: the same with the variables filled in.

Must not know: where the files lie, how mistakes are found, who the student is (a key).
"""
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from django.utils.safestring import SafeString
from django.utils.translation import override
from pydantic import BaseModel

from lessons import markdown, texts, variables
from lessons.checks import ANSWERED, TYPES
from lessons.documents import Document, plain
from lessons.schema import AnswerScript, CheckBase, LessonKeys, Script, ShowKeys, StepKeys, StepProse, Titles, VarKeys, WrongKeys, field_of
from lessons.texts import ENGLISH, Words


@dataclass(frozen=True)
class Check:
    """`run`, `ask` or `params` says what is checked; which of them is said by `kind`. Texts are Markdown of one line."""

    name: str
    kind: str
    title: str
    hints: tuple[str, ...]
    needs: tuple[str, ...]
    host: str
    guard: bool
    why: str
    run: str = ""
    ask: str = ""
    choices: tuple[str, ...] = ()
    answer: tuple[str, ...] | None = None  # the texts that are right; None: `answer_run` prints it
    answer_run: str = ""
    params: BaseModel | None = None

    @property
    def answered(self) -> bool:
        """By the student: once it was right, it stays so, whatever becomes of the sandbox."""
        return self.kind in ANSWERED

    @property
    def asks_sandbox(self) -> bool:
        """What is right is not in the lesson: only the sandbox knows it."""
        return self.answered and self.answer is None


@dataclass(frozen=True)
class Step:
    number: int
    slug: str
    title: str
    text: markdown.Text
    checks: tuple[Check, ...]
    setup: tuple[Script, ...]
    solve: tuple[Script, ...]
    wrong: tuple[WrongKeys, ...]
    hold: bool
    show: ShowKeys | None = None

    def check(self, name: str) -> Check | None:
        return next((check for check in self.checks if check.name == name), None)


@dataclass(frozen=True)
class Lesson:
    number: str  # "1.2": second lesson of the first module
    slug: str
    title: str
    summary: str
    keys: LessonKeys
    module: tuple[int, str]  # its number and title
    language: str  # of its text: English where there is no translation
    values: Mapping[str, str]
    sources: tuple["StepSource", ...] = field(repr=False)

    @property
    def layout(self) -> str:
        """The hosts that its sandbox needs, as netcontrol wants them."""
        return ",".join(self.keys.hosts)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._step(source) for source in self.sources)

    def step(self, number: int) -> Step | None:
        return self._step(self.sources[number - 1]) if 0 < number <= len(self.sources) else None

    def named(self, slug: str) -> Step | None:
        return next((self._step(source) for source in self.sources if source.slug == slug), None)

    def _step(self, source: "StepSource") -> Step:
        mine = tuple((name, value) for name, value in self.values.items() if name in source.known)
        return _filled(source, mine, self.language)

    def inline(self, text: str) -> SafeString:
        """A line of this lesson's prose as HTML."""
        return markdown.inline(text, self.keys.hosts, variables.fill_tree(self.keys.names, self.values))


@dataclass(frozen=True, eq=False)
class StepSource:
    lesson: str
    keys: LessonKeys
    number: int
    slug: str
    document: Document[StepKeys]
    known: frozenset[str]  # the variables that it may use
    english: Words
    others: dict[str, Words]  # language -> the same in it


@dataclass(frozen=True, eq=False)
class LessonSource:
    number: str
    slug: str
    keys: LessonKeys
    steps: tuple[StepSource, ...]
    variables: Mapping[str, VarKeys]
    module: tuple[int, Mapping[str, str]]  # its number, and its title in each language
    prose: Mapping[str, Titles]

    @property
    def languages(self) -> tuple[str, ...]:
        return (ENGLISH, *self.prose)

    def filled(self, key: str = "", language: str = ENGLISH) -> Lesson:
        words = self.prose.get(language)
        number, titles = self.module
        return Lesson(
            self.number, self.slug, (words or self.keys).title, (words or self.keys).summary, self.keys,
            (number, titles.get(language, titles[ENGLISH])), language if words else ENGLISH, variables.assign(self.variables, self.slug, key), self.steps,
        )  # fmt: skip


@lru_cache(maxsize=2048)
def _filled(source: StepSource, pairs: tuple[tuple[str, str], ...], language: str) -> Step:
    values, keys = dict(pairs), source.keys
    words = source.others.get(language, source.english)
    front = StepKeys.model_validate(variables.fill_tree({k: v for k, v in plain(source.document.tree).items() if k != "vars"}, values))
    prose = StepProse.model_validate(variables.fill_tree(words.prose.model_dump(), values)) if words.prose else None
    with override(language):
        checks = tuple(_check(name, check, prose, keys.hosts[0]) for name, check in front.checks.items())
    return Step(
        source.number, source.slug, prose.title if prose else front.title, texts.read(words, keys, values, f"{source.lesson}-{source.number}", []), checks,
        _on(front.setup, keys), _on(front.solve, keys),
        tuple(case.model_copy(update={"run": _on(case.run or (), keys), "undo": _on(case.undo or (), keys)}) for case in front.wrong), front.hold, front.show,
    )  # fmt: skip


def _on(scripts: tuple[Script, ...], keys: LessonKeys) -> tuple[Script, ...]:
    return tuple(Script(script.host or keys.hosts[0], script.text) for script in scripts)


def _check(name: str, said: CheckBase, prose: StepProse | None, first_host: str) -> Check:
    told = prose.checks.get(name) if prose else None
    params = getattr(said, field_of(said.kind)) if said.kind in TYPES else None
    title = (told.title if told else said.title) or (TYPES[said.kind].title(params) if params is not None else "")
    answer = said.answer
    choices = said.choices or []
    translated = (told.choices if told else None) or choices
    right = tuple(translated[choices.index(text)] if text in choices else text for text in answer) if isinstance(answer, list) else None
    return Check(
        name, said.kind, title or (told.ask if told else said.ask) or "", tuple(told.hint if told and told.hint else said.hint), tuple(said.needs), said.host or first_host,
        said.guard, (told.why if told else None) or said.why or "", said.run or "", (told.ask if told else None) or said.ask or "", tuple(translated),
        right if said.kind == "ask" else None, answer.run if isinstance(answer, AnswerScript) else "", params,
    )  # fmt: skip
