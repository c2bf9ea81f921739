"""Sign out: by POST, with the word that everything is kept; never a guest, who would lose it."""
import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from lessons.tests.accounts import as_student, bob, charlie, lab_of, quick, says, visit, who
from netcontrol.models import Sandbox

__all__ = ["bob", "charlie", "quick"]
pytestmark = pytest.mark.django_db
URL = "/account/sign-out"


def test_out_and_everything_is_kept(bob, quick):
    browser = as_student(bob)
    visit(bob, 2)
    lab = lab_of(bob)
    assert browser.post(URL)["Location"] == "/"
    assert says(browser) == ["You are signed out. Your progress is kept under the name “bob”; a lab that runs goes on until its time is up."]
    assert who(browser) is None and bob.progress.exists() and Sandbox.of(bob) == lab
    assert ("tell", bob.pk) in quick and Session.objects.count() == 0


def test_only_this_browser(bob, charlie):
    here, there, other = as_student(bob), as_student(bob), as_student(charlie)
    here.post(URL)
    assert who(there) == bob and who(other) == charlie


def test_a_guest_would_lose_everything(client, alice):
    visit(alice, 2)
    answer = client.post(URL)
    assert answer.status_code == 409 and "signing out would lose your progress" in answer.content.decode()
    assert who(client) == alice


def test_nobody_is_out_already(client):
    assert client.post(URL)["Location"] == "/"


def test_a_link_or_another_site_signs_nobody_out(bob):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(bob)
    assert browser.get(URL).status_code == 405 and browser.post(URL).status_code == 403
    assert who(browser) == bob
