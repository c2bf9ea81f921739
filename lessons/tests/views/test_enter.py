"""POST enter: a sandbox becomes a lesson's, and is brought to the step."""
from datetime import timedelta

import pytest
from django.utils import timezone

from lessons import loader, preparation, tasks
from lessons.models import Preparation
from netcontrol.inside import Answer, NoAnswer
from netcontrol.models import Sandbox

pytestmark = pytest.mark.django_db
Phase = Preparation.Phase


def ran(host) -> list[str]:
    return [script.removeprefix("set -e\n") for _, _, script in host.scripts]


def test_setup_runs_once_in_a_sandbox(alice, host):
    assert alice.ask("enter")["preparing"] is None
    net = alice.lesson().values["NET"]
    assert ran(host) == [f"docker network create {net}"] and host.scripts[0][:2] == (str(alice.sandbox.pk), "lab")
    alice.ask("enter")
    alice.ask("enter")
    assert len(host.scripts) == 1
    alice.fresh_sandbox()
    alice.ask("enter")
    assert len(host.scripts) == 2, "a fresh one needs it again"


def test_what_was_found_in_the_sandbox_before_is_not_said_of_a_fresh_one(alice, host):
    host.says(attached="passed", reach="failed: Nothing answers.", address="failed: No.", end="passed")
    alice.ask("check", answers={"end": "eth0", "address": "10.0.0.9"}, auto=False)
    assert alice.ask("enter")["checks"][0]["state"] == "passed"
    alice.fresh_sandbox()
    alice.ask("enter")
    told = {check["name"]: check["state"] for check in alice.ask("state")["checks"]}
    assert told == {"attached": "open", "reach": "waits", "address": "waits", "end": "passed"}


def test_what_is_done_stays_so_in_a_fresh_sandbox(alice, host):
    host.says(kept="passed", safe="passed")
    alice.ask("check", "second", 2)
    alice.fresh_sandbox()
    state = alice.ask("enter", "second", 2)
    assert state["done"] and {check["state"] for check in state["checks"]} == {"passed"}


def test_walking_on_runs_the_setup_of_the_next_step_only(alice, host):
    alice.ask("enter", step=1)
    alice.ask("enter", step=2)
    alice.ask("enter", step=3)
    alice.ask("enter", step=1)
    alice.ask("enter", step=3)
    assert ran(host)[1:] == ["touch a", "touch b"]


def test_a_later_step_in_a_fresh_sandbox_is_built(alice, host):
    assert alice.ask("enter", step=3)["preparing"] is None
    net = alice.lesson().values["NET"]
    assert ran(host) == [f"docker network create {net}", f"docker network connect secret-{net} web", "touch a", "touch b"]
    alice.ask("enter", step=1)
    assert len(host.scripts) == 4, "going back runs nothing"


def test_a_step_that_does_nothing_to_the_sandbox_may_be_passed_over(alice, host):
    alice.ask("enter", step=1)
    assert alice.ask("enter", step=3)["preparing"] is None
    assert ran(host)[1:] == ["touch a", "touch b"]


def test_looking_ahead_does_nothing_to_the_sandbox_and_is_said(alice, host, content):
    lesson = content / "10-net/20-second"
    for n, name in ((30, "more"), (40, "most")):
        (lesson / f"{n}-{name}.md").write_text((lesson / "20-keep.md").read_text())
    text = (lesson / "lesson.yaml").read_text()
    (lesson / "lesson.yaml").write_text(text.replace("20-keep.md", "20-keep.md, 30-more.md, 40-most.md"))
    loader._kept = None
    alice.ask("enter", "second", 1)
    state = alice.ask("enter", "second", 4)
    assert not host.scripts
    assert "the steps 2 to 3 were passed over" in state["preparing"]["failed"]
    assert alice.ask("state", "second", 2)["preparing"] is None
    assert alice.ask("enter", "second", 2)["preparing"] is None and ran(host) == ["touch a", "touch b"]
    assert "step 3 was passed over" in alice.ask("state", "second", 4)["preparing"]["failed"]
    assert alice.ask("enter", "second", 4, adopt=True)["preparing"] is None, "use it as it is"
    assert ran(host) == ["touch a", "touch b"] * 2


def test_a_sandbox_belongs_to_the_lesson_that_came_first(alice, host):
    alice.ask("enter")
    state = alice.ask("enter", "second", 2)
    assert state["belongs"] == {"lesson": "First", "url": "/lessons/first/", "usable": True} and state["preparing"] is None
    assert len(host.scripts) == 1
    assert alice.ask("check", "second", 2)["belongs"] and not host.graded
    assert alice.ask("state", "first", 1)["belongs"] is None


def test_used_as_it_is(alice, host):
    alice.ask("enter")
    state = alice.ask("enter", "second", 2, adopt=True)
    assert state["belongs"] is None and ran(host)[1:] == ["touch a", "touch b"]
    assert alice.ask("state", "first", 1)["belongs"]["lesson"] == "Second"


def test_other_hosts_cannot_be_used(alice, host):
    state = alice.ask("enter", "pair", 1, adopt=True)
    assert state["belongs"] == {"lesson": "", "url": "", "usable": False}
    assert not host.scripts and not Preparation.objects.exists()


