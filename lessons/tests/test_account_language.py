"""The language of the pages: as the browser says, until somebody chooses; an account remembers it."""
import pytest
from django.test import Client

from lessons.models import Student
from lessons.tests.accounts import PASSWORD, as_student, bob, charlie, quick

__all__ = ["bob", "charlie", "quick"]
pytestmark = pytest.mark.django_db
URL = "/account/language"


def lang(client, **headers) -> str:
    page = client.get("/", headers=headers).content.decode()
    return page.split('<html lang="', 1)[1].split('"', 1)[0]


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", "en"), ("de", "en"), ("en-GB,en;q=0.8", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"), ("zh-Hans-CN", "zh-hans"), ("zh-SG", "zh-hans"), ("fr,zh-hans;q=0.5", "zh-hans"), ("x" * 5000, "en")],
)
def test_as_the_browser_says(client, asked, given):
    assert lang(client, accept_language=asked) == given


def test_a_choice_counts_more_and_stays(client):
    answer = client.post(URL, {"language": "zh-hans", "next": "/lessons/first/1/"})
    assert (answer.status_code, answer["Location"]) == (302, "/lessons/first/1/")
    assert lang(client, accept_language="en") == lang(client) == "zh-hans"
    client.post(URL, {"language": "en"})
    assert lang(client, accept_language="zh-CN") == "en"


def test_a_choice_makes_nobody(client):
    client.post(URL, {"language": "zh-hans"})
    assert Student.objects.count() == 0


def test_an_account_remembers_it(client, bob, charlie):
    as_student(bob).post(URL, {"language": "zh-hans"})
    client.post("/account/sign-in", {"username": "bob", "password": PASSWORD})
    assert lang(client, accept_language="en") == "zh-hans"
    charlie.refresh_from_db()
    assert charlie.language == ""


def test_a_guest_s_choice_goes_along_when_they_keep_their_progress(client, alice):
    client.post(URL, {"language": "zh-hans"})
    client.post("/account/keep", {"username": "alice", "password1": PASSWORD, "password2": PASSWORD})
    alice.refresh_from_db()
    assert alice.language == "zh-hans"


@pytest.mark.parametrize("value", ["klingon", "", "en\r\nSet-Cookie: a=b"])
def test_what_is_no_language_changes_nothing(bob, value):
    browser = as_student(bob)
    answer = browser.post(URL, {"language": value, "next": "https://evil.example/"})
    assert answer["Location"] == "/" and "patchbay-language" not in answer.cookies
    bob.refresh_from_db()
    assert bob.language == ""


def test_a_link_or_another_site_changes_nothing():
    strict = Client(enforce_csrf_checks=True)
    assert strict.get(URL).status_code == 405 and strict.post(URL, {"language": "zh-hans"}).status_code == 403
