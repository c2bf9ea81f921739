"""Take or touch what is another student's.

Every address and every message of the WebSocket has a rule here: what another student says to it, with all the names of the victim that they could
know. One that has none fails `labsite/tests/test_doors.py`. Must not know how anything is looked up.
"""
import contextlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from django.apps import apps
from django.db.models import ForeignKey

from labsite.client import Guest
from lessons.models import Student
from netcontrol.connection import key, sync
from netcontrol.models import Command, Sandbox
from tests.conftest import LESSON
from tests.page import Page

from .catalogue import control, session
from .student import Student as Attacker

CANARY = "canary-of-bob"
STEP = f"/lessons/{LESSON}/1/"


@dataclass(frozen=True)
class Ask:
    """What another student asks of an address. In `path` and `body`, {sandbox} and {command} are the victim's."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    may: tuple[int, ...] = (200,)  # how it may be answered


URLS: dict[str, Ask] = {
    "script_words": Ask("GET", "/words/zh-hans/x.js", may=(200, 404)),
    "healthz": Ask("GET", "/healthz"),
    "readyz": Ask("GET", "/readyz"),
    "metrics": Ask("GET", "/metrics", may=(200, 403)),
    "account:keep": Ask("POST", "/account/keep", {"username": "{name}", "password1": "correct horse 7", "password2": "correct horse 7"}, (422,)),
    "account:sign_in": Ask("POST", "/account/sign-in", {"username": "{name}", "password": ""}, (422, 429)),
    "account:sign_out": Ask("POST", "/account/sign-out", {}, (303, 302, 409)),
    "account:password": Ask("POST", "/account/password", {"old_password": "", "new_password1": "correct horse 7", "new_password2": "correct horse 7"}, (302, 422)),
    "account:language": Ask("POST", "/account/language", {"language": "zh-hans"}, (302, 204)),
    "netcontrol:reset": Ask("POST", "/lab/reset", {}),
    "netcontrol:end": Ask("POST", "/lab/end", {}),
    "netcontrol:state": Ask("GET", "/lab/state"),
    "netcontrol:history": Ask("GET", "/lab/history"),
    "netcontrol:transcript": Ask("GET", "/lab/history.txt", may=(404,)),
    "netcontrol:command": Ask("GET", "/lab/history/{command}", may=(404,)),
    "lessons:home": Ask("GET", "/"),
    "lessons:lesson": Ask("GET", f"/lessons/{LESSON}/"),
    "lessons:start": Ask("POST", f"/lessons/{LESSON}/start", {}),
    "lessons:step": Ask("GET", STEP),
    "lessons:state": Ask("GET", f"{STEP}state"),
    "lessons:check": Ask("POST", f"{STEP}check", {"answers": {}}, (200, 409)),
    "lessons:hint": Ask("POST", f"{STEP}hint", {"check": "x"}, (404, 409)),
    "lessons:solution": Ask("POST", f"{STEP}solution", {}, (200, 409)),
    "lessons:quiz": Ask("POST", f"{STEP}quiz", {"quiz": 1, "option": 1}, (200, 404)),
    "lessons:enter": Ask("POST", f"{STEP}enter", {"adopt": True}, (200, 409)),
    "lessons:rewind": Ask("POST", f"{STEP}rewind", {}, (200, 409)),
}
FORMS = ("account:",)  # these read forms, the others JSON

# Each message of the page as an attacker sends it; those that type, type the canary's name. `sandbox`, `owner` and the like come along with each.
MESSAGES: dict[str, dict[str, Any]] = {
    "hello": {"since": {"lab": 0}},
    "shell.open": {"host": "lab", "shell": "lab", "cols": 80, "rows": 24},
    "shell.input": {"shell": "lab", "data": f"touch /root/{CANARY}\r"},
    "shell.resize": {"shell": "lab", "cols": 20, "rows": 5},
    "shell.name": {"shell": "lab", "name": "evil"},
    "shell.close": {"shell": "lab"},
    "shell.ack": {"shell": "lab", "offset": 2**40},
    "run": {"shell": "lab", "block": "evil", "text": f"touch /root/{CANARY}"},
    "network.watch": {"on": True},
    "follow": {"id": "q", "from": "lab", "to": "{address}", "protocol": "icmp", "port": None},
    "reach": {"id": "r", "who": ["lab", "{address}"], "how": "ping", "predicted": []},
    "sandbox.extend": {},
    "active": {},
}


@dataclass
class Victim:
    """Bob, and all that another student could know or guess of him."""

    student: Attacker
    names: dict[str, str] = field(default_factory=dict)

    @property
    def sneaky(self) -> dict[str, str]:
        """What a careless program would look him up by."""
        pk, sandbox = self.names["pk"], self.names["sandbox"]
        return {"sandbox": sandbox, "lab": sandbox, "id": sandbox, "pk": pk, "student": pk, "owner": pk, "user": pk, "user_id": pk, "viewer": "0", "key": pk, "username": self.names["name"], "session": self.names["session"][:8]}

    def rows(self) -> dict[str, list]:
        """Every row of the database that is his, by way of any foreign key."""
        mine: dict[Any, set] = {Student: {int(self.names["pk"])}}
        for _ in range(3):
            for model in apps.get_models():
                for to in (f for f in model._meta.get_fields() if isinstance(f, ForeignKey) and f.related_model in mine and model is not f.related_model):
                    mine.setdefault(model, set()).update(model._default_manager.filter(**{f"{to.name}__in": mine[to.related_model]}).values_list("pk", flat=True))
        moves = ("active_at", "last_login")  # by themselves
        return {model.__name__: [{k: v for k, v in row.items() if k not in moves} for row in model._default_manager.filter(pk__in=pks).order_by("pk").values()] for model, pks in mine.items()}

    def secrets(self) -> list[str]:
        """What no answer to anybody else may hold."""
        return [self.names["sandbox"], self.names["name"], self.names["session"], CANARY]

    def inputs(self) -> int:
        """How much any page ever said to his sandbox."""
        with sync() as r:
            return int(r.xinfo_stream(key("in", self.names["sandbox"]))["entries-added"]) if r.exists(key("in", self.names["sandbox"])) else 0


@pytest.fixture
def victim(bob, database) -> Victim:
    """Bob with a command in his history."""
    sandbox = Sandbox.objects.get(pk=bob.guest.sandbox)
    command = Command.objects.filter(sandbox=sandbox, text__contains=CANARY).first() or Command.objects.create(
        pk=uuid.uuid4(), sandbox=sandbox, host="lab", shell="lab", text=f"echo {CANARY}", exit_code=0, duration_ms=1, output_head=CANARY, output_bytes=len(CANARY), started_at=sandbox.claimed_at
    )
    owner = sandbox.owner
    names = {"sandbox": str(sandbox.pk), "command": str(command.pk), "pk": str(owner.pk), "name": owner.username, "address": bob.address, "session": bob.guest.http.cookies["patchbay"]}
    return Victim(bob, names)


@pytest.fixture(scope="module")
def eve(lab):
    """Another student, whose own lab does not matter."""
    guest = Guest(lab.url, LESSON)
    guest.start()
    yield guest
    with contextlib.suppress(Exception):
        guest.post("/lab/end")


def ask(guest: Guest, ask: Ask, names: dict[str, str], sneaky: dict[str, str], form: bool = False) -> requests.Response:
    """As this student's browser would, with all that is sneaky in the address, the body and the headers."""
    fill = lambda value: value.format(**names) if isinstance(value, str) else value  # noqa: E731
    body = {name: fill(value) for name, value in (ask.body or {}).items()}
    headers = {"Accept": "application/json", "X-CSRFToken": guest.http.cookies.get("csrftoken") or "", "Referer": guest.base + "/", "X-User": sneaky["pk"], "X-Sandbox": sneaky["sandbox"], "X-Remote-User": names["name"], "Remote-User": names["name"]}
    how: dict[str, Any] = {"params": {**sneaky, "page": "1"}, "headers": headers, "timeout": 20, "allow_redirects": False}
    if ask.method == "POST":
        how["data" if form else "json"] = {**sneaky, **body}
    return guest.http.request(ask.method, guest.base + fill(ask.path), **how)


