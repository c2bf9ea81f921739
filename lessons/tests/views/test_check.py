"""POST check: an evaluation, what is kept of it, and what a page is told when nobody can evaluate."""
import threading
import time
from functools import partial

import pytest
from django.test import Client

from lessons import loader, tasks, wishes
from lessons.grading import Result
from lessons.models import CheckProgress, Preparation, StepProgress
from lessons.tests.views.conftest import LESSON, PREDICT, checks
from netcontrol.connection import sync
from netcontrol.models import Sandbox

pytestmark = pytest.mark.django_db


def states(state: dict) -> dict[str, str]:
    return {name: check["state"] for name, check in checks(state).items()}


def ready(alice) -> None:
    """Her sandbox is at the first step, whoever brought it there."""
    alice.ask("enter")
    Preparation.objects.update(phase=Preparation.Phase.IDLE, at=1)


def test_what_was_found_is_told_and_kept(alice, host):
    host.says(attached="passed", reach="failed: Nothing answers on `blue`.", address="failed", end="failed")
    state = alice.ask("check", auto=True)
    assert states(state) == {"attached": "passed", "reach": "open", "address": "open", "end": "open"}
    assert checks(state)["reach"]["why"] == "Nothing answers on <code>blue</code>."
    assert states(alice.ask("state")) == states(state)
    assert not state["done"] and not state["lesson_done"]


def test_failed_is_said_only_to_who_asked(alice, host):
    host.says(attached="failed: It is not there.")
    assert checks(alice.ask("check", auto=True))["attached"]["state"] == "open"
    told = checks(alice.ask("check", auto=False))["attached"]
    assert (told["state"], told["why"]) == ("failed", "It is not there.")


def test_a_check_that_needs_another_waits_for_it_by_name(alice, host):
    host.says(attached="failed: No.", reach="waits", address="waits")
    told = checks(alice.ask("check", auto=False))
    net = alice.lesson().values["NET"]
    assert told["reach"]["state"] == "waits" and net in told["reach"]["waits_for"]
    host.says(attached="passed", reach="failed: No.")
    assert checks(alice.ask("check", auto=False))["reach"]["state"] == "failed"


def test_a_question_without_an_answer_is_left_alone(alice, host):
    host.says(attached="passed", reach="passed", address="failed: Not that one.", end="failed: No.")
    told = checks(alice.ask("check", auto=False, answers={"end": "veth0"}))
    assert (told["end"]["state"], told["address"]["state"]) == ("failed", "open")
    assert host.graded[-1][1] == {"end": "`veth0`"}, "a choice is given as the author wrote it"


def test_a_right_answer_stays_right(alice, host):
    host.says(attached="failed: No.", end="passed", address="passed")
    alice.ask("check", answers={"end": "eth0", "address": "10.0.0.2"})
    host.says(attached="passed", reach="passed")
    state = alice.ask("check", auto=True)
    assert host.graded[-1] == (["attached", "reach"], {})
    assert set(states(state).values()) == {"passed"} and state["done"]


def test_a_matrix_is_answered_and_says_which_cells_were_wrong(alice, host, content, monkeypatch):
    folder = content / "10-net/40-predict"
    folder.mkdir()
    (folder / "lesson.yaml").write_text(LESSON.format(title="Predict", hosts="lab", steps="10-predict.md"))
    (folder / "10-predict.md").write_text(PREDICT)
    monkeypatch.setattr(loader, "_kept", None)
    alice.post("/lessons/predict/start", {})
    ask = partial(alice.ask, lesson="predict")
    ask("enter")
    Preparation.objects.update(phase=Preparation.Phase.IDLE, at=1)
    told = checks(ask("state"))["who"]
    assert told["matrix"] == {"between": ["lab", "web", "db"], "how": "tcp:80", "said": "", "wrong": []} and told["state"] == "open"
    host.results = {"who": Result("failed", "`lab` does not reach `web`.", ((0, 1),))}
    told = checks(ask("check", answers={"who": "-yn y-n nn-"}))["who"]
    assert (told["state"], told["matrix"]["said"], told["matrix"]["wrong"]) == ("failed", "-yn y-n nn-", [[0, 1]])
    assert checks(ask("check", auto=True))["who"] == told, "a command says nothing of it"
    host.results = {"who": Result("passed")}
    state = ask("check", answers={"who": "-nn y-n nn-"})
    assert state["done"] and checks(state)["who"]["matrix"] == {"between": ["lab", "web", "db"], "how": "tcp:80", "said": "-nn y-n nn-", "wrong": []}


