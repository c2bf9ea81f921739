"""Keep your progress: a guest becomes an account, and stays the same student. Somebody new gets an account at once."""
import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from lessons import throttle
from lessons.models import Student
from lessons.tests.accounts import OTHER, PASSWORD, as_student, at_step, bob, lab_of, quick, says, visit, who
from netcontrol.models import Sandbox

__all__ = ["bob", "quick"]
pytestmark = pytest.mark.django_db
URL = "/account/keep"
GOOD = {"username": "alice", "password1": PASSWORD, "password2": PASSWORD}


def wrong(answer) -> dict[str, list[str]]:
    assert answer.status_code == 422
    return {field: list(words) for field, words in answer.context["form"].errors.items()}


def test_a_guest_keeps_everything(client, alice):
    visit(alice, 2)
    lab = lab_of(alice)
    assert client.post(URL, GOOD)["Location"] == "/"
    alice.refresh_from_db()
    assert (alice.username, alice.is_guest) == ("alice", False) and alice.check_password(PASSWORD)
    assert at_step(alice) == "touch" and Sandbox.of(alice) == lab and Student.objects.count() == 1
    assert who(client) == alice
    assert says(client) == ["Your progress is kept under the name “alice”. With it and your password you find it in any browser."]


def test_the_guest_s_old_key_opens_nothing_any_more(client, alice):
    old = client.cookies["patchbay"].value
    client.post(URL, GOOD)
    assert client.cookies["patchbay"].value != old and not Session.objects.filter(pk=old).exists()
    thief = Client()
    thief.cookies["patchbay"] = old
    assert who(thief) is None


def test_without_being_a_guest(client):
    assert "Make an account" in client.get(URL).content.decode()
    client.post(URL, GOOD)
    assert who(client) == Student.objects.get(username="alice")


def test_what_a_visitor_predicted_is_theirs_then(client, monkeypatch):
    handed = []
    monkeypatch.setattr("lessons.accounts.visitors.hand_over", lambda request, student: handed.append(student.username))
    client.post(URL, GOOD)
    Student.objects.create_user("bob", password=PASSWORD)
    Client().post("/account/sign-in", {"username": "bob", "password": PASSWORD})
    assert handed == ["alice", "bob"]


def test_reading_the_page_makes_nobody(client):
    client.get(URL)
    assert Student.objects.count() == Session.objects.count() == 0


def test_back_to_where_they_came_from(client, alice):
    page = client.get(URL, {"next": "/lessons/first/2/"}).content.decode()
    assert 'name="next" value="/lessons/first/2/"' in page
    assert client.post(URL, {**GOOD, "next": "/lessons/first/2/"})["Location"] == "/lessons/first/2/"


def test_but_to_no_other_site(client, alice):
    assert client.post(URL, {**GOOD, "next": "https://evil.example/"})["Location"] == "/"


@pytest.mark.parametrize("name", ["bob", "BOB", "ＢＯＢ"])
def test_a_name_that_is_taken(client, alice, bob, name):
    assert wrong(client.post(URL, {**GOOD, "username": name})) == {"username": ["This name is taken. Choose another one."]}
    alice.refresh_from_db()
    assert alice.is_guest and alice.username.startswith("guest-") and who(client) == alice


def test_a_name_that_is_taken_at_the_same_moment(client, alice, bob, monkeypatch):
    monkeypatch.setattr("lessons.forms.KeepForm.clean_username", lambda form: form.cleaned_data["username"])
    monkeypatch.setattr("lessons.forms.KeepForm.validate_unique", lambda form: None)
    assert wrong(client.post(URL, {**GOOD, "username": "bob"})) == {"username": ["This name is taken. Choose another one."]}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"username": "guest-1234"}, "username", "those of guests"),
        ({"username": "a b"}, "username", "letters, digits and"),
        ({"username": ""}, "username", "required"),
        ({"password2": OTHER}, "password2", "not the same"),
        ({"password1": "short", "password2": "short"}, "password2", "too short"),
        ({"password1": "password1", "password2": "password1"}, "password2", "too common"),
        ({"password1": "7294618305", "password2": "7294618305"}, "password2", "entirely numeric"),
        ({"username": "patchbayer", "password1": "patchbayer1", "password2": "patchbayer1"}, "password2", "too similar"),
    ],
)
def test_what_will_not_do_is_said_beside_its_field(client, alice, change, field, words):
    answer = client.post(URL, {**GOOD, **change})
    assert words in " ".join(wrong(answer)[field])
    page = answer.content.decode()
    assert f'id="id_{field}_error"' in page and PASSWORD not in page
    assert who(client).is_guest


def test_an_account_has_nothing_to_keep(client, bob):
    client.force_login(bob)
    assert client.get(URL)["Location"] == "/"
    assert client.post(URL, GOOD)["Location"] == "/"
    assert Student.objects.count() == 1


def test_the_bar_offers_it_to_a_guest_who_has_something(client, alice, bob):
    assert "Keep your progress" not in client.get("/").content.decode()
    visit(alice, 1)
    assert 'href="/account/keep?next=/lessons/first/2/"' in client.get("/lessons/first/2/").content.decode()
    home = as_student(bob).get("/").content.decode()
    assert "Keep your progress" not in home and 'aria-label="Account bob"' in home
    assert 'href="/account/sign-in?next=/"' in Client().get("/").content.decode()


def test_names_cannot_be_probed_without_end(client, bob, monkeypatch):
    monkeypatch.setitem(throttle.NAME_TRIES, "address", "3/h")
    for _ in range(3):
        client.post(URL, {**GOOD, "username": "bob"})
    answer = client.post(URL, GOOD)
    assert answer.status_code == 429 and re.search(r"tried too often.* \d+ minutes?\.", answer.content.decode())
    assert Student.objects.count() == 1


def test_it_needs_the_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(URL, GOOD).status_code == 403
    alice.refresh_from_db()
    assert alice.is_guest
