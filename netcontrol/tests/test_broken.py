"""What breaks beside a student: the words for it, and what is ordered to mend it."""
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from lessons.models import Student
from netcontrol import attach, orders, pool, tasks, why
from netcontrol.models import Machine, Sandbox
from netcontrol.tests.agent_fixtures import make_sandbox, until


@pytest.fixture
def ordered(monkeypatch):
    """What is ordered of the workers: (task, arguments)."""
    made: list[tuple] = []
    monkeypatch.setattr(orders, "enqueue", lambda task, *arguments, **how: made.append((task.task, *arguments)))
    return made


@pytest.mark.django_db
def test_a_crowd_has_the_pool_filled_once(private_redis, ordered, monkeypatch):
    Machine.objects.create(name="m", capacity=0, wires=9)
    for _ in range(5):
        orders.start(Student.new_guest(), "lab")
    assert ordered == [("netcontrol.tasks.keep_pool", 0)]
    monkeypatch.setattr(tasks, "this_machine", lambda: Machine.objects.get())
    tasks.keep_pool(0)  # it begins: who comes now may be too late for it
    orders.start(Student.new_guest(), "lab")
    assert ordered == [("netcontrol.tasks.keep_pool", 0)] * 2


@pytest.mark.django_db
def test_a_boot_is_ordered_once_and_again_by_a_redis_that_forgot_it(private_redis, settings, monkeypatch):
    settings.POOL_SIZE = 2
    machine, booted = Machine.objects.create(name="m", capacity=9, wires=9), []
    monkeypatch.setattr(tasks, "this_machine", lambda: machine)
    monkeypatch.setattr(tasks.boot, "delay", booted.append)
    tasks.keep_pool()
    tasks.keep_pool()
    one, other = map(str, Sandbox.objects.order_by("created_at").values_list("pk", flat=True))
    assert booted == [one, other]
    Sandbox.begin(one)
    private_redis.kill()
    private_redis.start()
    tasks.keep_pool()
    assert booted == [one, other, other]


@pytest.mark.django_db(transaction=True)
async def test_a_host_that_does_not_answer_is_said_and_looked_after(lab, page, ordered, monkeypatch):
    monkeypatch.setattr(attach, "LOOK_SECONDS", 0.2)
    _, sandbox, agent = lab
    agent.stop()
    assert (await page.get("sandbox.state", silent=["lab"]))["worker"] == "up"
    await until(lambda: ("netcontrol.tasks.look_after", str(sandbox.pk)) in ordered)
    agent.start()
    await page.get("sandbox.state", silent=[])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hosts", "words"),
    [({}, ""), ({"client": True}, why.SHUT_DOWN % {"host": "client"}), ({"lab": False}, why.HOST_STOPPED), ({"client": True, "lab": False}, why.SHUT_DOWN % {"host": "client"})],
)
def test_a_host_that_has_stopped_ends_its_lab(hosts, words, ordered, monkeypatch):
    told = []
    monkeypatch.setattr(tasks, "this_engine", lambda: SimpleNamespace(stopped=lambda sandbox: hosts))
    monkeypatch.setattr(tasks, "tell", told.append)
    alice = Student.new_guest()
    sandbox = make_sandbox(alice, "lab,client")
    tasks.look_after(str(sandbox.pk))
    sandbox.refresh_from_db()
    assert (sandbox.state, sandbox.why) == ((Sandbox.State.ENDED, words) if hosts else (Sandbox.State.CLAIMED, ""))
    assert (told, ordered) == (([alice.pk], [("netcontrol.tasks.remove", str(sandbox.pk))]) if hosts else ([], []))


@pytest.mark.django_db
def test_a_database_that_takes_nothing_has_words(client, monkeypatch, plain_static):
    def broken(*_):
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(pool, "request", broken)
    client.force_login(Student.new_guest())
    said = client.post("/lab/reset", headers={"Accept": "application/json"})
    assert said.status_code == 503
    assert said.json()["code"] == "database" and "Your hosts and what runs there go on." in said.json()["what_to_do"]
    page = client.post("/lab/reset")
    assert page.status_code == 503 and "does not answer at the moment, so nothing can be kept." in page.content.decode()
    assert "readonly" not in page.content.decode()
