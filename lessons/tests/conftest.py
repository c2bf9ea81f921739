"""A content folder that tests may break, and a lab that is not there."""
from pathlib import Path

import pytest

from lessons import loader

MODULE = "title: Networks\nsummary: How they work.\n"
LESSON = """\
title: First
summary: What there is.
minutes: 5
level: First steps
hosts: [lab, client]
images: [tomcat]
steps:
  - 01-look.md
  - 02-touch.md
names:
  tomcat9: container
"""
STEP = "---\ntitle: Look\n---\nLook at `docker0`.\n\n```bash {run}\nip addr\n```\n"


class Content:
    """A folder of lessons: one module with one lesson of two steps, correct until a test writes into it."""

    def __init__(self, root: Path):
        self.root = root
        self.write("10-net/module.yaml", MODULE)
        self.write("10-net/10-first/lesson.yaml", LESSON)
        self.write("10-net/10-first/01-look.md", STEP)
        self.write("10-net/10-first/02-touch.md", STEP.replace("Look", "Touch"))

    def write(self, path: str, text: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(autouse=True)
def fresh_catalogue(monkeypatch):
    monkeypatch.setattr(loader, "_kept", None)


@pytest.fixture
def content(tmp_path, settings) -> Content:
    settings.LESSONS_DIR = tmp_path / "content"
    return Content(settings.LESSONS_DIR)
