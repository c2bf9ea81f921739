"""GET of a step: its page, and what opening it means."""
import json

import pytest
from django.contrib.sessions.models import Session

from lessons import loader
from lessons.models import Progress, StepProgress, Student

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


def test_the_page(charlie):
    context = charlie.get("/lessons/first/1/").context
    assert context["lesson"]["module"] == {"number": 1, "title": "Networks"}
    assert (context["step"]["number"], context["step"]["title"]) == (1, "Join")
    assert (context["previous_url"], context["next_url"]) == (None, "/lessons/first/2/")
    assert charlie.get("/lessons/first/3/").context["previous_url"] == "/lessons/first/2/"
    assert context["start_url"] == "/lessons/first/start?step=1" and context["hosts"] == ["lab"]
    assert context["step_state"] == charlie.ask("state")


def test_what_the_network_pane_is_to_show(charlie):
    page = charlie.get("/lessons/first/1/")
    show = json.loads(page.content.decode().split('<script id="show" type="application/json">')[1].split("</script>")[0])
    assert show == {"things": ["web", show["things"][1]], "view": "reach", "reach": {"who": ["lab", "web"], "how": "tcp:80"}}
    assert show["things"][1] in ("blue", "teal"), "with this student's values"
    assert 'id="show"' not in charlie.get("/lessons/first/2/").content.decode()


def test_a_step_without_checks_is_done_when_one_has_gone_on(charlie):
    def done():
        return [step["done"] for step in charlie.get("/lessons/first/1/").context["steps"]]

    charlie.get("/lessons/first/2/")
    assert done() == [False, False, False], "it is open, and they went back"
    charlie.get("/lessons/first/3/")
    assert done() == [False, True, False]


def test_one_that_was_never_opened_is_not(charlie):
    charlie.get("/lessons/first/3/")
    assert not StepProgress.objects.exclude(done_at=None).exists()


def test_after_the_last_one_there_is_nothing_to_go_on_to(charlie, content):
    lesson = content / "10-net/20-second"
    (lesson / "lesson.yaml").write_text((lesson / "lesson.yaml").read_text().replace("10-read.md, 20-keep.md", "20-keep.md, 10-read.md"))
    loader._kept = None
    charlie.get("/lessons/second/2/")
    assert StepProgress.objects.get(step="read").done_at


def test_each_students_own_values(alice, bob, charlie, visitor):
    for who in (alice, bob, charlie):
        assert who.lesson().values["NET"] in who.ask("state")["checks"][0]["title"]


@pytest.mark.parametrize("url", ["/", "/lessons/first/", "/lessons/first/2/", "/lessons/none/", "/lessons/first/7/", "/lessons/first/1/state"])
def test_reading_leaves_no_trace_of_a_visitor(visitor, url):
    visitor.get(url)
    assert Student.objects.count() == Session.objects.count() == Progress.objects.count() == StepProgress.objects.count() == 0
    assert "patchbay" not in visitor.cookies


@pytest.mark.parametrize("number", [0, 4, 99])
def test_a_step_that_is_not_there(visitor, number):
    answer = visitor.get(f"/lessons/first/{number}/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["message"]) == (404, f"The lesson “First” has no step {number}.")
    assert answer.json()["what_to_do"] == "It has the steps 1 to 3: begin at /lessons/first/1/."
