"""No address and no message of the WebSocket without a rule in the attack corpus of what another student may do with it."""
from django.urls import get_resolver

from netcontrol.messages import FIELDS
from tests.attacks.web_others import MESSAGES, URLS


def names(patterns, namespace: str = "") -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            found |= names(pattern.url_patterns, f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace)
        else:
            found.add(f"{namespace}{pattern.name}")
    return found


def test_each_address_has_a_rule():
    assert names(get_resolver().url_patterns) == set(URLS), "say in tests/attacks/web_others.py what another student would ask of it"


def test_each_message_has_a_rule():
    assert set(FIELDS) == set(MESSAGES)
