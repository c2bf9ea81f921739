"""Take over a session or an account.

Each attack makes accounts of its own, which need no lab. Must not know how a password or a session is kept: the database says who was signed in.
"""
import contextlib
import json
import uuid
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from labsite.client import Guest
from lessons.models import Student
from tests.conftest import LESSON

from .catalogue import control, session, stranger

PASSWORD = "correct horse 7"
QUIZ = f"/lessons/{LESSON}/1/"
ACCOUNTS, THROTTLE = "lessons/accounts.py", "lessons/throttle.py"


class Browser(Guest):
    """Somebody's browser on the pages of accounts."""

    def form(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> requests.Response:
        self.get("/account/sign-in")  # for a token
        fields["csrfmiddlewaretoken"] = self.http.cookies.get("csrftoken", "")
        return self.http.post(self.base + path, data=fields, headers={"Referer": self.base + "/", **(headers or {})}, timeout=20, allow_redirects=False)

    def makes(self, name: str, **more: Any) -> requests.Response:
        return self.form("/account/keep", username=name, password1=PASSWORD, password2=PASSWORD, **more)

    def sign_in(self, name: str, password: str = PASSWORD, **headers: str) -> requests.Response:
        return self.form("/account/sign-in", headers, username=name, password=password)

    @property
    def key(self) -> str:
        return self.http.cookies.get("patchbay", "")

    @key.setter
    def key(self, value: str) -> None:
        for cookie in [c for c in self.http.cookies if c.name == "patchbay"]:
            self.http.cookies.clear(cookie.domain, cookie.path, cookie.name)
        self.http.cookies.set("patchbay", value, domain=self.base.split("/")[2].split(":")[0], path="/")

    def is_who(self) -> str:
        """The name of the account that the site takes this browser for; "" for nobody's."""
        page = self.get("/account/password").text  # who has no account is sent away to sign in
        return page.partition('data-account="')[2].partition('"')[0] or ("somebody" if 'name="old_password"' in page else "")


@pytest.fixture
def browser(lab):
    return lambda: Browser(lab.url, LESSON)


@pytest.fixture
def account(browser, database):
    """Somebody with an account, signed in in one browser."""
    this = browser()
    this.name = f"carol-{uuid.uuid4().hex[:8]}"
    assert this.makes(this.name).status_code == 302
    yield this
    Student.objects.filter(username=this.name).delete()


@control("the right name and password")
def the_right_password_signs_in(account, browser):
    other = browser()
    assert other.sign_in(account.name).status_code == 302 and other.is_who() and other.key


# Sessions

@stranger("gives somebody a session of their own before they sign in, and uses it afterwards", holds="signing in makes a new session; the old key is nobody's", at="lessons/accounts.py:SignIn", seen="the site: the planted key is no account's")
@pytest.mark.parametrize("how", ["a visitor's session", "an invented key"])
def session_fixation(account, browser, how):
    evil, victim = browser(), browser()
    if how == "a visitor's session":
        evil.get(QUIZ)
        evil.post(f"{QUIZ}quiz", {"quiz": 1, "option": 1})  # a visitor's answer is kept in a session
    else:
        evil.key = "planted1" * 4
    planted = evil.key
    assert planted
    victim.key = planted
    assert victim.sign_in(account.name).status_code == 302 and victim.is_who()
    assert victim.key != planted and evil.is_who() == ""


@session("gives somebody the session of a guest of their own, waits until they keep it under a name, and is that account", holds="keeping makes a new session as well", at=f"{ACCOUNTS}:a fresh session", seen="the site: the guest's old key is no account's")
def session_fixation_by_keeping(lab, browser, database):
    evil, victim = browser(), browser()
    evil.start()
    victim.key = planted = evil.key
    name = f"dave-{uuid.uuid4().hex[:8]}"
    try:
        assert victim.makes(name).status_code == 302 and victim.is_who()
        assert victim.key != planted and evil.is_who() == ""
        assert evil.get("/lab/state").json()["state"] == "none", "and the lab is the account's"
    finally:
        victim.post("/lab/end")
        Student.objects.filter(username=name).delete()


@session("goes on with a session that was signed out, or whose password was changed elsewhere", holds="sign-out deletes the session; a session carries a hash of the password", at=f"{ACCOUNTS}:logout", seen="the site: the old key is nobody's")
@pytest.mark.parametrize("how", ["signed out", "another password"])
def a_session_that_is_over(account, browser, how):
    thief = browser()
    thief.key = account.key
    assert thief.is_who()
    if how == "signed out":
        assert account.form("/account/sign-out").status_code == 302
    else:
        changed = account.form("/account/password", old_password=PASSWORD, new_password1=PASSWORD + "x", new_password2=PASSWORD + "x")
        assert changed.status_code == 302 and account.is_who(), "the browser that changed it stays signed in"
    assert thief.is_who() == ""


@session("keeps a terminal open in another tab after signing out, and types into it", holds="the sockets of a session that is over are closed", at="netcontrol/consumers.py:SESSION_OVER", seen="the socket: closed with 4403, and a new one is refused")
@pytest.mark.parametrize("how", ["signed out", "another password"])
def a_socket_of_a_session_that_is_over(account, browser, how):
    thief = browser()
    thief.key = account.key
    with connect(**thief.handshake(), open_timeout=10, close_timeout=2) as socket:
        socket.send(json.dumps({"type": "hello", "since": {}}))
        assert json.loads(socket.recv(timeout=10))["type"] == "sandbox.state"
        if how == "signed out":
            account.form("/account/sign-out")
        else:
            account.form("/account/password", old_password=PASSWORD, new_password1=PASSWORD + "x", new_password2=PASSWORD + "x")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=5)
        assert closed.value.rcvd and closed.value.rcvd.code == 4403
    with connect(**thief.handshake(), open_timeout=10, close_timeout=2) as again, pytest.raises(ConnectionClosed) as closed:
        again.recv(timeout=10)
    assert closed.value.rcvd and closed.value.rcvd.code == 4401


