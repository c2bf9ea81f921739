"""How often one student, or one address, may ask; and how many labs one address has at once."""
import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from lessons.models import Student
from lessons.tests.conftest import content
from netcontrol import throttle
from netcontrol.connection import sync
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting
from netcontrol.tests.agent_fixtures import make_sandbox, private_redis
from netcontrol.throttle import TooOften, at_most, network_of, new_guest, new_lab

__all__ = ["content", "private_redis"]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def cache(settings, private_redis, request):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": request.node.name}}


def asking(student=None, address: str = "192.0.2.7"):
    from django.contrib.auth.models import AnonymousUser

    request = RequestFactory().post("/", REMOTE_ADDR=address)
    request.user = student or AnonymousUser()
    return request


@pytest.fixture
def bob():
    return Student.objects.create(username="bob")


@pytest.fixture
def carol():
    return Student.objects.create(username="carol")


def test_a_student_and_nobody_else_is_held(bob, carol):
    view = at_most("thing", 3)(lambda request: HttpResponse("done"))
    for _ in range(3):
        assert view(asking(bob)).status_code == 200
    with pytest.raises(TooOften) as refused:
        view(asking(bob, "198.51.100.1"))
    assert refused.value.status == 429 and "second" in refused.value.what_to_do
    assert view(asking(carol)).status_code == 200, "who shares the address is not held"
    for _ in range(3 * throttle.CROWD):
        view(asking())
    with pytest.raises(TooOften):
        view(asking())
    assert view(asking(address="192.0.2.8")).status_code == 200


def test_new_guests_of_one_address(settings):
    settings.GUESTS_PER_ADDRESS = 2
    for _ in range(2):
        new_guest(asking())
    with pytest.raises(TooOften) as refused:
        new_guest(asking())
    assert "minute" in refused.value.what_to_do
    new_guest(asking(address="192.0.2.8"))


def test_an_address_has_so_many_labs_at_once(settings):
    settings.LABS_PER_ADDRESS = 2
    one, two, three, four = (Student.new_guest() for _ in range(4))
    new_lab(asking(one))
    sandbox = make_sandbox(one)
    new_lab(asking(two))
    Waiting.objects.create(owner=two)
    with pytest.raises(LabError) as refused:
        new_lab(asking(three))
    assert (refused.value.code, refused.value.status) == ("too_many_labs", 429) and "2 labs" in refused.value.message
    new_lab(asking(one))  # a fresh one instead of theirs
    new_lab(asking(four, "192.0.2.8"))
    Sandbox.objects.filter(pk=sandbox.pk).update(state=Sandbox.State.ENDED)
    new_lab(asking(three))
    with sync() as r:
        [members] = [r.smembers(name) for name in r.keys("*labs-of*") if str(four.pk).encode() not in r.smembers(name)]
    assert {int(pk) for pk in members} == {two.pk, three.pk}, "who has none any more is forgotten"


def test_a_student_begins_so_many_labs_in_an_hour(settings, bob, carol):
    settings.LABS_PER_STUDENT = 3
    for _ in range(3):
        new_lab(asking(bob))
    with pytest.raises(TooOften) as refused:
        new_lab(asking(bob, "192.0.2.8"))
    assert "minute" in refused.value.what_to_do
    new_lab(asking(carol))


def test_a_class_behind_one_address_starts_together(settings, content, plain_static, monkeypatch):
    """Nobody of them is a student before: more of them than one student may begin labs."""
    settings.LABS_PER_STUDENT = 2
    monkeypatch.setattr("netcontrol.orders.enqueue", lambda *_, **__: None)
    for _ in range(8):
        assert Client().post("/lessons/first/start", headers={"Accept": "application/json"}).status_code == 200
    assert Waiting.objects.count() == 8


def test_networks():
    same = [("192.0.2.7", "192.0.2.7"), ("192.0.2.7", "::ffff:192.0.2.7"), ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"), ("fe80::1%eth0", "fe80::2")]
    other = [("192.0.2.7", "192.0.2.8"), ("2001:db8::1", "2001:db8:0:1::1"), ("192.0.2.7", "")]
    assert all(network_of(asking(address=a)) == network_of(asking(address=b)) for a, b in same)
    assert all(network_of(asking(address=a)) != network_of(asking(address=b)) for a, b in other)
    assert "192.0.2" not in network_of(asking())


def test_without_redis_nothing_is_refused_here(bob, settings, monkeypatch):
    """What is limited needs Redis itself, and says so in its own words."""
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    settings.LABS_PER_ADDRESS = 0
    new_lab(asking(bob))

    def down(*_, **__):
        raise throttle.redis.ConnectionError

    monkeypatch.setattr(throttle, "get_usage", down)
    new_guest(asking())
