"""The life of a sandbox: pool, claim, reset, extension, end, the line when the machine is full, and both ways of disagreement."""
import uuid

from django.conf import settings

from netcontrol.engine import this_engine

from .driving import next_state, run


def sql(lab, statement: str) -> str:
    return lab.shell(f"from netcontrol.models import *; from netcontrol import tasks; from django.utils import timezone; from datetime import timedelta; {statement}").strip()


def test_a_reload_finds_the_same_shell(student):
    run(student, "here=before")
    first = student.sandbox
    student.hang_up()
    state = student.lab()
    assert uuid.UUID(state["sandbox"]) == first
    student.open("lab", "lab")
    assert run(student, "echo $here")[1].strip().startswith("before")


def test_reset_gives_a_fresh_host_and_removes_the_old_one(lab, student):
    run(student, "touch /root/mine")
    old = student.sandbox
    student.post("/lab/reset")
    for event in student.events(30):
        if event["type"] == "sandbox.state" and event["state"] == "claimed" and event["sandbox"] != str(old):
            break
    student.drawn.clear()
    student.open("lab", "lab")
    student.prompt("lab")
    assert run(student, "ls /root/mine")[0] == 2
    lab.until(lambda: not this_engine().containers(old), what="the removal of the old host")
    lab.until(lambda: not list(this_engine().docks.glob(f"{old.hex[:12]}-*")), what="the removal of its dock")


def test_time_is_up_and_can_be_extended(lab, student):
    pk = student.sandbox
    sql(lab, f"Sandbox.objects.filter(pk='{pk}').update(ends_at=timezone.now()+timedelta(minutes=5)); tasks.tell(Sandbox.objects.get(pk='{pk}').owner_id)")
    warned = next_state(student, "claimed", warn=True)
    student.send(type="sandbox.extend")
    assert next_state(student, "claimed", warn=False)["ends_at"] > warned["ends_at"]
    sql(lab, f"Sandbox.objects.filter(pk='{pk}').update(ends_at=timezone.now()); tasks.reap.delay()")
    ended = next_state(student, "ended")
    assert "its time was up" in ended["why"]
    lab.until(lambda: not this_engine().containers(pk), what="the removal of the host")


def test_an_idle_sandbox_is_reaped(lab, student):
    sql(lab, f"Sandbox.objects.filter(pk='{student.sandbox}').update(active_at=timezone.now()-timedelta(hours=2)); tasks.reap.delay()")
    assert "nothing was typed or read" in next_state(student, "ended")["why"]


def test_a_full_machine_has_a_line_that_goes_on_by_itself(lab, guests):
    inside = [guests() for _ in range(settings.CAPACITY)]
    for guest in inside:
        guest.start()
        guest.lab()
    line = [guests() for _ in range(2)]
    for place, guest in enumerate(line, 1):
        guest.start()
        guest.dial()
        state = next_state(guest, "waiting")
        assert (state["place"], state["in_use"], state["capacity"]) == (place, settings.CAPACITY, settings.CAPACITY)
        assert state["frees_at"]
    inside[0].post("/lab/end")
    assert next_state(line[0], "claimed", 60)["hosts"][0]["name"] == "lab"
    line[1].hang_up()  # closing the page keeps the place
    line[1].dial()
    assert next_state(line[1], "waiting")["place"] == 1
    line[1].post("/lab/end")
    assert next_state(line[1], "none")


def test_a_row_without_its_host_is_ended(lab, student):
    (container,) = this_engine().containers(student.sandbox)
    this_engine().discard(container)
    sql(lab, "tasks.reconcile.delay()")
    assert "host stopped" in next_state(student, "ended")["why"]


def test_a_host_without_its_row_is_removed(lab):
    engine, stray = this_engine(), uuid.uuid4()
    number = max(engine.wires.existing(), default=0) + 100
    engine.boot(stray, number, {"lab": engine.wires.address(number, 0)}, lambda *_: None)
    assert engine.containers(stray)
    sql(lab, "tasks.reconcile.delay()")
    lab.until(lambda: not engine.containers(stray), what="the removal of the stray host")
    lab.until(lambda: number not in engine.wires.existing(), what="the removal of its wire")
    assert not list(engine.docks.glob(f"{stray.hex[:12]}-*"))


def test_a_host_that_does_not_boot_leaves_nothing(lab, monkeypatch):
    engine, failing = this_engine(), uuid.uuid4()
    monkeypatch.setattr("netcontrol.engine.host.BOOT_SECONDS", 0.05)
    number = max(engine.wires.existing(), default=0) + 200
    try:
        engine.boot(failing, number, {"lab": engine.wires.address(number, 0)}, lambda *_: None)
    except Exception as error:  # the sentence is for the student
        assert "did not start" in str(error) and "not of yours" in str(error)
    assert not engine.containers(failing)
    assert number not in engine.wires.existing()
    assert not list(engine.docks.glob(f"{failing.hex[:12]}-*"))
