"""docs/protocol.md and what a step's page is told say the same."""
import re
from pathlib import Path

import pytest

from lessons import urls
from lessons.loader import catalogue
from lessons.standing import Place
from lessons.tests.views.conftest import content

__all__ = ["content"]
PAGE = (Path(__file__).parent.parent.parent / "docs/protocol.md").read_text().split("## 6.", 1)[1]


def test_requests():
    known = {str(route.pattern).rpartition("/")[2] for route in urls.urlpatterns if str(route.pattern).startswith(urls.step)} - {""}
    assert set(re.findall(r"^\| `(?:GET|POST) (\w+)` \|", PAGE, re.M)) == known


@pytest.mark.django_db
def test_state(content):
    lesson = catalogue().lesson("first")
    assert lesson
    state = Place(None, lesson, lesson.steps[0]).standing(quizzes={1: 1})
    keys = {*state, *state["checks"][0], *state["quizzes"]["1"]}
    told = set(re.findall(r'"(\w+)": ', PAGE))
    assert keys <= told | {"1"}
