"""What the units of several apps need. Each app's own is beside its tests."""
import pytest
from django.utils import translation


def pytest_sessionstart(session):
    """The units may run before `./lab up` does: make the translations ready."""
    from labsite import translations

    translations.compile_all()


@pytest.fixture(autouse=True)
def no_language_is_left_over():
    """A request activates its language for the thread, which the next test shares."""
    yield
    translation.deactivate()


@pytest.fixture
def plain_static(settings):
    """Pages can be made without the static files that `./lab up` collects."""
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@pytest.fixture
def alice(client):
    """A guest, whom `client` is."""
    from lessons.models import Student

    guest = Student.new_guest()
    client.force_login(guest)
    return guest
