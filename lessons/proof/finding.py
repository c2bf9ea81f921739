"""What a proof found: each thing with the file and line that an author has to look at. Must not know who looks for it."""
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lessons.errors import Mistake
from lessons.lesson import LessonSource, StepSource


class Broken(Exception):
    """The rest of this walk makes no sense: what it was has been found already."""


@dataclass
class Walk:
    """One way through one lesson: its name, what was found, how long each step took."""

    lesson: LessonSource
    name: str  # "replay" or "page"
    findings: list[Mistake] = field(default_factory=list)
    seconds: float = 0.0
    scripts: int = 0  # setups and solutions that ran
    wrongs: int = 0
    blocks: int = 0
    checks: int = 0  # that passed at the end of their step

    @property
    def passed(self) -> bool:
        return not self.findings

    @contextmanager
    def timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except Broken:
            pass
        finally:
            self.seconds = time.monotonic() - began

    def found(self, step: StepSource, sentence: str, *loc: str | int) -> None:
        """Something about a key of the step's front matter."""
        self.findings.append(Mistake(step.document.file, step.document.line(*loc), ".".join(map(str, loc)) or "step", sentence))

    def in_text(self, step: StepSource, line: int, sentence: str) -> None:
        """Something about this line of the step's text."""
        self.findings.append(Mistake(step.english.file, step.english.first_line + line, "run", sentence))

    def about(self, step: StepSource | None, sentence: str) -> None:
        """Something about the whole."""
        file = step.document.file if step else self.lesson.steps[0].document.file
        self.findings.append(Mistake(file, 1, self.name, sentence))
