"""Lessons with checks, three students with sandboxes of their own, and a check worker whose hosts are not there.

Only what looks into a host is false: `grade` and `Inside`. Redis is real; Celery's place is taken by a call.
"""
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.test import Client

from lessons import tasks
from lessons.grading import Result
from lessons.lesson import Lesson
from lessons.loader import catalogue
from lessons.models import Student
from netcontrol import orders
from netcontrol.errors import LabError
from netcontrol.inside import Answer
from netcontrol.models import Sandbox
from netcontrol.tests.agent_fixtures import make_sandbox, private_redis

__all__ = ["private_redis"]

MODULE = "title: Networks\nsummary: How they work.\n"
LESSON = "title: {title}\nsummary: What there is.\nminutes: 5\nlevel: First steps\nhosts: [{hosts}]\nsteps: [{steps}]\n"
JOIN = """\
---
title: Join
vars: {NET: {pick: [blue, teal]}}
setup: docker network create ${NET}
show: {things: [web, "${NET}"], reach: {who: [lab, web], how: "tcp:80"}}
checks:
  attached: {docker.attached: {container: web, network: "${NET}"}, hint: ["Look at `web`.", "Plug it into ${NET}."]}
  reach: {run: "curl -s secret-of-the-check", title: "It answers on `${NET}`", why: "Nothing answers.", needs: attached}
  address: {ask: "Which address?", answer: {run: "echo secret-question"}, why: "Not that one.", needs: attached}
  end: {ask: "Which end?", choices: ["`eth0`", "`veth0`"], answer: "`eth0`", why: "The other one."}
solve:
  - docker network connect secret-${NET} web
wrong:
  - {run: "echo secret-slip", fails: attached}
---
Join it.

:::quiz
Will it?

- [ ] Yes
- [x] No

Because of a secret-reason.
:::

```bash {run}
docker ps
```
"""
READ = "---\ntitle: Read\n---\nRead this.\n"
PREDICT = """\
---
title: Predict
checks:
  who: {reach.predicted: {between: [lab, web, db], how: "tcp:80"}, hint: Think of their networks.}
wrong: [{answers: {who: -yy y-y yy-}, fails: who}]
---
Who reaches whom?
"""
HOLD = """\
---
title: Keep
setup: [touch a, touch b]
hold: true
checks:
  kept: {run: "test -e c", title: "There is c", why: "There is no c."}
  safe: {run: "test -e a", title: "There is a", why: "There is no a.", guard: true}
solve: touch c
---
Keep `a`.
"""


@dataclass
class Host:
    """What the false hosts are told, and what they say."""

    results: dict[str, Result] = field(default_factory=dict)
    graded: list[tuple[list[str], dict[str, str]]] = field(default_factory=list)  # (checks, answers)
    scripts: list[tuple[str, str, str]] = field(default_factory=list)  # (sandbox, host, script)
    answer: Callable[[str], Answer] = lambda script: Answer(0, "10.0.0.2\n")
    before_grading: Callable[[], None] = lambda: None

    def says(self, **states: str) -> None:
        """Results of the evaluations from now on: `attached="failed: why"`."""
        self.results = {name: Result(*(text.split(": ", 1) if ": " in text else (text, ""))) for name, text in states.items()}


@pytest.fixture
def content(tmp_path, settings) -> Path:
    root = settings.LESSONS_DIR = tmp_path / "content"
    lessons = {
        "10-first": ("First", "lab", {"10-join.md": JOIN, "20-read.md": READ, "30-keep.md": HOLD}),
        "20-second": ("Second", "lab", {"10-read.md": READ, "20-keep.md": HOLD}),
        "30-pair": ("Pair", "lab, client", {"10-keep.md": HOLD}),
    }
    (root / "10-net").mkdir(parents=True)
    (root / "10-net/module.yaml").write_text(MODULE)
    for folder, (title, hosts, steps) in lessons.items():
        (root / "10-net" / folder).mkdir()
        (root / "10-net" / folder / "lesson.yaml").write_text(LESSON.format(title=title, hosts=hosts, steps=", ".join(steps)))
        for name, text in steps.items():
            (root / "10-net" / folder / name).write_text(text)
    assert catalogue().mistakes == ()
    return root


