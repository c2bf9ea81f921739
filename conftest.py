"""What the units of several apps need. Each app's own is beside its tests."""
import pytest


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
