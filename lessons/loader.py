"""Reads all lessons from their folders, once: `content/NN-module/module.yaml`, `NN-lesson/lesson.yaml` and its steps.

The two digits give the order and are no part of a name: 10-docker0 is the module `docker0`. A lesson with a mistake in it is left out, and
the others are taught. Lessons are files below that folder: what a link leads to is not read, nor anything that is no file or is large.
Must not know: students, requests, HTML.
"""
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from django.conf import settings

from lessons import documents, rules, variables
from lessons.errors import Mistake
from lessons.lesson import Lesson, LessonSource, StepSource, Words
from lessons.schema import LessonKeys, StepKeys, StepProse, Strict, Titles, VarKeys
from lessons.texts import ENGLISH, check_text, same_text

_FOLDER = re.compile(r"[0-9]{2}-([a-z][a-z0-9-]{0,39})")
LARGEST = 32 * 1024  # bytes of a file
Keys = TypeVar("Keys", bound=Strict)


@dataclass(frozen=True)
class Module:
    number: int
    slug: str
    keys: Titles
    prose: dict[str, Titles]  # language -> the same in it
    sources: tuple[LessonSource, ...]

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        """As nobody in particular reads them, in English."""
        return tuple(source.filled() for source in self.sources)

    def words(self, language: str) -> Titles:
        return self.prose.get(language, self.keys)


@dataclass(frozen=True)
class Catalogue:
    """Everything that is taught here, in its order, and what is not because of a mistake."""

    modules: tuple[Module, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    left_out: int = 0  # lessons

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        return tuple(lesson for module in self.modules for lesson in module.lessons)

    @cached_property
    def expected(self) -> dict[str, int]:
        """Block -> the exit code that is as it should be, where that is not 0: a page shows what ran at other steps, too."""
        steps = (step for lesson in self.lessons for step in lesson.steps)
        return {block.id: block.expect for step in steps for block in step.text.blocks if block.expect}

    def lesson(self, slug: str, key: str = "", language: str = ENGLISH) -> Lesson | None:
        """As the student with this key reads it; key "" is nobody in particular."""
        for module in self.modules:
            for source in module.sources:
                if source.slug == slug:
                    return source.filled(key, language)
        return None


_kept: tuple[Path, object, Catalogue] | None = None


def catalogue() -> Catalogue:
    """The lessons, read at the first call; read again after an edit when DEBUG is on."""
    global _kept
    root, state = settings.LESSONS_DIR, _state(settings.LESSONS_DIR) if settings.DEBUG else None
    if _kept is None or _kept[:2] != (root, state):
        _kept = (root, state, load(root))
    return _kept[2]


def load(root: Path) -> Catalogue:
    reading = _Reading()
    modules: list[Module] = []
    for folder, slug in _folders(root, reading.mistakes):
        if module := reading.module(folder, slug, len(modules) + 1):
            modules.append(module)
    if not modules and not reading.mistakes:
        reading.mistakes.append(Mistake(_shown(root), 1, "folder", "has no modules in it, such as 10-docker0/."))
    return Catalogue(tuple(modules), tuple(sorted(set(reading.mistakes))), reading.left_out)


@dataclass
class _Reading:
    mistakes: list[Mistake] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)  # lesson -> its folder
    left_out: int = 0

    def module(self, folder: Path, slug: str, number: int) -> Module | None:
        document = _yaml(Titles, folder / "module.yaml", self.mistakes)
        prose: dict[str, Titles] = {}
        for language, place in _languages(folder, self.mistakes):
            if told := _yaml(Titles, place / "module.yaml", self.mistakes):
                prose[language] = told.keys
        folders = list(_folders(folder, self.mistakes))
        if not folders:
            self.mistakes.append(Mistake(_shown(folder), 1, "folder", "has no lessons in it, such as 10-meet-docker0/."))
        sources: list[LessonSource] = []
        for lesson_folder, lesson_slug in folders:
            mine: list[Mistake] = []
            shown = _shown(lesson_folder)
            if lesson_slug in self.seen:
                mine.append(Mistake(shown, 1, "folder", f"“{lesson_slug}” is the name of another lesson: {self.seen[lesson_slug]}."))
            self.seen.setdefault(lesson_slug, shown)
            at = (number, {ENGLISH: document.keys.title if document else "", **{language: told.title for language, told in prose.items()}})
            source = _lesson(lesson_folder, lesson_slug, f"{number}.{len(sources) + 1}", at, mine, self.mistakes)
            self.mistakes += mine
            if source and not mine and document:
                sources.append(source)
            else:
                self.left_out += 1
        return Module(number, slug, document.keys, prose, tuple(sources)) if document and sources else None