@control("the same address, asked by the student whose it is")
def ones_own_can_be_had(victim):
    guest = victim.student.guest
    mine = ask(guest, URLS["netcontrol:command"], victim.names, victim.sneaky)
    assert mine.status_code == 200 and CANARY in mine.text
    assert CANARY in ask(guest, URLS["netcontrol:history"], victim.names, victim.sneaky).text
    assert CANARY in ask(guest, URLS["netcontrol:transcript"], victim.names, victim.sneaky).text
    assert victim.names["sandbox"] in ask(guest, URLS["netcontrol:state"], victim.names, victim.sneaky).text


@session("asks every address with another student's names in the path, the query, the body and the headers", holds="every lookup starts from the session's student; no address names one", at="netcontrol/history.py:sandbox__owner", seen="the database: not a row of the other student's has changed; and no answer holds a word of theirs")
@pytest.mark.parametrize("name", URLS)
def every_address(victim, eve, name):
    rule = URLS[name]
    before = victim.rows()
    answer = ask(eve, rule, victim.names, victim.sneaky, form=name.startswith(FORMS))
    assert answer.status_code in rule.may, answer.text[:500]
    said = re.sub(r'value="[^"]*"|href="[^"]*[?][^"]*"', "", answer.text)  # a page tells whoever asked what was asked, and a form what was typed
    assert [secret for secret in victim.secrets() if secret in said] == []
    assert victim.rows() == before
    assert victim.student.answers()