def test_done_takes_one_evaluation_in_which_all_passes(alice, host):
    host.says(attached="passed", end="passed", address="passed")
    alice.ask("check", answers={"end": "eth0", "address": "10.0.0.2"})
    host.says(reach="passed", attached="failed: Undone.")
    state = alice.ask("check", auto=True)
    assert not state["done"] and states(state)["attached"] == "open"


def test_a_step_that_is_done_stays_done_and_is_not_looked_at_again(alice, host):
    host.says(kept="passed", safe="passed")
    alice.ask("enter", "second", 2, adopt=True)
    assert alice.ask("state", "second", 2)["held"]
    state = alice.ask("check", "second", 2, auto=True)
    assert state["done"] and not state["held"]
    looked = len(host.graded)
    assert alice.ask("check", "second", 2, auto=False)["done"]
    assert len(host.graded) == looked


def test_a_guard_that_is_broken_holds_the_step(alice, host):
    alice.ask("enter", "second", 2, adopt=True)
    host.says(kept="failed: No.", safe="passed")
    alice.ask("check", "second", 2)
    host.says(kept="passed", safe="failed: Gone.")
    assert not alice.ask("check", "second", 2)["done"]
    host.says(kept="passed", safe="passed")
    assert alice.ask("check", "second", 2)["done"]


def test_a_lesson_is_done_with_its_last_step(alice, host):
    alice.get("/lessons/second/1/")
    alice.get("/lessons/second/2/")
    host.says(kept="passed", safe="passed")
    alice.ask("enter", "second", 2)
    assert alice.ask("check", "second", 2)["lesson_done"]


def test_what_cannot_be_looked_at_is_not_known_and_no_failure(alice, host):
    host.says(attached="unknown: The host does not answer.")
    told = checks(alice.ask("check", auto=False))["attached"]
    assert (told["state"], told["why"]) == ("unknown", "The host does not answer.")
    assert CheckProgress.objects.get(student=alice.me, check_name="attached").failures == 0


def test_a_fault_of_the_lab_is_said(alice, host, caplog):
    host.before_grading = lambda: 1 / 0
    assert "fault of the lab" in checks(alice.ask("check"))["attached"]["why"]
    assert "secret" not in caplog.text


def test_nothing_is_written_when_nothing_is_new(alice, host, django_assert_max_num_queries):
    host.says(attached="failed: No.")
    alice.ask("check", auto=True)
    with django_assert_max_num_queries(40) as seen:
        alice.ask("check", auto=True)
    assert not [q for q in seen.captured_queries if q["sql"].startswith(("UPDATE", "INSERT"))]


@pytest.mark.parametrize("away", ["no_worker", "no_redis"])
def test_nobody_evaluates(alice, away, request):
    request.getfixturevalue(away)
    ready(alice)
    began = time.monotonic()
    state = alice.ask("check", auto=False)
    assert time.monotonic() - began < 8
    told = checks(state)
    assert told["attached"]["state"] == "unknown" and "worker does not answer" in told["attached"]["why"]
    assert told["reach"]["state"] == "waits"
    assert CheckProgress.objects.count() == 0


def test_a_wish_behind_a_slow_look_is_not_called_a_dead_worker(alice, no_worker, monkeypatch):
    monkeypatch.setattr(wishes, "WAIT_SECONDS", 1.2)
    ready(alice)
    place = f"{alice.sandbox.pk}/join"
    wishes.ask(place, wishes.Wish("en"), lambda: None)
    assert len(wishes.take(place)) == 1, "a worker took it up, and is at it"
    why = checks(alice.ask("check"))["attached"]["why"]
    assert "still being looked at" in why and "worker" not in why