def _lesson(
    folder: Path, slug: str, number: str, module: tuple[int, dict[str, str]], mistakes: list[Mistake], in_other_languages: list[Mistake]
) -> LessonSource | None:
    document = _yaml(LessonKeys, folder / "lesson.yaml", mistakes)
    if document is None:
        return None
    keys = document.keys
    rules.lesson(document, keys, mistakes)
    _unlisted(folder, keys.steps, mistakes)
    known: dict[str, VarKeys] = {}
    steps: list[StepSource] = []
    for n, name in enumerate(keys.steps):
        if not (folder / name).is_file():
            mistakes.append(Mistake(document.file, document.line("steps", n), f"steps.{n}", f"there is no file {name}."))
            continue
        found = _front_and_body(StepKeys, folder / name, mistakes)
        if found is None:
            continue
        step_document, body, line = found
        known |= {var: said for var, said in step_document.keys.vars.items() if var not in known}
        rules.step(step_document, step_document.keys, keys.hosts, known, mistakes)
        words = Words(step_document.file, body, line, None)
        check_text(words, keys, dict(known), f"{slug}-{n + 1}", mistakes)
        steps.append(StepSource(slug, keys, n + 1, name[3:-3], step_document, frozenset(known), words, {}))
    values = variables.assign(known, slug, "")
    prose: dict[str, Titles] = {}
    for language, place in _languages(folder, in_other_languages):
        theirs: list[Mistake] = []
        told = _yaml(Titles, place / "lesson.yaml", theirs)
        _unlisted(place, keys.steps, theirs)
        read = [_in_language(place, name, step, keys, values, f"{slug}-{step.number}", theirs) for name, step in zip(keys.steps, steps)]
        if told and not theirs and not mistakes:
            prose[language] = told.keys
            for step, words_there in zip(steps, read):
                assert words_there
                step.others[language] = words_there
        in_other_languages += theirs
    return LessonSource(number, slug, keys, tuple(steps), known, module, prose)


def _in_language(
    place: Path, name: str, step: StepSource, keys: LessonKeys, values: dict[str, str], prefix: str, mistakes: list[Mistake]
) -> Words | None:
    found = _front_and_body(StepProse, place / name, mistakes)
    if found is None:
        return None
    document, body, line = found
    rules.same_checks(document, document.keys, step.document.keys, mistakes)
    words = Words(document.file, body, line, document.keys)
    same_text(words, step.english, keys, values, prefix, mistakes)
    return words


def _front_and_body(model: type[Keys], path: Path, mistakes: list[Mistake]) -> tuple[documents.Document[Keys], str, int] | None:
    file = _shown(path)
    text = _text(path, mistakes)
    parts = documents.split(text, file, mistakes) if text is not None else None
    if parts is None:
        return None
    front, body, first_line = parts
    document = documents.read(model, front, file, mistakes, first_line=2)
    return (document, body, first_line) if document else None


def _unlisted(folder: Path, steps: list[str], mistakes: list[Mistake]) -> None:
    for path in sorted(folder.glob("*.md")):
        if path.name not in steps:
            mistakes.append(Mistake(_shown(path), 1, "file", "is not listed under steps in lesson.yaml."))


def _languages(folder: Path, mistakes: list[Mistake]) -> Iterator[tuple[str, Path]]:
    known = [code for code, _ in settings.LANGUAGES if code != ENGLISH]
    for place in sorted((folder / "i18n").glob("*")):
        if _is_link(place, mistakes) or _is_link(place.parent, mistakes):
            continue
        if place.name in known:
            yield place.name, place
        else:
            mistakes.append(Mistake(_shown(place), 1, "folder", f"“{place.name}” is no language of this lab. It has: {', '.join(known)}."))


def _folders(parent: Path, mistakes: list[Mistake]) -> Iterator[tuple[Path, str]]:
    """The folders in it, in order, each with the name that it has in an address."""
    try:
        folders = sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_")) and path.name != "i18n")
    except OSError as e:
        mistakes.append(Mistake(_shown(parent), 1, "folder", f"cannot be read: {e.strerror}."))
        return
    for folder in folders:
        if _is_link(folder, mistakes):
            continue
        if match := _FOLDER.fullmatch(folder.name):
            yield folder, match[1]
        else:
            sentence = "has to be two digits, “-” and a name of small letters, digits and “-”, at most 40, such as 10-docker0."
            mistakes.append(Mistake(_shown(folder), 1, "folder", sentence))


def _yaml(model: type[Keys], path: Path, mistakes: list[Mistake]) -> documents.Document[Keys] | None:
    text = _text(path, mistakes)
    return documents.read(model, text, _shown(path), mistakes) if text is not None else None


def _is_link(path: Path, mistakes: list[Mistake]) -> bool:
    if path.is_symlink():
        mistakes.append(Mistake(_shown(path), 1, "file", "is a link, which is not followed: put there what it leads to."))
    return path.is_symlink()


def _text(path: Path, mistakes: list[Mistake]) -> str | None:
    if _is_link(path, mistakes):
        return None
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            regular, text = stat.S_ISREG(os.fstat(file.fileno()).st_mode), b""
            if regular:
                text = file.read(LARGEST + 1)
        if regular and len(text) <= LARGEST:
            return text.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        mistakes.append(Mistake(_shown(path), 1, "file", f"is larger than {LARGEST // 1024} KiB." if regular else "is no file."))
    except FileNotFoundError:
        mistakes.append(Mistake(_shown(path), 1, "file", "is missing."))
    except UnicodeDecodeError:
        mistakes.append(Mistake(_shown(path), 1, "file", "is not UTF-8 text."))
    except OSError as e:
        mistakes.append(Mistake(_shown(path), 1, "file", f"cannot be read: {e.strerror}."))
    return None


def _shown(path: Path) -> str:
    """A path as its author would type it: from the checkout's folder when it is in there."""
    return str(path.relative_to(settings.BASE_DIR) if path.is_relative_to(settings.BASE_DIR) else path)


def _state(root: Path) -> object:
    """Changes whenever a file below root does."""
    return frozenset((path, path.stat().st_mtime_ns) for path in root.rglob("*") if path.exists())
