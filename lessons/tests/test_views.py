"""The pages, with the real templates and the real rows of the pool; only Celery and Redis are not there."""
import re
from html import unescape

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from lessons import views
from lessons.models import Progress, Student
from netcontrol import pool
from netcontrol.errors import LabError
from netcontrol.models import Machine, Sandbox, Waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


@pytest.fixture(autouse=True)
def started(monkeypatch, content):
    """(student, layout) of each sandbox that was asked for; the rows are made as usual."""
    asked: list[tuple[Student, str]] = []

    def start(owner, layout):
        asked.append((owner, layout))
        return pool.request(owner, layout)

    monkeypatch.setattr(views.tasks, "start", start)
    return asked


def test_home_lists_modules_and_lessons(client):
    context = client.get("/").context
    assert context["modules"] == [
        {"number": 1, "slug": "net", "title": "Networks", "summary": "How they work.", "lessons": [context["first"]]}
    ]
    assert context["first"] == {
        "number": "1.1",
        "slug": "first",
        "title": "First",
        "summary": "What there is.",
        "minutes": 5,
        "level": "First steps",
        "step_count": 2,
        "url": "/lessons/first/",
    }
    assert context["current"] is None and context["lab"]["state"] == "none"


def test_home_says_where_the_student_was_last(client, alice):
    Progress.visit(alice, "first", 1)
    Progress.visit(alice, "first", 2)
    Progress.visit(alice, "taken-out", 4)
    current = client.get("/").context["current"]
    assert (current["lesson"]["slug"], current["step"], current["step_title"], current["url"]) == ("first", 2, "Touch", "/lessons/first/2/")


def test_home_stays_right_when_a_lesson_became_shorter(client, alice):
    Progress.visit(alice, "first", 9)
    assert client.get("/").context["current"]["step"] == 2
    assert client.get("/lessons/first/").context["step"]["number"] == 2


def test_step(client, alice):
    response = client.get("/lessons/first/1/")
    context = response.context
    assert context["lesson"]["module"] == {"number": 1, "title": "Networks"}
    assert (context["step"]["number"], context["step"]["title"]) == (1, "Look")
    assert context["hosts"] == ["lab", "client"]
    assert (context["previous_url"], context["next_url"]) == (None, "/lessons/first/2/")
    assert context["start_url"] == "/lessons/first/start?step=1"
    page = response.content.decode()
    assert '<code class="n bridge">docker0</code>' in page and 'data-block="first-1-1"' in page
    assert client.get("/lessons/first/2/").context["previous_url"] == "/lessons/first/1/"


def test_steps_before_the_furthest_count_as_done(client, alice):
    def done():
        return [step["done"] for step in client.get("/lessons/first/1/").context["steps"]]

    assert done() == [False, False]
    client.get("/lessons/first/2/")
    assert done() == [True, False]


def test_a_lesson_opens_where_the_student_was(client, alice):
    assert client.get("/lessons/first/").context["step"]["number"] == 1
    client.get("/lessons/first/2/")
    assert client.get("/lessons/first/").context["step"]["number"] == 2


def test_progress_belongs_to_one_student(client, alice):
    bob = Student.new_guest()
    Progress.visit(bob, "first", 2)
    assert client.get("/").context["current"] is None
    assert client.get("/lessons/first/").context["step"]["number"] == 1


def test_visit_keeps_the_furthest_step_in_one_row(alice):
    for step in (1, 3, 2):
        row = Progress.visit(alice, "first", step)
    assert (row.step, row.furthest, Progress.objects.count()) == (2, 3, 1)


@pytest.mark.parametrize("url", ["/", "/lessons/first/", "/lessons/first/2/", "/lessons/none/", "/lessons/first/7/"])
def test_reading_leaves_no_trace_of_a_stranger(client, url):
    client.get(url)
    assert Student.objects.count() == Session.objects.count() == Progress.objects.count() == 0
    assert "patchbay" not in client.cookies


@pytest.mark.parametrize(
    ("url", "message", "what_to_do"),
    [
        ("/lessons/gone/", "There is no lesson “gone” here.", "The lessons are: “First” (/lessons/first/)."),
        ("/lessons/gone/2/", "There is no lesson “gone” here.", "The lessons are: “First” (/lessons/first/)."),
        ("/lessons/first/3/", "The lesson “First” has no step 3.", "It has the steps 1 to 2: begin at /lessons/first/1/."),
        ("/lessons/first/0/", "The lesson “First” has no step 0.", "It has the steps 1 to 2: begin at /lessons/first/1/."),
    ],
)
def test_what_is_not_there_is_said(client, url, message, what_to_do):
    response = client.get(url)
    page = unescape(response.content.decode())
    assert response.status_code == 404 and message in page and what_to_do in page
    said = client.get(url, headers={"Accept": "application/json"})
    assert said.status_code == 404 and said.json()["message"] == message


def test_start_makes_one_guest_and_keeps_them(client, started):
    response = client.post("/lessons/first/start")
    assert (response.status_code, response["Location"]) == (303, "/lessons/first/")
    client.post("/lessons/first/start")
    guest = Student.objects.get()
    assert guest.is_guest and started == [(guest, "lab,client")] * 2
    assert Waiting.objects.get().owner == guest


def test_start_comes_back_to_the_step_it_was_pressed_on(client):
    assert client.post("/lessons/first/start?step=2")["Location"] == "/lessons/first/2/"
    for nowhere in ("7", "-1", "", "two", "9" * 5000):
        assert client.post(f"/lessons/first/start?step={nowhere}")["Location"] == "/lessons/first/"


def test_start_answers_programs(client):
    waiting = client.post("/lessons/first/start", headers={"Accept": "application/json"}).json()
    assert (waiting["state"], waiting["place"]) == ("waiting", 1)


def test_start_gives_a_ready_sandbox(client):
    machine = Machine.objects.create(name="m", capacity=4, wires=8)
    sandbox = Sandbox.objects.create(machine=machine, layout="lab,client", wire=1, state=Sandbox.State.READY)
    given = client.post("/lessons/first/start", headers={"Accept": "application/json"}).json()
    assert given["state"] == "claimed"
    assert Sandbox.objects.get(pk=sandbox.pk).owner == Student.objects.get()


def test_start_says_what_went_wrong(client, monkeypatch):
    def broken(owner, layout):
        raise LabError("not_now", "Redis does not answer.", "Try again.")

    monkeypatch.setattr(views.tasks, "start", broken)
    response = client.post("/lessons/first/start", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["code"]) == (503, "not_now")
    assert Student.objects.count() == 1, "the guest is kept for the next try"


def test_start_needs_the_csrf_token_and_post():
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/lessons/first/start").status_code == 403
    assert strict.get("/lessons/first/start").status_code == 405
    assert Student.objects.count() == 0
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', strict.get("/").content.decode())[1]
    assert strict.post("/lessons/first/start", {"csrfmiddlewaretoken": token}).status_code == 303


def test_start_of_an_unknown_lesson_makes_no_guest(client, started):
    assert client.post("/lessons/gone/start").status_code == 404
    assert not started and Student.objects.count() == 0


def test_a_broken_lesson_is_said_and_not_a_traceback(client, content):
    content.write("10-net/module.yaml", "title: Networks\n")
    response = client.get("/", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["code"]) == (503, "broken_lessons")
    assert "module.yaml:1: summary: is missing." in response.json()["message"]