def test_a_dead_worker_leaves_nothing_in_the_way(alice, no_worker, sent):
    ready(alice)
    alice.ask("check")
    with sync() as r:
        left = list(r.scan_iter("pb:*-check:*"))
        assert left and all(0 < r.ttl(key) <= wishes.KEPT_SECONDS for key in left)


def test_the_task_goes_to_the_sandboxes_machine(alice, host, sent):
    alice.ask("check")
    arguments, how = next(task[1:] for task in sent if task[0] == "check")
    assert arguments == (str(alice.sandbox.pk), alice.me.pk, "first", "join")
    assert how == {"queue": "check@here", "expires": 7}


def test_a_burst_is_two_evaluations(alice, host, sent):
    """What comes while an evaluation runs is served by the next one, together."""
    place = f"{alice.sandbox.pk}/join"
    alice.ask("enter")
    told: list = []
    waiting: list[threading.Thread] = []

    def burst() -> None:
        host.before_grading = lambda: None
        for _ in range(5):
            wish = wishes.Wish("en")
            waiting.append(threading.Thread(target=lambda wish=wish: told.append(wishes.ask(place, wish, lambda: told.append("fetched")))))
            waiting[-1].start()
        with sync() as r:
            until = time.monotonic() + 5
            while r.llen(wishes._keys(place)[0]) < 5 and time.monotonic() < until:
                time.sleep(0.01)

    host.before_grading = burst
    alice.ask("check")
    for thread in waiting:
        thread.join(5)
    assert told == [""] * 5 and len(host.graded) == 2


def test_without_a_lab(charlie, host):
    answer = charlie.send("check")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_sandbox")


def test_a_lab_that_ended_meanwhile(alice, host):
    alice.ask("enter")
    Sandbox.objects.filter(pk=alice.sandbox.pk).update(state=Sandbox.State.ENDED)
    come = partial(tasks.check.run, str(alice.sandbox.pk), alice.me.pk, "first", "join")
    told = wishes.ask(f"{alice.sandbox.pk}/join", wishes.Wish("en"), come)
    assert told == "This lab has ended." and not host.graded


@pytest.mark.parametrize(
    "body", [{"answers": [1]}, {"auto": "yes"}, {"answers": {"end": 3}}, {"answers": {"attached": "x"}}, {"answers": {"end": None}}]
)
def test_nonsense_is_refused(alice, host, body):
    answer = alice.send("check", **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("body", ["", "[]", "{", "x" * 20_000, '"a"', "null"])
def test_a_body_that_is_no_object(alice, host, body):
    answer = alice.post("/lessons/first/1/check", body, content_type="application/json")
    assert answer.status_code == (200 if body == "" else 400)


DEEP = '{"answers": ' + "[" * 8000 + "]" * 8000 + "}"
LONG = "x" * 3_000_000  # longer than Django reads


@pytest.mark.parametrize("body", [DEEP, LONG, '{"auto": ' + "9" * 6000 + "}", b'\xff\xfe{"auto"'], ids=["deep", "long", "a huge number", "no text"])
def test_a_body_that_no_page_sends(alice, host, body):
    answer = alice.post("/lessons/first/1/check", body, content_type="application/json", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_form_is_refused(alice, host):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.me)
    strict.get("/lessons/first/1/")
    answer = strict.post("/lessons/first/1/check", {"auto": "1"}, headers={"X-CSRFToken": strict.cookies["csrftoken"].value, "Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_an_unknown_question(alice, host):
    assert alice.send("check", answers={"gone": "x"}).status_code == 404


def test_it_is_a_post_with_a_token(alice, host):
    assert alice.get("/lessons/first/1/check").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.me)
    assert strict.post("/lessons/first/1/check", "{}", content_type="application/json").status_code == 403
    assert StepProgress.objects.count() == 0
