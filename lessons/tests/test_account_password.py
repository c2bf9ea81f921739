"""Another password: only with the old one, and every other browser is out."""
import pytest
from django.test import Client

from lessons.tests.accounts import OTHER, PASSWORD, as_student, bob, charlie, quick, says, who

__all__ = ["bob", "charlie", "quick"]
pytestmark = pytest.mark.django_db
URL = "/account/password"
GOOD = {"old_password": PASSWORD, "new_password1": OTHER, "new_password2": OTHER}


def test_changed(bob, charlie):
    here, there, other = as_student(bob), as_student(bob), as_student(charlie)
    old = here.cookies["patchbay"].value
    assert here.post(URL, GOOD)["Location"] == "/"
    bob.refresh_from_db()
    assert bob.check_password(OTHER)
    assert who(here) == bob and here.cookies["patchbay"].value != old
    assert who(there) is None, "whoever had found a browser of his signed in"
    assert who(other) == charlie
    assert says(here) == ["Your password is changed. Other browsers where you were signed in must sign in again."]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"old_password": OTHER}, "old_password", "Your old password is another one."),
        ({"new_password2": PASSWORD}, "new_password2", "not the same"),
        ({"new_password1": "short", "new_password2": "short"}, "new_password2", "too short"),
        ({"new_password1": "qwerty123", "new_password2": "qwerty123"}, "new_password2", "too common"),
    ],
)
def test_not_changed(bob, change, field, words):
    answer = as_student(bob).post(URL, {**GOOD, **change})
    assert answer.status_code == 422 and words in " ".join(answer.context["form"].errors[field])
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_an_unattended_browser_is_no_place_to_guess(bob):
    browser = as_student(bob)
    codes = [browser.post(URL, {**GOOD, "old_password": f"guess {n}"}).status_code for n in range(11)]
    assert codes == [422] * 10 + [429]
    assert browser.post(URL, GOOD).status_code == 429
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_guests_and_strangers_have_none(client, alice):
    for browser in (client, Client()):
        assert browser.get(URL)["Location"] == "/account/sign-in" and browser.post(URL, GOOD)["Location"] == "/account/sign-in"
    alice.refresh_from_db()
    assert alice.is_guest


def test_it_needs_the_csrf_token(bob):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(bob)
    assert strict.post(URL, GOOD).status_code == 403
