"""The life of sandboxes as a machine that hypothesis drives: claims, resets, extensions, ends, a line, and everything that dies at any step.

Real are the tasks, the rules, the rows and Redis; the engine is played, to be killed between any two things that it does. Whatever happens, nobody
shares a lab, nobody who asked is forgotten, the machine never holds more than it may; and when all is quiet again it holds what the rows say.
"""
import contextlib
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.utils import timezone
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lessons.models import Student
from netcontrol import notices, orders, pool, stream, tasks
from netcontrol.engine.errors import EngineError
from netcontrol.errors import LabError
from netcontrol.models import Machine, Sandbox, Waiting
from netcontrol.tests.agent_fixtures import private_redis

__all__ = ["private_redis"]

CAPACITY, POOL, STUDENTS = 4, 2, 6
LAYOUTS = ("lab", "lab", "lab,client")
TASKS = (tasks.boot, tasks.look_after, tasks.remove, tasks.keep_pool, tasks.reap, tasks.reconcile, tasks.forget_old)
State = Sandbox.State


class Killed(BaseException):
    """kill -9: nothing is caught, nothing is cleaned up."""


class Played:
    """The machine: what it holds, and what happens to whoever works on it."""

    gateway = SimpleNamespace(settle=lambda: None)

    def __init__(self):
        self.containers: dict[uuid.UUID, set[str]] = {}
        self.docks: dict[uuid.UUID, set[str]] = {}
        self.cables: set[int] = set()
        self.halted: set[uuid.UUID] = set()
        self.fuse: int | None = None  # steps until the worker is killed
        self.answers, self.full = True, False
        self.wires = SimpleNamespace(count=64, address=lambda wire, n: f"10.73.{wire}.{n + 2}", existing=lambda: set(self.cables))

    def capacity(self, wanted: int) -> int:
        return CAPACITY

    def step(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Killed

    def asked(self) -> None:
        self.step()
        if not self.answers:
            raise EngineError("engine_down", "The lab's engine does not answer.", "It is started again by itself.")

    def boot(self, sandbox, wire, hosts, progress):
        try:
            self.asked()
            assert wire not in self.cables, "two sandboxes on a wire"
            self.cables.add(wire)
            for name in hosts:
                self.step()
                self.docks.setdefault(sandbox, set()).add(name)
                self.asked()
                if self.full:
                    raise EngineError("boot", "The host could not be started: no space left on device.", "This is a fault of the lab.")
                self.containers.setdefault(sandbox, set()).add(name)
                progress(name, "container", 0.1)
            self.step()
        except EngineError:
            self.remove(sandbox, wire)
            raise
        return {name: f"{sandbox.hex}{name}" for name in hosts}

    def remove(self, sandbox, wire):
        self.asked()
        self.containers.pop(sandbox, None)
        self.step()
        self.docks.pop(sandbox, None)
        self.step()
        if wire is not None:
            self.cables.discard(wire)
        self.halted.discard(sandbox)

    def sandboxes(self):
        self.asked()
        return set(self.containers) - self.halted

    def stopped(self, sandbox):
        self.asked()
        return {"lab": True} if sandbox in self.halted else {}

    def many_under_way(self):
        return set()

    def many_groups(self):
        self.asked()
        return set()

    def disk_use(self):
        self.asked()
        return {}

    def sweep(self, alive):
        self.asked()
        for sandbox in (set(self.containers) | set(self.docks)) - set(alive):
            self.step()
            self.containers.pop(sandbox, None)
            self.docks.pop(sandbox, None)
        self.cables &= set(alive.values())
        return []


class Life(RuleBasedStateMachine):
    monkeypatch: pytest.MonkeyPatch

    def __init__(self):
        super().__init__()
        for rows in (Waiting, Sandbox, Machine, Student):
            rows.objects.all().delete()
        self.engine, self.queue = Played(), []
        patch = self.monkeypatch.setattr
        patch(tasks, "this_engine", lambda: self.engine)
        for task in TASKS:
            patch(task, "apply_async", lambda arguments=(), kwargs=None, task=task, **_: self.queue.append((task, arguments)))
        patch(notices, "notify", lambda *students: self.engine.step())
        patch(stream, "forget", lambda sandbox: self.engine.step())
        self.students = [Student.new_guest() for _ in range(STUDENTS)]
        self.asked: set[int] = set()  # who pressed Start, and has not pressed End since
        self.owners: dict[uuid.UUID, int] = {}
        self.restart()

    def work(self, task, arguments=()) -> None:
        """In a worker, which may be killed at it."""
        with contextlib.suppress(Killed, EngineError):  # Celery logs what a task raises
            task(*arguments)
        self.engine.fuse = None

    # What students do

    @rule(n=st.integers(0, STUDENTS - 1), layout=st.sampled_from(LAYOUTS))
    def start(self, n, layout):
        orders.start(self.students[n], layout)
        self.asked.add(n)

    @rule(n=st.integers(0, STUDENTS - 1))
    def reset(self, n):
        mine = Sandbox.of(self.students[n])
        if mine:
            orders.end(mine, "You asked for a fresh one.")
            orders.start(self.students[n], mine.layout)

    @rule(n=st.integers(0, STUDENTS - 1))
    def leave(self, n):
        Waiting.objects.filter(owner=self.students[n]).delete()
        if mine := Sandbox.of(self.students[n]):
            orders.end(mine, "You ended it.")
        self.asked.discard(n)

    @rule(n=st.integers(0, STUDENTS - 1))
    def extend(self, n):
        if mine := Sandbox.of(self.students[n]):
            with contextlib.suppress(LabError):
                mine.extend()
            assert mine.ends_at <= mine.claimed_at + timedelta(minutes=settings.SANDBOX_LONGEST_MINUTES)

    # What time and workers do

    @precondition(lambda self: self.queue)
    @rule(which=st.integers(0, 20), fuse=st.one_of(st.none(), st.none(), st.integers(0, 8)))
    def a_worker_takes(self, which, fuse):
        self.engine.fuse = fuse
        self.work(*self.queue.pop(which % len(self.queue)))

    @rule(task=st.sampled_from([tasks.keep_pool, tasks.reap, tasks.reconcile]), fuse=st.one_of(st.none(), st.none(), st.integers(0, 8)))
    def beat(self, task, fuse):
        self.engine.fuse = fuse
        self.work(task)

    @rule(n=st.integers(0, STUDENTS - 1))
    def time_is_up(self, n):
        Sandbox.objects.filter(owner=self.students[n], state=State.CLAIMED).update(ends_at=timezone.now() - timedelta(seconds=1))

    @rule(n=st.integers(0, STUDENTS - 1))
    def nobody_types(self, n):
        Sandbox.objects.filter(owner=self.students[n], state=State.CLAIMED).update(active_at=timezone.now() - timedelta(days=1))

    @rule()
    def minutes_pass(self):
        for row in Sandbox.objects.filter(state=State.BOOTING):
            Sandbox.objects.filter(pk=row.pk).update(created_at=row.created_at - timedelta(minutes=pool.BOOT_MINUTES))

    # What breaks

    @precondition(lambda self: self.engine.containers)
    @rule(which=st.integers(0, 20))
    def a_host_stops(self, which):
        hosts = sorted(self.engine.containers)
        self.engine.halted.add(hosts[which % len(hosts)])
        tasks.look_after.delay(str(hosts[which % len(hosts)]))  # its carrier cannot reach it

    @rule()
    def redis_forgets(self):
        self.queue.clear()

    @rule()
    def restart(self):
        """Of the worker: it comes up, and looks around."""
        sender = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=[settings.CELERY_TASK_DEFAULT_QUEUE]))))
        self.work(lambda: tasks.begin(sender))

    @rule()
    def the_machine_reboots(self):
        self.engine.containers.clear()
        self.engine.docks.clear()
        self.engine.cables.clear()
        self.queue.clear()
        self.restart()

    @rule(answers=st.booleans(), full=st.booleans())
    def the_engine(self, answers, full):
        self.engine.answers, self.engine.full = answers, full

    # What must be so, always

    @invariant()
    def nobody_shares(self):
        for pk, owner in Sandbox.objects.filter(state=State.CLAIMED).values_list("pk", "owner"):
            assert self.owners.setdefault(pk, owner) == owner, "a lab changed hands"
        owners = list(Sandbox.objects.filter(state=State.CLAIMED).values_list("owner", flat=True))
        assert None not in owners and len(owners) == len(set(owners)), "a student has two labs"

    @invariant()
    def nobody_is_forgotten(self):
        """Who asked has a lab, or a place in line, or is told why not."""
        for n in self.asked:
            student = self.students[n]
            if not Sandbox.of(student) and not Waiting.objects.filter(owner=student).exists():
                last = Sandbox.objects.filter(owner=student).order_by("-ended_at").first()
                assert last and last.state in (State.ENDED, State.FAILED) and last.why

    @invariant()
    def the_machine_is_not_overfull(self):
        assert pool.hosts(Sandbox.objects.filter(gone_at=None).values_list("layout", flat=True)) <= CAPACITY
        assert sum(map(len, self.engine.containers.values())) <= CAPACITY

    @invariant()
    def what_is_gone_is_gone(self):
        gone = set(Sandbox.objects.exclude(gone_at=None).values_list("pk", flat=True))
        assert not gone & (set(self.engine.containers) | set(self.engine.docks))

    @invariant()
    def a_lab_that_is_given_has_its_hosts(self):
        for sandbox in Sandbox.objects.filter(state=State.CLAIMED):
            there = self.engine.containers.get(sandbox.pk)
            assert there is None or there == set(sandbox.host_names) == set(sandbox.hosts.values_list("name", flat=True))

    def teardown(self):
        """Everything is mended, and a minute passes."""
        self.engine.answers, self.engine.full = True, False
        self.minutes_pass()
        self.restart()
        Sandbox.objects.filter(state=State.FAILED).update(created_at=timezone.now() - timedelta(minutes=2))  # the pool waits a minute after failures
        for _ in range(6):
            while self.queue:
                self.work(*self.queue.pop(0))
            for task in (tasks.keep_pool, tasks.reap, tasks.reconcile):
                self.work(task)
        rows = {row.pk: row for row in Sandbox.objects.filter(gone_at=None)}
        assert set(rows) == set(self.engine.containers) == set(self.engine.docks), "orphans"
        assert {row.wire for row in rows.values()} == self.engine.cables
        assert {row.state for row in rows.values()} <= {State.READY, State.CLAIMED}
        assert {pk: set(row.host_names) for pk, row in rows.items()} == self.engine.containers
        ready = sum(row.state == State.READY for row in rows.values())
        following = next((waiting.layout for waiting in Waiting.objects.all()), "lab" if ready < POOL else "")
        assert not following or pool.hosts([following, *(row.layout for row in rows.values())]) > CAPACITY, "there is room for the next one"
        self.nobody_shares()
        self.nobody_is_forgotten()


@pytest.mark.django_db
@pytest.mark.timeout(240)
def test_whatever_happens_to_a_lab(private_redis, settings):
    settings.CAPACITY, settings.POOL_SIZE = CAPACITY, POOL
    with pytest.MonkeyPatch.context() as Life.monkeypatch:
        run_state_machine_as_test(
            Life, settings=hypothesis_settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
        )
