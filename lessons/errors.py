"""What is wrong with a lesson: said once, in one form, for `lessons lint`, the check at start and the page.

Must not know: how lessons are read.
"""
from dataclasses import dataclass

from netcontrol.errors import LabError


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to correct. `key` is the key of the YAML file, or a word for the part of the Markdown text."""

    file: str
    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.sentence}"


class LessonError(LabError):
    """The lessons cannot be used. Names every mistake, not only the first one."""

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = sorted(mistakes)
        many = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
        super().__init__(
            "broken_lessons",
            f"The lessons of this lab have {many}:\n" + "\n".join(map(str, self.mistakes)),
            "Correct what is named here; `./lab lessons lint` says when nothing is left.",
        )
