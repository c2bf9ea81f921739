import json
from io import StringIO
from pathlib import Path

from django.conf import settings as lab
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
    assert lessons("list") == (0, "1  Networks (net)\n   1.1  first: First (2 steps, 0 checks, 5 min, on lab, client, in en)\n")


def test_list_for_programs(content):
    code, out = lessons("list", "--json")
    assert code == 0
    assert json.loads(out) == [
        {
            "module": "net",
            "number": "1.1",
            "slug": "first",
            "steps": ["Look", "Touch"],
            "checks": 0,
            "languages": ["en"],
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
    assert json.loads(lessons("lint", "--json")[1]) == {"lessons": 1, "left_out": 0, "mistakes": []}


def test_lint_of_the_shipped_lessons():
    code, out = lessons("lint")
    assert code == 0, out


def test_mistakes_are_named_and_exit_1(content):
    content.write("10-net/module.yaml", "title: Networks\n")
    file = content.root / "10-net/module.yaml"
    assert lessons("lint") == (1, f"{file}:1: summary: is missing.\n")
    code, out = lessons("lint", "--json")
    assert (code, json.loads(out)["mistakes"]) == (1, [{"file": str(file), "line": 1, "key": "summary", "sentence": "is missing."}])
    assert lessons("list") == (0, "1 left out because of mistakes: ./lab lessons lint says which.\n")


def test_the_start_warns_of_a_broken_lesson_and_goes_on(content):
    assert not run_checks()
    content.write("10-net/module.yaml", "title: Networks\n")
    from lessons import loader

    loader._kept = None
    said = run_checks()
    assert [(one.id, one.is_serious()) for one in said] == [("lessons.W001", False)]
    assert "module.yaml:1: summary: is missing." in said[0].msg and "lessons lint" in said[0].hint


def test_the_schemas_for_editors_are_those_of_the_code():
    from lessons.management.commands.lessons import schemas

    for name, schema in schemas().items():
        assert (Path(lab.BASE_DIR) / "docs" / "schema" / f"{name}.json").read_text() == schema, "run ./lab lessons schema"
