"""Everything that the text taught from which the project was made is taught here, and where; and the curriculum keeps its own rules."""
import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings as lab
from ruamel.yaml import YAML

from lessons.lesson import LessonSource
from lessons.loader import Catalogue, load

CONTENT = Path(lab.BASE_DIR) / "lessons" / "content"
SYLLABUS = YAML(typ="safe").load((Path(__file__).parent / "syllabus.yaml").read_text())
ITEMS = [item for part in ("commands", "options", "claims") for item in SYLLABUS[part]]
SLUGS = sorted(folder.name[3:] for folder in CONTENT.glob("[0-9][0-9]-*/[0-9][0-9]-*/"))


@cache
def shipped() -> Catalogue:
    """Read by the tests that ask for it: reading takes a second, and each test process collects them all."""
    return load(CONTENT)


def lessons() -> dict[str, LessonSource]:
    return {source.slug: source for module in shipped().modules for source in module.sources}


@pytest.mark.parametrize("item", ITEMS, ids=[item["item"] for item in ITEMS])
def test_it_is_taught(item):
    slug, _, step = item["at"].partition("/")
    found = next(one for one in lessons()[slug].steps if one.slug == step)
    text = (Path(lab.BASE_DIR) / found.document.file).read_text().replace("\n", " ")
    assert [words for words in item["words"] if words not in text] == []


def test_the_list_is_whole():
    """As many as the text has: 18 subcommands and options of `docker network`'s help pages alone."""
    assert {part: len(SYLLABUS[part]) for part in SYLLABUS} == {"commands": 29, "options": 31, "claims": 35}
    assert len({item["item"] for item in ITEMS}) == len(ITEMS)


def test_size():
    assert not shipped().mistakes
    assert sorted(lessons()) == SLUGS
    assert len(SLUGS) >= 20 and sum(len(source.steps) for source in lessons().values()) >= 100


@pytest.fixture
def source(request) -> LessonSource:
    return lessons()[request.param]


@pytest.mark.parametrize("source", SLUGS, indirect=True)
class TestOneLesson:
    def test_four_to_nine_steps(self, source):
        assert 4 <= len(source.steps) <= 9

    def test_each_step_has_something_to_predict_to_do_and_to_check(self, source):
        for step in source.filled().steps:
            asks = [check for check in step.checks if check.answered]
            assert step.checks, f"{step.slug}: nothing to check"
            assert step.text.quizzes or asks, f"{step.slug}: nothing to predict"
            assert step.text.blocks or step.solve, f"{step.slug}: nothing to do"

    def test_two_steps_of_three_have_a_wrong_turn(self, source):
        wrong = [step for step in source.filled().steps if step.wrong]
        assert 3 * len(wrong) >= 2 * len(source.steps)

    def test_every_check_but_guards_fails_in_some_way_that_is_proved(self, source):
        """A check that says no at arrival; a question, a wrong answer of which is tried by the proof; a guard that a wrong turn trips."""
        for step in source.filled().steps:
            tripped = {name for case in step.wrong for name in case.fails}
            assert [check.name for check in step.checks if check.guard and check.name not in tripped] == [], f"{step.slug}: nothing trips this guard"

    def test_it_is_there_in_every_language(self, source):
        assert set(source.languages) == {code for code, _ in lab.LANGUAGES}

    def test_the_voice(self, source):
        for step in source.filled().steps:
            text = step.text.html()
            assert "!</p>" not in text and not re.search(r"\b(oops|simply)\b", text, re.IGNORECASE)
