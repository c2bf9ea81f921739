"""POST quiz: graded here; the right one and its reason follow an answer."""
import pytest
from django.contrib.sessions.models import Session

from lessons.models import QuizAnswer, Student
from lessons.tests.accounts import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


def test_a_students_answer_is_kept(charlie):
    told = charlie.ask("quiz", quiz=1, option=1)["quizzes"]
    assert told == {"1": {"chosen": 1, "right": False, "correct": 2, "html": "<p>Because of a secret-reason.</p>\n"}}
    assert charlie.ask("state")["quizzes"] == told
    row = QuizAnswer.objects.get()
    assert (row.student, row.lesson, row.step, row.quiz, row.chosen, row.right) == (charlie.me, "first", "join", 1, 1, False)


def test_the_first_answer_stays(charlie, visitor):
    for who in (charlie, visitor):
        who.ask("quiz", quiz=1, option=1)
        assert who.ask("quiz", quiz=1, option=2)["quizzes"]["1"]["chosen"] == 1


def test_a_visitors_answer_is_kept_in_the_session_until_there_is_a_student(visitor, sent):
    assert visitor.ask("quiz", quiz=1, option=2)["quizzes"]["1"]["right"]
    assert visitor.ask("state")["quizzes"]["1"]["chosen"] == 2
    assert visitor.get("/lessons/first/1/").context["step_state"]["quizzes"]["1"]["chosen"] == 2
    assert not QuizAnswer.objects.exists() and not Student.objects.exists() and Session.objects.count() == 1
    visitor.post("/lessons/first/start")
    assert QuizAnswer.objects.get().student == Student.objects.get()
    assert visitor.ask("state")["quizzes"]["1"]["chosen"] == 2 and "quizzes" not in visitor.session


@pytest.mark.parametrize("url", ["/account/keep", "/account/sign-in"])
def test_or_until_they_have_an_account(visitor, settings, monkeypatch, url):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": url}}
    monkeypatch.setattr("netcontrol.orders.tell", lambda owner: None)
    visitor.ask("quiz", quiz=1, option=1)
    if url == "/account/sign-in":
        Student.objects.create_user("dora", password=PASSWORD)
    visitor.post(url, {"username": "dora", "password": PASSWORD, "password1": PASSWORD, "password2": PASSWORD})
    assert QuizAnswer.objects.get().student.username == "dora" and "quizzes" not in visitor.session


def test_nothing_of_the_answer_is_there_before(charlie, visitor):
    for who in (charlie, visitor):
        assert who.ask("state")["quizzes"] == {}
        assert b"secret-reason" not in who.get("/lessons/first/1/").content


@pytest.mark.parametrize("body", [{"quiz": 2, "option": 1}, {"quiz": 1, "option": 3}, {"quiz": 1, "option": 0}, {"quiz": 1}, {}])
def test_what_is_not_there(charlie, visitor, body):
    for who in (charlie, visitor):
        answer = who.send("quiz", **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_quiz")


@pytest.mark.parametrize("body", [{"quiz": "1", "option": 1}, {"quiz": 1, "option": True}, {"quiz": 1.0, "option": 1}])
def test_nonsense(charlie, body):
    assert charlie.send("quiz", **body).status_code == 400
