"""Sign in: as oneself only, with a guest's work along, and without a word about who exists."""
import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from redis.exceptions import ConnectionError as Down

from lessons import accounts, throttle
from lessons.models import Student
from lessons.tests.accounts import PASSWORD, at_step, bob, charlie, lab_of, quick, says, visit, who
from netcontrol.models import Sandbox

__all__ = ["bob", "charlie", "quick"]
pytestmark = pytest.mark.django_db
URL = "/account/sign-in"


def sign_in(client, name: str = "bob", password: str = PASSWORD, **more):
    return client.post(URL, {"username": name, "password": password, **more})


def test_in(client, bob, charlie):
    assert sign_in(client)["Location"] == "/"
    assert who(client) == bob and says(client) == ["You are signed in as “bob”."]


@pytest.mark.parametrize(("name", "password"), [("bob", "wrong"), ("nobody", PASSWORD), ("nobody", ""), ("", PASSWORD), ("bob", PASSWORD.upper()), ("b\0b", PASSWORD)])
def test_not_in(client, bob, name, password):
    assert sign_in(client, name, password).status_code == 422
    assert who(client) is None


def test_it_says_the_same_whoever_it_is(client, alice, bob):
    Student.objects.create_user("gone", password=PASSWORD, is_active=False)
    said = {str(sign_in(Client(), name, password).context["form"].errors) for name, password in (("bob", "wrong"), ("nobody", "wrong"), ("gone", PASSWORD), (alice.username, "wrong"), (alice.username, "!"))}
    assert len(said) == 1 and "The name or the password is not right." in said.pop()


def test_back_to_where_they_came_from(client, bob):
    assert sign_in(client, next="/lessons/first/2/")["Location"] == "/lessons/first/2/"
    assert sign_in(Client(), next="//evil.example/")["Location"] == "/"


def test_who_is_in_needs_no_form(client, bob):
    client.force_login(bob)
    assert client.get(URL)["Location"] == "/"


def test_a_guest_s_work_goes_along(client, alice, bob):
    visit(alice, 2)
    lab = lab_of(alice)
    assert "goes along into yours" in client.get(URL).content.decode()
    sign_in(client)
    assert who(client) == bob and at_step(bob) == "touch" and Sandbox.of(bob) == lab
    assert list(Student.objects.all()) == [bob]
    assert says(client) == ["You are signed in as “bob”. What you did in this browser went along."]


def test_a_button_that_is_pressed_twice(client, alice, bob, monkeypatch):
    """Both requests saw the guest; the other one was first."""
    visit(alice, 2)

    def has_work(guest):
        Student.objects.get(pk=guest.pk).merge_into(bob)
        return True

    monkeypatch.setattr(accounts, "has_work", has_work)
    assert sign_in(client).status_code == 302
    monkeypatch.undo()
    assert who(client) == bob and at_step(bob) == "touch" and says(client) == ["You are signed in as “bob”."]


def test_of_two_labs_the_guest_s_is_removed_and_said(client, alice, bob, quick):
    hers, his = lab_of(alice), lab_of(bob)
    sign_in(client)
    assert Sandbox.of(bob) == his and ("remove", str(hers.pk)) in quick
    assert says(client) == ["You are signed in as “bob”. What you did in this browser went along, but not its lab: your account had one running already."]


def test_pages_of_both_are_told(client, alice, bob, quick):
    lab_of(alice)
    sign_in(client)
    assert ("tell", alice.pk) in quick and ("tell", bob.pk) in quick


def test_a_guest_without_work_leaves_without_a_word(client, alice, bob):
    sign_in(client)
    assert list(Student.objects.all()) == [bob] and says(client) == ["You are signed in as “bob”."]


def test_a_wrong_password_changes_nothing(client, alice, bob):
    visit(alice, 2)
    sign_in(client, password="wrong")
    assert who(client) == alice and alice.progress.exists() and not bob.progress.exists()


def test_a_lab_handed_out_at_this_very_moment(client, alice, bob, monkeypatch):
    monkeypatch.setattr(Student, "merge_into", lambda *_: (_ for _ in ()).throw(accounts.IntegrityError()))
    answer = sign_in(client)
    assert answer.status_code == 409 and "nothing was changed" in answer.content.decode()
    assert who(client) == alice


def test_the_session_s_key_is_a_new_one(client, alice, bob):
    """Who slipped somebody a cookie before has nothing of them afterwards."""
    old = client.cookies["patchbay"].value
    sign_in(client)
    assert client.cookies["patchbay"].value != old and not Session.objects.filter(pk=old).exists()


def test_passwords_cannot_be_guessed_without_end(client, bob, charlie):
    for _ in range(10):
        assert sign_in(client, password="wrong").status_code == 422
    answer = sign_in(client)
    assert answer.status_code == 429 and "tried too often" in answer.content.decode() and who(client) is None
    assert 'value="bob"' in answer.content.decode() and PASSWORD not in answer.content.decode()
    assert sign_in(Client(), "charlie").status_code == 302, "another name from the same address"
    assert Client(REMOTE_ADDR="10.9.8.7").post(URL, {"username": "bob", "password": PASSWORD}).status_code == 302, "the same name from another address"


def test_a_name_that_is_not_there_is_throttled_alike(client, bob):
    for name in ("nobody", " BOB "):
        codes = [sign_in(client, name, "wrong").status_code for _ in range(11)]
        assert codes == [422] * 10 + [429]


def test_guesses_from_many_addresses_and_at_many_names(bob, monkeypatch):
    monkeypatch.setitem(throttle.PASSWORD_TRIES, "name", "12/h")
    codes = [Client(REMOTE_ADDR=f"10.0.0.{n}").post(URL, {"username": "bob", "password": "wrong"}).status_code for n in range(13)]
    assert codes == [422] * 12 + [429]
    monkeypatch.setitem(throttle.PASSWORD_TRIES, "address", "12/10m")
    codes = [Client(REMOTE_ADDR="10.1.1.1").post(URL, {"username": f"name{n}", "password": "wrong"}).status_code for n in range(13)]
    assert codes == [422] * 12 + [429]


def test_without_redis_nobody_guesses(client, bob, monkeypatch):
    def down(*_, **__):
        raise Down

    monkeypatch.setattr(throttle, "get_usage", down)
    answer = sign_in(client)
    assert answer.status_code == 503 and "nobody can sign in" in answer.content.decode() and who(client) is None


def test_an_account_brings_its_language(client, bob):
    bob.language = "zh-hans"
    bob.save()
    assert sign_in(client).cookies["patchbay-language"].value == "zh-hans"
    assert "patchbay-language" not in sign_in(Client(), "bob", "wrong").cookies


def test_it_needs_the_csrf_token(bob):
    assert Client(enforce_csrf_checks=True).post(URL, {"username": "bob", "password": PASSWORD}).status_code == 403
