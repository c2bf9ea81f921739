"""GET /: the contents, and how far the student is."""
import pytest

from lessons import loader
from lessons.loader import catalogue
from lessons.models import Progress, StepProgress, Student

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


def finish(student, lesson, *steps):
    for step in steps:
        StepProgress.of(student, lesson, step).finish()


def test_a_visitor(visitor):
    context = visitor.get("/").context
    (module,) = context["modules"]
    assert {key: module[key] for key in module if key != "lessons"} == {"number": 1, "slug": "net", "title": "Networks", "summary": "How they work.", "done": 0, "count": 3}
    assert context["first"] == module["lessons"][0] == {
        "number": "1.1", "slug": "first", "title": "First", "summary": "What there is.", "minutes": 5, "level": "First steps",
        "step_count": 3, "steps_done": 0, "done": False, "url": "/lessons/first/",
    }  # fmt: skip
    assert context["current"] is None and context["lab"]["state"] == "none"
    assert (context["left_out"], list(context["mistakes"])) == (0, [])


def test_what_is_done_is_counted(charlie, alice):
    finish(charlie.me, "first", "join", "read", "taken-out")
    finish(charlie.me, "second", "read", "keep")
    finish(alice.me, "pair", "keep")
    (module,) = charlie.get("/").context["modules"]
    assert [(card["steps_done"], card["done"]) for card in module["lessons"]] == [(2, False), (2, True), (0, False)]
    assert (module["done"], module["count"]) == (1, 3)


def test_where_the_student_was_last(charlie):
    lesson = charlie.lesson("second")
    for step in lesson.steps:
        Progress.visit(charlie.me, lesson, step)
    Progress.objects.create(student=charlie.me, lesson="taken-out", step="gone")
    current = charlie.get("/").context["current"]
    assert (current["lesson"]["slug"], current["step"], current["step_title"], current["url"], current["next"]) == ("second", 2, "Keep", "/lessons/second/2/", None)


def test_after_a_lesson_that_is_done_comes_the_next(charlie):
    lesson = charlie.lesson("second")
    Progress.visit(charlie.me, lesson, lesson.steps[1])
    finish(charlie.me, "second", "read", "keep")
    assert charlie.get("/").context["current"]["next"]["slug"] == "pair"


def test_a_lesson_with_a_mistake_is_left_out_and_the_rest_is_taught(visitor, content):
    (content / "10-net/10-first/10-join.md").write_text("---\ntitle: Join\nnonsense: 1\n---\n")
    loader._kept = None
    context = visitor.get("/").context
    assert [card["slug"] for card in context["modules"][0]["lessons"]] == ["second", "pair"] and context["left_out"] == 1
    assert not context["mistakes"]
    visitor.force_login(Student.objects.create(username="author", is_staff=True))
    assert "nonsense" in str(visitor.get("/").context["mistakes"][0])


def test_nothing_is_taught(visitor, content, settings, tmp_path):
    settings.LESSONS_DIR = tmp_path / "empty"
    settings.LESSONS_DIR.mkdir()
    assert catalogue().modules == () and visitor.get("/").context["first"] is None
