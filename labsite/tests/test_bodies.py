"""No request's body goes past MAX_BODY: not to Django, not to a disk."""
import pytest

from labsite.bodies import BoundedBodies
from netcontrol.agent.limits import MAX_BODY


class Said:
    def __init__(self, *bodies: bytes):
        self.left, self.read, self.answered = list(bodies), 0, []

    async def receive(self):
        body = self.left.pop(0)
        self.read += len(body)
        return {"type": "http.request", "body": body, "more_body": bool(self.left)}

    async def send(self, m):
        self.answered.append(m)


async def application(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def answered(said: Said, *headers: tuple[bytes, bytes]) -> int:
    await BoundedBodies(application)({"type": "http", "headers": list(headers)}, said.receive, said.send)
    return said.answered[0]["status"]


async def test_what_is_in_bounds_goes_through():
    assert await answered(Said(b"x" * (MAX_BODY - 1), b"x")) == 200
    assert await answered(Said(b"")) == 200


async def test_what_says_that_it_is_too_long_is_not_read():
    said = Said(b"x")
    assert await answered(said, (b"content-length", str(MAX_BODY + 1).encode())) == 413 and said.read == 0


@pytest.mark.parametrize("length", [b"", b"5", b"-1", b"1e9", b"9" * 5000, "٣".encode()])
async def test_what_says_something_else_is_counted(length):
    said = Said(*[b"x" * 1000] * 1000)
    assert await answered(said, (b"content-length", length)) == 413
    assert said.read <= MAX_BODY + 1000, "and no more of it is read"


async def test_a_websocket_is_none_of_its_business():
    seen = []

    async def app(scope, receive, send):
        seen.append(receive)

    receive = Said().receive
    await BoundedBodies(app)({"type": "websocket"}, receive, Said().send)
    assert seen == [receive]


async def test_the_site_has_it():
    from labsite.asgi import application

    said = Said(b"x")
    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [(b"content-length", b"9999999")], "client": ("192.0.2.7", 1)}
    await application(scope, said.receive, said.send)
    assert said.answered[0]["status"] == 413 and said.read == 0
