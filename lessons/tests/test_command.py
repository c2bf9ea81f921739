import json
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import call_command


def lessons(*args: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("lessons", *args, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


def test_list(content):
    assert lessons("list") == (0, "1  Networks (net)\n   1.1  first: First (2 steps, 5 min, First steps, on lab, client)\n")


def test_list_for_programs(content):
    code, out = lessons("list", "--json")
    assert code == 0
    assert json.loads(out) == [
        {
            "module": "net",
            "number": "1.1",
            "slug": "first",
            "steps": ["Look", "Touch"],
            "title": "First",
            "summary": "What there is.",
            "minutes": 5,
            "level": "First steps",
            "hosts": ["lab", "client"],
            "images": ["tomcat"],
        }
    ]


def test_lint_of_clean_lessons(content):
    assert lessons("lint") == (0, "No mistakes. Lessons: 1, modules: 1.\n")
    assert json.loads(lessons("lint", "--json")[1]) == {"lessons": 1, "mistakes": []}


def test_lint_of_the_shipped_lessons():
    code, out = lessons("lint")
    assert code == 0, out


@pytest.mark.parametrize("verb", ["list", "lint"])
def test_mistakes_are_named_and_exit_1(content, verb):
    content.write("10-net/module.yaml", "title: Networks\n")
    file = content.root / "10-net/module.yaml"
    assert lessons(verb) == (1, f"{file}:1: summary: is missing.\n")
    code, out = lessons(verb, "--json")
    assert (code, json.loads(out)["mistakes"]) == (1, [{"file": str(file), "line": 1, "key": "summary", "sentence": "is missing."}])


def test_a_broken_lesson_stops_the_start(content):
    assert not run_checks()
    content.write("10-net/module.yaml", "title: Networks\n")
    from lessons import loader

    loader._kept = None
    errors = run_checks()
    assert [error.id for error in errors] == ["lessons.E001"]
    assert "module.yaml:1: summary: is missing." in errors[0].msg and "lessons lint" in errors[0].hint
