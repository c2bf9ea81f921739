"""GET of a lesson: it opens where the student was, and a step that is put between two others moves nobody."""
import pytest

from lessons import loader
from lessons.models import Progress, Student

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


def number(browser, slug="first") -> int:
    return browser.get(f"/lessons/{slug}/").context["step"]["number"]


def test_it_opens_where_the_student_was(charlie, bob, visitor):
    assert number(charlie) == 1
    charlie.get("/lessons/first/3/")
    charlie.get("/lessons/first/2/")
    assert (number(charlie), number(bob), number(visitor)) == (2, 1, 1)


def test_a_step_that_is_put_in_moves_nobody(charlie, content):
    charlie.get("/lessons/first/2/")
    lesson = content / "10-net/10-first"
    (lesson / "15-new.md").write_text((lesson / "20-read.md").read_text())
    (lesson / "lesson.yaml").write_text((lesson / "lesson.yaml").read_text().replace("20-read.md", "15-new.md, 20-read.md"))
    loader._kept = None
    assert number(charlie) == 3


def test_a_step_that_was_taken_out(charlie):
    Progress.objects.create(student=charlie.me, lesson="first", step="gone")
    assert number(charlie) == 1


@pytest.mark.parametrize(("kept", "at"), [("2", 2), ("9", 3), ("0", 1)])
def test_rows_from_before_steps_had_names(charlie, kept, at):
    Progress.objects.create(student=charlie.me, lesson="first", step=kept)
    assert number(charlie) == at


def test_a_lesson_that_is_not_there(visitor):
    answer = visitor.get("/lessons/gone/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["message"]) == (404, "There is no lesson “gone” here.")
    assert answer.json()["what_to_do"].startswith("The lessons are: “First” (/lessons/first/), “Second”")
    assert not Student.objects.exists()
