"""Each request and each WebSocket has an id, which comes back; the line of a request has its route, not its path."""
import logging

import pytest
from asgiref.testing import ApplicationCommunicator
from structlog.contextvars import get_contextvars

from labsite.request_log import RequestIds

CANARY = "hunter2-was-searched"


async def ask(type: str, given: bytes = b"") -> tuple[str, str]:
    """The id that the program inside knows, and the one that comes back."""
    inside: list[str] = []

    async def program(scope, receive, send):
        inside.append(get_contextvars()["request"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]} if type == "http" else {"type": "websocket.accept"})

    talk = ApplicationCommunicator(RequestIds(program), {"type": type, "headers": [(b"x-request-id", given)] if given else []})
    headers = dict((await talk.receive_output(5))["headers"])
    await talk.wait(5)
    return inside[0], headers[b"x-request-id"].decode()


@pytest.mark.parametrize("type", ["http", "websocket"])
async def test_a_proxys_id_is_taken(type):
    assert await ask(type, b"abc-123") == ("abc-123", "abc-123")
    assert "request" not in get_contextvars()


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 65, b"a\r\nb", "ü".encode()])
async def test_one_that_is_none_is_not(given):
    inside, back = await ask("http", given)
    assert inside == back != given.decode("latin-1") and len(back) == 16 and back.isalnum()


@pytest.mark.django_db
def test_a_line_has_no_path(client, plain_static, caplog):
    with caplog.at_level(logging.INFO):
        client.get(f"/{CANARY}?q={CANARY}")
        client.get(f"/lab/history?q={CANARY}")
    told = [(r.route, r.status, r.method) for r in caplog.records if r.name == "labsite.request_log"]
    assert told == [("none", 404, "GET"), ("netcontrol:history", 200, "GET")]
