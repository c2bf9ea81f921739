"""Who may open the WebSocket."""
import pytest

from labsite.origin import same_origin


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://lab.example.edu", "lab.example.edu", True),
        ("https://lab.example.edu", "10.0.0.5:8000", True),  # a proxy that does not pass Host, and a trusted origin
        ("http://localhost:9999", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("http://evil.example", "localhost:8000", False),
        ("null", "localhost:8000", False),
        ("", "localhost:8000", False),
    ],
)
def test_origin(settings, origin, host, may):
    settings.CSRF_TRUSTED_ORIGINS = ["https://lab.example.edu"]
    assert same_origin({b"origin": origin.encode(), b"host": host.encode()}) is may


def test_no_headers():
    assert not same_origin({})