@pytest.fixture(autouse=True)
def nothing_sent(monkeypatch):
    """What went to Celery, as (task, arguments, how); nothing of it runs."""
    sent: list[tuple[str, tuple, dict]] = []

    def enqueue(task, *args, **how):
        sent.append((task.name.rpartition(".")[2], args, how))

    monkeypatch.setattr(orders, "enqueue", enqueue)
    return sent


@pytest.fixture
def sent(nothing_sent):
    return nothing_sent


def outside(call: Callable):
    """What a test does meanwhile is not the task's: as if no event loop ran."""
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return call()
    finally:
        asyncio._set_running_loop(loop)


@pytest.fixture
def host(monkeypatch, content, private_redis, plain_static, sent) -> Host:
    """A check worker that does at once what it is asked for."""
    this = Host()

    async def grade(checks, answers, run, seconds=5.0):
        outside(this.before_grading)
        this.graded.append(([check.name for check in checks], dict(answers)))
        return {check.name: this.results.get(check.name, Result("failed", "No.")) for check in checks}

    class Inside:
        def __init__(self, sandbox):
            self.sandbox = str(sandbox)

        async def run(self, host, script, seconds=10.0):
            this.scripts.append((self.sandbox, host, script))
            return outside(lambda: this.answer(script))

    def enqueue(task, *args, **how):
        sent.append((task.name.rpartition(".")[2], args, how))
        if task.name.startswith("lessons."):
            task.run(*args)

    monkeypatch.setattr(tasks, "grade", grade)
    monkeypatch.setattr(tasks, "Inside", Inside)
    monkeypatch.setattr(orders, "enqueue", enqueue)
    return this


@pytest.fixture
def no_worker(content, private_redis, plain_static, monkeypatch):
    """Redis takes every task, and nobody comes for it."""
    monkeypatch.setattr("lessons.wishes.WAIT_SECONDS", 0.3)


@pytest.fixture
def no_redis(content, plain_static, settings, tmp_path, monkeypatch):
    settings.REDIS_URL = f"unix://{tmp_path / 'none.sock'}"

    def enqueue(task, *args, **how):
        raise LabError("not_now", "Redis does not answer.", "Try again.")

    monkeypatch.setattr(orders, "enqueue", enqueue)


class Browser(Client):
    """A student's, at a step."""

    student: Student | None = None
    sandbox: Sandbox | None = None

    def ask(self, what: str, lesson: str = "first", step: int = 1, **body) -> dict:
        answer = self.send(what, lesson, step, **body)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def send(self, what: str, lesson: str = "first", step: int = 1, **body):
        path = f"/lessons/{lesson}/{step}/{what}"
        if what == "state":
            return self.get(path, headers={"Accept": "application/json"})
        return self.post(path, body, content_type="application/json", headers={"Accept": "application/json"})

    @property
    def me(self) -> Student:
        assert self.student
        return self.student

    def lesson(self, slug: str = "first") -> Lesson:
        found = catalogue().lesson(slug, str(self.me.pk))
        assert found
        return found

    def fresh_sandbox(self, layout: str = "lab") -> Sandbox:
        if self.sandbox:
            Sandbox.objects.filter(pk=self.sandbox.pk).update(state=Sandbox.State.ENDED)
        self.sandbox = make_sandbox(self.me, layout)
        return self.sandbox


def browser(name: str | None, layout: str | None = "lab") -> Browser:
    this = Browser()
    if name:
        this.student = Student.objects.create(username=name)
        this.force_login(this.student)
        if layout:
            this.fresh_sandbox(layout)
    return this


@pytest.fixture
def visitor(content) -> Browser:
    return browser(None)


@pytest.fixture
def alice(content) -> Browser:
    return browser("alice")


@pytest.fixture
def bob(content) -> Browser:
    return browser("bob")


@pytest.fixture
def charlie(content) -> Browser:
    """Without a sandbox."""
    return browser("charlie", None)


def checks(state: dict) -> dict[str, dict]:
    return {check["name"]: check for check in state["checks"]}
