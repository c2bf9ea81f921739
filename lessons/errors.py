"""What is wrong with a lesson: said once, in one form, for `lessons lint` and the check at start.

Must not know: how lessons are read.
"""
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to correct. `key` is the key of the YAML file, or a word for the part of the Markdown text."""

    file: str
    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.sentence}"