@stranger("invents a session's key, or puts into the cookie what breaks a lookup", holds="a key is looked up as it is, and made by the server only", at="labsite/settings.py:SESSION_COOKIE_NAME", seen="the site: nobody, with an ordinary answer")
def invented_keys(browser):
    for key in ("", "1", "a" * 32, "../../../etc/passwd", "' OR 1=1 --", "x" * 3000, "%00", "null", "{}"):
        one = browser()
        one.key = key
        assert one.get("/").status_code == 200 and one.is_who() == "" and one.get("/lab/state").json()["state"] == "none"


@session("reads the session's cookie from script, or has it sent along from another site", holds="HttpOnly, SameSite=Lax; Secure behind HTTPS", at="labsite/settings.py:SESSION_COOKIE_SAMESITE", seen="the header that sets it")
def the_cookie(account, browser):
    answer = browser().sign_in(account.name)
    said = [value for name, value in answer.raw.headers.items() if name.lower() == "set-cookie" and value.startswith("patchbay=")]
    assert len(said) == 1 and "HttpOnly" in said[0] and "SameSite=Lax" in said[0] and "Domain" not in said[0]


# Accounts

@stranger("tries passwords of an account", holds="ten tries in ten minutes of one name from one address, the right one included; counted in Redis before anything is looked at; of where a request comes from only a proxy's word is taken", at=f"{THROTTLE}:PASSWORD_TRIES", seen="the database: nobody was signed in, although the last password was the right one")
@pytest.mark.parametrize("how", ["with another address in a header each time", "with another writing of the name each time"])
def passwords(account, browser, how):
    before = Student.objects.get(username=account.name).last_login
    one, answers = browser(), []
    for n in range(11):
        name = [account.name, f" {account.name}", f"{account.name} ", f"\t{account.name}"][n % 4] if "writing" in how else account.name
        headers = {name: f"198.51.100.{n}" for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP")} | {"Forwarded": f"for=198.51.100.{n}"}
        answers.append(one.sign_in(name, f"wrong {n}", **(headers if "header" in how else {})).status_code)
    last = one.sign_in(account.name, PASSWORD)
    assert answers[:5] == [422] * 5 and answers[-1] == 429 and last.status_code == 429
    assert Student.objects.get(username=account.name).last_login == before and one.is_who() == ""


@stranger("learns which names there are from what signing in answers", holds="the same words for a wrong name and a wrong password; both are hashed", at="lessons/forms.py:invalid_login", seen="the two answers, letter by letter")
def which_names_there_are(account, browser):
    def said(name: str) -> str:
        answer = browser().sign_in(name, "wrong")
        return "\n".join(line for line in f"{answer.status_code}\n{answer.text}".replace(name, "NAME").splitlines() if "csrf" not in line)

    assert said(account.name) == said(f"nobody-{uuid.uuid4().hex[:8]}")


@stranger("signs in as a guest, who has no password", holds="an unusable password matches none", at="lessons/models.py:set_unusable_password", seen="the site: nobody")
def as_a_guest(lab, browser, bob, database):
    name = owner_of(bob)
    for password in ("", "!", "None", name, Student.objects.get(username=name).password):
        one = browser()
        assert one.sign_in(name, password).status_code in (422, 429) and one.is_who() == ""


def owner_of(student) -> str:
    from netcontrol.models import Sandbox

    return Sandbox.objects.get(pk=student.guest.sandbox).owner.username


@stranger("makes an account with more than a name and a password: staff, another row's key, another's language", holds="a form has two fields, and takes no others", at="lessons/forms.py:KeepForm", seen="the database: an ordinary row of its own")
def more_than_the_form_has(account, browser, database):
    name, victim = f"mallory-{uuid.uuid4().hex[:8]}", Student.objects.get(username=account.name)
    sneaky = {"is_staff": "on", "is_superuser": "on", "is_active": "on", "id": victim.pk, "pk": victim.pk, "instance": victim.pk, "seed": "1", "language": "xx", "groups": "1", "user_permissions": "1", "password": "pbkdf2_sha256$1$a$b"}
    try:
        assert browser().makes(name, **sneaky).status_code == 302
        made = Student.objects.get(username=name)
        assert (made.is_staff, made.is_superuser, made.seed, made.language) == (False, False, "", "") and made.pk != victim.pk
        assert made.check_password(PASSWORD) and Student.objects.get(pk=victim.pk).check_password(PASSWORD)
    finally:
        Student.objects.filter(username=name).delete()


@stranger("takes a name that looks like another's to the database or to a reader, or one that is markup", holds="names are letters, digits and @ . + - _, made the same by NFKC, and unique", at="lessons/forms.py:clean_username", seen="the database: no such row")
def odd_names(account, browser, database):
    wide = "".join(chr(ord(c) + 0xFEE0) for c in account.name)
    names = [account.name, wide, f" {account.name}", f"{account.name}\0", f"{account.name}\u200b", f"{account.name}\u202e", "guest-1", "GUEST-1", "<b>x</b>", "a'b", 'a"b', "a b", "a\nb", "../a", "x" * 151, "${x}", "{{x}}"]
    before = Student.objects.count()
    for name in names:
        answer = browser().makes(name)
        assert answer.status_code == 422, name
        assert "<b>x" not in answer.text
    assert Student.objects.count() == before


@session("changes a password without knowing the old one, or signs somebody out from a session that is not theirs", holds="the old password is asked for, and every try counts", at="lessons/forms.py:ChangePasswordForm", seen="the database: the password is as it was")
def a_password_without_the_old_one(account, browser):
    evil = browser()
    evil.key = account.key  # a browser that was left open
    for old in ("", "x", PASSWORD.upper()):
        evil.form("/account/password", old_password=old, new_password1="correct horse 8", new_password2="correct horse 8", username=account.name)
    assert Student.objects.get(username=account.name).check_password(PASSWORD)
    with contextlib.suppress(requests.RequestException):
        browser().form("/account/sign-out", username=account.name, session=account.key)
    assert account.is_who()


@stranger("forges what the site keeps in cookies: a message with script, a language that is a path", holds="messages are signed, and text; the language is one of the lab's", at="labsite/settings.py:MessageMiddleware", seen="the page: nothing of it")
def forged_cookies(browser):
    one = browser()
    host = one.base.split("/")[2].split(":")[0]
    one.http.cookies.set("messages", '[["__json_message",1,25,"<script>pwned()</script>"]]:1:forged', domain=host, path="/")
    one.http.cookies.set("patchbay-language", "../../etc/passwd", domain=host, path="/")
    answer = one.get("/")
    assert answer.status_code == 200 and "pwned" not in answer.text and "passwd" not in answer.text
