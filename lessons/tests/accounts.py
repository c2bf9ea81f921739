"""What the tests of accounts share: alice is a guest, bob and charlie have accounts, all with the same good password."""
import pytest
from django.test import Client

from lessons.loader import catalogue
from lessons.models import Progress, Student
from lessons.tests.conftest import Content
from netcontrol.models import Sandbox
from netcontrol.tests.agent_fixtures import make_sandbox

PASSWORD = "correct horse 7"
OTHER = "battery staple 9"


@pytest.fixture(autouse=True)
def quick(settings, content: Content, plain_static, monkeypatch):
    """No Redis, no Celery, no slow hashing; counts of tries begin anew. What would have been removed or told is kept in a list."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(id(content))}}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    asked: list[tuple] = []
    monkeypatch.setattr("netcontrol.orders.enqueue", lambda task, *args, **_: asked.append((task.name.rsplit(".", 1)[-1], *args)))
    monkeypatch.setattr("netcontrol.orders.tell", lambda owner: asked.append(("tell", owner)))
    return asked


@pytest.fixture
def bob(db) -> Student:
    return Student.objects.create_user("bob", password=PASSWORD)


@pytest.fixture
def charlie(db) -> Student:
    return Student.objects.create_user("charlie", password=PASSWORD)


def as_student(student: Student) -> Client:
    client = Client()
    client.force_login(student)
    return client


def who(client: Client) -> Student | None:
    """As whom the next page sees this client."""
    user = client.get("/account/sign-in", {"next": "/nowhere"}).wsgi_request.user
    return user if user.is_authenticated else None


def lab_of(student: Student, state: str = Sandbox.State.CLAIMED) -> Sandbox:
    sandbox = make_sandbox(None)
    Sandbox.objects.filter(pk=sandbox.pk).update(state=state, owner=student)
    return Sandbox.objects.get(pk=sandbox.pk)


def visit(student: Student, step: int) -> None:
    """They opened this step of the lesson “first”."""
    lesson = catalogue().lesson("first", student.variables_key)
    Progress.visit(student, lesson, lesson.step(step))


def at_step(student: Student) -> str:
    return student.progress.get().step


def says(client: Client, url: str = "/") -> list[str]:
    """What a page says at its top, once."""
    return [str(message) for message in client.get(url).context["messages"]]
