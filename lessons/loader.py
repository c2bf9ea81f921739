"""Reads all lessons from their folders, once: `content/NN-module/module.yaml`, `NN-lesson/lesson.yaml` and its steps.

The two digits give the order and are no part of a name: 10-docker0 is the module `docker0`.
Must not know: students, requests, HTML.
"""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from django.conf import settings

from lessons import documents, markdown
from lessons.errors import LessonError, Mistake
from lessons.schema import LessonKeys, ModuleKeys, StepKeys, Strict

_FOLDER = re.compile(r"[0-9]{2}-([a-z][a-z0-9-]{0,39})")
_LAYOUT_LENGTH = 64  # netcontrol.models.Sandbox.layout
Keys = TypeVar("Keys", bound=Strict)


@dataclass(frozen=True)
class Step:
    number: int
    title: str
    text: markdown.Text


@dataclass(frozen=True)
class Lesson:
    number: str  # "1.2": second lesson of the first module
    slug: str
    keys: LessonKeys
    steps: tuple[Step, ...]
    module: tuple[int, str]  # its number and title

    @property
    def layout(self) -> str:
        """The hosts that its sandbox needs, as netcontrol wants them."""
        return ",".join(self.keys.hosts)

    def step(self, number: int) -> Step | None:
        return self.steps[number - 1] if 0 < number <= len(self.steps) else None


@dataclass(frozen=True)
class Module:
    number: int
    slug: str
    keys: ModuleKeys
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True)
class Catalogue:
    """Everything that is taught here, in its order. Never empty."""

    modules: tuple[Module, ...]

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        return tuple(lesson for module in self.modules for lesson in module.lessons)

    @cached_property
    def expected(self) -> dict[str, int]:
        """Block -> the exit code that is as it should be, where that is not 0: a page shows what ran at other steps, too."""
        steps = (step for lesson in self.lessons for step in lesson.steps)
        return {block.id: block.expect for step in steps for block in step.text.blocks if block.expect}

    def lesson(self, slug: str) -> Lesson | None:
        return next((lesson for lesson in self.lessons if lesson.slug == slug), None)


_kept: tuple[Path, object, Catalogue] | None = None


def catalogue() -> Catalogue:
    """The lessons, read at the first call; read again after an edit when DEBUG is on. Raises LessonError."""
    global _kept
    root, state = settings.LESSONS_DIR, _state(settings.LESSONS_DIR) if settings.DEBUG else None
    if _kept is None or _kept[:2] != (root, state):
        _kept = (root, state, load(root))
    return _kept[2]


def load(root: Path) -> Catalogue:
    """Raises LessonError, with every mistake of every file in it."""
    mistakes: list[Mistake] = []
    modules: list[Module] = []
    seen: dict[str, str] = {}
    for folder, slug in _folders(root, mistakes):
        if module := _module(folder, slug, len(modules) + 1, seen, mistakes):
            modules.append(module)
    if not modules and not mistakes:
        mistakes.append(Mistake(_shown(root), 1, "folder", "has no modules in it, such as 10-docker0/."))
    if mistakes:
        raise LessonError(mistakes)
    return Catalogue(tuple(modules))


def _module(folder: Path, slug: str, number: int, seen: dict[str, str], mistakes: list[Mistake]) -> Module | None:
    document = _yaml(ModuleKeys, folder / "module.yaml", mistakes)
    lessons: list[Lesson] = []
    found = False
    for lesson_folder, lesson_slug in _folders(folder, mistakes):
        found = True
        shown = _shown(lesson_folder)
        if lesson_slug in seen:
            mistakes.append(Mistake(shown, 1, "folder", f"“{lesson_slug}” is the name of another lesson: {seen[lesson_slug]}."))
        seen.setdefault(lesson_slug, shown)
        title = cast(ModuleKeys, document.keys).title if document else ""
        lesson = _lesson(lesson_folder, lesson_slug, f"{number}.{len(lessons) + 1}", (number, title), mistakes)
        if lesson:
            lessons.append(lesson)
    if not found:
        mistakes.append(Mistake(_shown(folder), 1, "folder", "has no lessons in it, such as 10-meet-docker0/."))
    return Module(number, slug, cast(ModuleKeys, document.keys), tuple(lessons)) if document else None


def _lesson(folder: Path, slug: str, number: str, module: tuple[int, str], mistakes: list[Mistake]) -> Lesson | None:
    document = _yaml(LessonKeys, folder / "lesson.yaml", mistakes)
    if document is None:
        return None
    keys = cast(LessonKeys, document.keys)
    for key in ("hosts", "images", "steps"):
        listed = getattr(keys, key)
        for n, name in enumerate(listed):
            if name in listed[:n]:
                mistakes.append(Mistake(document.file, document.line(key, n), f"{key}.{n}", f"“{name}” is listed twice."))
    for name in keys.names:
        if name in keys.hosts:
            mistakes.append(Mistake(document.file, document.line("names", name), f"names.{name}", "is a host of this lesson already."))
    if len(",".join(keys.hosts)) > _LAYOUT_LENGTH:
        mistakes.append(Mistake(document.file, document.line("hosts"), "hosts", f"are longer than {_LAYOUT_LENGTH} characters together."))
    for path in sorted(folder.glob("*.md")):
        if path.name not in keys.steps:
            mistakes.append(Mistake(_shown(path), 1, "file", "is not listed under steps in lesson.yaml."))
    steps: list[Step] = []
    for n, name in enumerate(keys.steps):
        if not (folder / name).is_file():
            mistakes.append(Mistake(document.file, document.line("steps", n), f"steps.{n}", f"there is no file {name}."))
        elif step := _step(folder / name, n + 1, slug, keys, mistakes):
            steps.append(step)
    return Lesson(number, slug, keys, tuple(steps), module)


def _step(path: Path, number: int, lesson: str, keys: LessonKeys, mistakes: list[Mistake]) -> Step | None:
    file = _shown(path)
    text = _text(path, mistakes)
    parts = documents.split(text, file, mistakes) if text is not None else None
    if parts is None:
        return None
    front, body, first_line = parts
    document = documents.read(StepKeys, front, file, mistakes, first_line=2)
    read = markdown.read(
        body,
        file=file,
        first_line=first_line,
        block_prefix=f"{lesson}-{number}",
        hosts=keys.hosts,
        names=dict(keys.names),
        mistakes=mistakes,
    )
    return Step(number, cast(StepKeys, document.keys).title, read) if document else None


def _folders(parent: Path, mistakes: list[Mistake]) -> Iterator[tuple[Path, str]]:
    """The folders in it, in order, each with the name that it has in an address."""
    try:
        folders = sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    except OSError as e:
        mistakes.append(Mistake(_shown(parent), 1, "folder", f"cannot be read: {e.strerror}."))
        return
    for folder in folders:
        if match := _FOLDER.fullmatch(folder.name):
            yield folder, match[1]
        else:
            sentence = "has to be two digits, “-” and a name of small letters, digits and “-”, at most 40, such as 10-docker0."
            mistakes.append(Mistake(_shown(folder), 1, "folder", sentence))


def _yaml(model: type[Keys], path: Path, mistakes: list[Mistake]) -> documents.Document | None:
    text = _text(path, mistakes)
    return documents.read(model, text, _shown(path), mistakes) if text is not None else None


def _text(path: Path, mistakes: list[Mistake]) -> str | None:
    try:
        return path.read_text("utf-8-sig")
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
