"""The body of a step in one language: read with the values of a student, checked when it is loaded, compared with the original.

Must not know: front matter, folders, students.
"""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lessons import markdown, variables
from lessons.errors import Mistake
from lessons.schema import LessonKeys, StepProse

ENGLISH = "en"  # in which lessons are written first


@dataclass(frozen=True)
class Words:
    """What a file says in one language. `prose` is its front matter, None for the original, whose front matter says more than prose."""

    file: str
    body: str
    first_line: int
    prose: StepProse | None


def read(words: Words, keys: LessonKeys, values: Mapping[str, str], block_prefix: str, mistakes: list[Mistake]) -> markdown.Text:
    return markdown.read(
        variables.fill(words.body, values), file=words.file, first_line=words.first_line, block_prefix=block_prefix,
        hosts=keys.hosts, names=variables.fill_tree(keys.names, values), mistakes=mistakes,
    )  # fmt: skip


def check_text(words: Words, keys: LessonKeys, known: Mapping[str, Any], block_prefix: str, mistakes: list[Mistake]) -> markdown.Text:
    """Read it for nobody in particular, and find what is wrong with it."""
    for n, line in enumerate(words.body.split("\n")):
        for name in variables.unset(line, known):
            mistakes.append(Mistake(words.file, words.first_line + n, "variable", f"${{{name}}} is no variable of this lesson."))
    return read(words, keys, variables.assign(known, "", ""), block_prefix, mistakes)


def same_text(words: Words, original: Words, keys: LessonKeys, values: Mapping[str, str], block_prefix: str, mistakes: list[Mistake]) -> None:
    """A translation has the commands, listings to copy and quizzes of the original, in their order."""
    here, there = read(words, keys, values, block_prefix, mistakes), read(original, keys, values, block_prefix, [])
    for block, other in zip(here.blocks, there.blocks):
        if block != other:
            mistakes.append(Mistake(words.file, words.first_line + block.line, "fence", f"`{block.command}` is `{other.command}` in the original."))
    counts = {"run blocks": (len(here.blocks), len(there.blocks)), "quizzes": (len(here.quizzes), len(there.quizzes)), "listings to copy": (len(here.copied), len(there.copied))}
    for what, (mine, theirs) in counts.items():
        if mine != theirs:
            mistakes.append(Mistake(words.file, words.first_line, "text", f"has {mine} {what}, and the original {theirs}."))
    for quiz, original_quiz in zip(here.quizzes, there.quizzes):
        if (quiz.correct, len(quiz.offered)) != (original_quiz.correct, len(original_quiz.offered)):
            mistakes.append(Mistake(words.file, words.first_line, "quiz", f"{quiz.number} has other options than the original, or another right one."))
    for copied, original_copied in zip(here.copied, there.copied):
        if copied != original_copied:
            mistakes.append(Mistake(words.file, words.first_line, "fence", "a listing to copy differs from the original."))