def test_a_script_that_fails_is_said_with_the_steps_title_and_tried_again(alice, host, caplog):
    host.answer = lambda script: Answer(3 if "touch b" in script else 0, "secret output", "secret error")
    told = alice.ask("enter", step=3)["preparing"]
    assert (told["of"], told["at"], told["title"]) == (2, 2, "Keep")
    assert "“Keep”" in told["failed"] and "exit code 3" in told["failed"] and "secret" not in str(told)
    assert "secret" not in caplog.text and "touch" not in caplog.text
    assert alice.ask("state", step=3)["preparing"]["failed"] == told["failed"]
    host.answer = lambda script: Answer(0)
    host.scripts.clear()
    assert alice.ask("enter", step=3)["preparing"] is None
    assert ran(host) == ["touch b"], "it goes on where it was"


def test_a_script_that_does_not_end(alice, host):
    host.answer = lambda script: Answer(None)
    assert "within 60 seconds" in alice.ask("enter")["preparing"]["failed"]


def test_a_host_that_does_not_answer(alice, host):
    def away(script):
        raise NoAnswer("lab")

    host.answer = away
    assert "does not answer" in alice.ask("enter")["preparing"]["failed"]


def test_after_a_failure_the_lab_may_be_used_as_it_is(alice, host):
    host.answer = lambda script: Answer(1)
    assert alice.ask("enter")["preparing"]["failed"]
    assert alice.ask("enter", adopt=True)["preparing"] is None


def test_what_a_student_sees_while_it_runs(alice, host):
    seen = []
    host.answer = lambda script: (seen.append(alice.ask("state", step=3)["preparing"]), Answer(0))[1]
    alice.ask("enter", step=3)
    assert [(p["of"], p["at"], p["title"], p["failed"]) for p in seen] == [(2, 1, "Join", ""), (2, 1, "Join", ""), (2, 2, "Keep", ""), (2, 2, "Keep", "")]


def test_nothing_is_looked_at_while_it_runs(alice, host):
    host.answer = lambda script: (alice.ask("check", auto=True), Answer(0))[1]
    alice.ask("enter")
    assert not host.graded


def test_two_pages_have_it_done_once(alice, host, sent):
    host.answer = lambda script: (alice.ask("enter"), Answer(0))[1]
    alice.ask("enter")
    assert [task[0] for task in sent] == ["prepare"] and len(host.scripts) == 1
    tasks.prepare.run(str(alice.sandbox.pk), "en")
    assert len(host.scripts) == 1, "a task that comes twice finds nothing to do"


def test_no_redis(alice, no_redis):
    state = alice.ask("enter")
    assert "Redis does not answer" in state["preparing"]["failed"]


def test_no_worker(alice, no_worker, sent):
    told = alice.ask("enter")["preparing"]
    assert told["failed"] == "" and told["title"] == "Join"
    Preparation.objects.update(heard_at=timezone.now() - preparation.TAKEN_UP - timedelta(seconds=1))
    assert "worker does not answer" in alice.ask("state")["preparing"]["failed"]
    alice.ask("enter")
    assert [task[0] for task in sent] == ["prepare", "prepare"]
    assert alice.ask("state")["preparing"]["failed"] == ""


def test_a_worker_that_was_killed_is_said_when_the_next_one_starts(alice, host, settings):
    settings.MACHINE = "here"

    def killed(script):
        raise KeyboardInterrupt

    host.answer = killed
    with pytest.raises(KeyboardInterrupt):
        alice.send("enter")
    assert Preparation.objects.get().phase == Phase.RUNNING
    worker = type("Sender", (), {"app": type("App", (), {"amqp": type("A", (), {"queues": type("Q", (), {"consume_from": {settings.CHECK_QUEUE: 1}})})})})
    tasks.begin(worker)
    assert "restarted" in alice.ask("state")["preparing"]["failed"]
    host.answer = lambda script: Answer(0)
    assert alice.ask("enter")["preparing"] is None


def test_a_worker_that_never_came_back(alice, host):
    """Another one takes over after a while; the first one, should it wake, does not go on."""
    stuck = []

    def wakes_late(script):
        Preparation.objects.update(heard_at=timezone.now() - preparation.SILENT - timedelta(seconds=1))
        assert "worker does not answer" in alice.ask("state", step=3)["preparing"]["failed"]
        host.answer = lambda script: Answer(0)
        stuck.append(script)
        alice.ask("enter", step=3)
        return Answer(0)

    host.answer = wakes_late
    alice.ask("enter", step=3)
    assert alice.ask("state", step=3)["preparing"] is None
    net = alice.lesson().values["NET"]
    create = f"docker network create {net}"
    assert ran(host) == [create, create, f"docker network connect secret-{net} web", "touch a", "touch b"]


def test_a_sandbox_that_ended_is_left_alone(alice, no_worker, host):
    alice.ask("enter")
    host.scripts.clear()
    Preparation.objects.update(phase=Phase.WANTED, at=0)
    Sandbox.objects.update(state=Sandbox.State.ENDED)
    tasks.prepare.run(str(alice.sandbox.pk), "en")
    assert not host.scripts


def test_without_a_lab(charlie, visitor, host):
    assert charlie.send("enter").json()["code"] == visitor.send("enter").json()["code"] == "no_sandbox"


def test_it_goes_to_the_sandboxes_machine(alice, host, sent):
    alice.ask("enter")
    assert sent == [("prepare", (str(alice.sandbox.pk), "en"), {"queue": "check@here"})]


def test_a_fault_is_said(alice, host):
    host.answer = lambda script: 1 / 0
    assert "fault of the lab" in alice.ask("enter")["preparing"]["failed"]


def test_rows_go_with_their_sandbox(alice, host):
    alice.ask("enter")
    alice.sandbox.delete()
    assert not Preparation.objects.exists()
