"""A setting that cannot work is refused, in one sentence that says what to do."""
import pytest

from labsite import checks


@pytest.mark.parametrize(
    ("check", "name", "value", "id", "words"),
    [
        (checks.channel_layer, "CHANNEL_LAYERS", {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}, "E001", "does not reach other processes"),
        (checks.channel_layer, "CHANNEL_LAYERS", {}, "E001", "is missing"),
        (checks.redis, "REDIS_URL", "http://redis", "E003", "REDIS_URL begins with http"),
        (checks.secret, "SECRET_KEY", "changeme", "E020", "is weak"),
        (checks.secret, "SECRET_KEY", "ab" * 30, "E020", "is weak"),
        (checks.port, "PORT", 80, "E021", "may not have a port below 1024"),
        (checks.celery, "CELERY_TASK_ALWAYS_EAGER", True, "E004", "eager"),
        (checks.numbers, "SANDBOX_MINUTES", 0, "E005", "SANDBOX_MINUTES is 0"),
        (checks.numbers, "HISTORY_DAYS", 0, "E005", "HISTORY_DAYS is 0"),
        (checks.numbers, "HOST_MEMORY_MIB", 10, "E005", "HOST_MEMORY_MIB is 10"),
        (checks.disk, "CAPACITY", 40, "E009", "do not fit into PATCHBAY_ENGINE_DISK_GIB=20"),
        (checks.wires, "WIRES", "not a network", "E006", "is not a network"),
        (checks.wires, "WIRES", "172.20.0.0/16", "E007", "outside Docker's own"),
        (checks.wires, "WIRES", "10.0.0.0/28", "E007", "at least a /24"),
        (checks.egress, "EGRESS", ["203.0.113.7", "example.org"], "E008", "“example.org” is not of the form"),
        (checks.egress, "EGRESS", ["169.254.169.254:80/tcp"], "E008", "never let out"),
    ],
)
def test_refused(settings, check, name, value, id, words):
    settings.CAPACITY, settings.ENGINE_DISK_GIB = 0, 20
    assert check(None) == []
    setattr(settings, name, value)
    (error,) = check(None)
    assert error.id == f"patchbay.{id}" and words in error.msg and error.hint


def test_no_engine(monkeypatch):
    monkeypatch.setattr(checks.shutil, "which", lambda *_, **__: None)
    (error,) = checks.engine(None)
    assert "There is no dockerd" in error.msg and "./lab up" in error.hint