@session("asks for a command, a lab or a transcript of somebody else's by its id", holds="what is not the student's own is not there: 404, the same as for an id that nobody has", at="netcontrol/views.py:_no_lab", seen="the answers: letter by letter that of an id that does not exist")
@pytest.mark.parametrize("path", ["/lab/history/{command}", "/lab/history?lab={sandbox}", "/lab/history.txt?lab={sandbox}", "/lab/history?q=" + CANARY])
def by_its_id(victim, eve, path):
    eve.get("/lab/history")
    theirs = eve.get(path.format(**victim.names))
    nobodys = eve.get(path.format(command=uuid.uuid4(), sandbox=uuid.uuid4()))
    assert theirs.status_code == nobodys.status_code

    def plain(answer: requests.Response) -> str:
        asked = re.split("[/=]", answer.url)[-1]
        return "\n".join(line for line in answer.text.replace(asked, "ID").splitlines() if "csrf" not in line and "datetime" not in line)

    assert plain(theirs) == plain(nobodys)
    assert "{command}" in path or victim.names["command"] not in theirs.text


@session("changes something by opening an address, without a press of a button", holds="what changes anything is POST only", at="netcontrol/views.py:require_POST", seen="the status: 405; and the database")
def by_get(victim, eve):
    before = victim.rows()
    for name, rule in URLS.items():
        if rule.method == "POST" and name not in ("account:keep", "account:sign_in", "account:password"):  # whose GET is their form
            assert eve.get(rule.path).status_code == 405, name
            assert victim.student.guest.get(rule.path).status_code == 405, name
    assert victim.rows() == before


# Over the WebSocket

def told(page: Page) -> int:
    return len([m for m in page.events if m["type"] not in ("sandbox.state", "network.change", "network.snapshot")])


@control("the same messages, sent by the student whose sandbox it is")
def ones_own_can_be_told(alice):
    with Page(alice.guest, "lab") as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        page.send("run", shell="lab", block="own", text="touch /root/own")
        page.until(lambda: any(m["type"] == "command.finished" and m["block"] == "own" for m in page.events), 20, "the command")
    assert alice.tries("test -e /root/own").code == 0


@session("says every message of the WebSocket with another student's sandbox, address and ids in it", holds="a page's sandbox is found by its session; fields that a message does not have are dropped", at="netcontrol/messages.py:FIELDS", seen="the other student's sandbox: nothing was said to it; their page: nothing was told; their host: no file")
@pytest.mark.parametrize("kind", MESSAGES)
def every_message(victim, alice, kind):
    before, inputs = victim.rows(), victim.inputs()
    with Page(alice.guest) as evil:
        evil.until(lambda: any(m["type"] == "sandbox.state" and m["state"] == "claimed" for m in evil.events), 20, "her own lab")
        fields = json.loads(json.dumps(MESSAGES[kind]).replace("{address}", victim.names["address"]))
        assert evil.send(kind, **{**victim.sneaky, **fields, "boot": "0", "token": "0", "acks": {"lab": 2**40}})
        if kind == "hello":
            evil.until(lambda: any(m["type"] == "error" for m in evil.events), 20, "the refusal of a second hello")
        evil.send("shell.open", shell="after", host="lab", cols=80, rows=24)
        evil.until(lambda: any(m["type"] == "shell.opened" and m["shell"] == "after" for m in evil.events), 20, "an answer to what came after it")
        evil.send("shell.close", shell="after")
        heard = json.dumps(evil.events)
    assert [secret for secret in victim.secrets() if secret in heard.replace(f"touch /root/{CANARY}", "")] == []
    assert victim.inputs() == inputs and victim.rows() == before
    assert victim.student.tries(f"test -e /root/{CANARY}").code == 1


@session("says what only programs of the lab say to one another: the view of another page, an answer, a notice", holds="a page may say what is in its list; eight words more, and it is cut off", at="netcontrol/messages.py:BadMessage", seen="the other student's sandbox: nothing was said to it; the socket: closed with 4400")
def inner_messages(victim, alice):
    inputs, before = victim.inputs(), victim.rows()
    inner = ["view", "attach", "shell.output", "shell.opened", "command.finished", "follow.done", "network.change", "sandbox.state", "notice", "disconnect", "receive", "websocket.close", "__init__", "tell"]
    with contextlib.ExitStack() as line:
        own = Guest(alice.guest.base, LESSON, http=alice.guest.http)
        line.callback(own.hang_up)
        own.dial()
        end = time.monotonic() + 20
        try:
            for kind in inner:
                own.send(type=kind, acks={"lab": 2**40}, gone=True, network=True, **victim.sneaky)
            while time.monotonic() < end:
                own.socket.recv(timeout=end - time.monotonic())
        except Exception as closed:
            assert "4400" in str(closed), closed
    assert victim.inputs() == inputs and victim.rows() == before

