"""Hurt the lab with a request.

Bytes on the web's own port, as no browser sends them. After each attack the web still answers everybody. Must not know sessions or lessons.
"""
import contextlib
import json
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from labsite import processes
from labsite.client import Guest
from netcontrol.agent.limits import MAX_BAD
from tests.conftest import LESSON

from .catalogue import control, session, stranger

SETTINGS = "labsite/settings.py"
EVIL = "evil.test"  # no such host is ever looked up: only answers are read


def answer(data: bytes, seconds: float = 20) -> bytes:
    """All that the web says to these bytes before it closes, or falls silent."""
    with socket.create_connection(("127.0.0.1", settings.PORT), timeout=seconds) as line:
        with contextlib.suppress(OSError):
            line.sendall(data)
        said = b""
        with contextlib.suppress(OSError):
            while part := line.recv(65536):
                said += part
        return said


def request(path: str, method: str = "GET", host: str = f"127.0.0.1:{settings.PORT}", body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return answer("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body)


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/") else 0


def headers(said: bytes) -> list[str]:
    return said.partition(b"\r\n\r\n")[0].decode("latin-1").splitlines()[1:]


@pytest.fixture(autouse=True)
def still_answers(lab):
    yield
    began = time.monotonic()
    assert status(request("/account/sign-in")) == 200
    assert time.monotonic() - began < 10, "the web is held up"


@control("an ordinary request")
def an_ordinary_request():
    assert b"Patchbay" in request("/")


@stranger("asks under another host's name, so that pages and links name that host", holds="PATCHBAY_HOSTS: any other name is refused; X-Forwarded-Host is not read", at=f"{SETTINGS}:ALLOWED_HOSTS", seen="the answer: 400, or nothing of the name in it")
@pytest.mark.parametrize("how", ["host", "port", "two", "absolute", "forwarded", "empty", "login"])
def another_host(how):
    said = {
        "host": lambda: request("/", host=EVIL),
        "port": lambda: request("/", host=f"127.0.0.1:{settings.PORT}@{EVIL}"),
        "two": lambda: request("/", host=f"127.0.0.1:{settings.PORT}\r\nHost: {EVIL}"),
        "absolute": lambda: request(f"http://{EVIL}/", host=EVIL),
        "forwarded": lambda: request("/", X_Forwarded_Host=EVIL, Forwarded=f"host={EVIL}", X_Forwarded_Server=EVIL, X_Original_URL="/admin", X_Rewrite_URL="/admin"),
        "empty": lambda: request("/", host=""),
        "login": lambda: request("/account/password", X_Forwarded_Host=EVIL, X_Forwarded_Proto="https", X_Forwarded_Port="99"),
    }[how]()
    assert EVIL.encode() not in said
    assert status(said) == {"forwarded": 200, "login": 302}.get(how, 400)


@stranger("has the lab send a visitor to another site: next=, Referer", holds="where to go on is looked at: of this site, or the contents", at="netcontrol/views.py:url_has_allowed_host_and_scheme", seen="the answer: where it leads")
@pytest.mark.parametrize("url", [f"https://{EVIL}/", f"//{EVIL}/", f"///{EVIL}/", f"/\\{EVIL}/", f"\\\\{EVIL}/", f"http:{EVIL}", f"https:///{EVIL}", f"http://127.0.0.1:{settings.PORT}@{EVIL}/", f"http://127.0.0.1.{EVIL}/", "javascript:alert(1)", "data:text/html,x", f"/\t/{EVIL}", f"\x00//{EVIL}", f"%2f%2f{EVIL}"])
def another_place_to_go_on(lab, url):
    guest = Guest(lab.url, LESSON)
    guest.get("/account/sign-in")
    token = {"csrfmiddlewaretoken": guest.http.cookies["csrftoken"], "next": url, "language": "en", "username": "nobody", "password": "x"}
    home = {"Referer": lab.url + "/"}

    def leads(response) -> None:
        to = response.headers.get("Location", "/")
        assert urlsplit(to).netloc in ("", urlsplit(lab.url).netloc) and not to.startswith(("//", "/\\")) and urlsplit(to).scheme in ("", "http"), to
        for address in re.findall(r'(?:href|action|name="next" value)="([^"]*)"', response.text):
            assert EVIL not in urlsplit(address).netloc and not re.match(r"(javascript|data(?!:image/svg)|vbscript):|//|/\\|\\", address), address

    leads(guest.http.post(lab.url + "/account/language", data=token, headers=home, allow_redirects=False))
    leads(guest.http.get(lab.url + "/account/sign-in", params={"next": url}, allow_redirects=False))
    leads(guest.http.get(lab.url + "/account/keep", params={"next": url}, allow_redirects=False))
    with contextlib.suppress(ValueError):  # requests refuses to send some of them
        leads(guest.http.post(lab.url + "/lab/end", headers={"Referer": url.replace("\x00", ""), "X-CSRFToken": token["csrfmiddlewaretoken"]}, allow_redirects=False))


@stranger("puts a line end into what comes back in a header, and so a header or a page of their own", holds="Django refuses line ends in headers; what is not one of ours is not repeated", at="netcontrol/views.py:Content-Disposition", seen="the answer's headers")
@pytest.mark.parametrize("end", ["%0d%0a", "%0a", "%0d", "%E5%98%8A%E5%98%8D", "\r\n "])
def header_injection(end):
    evil = f"x{end}X-Evil: 1{end}{end}<script>pwned()</script>"
    tried = [
        request(f"/account/sign-in?next=/{evil}") if "\r" not in end else b"",
        request(f"/lessons/{LESSON}/?step={evil}") if "\r" not in end else b"",
        request(f"/lab/history.txt?lab={evil}") if "\r" not in end else b"",
        request(f"/{evil}") if "\r" not in end else b"",
        request("/", Accept_Language=evil, X_Request_ID=evil, Cookie=f"patchbay-language={evil}"),
        request("/lab/end", "POST", Referer=f"http://127.0.0.1:{settings.PORT}/{evil}"),
    ]
    for said in tried:
        assert not [line for line in headers(said) if line.lower().startswith("x-evil")] and b"<script>pwned" not in said


@stranger("names a request itself, so that logs or pages say what they want", holds="the id of a request is letters, digits and . _ - of at most 64, or one of ours", at="labsite/request_log.py:_ID", seen="the answer's headers and the web's log")
@pytest.mark.parametrize("id", ["x" * 5000, "evil id", '{"a":1}', "\x1b[31mred", "<script>pwned()</script>"])
def a_request_s_name(id):
    log = settings.VAR / "log" / "web.log"
    before = log.stat().st_size
    said = request("/", X_Request_ID=id)
    assert not [line for line in headers(said) if id in line]
    assert id not in log.read_bytes()[before:].decode(errors="replace")


SECRETS = (settings.SECRET_KEY, "DJANGO_SETTINGS_MODULE", "root:x:0", "SQLite format", "[program:")


@stranger("reads a file of the machine by a path that leads out of the static files", holds="servestatic knows the files that there are, by name", at=f"{SETTINGS}:ServeStaticMiddleware", seen="the answer: 404 or 400, and not a word of the file")
@pytest.mark.parametrize("out", ["../", "%2e%2e/", "%2e%2e%2f", "..%2f", "..\\", "%252e%252e%252f", "....//", "/", "//", "%c0%ae%c0%ae/", "vendor/../../"])
def out_of_the_static_files(out):
    for file in ("manage.py", "secret", "labsite/settings.py", "database/db.sqlite3", "db.sqlite3", "etc/passwd", "proc/self/environ"):
        for path in (f"/static/{out * 6}{file}", f"/static/{out}{file}", f"/words/{out}{file}", f"/{out}{file}", f"/lessons/{out}{file}/"):
            said = request(path)
            assert status(said) in (400, 404), (path, said[:200])
            assert not [secret for secret in SECRETS if secret.encode() in said]


@stranger("sends a body without end, of a form or of JSON, to fill the memory or the disk", holds="a request has a most, by what it says and by what comes", at="labsite/bodies.py:MAX_BODY", seen="the web's own process: its memory and its open files; and the answer")
@pytest.mark.parametrize("how", ["said", "in pieces", "a form", "files"])
def a_body_without_end(how):
    pid = processes.ask("getProcessInfo", "web")["pid"]
    before, size, block = rss(pid), 0, b"x" * 65536
    path = {"a form": "/account/sign-in", "files": "/account/sign-in"}.get(how, f"/lessons/{LESSON}/1/check")
    kind = {"a form": "application/x-www-form-urlencoded", "files": "multipart/form-data; boundary=b"}.get(how, "application/json")
    length = "Transfer-Encoding: chunked" if how == "in pieces" else f"Content-Length: {2**36}"
    begin = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' if how == "files" else b""
    grown = 0
    with socket.create_connection(("127.0.0.1", settings.PORT), timeout=10) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{settings.PORT}\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode() + begin)
        with contextlib.suppress(OSError):
            while size < 64 * 2**20:
                line.sendall(b"%x\r\n%b\r\n" % (len(block), block) if how == "in pieces" else block)
                size += len(block)
                grown = max(grown, unlinked(pid)) if size % 2**20 == 0 else grown
    assert size < 64 * 2**20, "all of it was taken"
    assert grown < 8 * 2**20 and rss(pid) - before < 64 * 2**20


def rss(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def unlinked(pid: int) -> int:
    """Bytes in files that this process has open and that have no name: where a body is kept."""
    sizes = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if "(deleted)" in str(file.readlink()):
                sizes.append(file.stat().st_size)
    return sum(sizes)


@stranger("sends headers, cookies, fields or an address without end", holds="uvicorn's limit of a head, Django's of fields", at="labsite/supervisord.conf:uvicorn", seen="the answer: refused or ordinary, and soon")
@pytest.mark.parametrize("how", ["one header", "many headers", "one cookie", "many cookies", "an address", "many arguments", "many fields", "languages", "a number"])
def a_head_without_end(how):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    began = time.monotonic()
    said = {
        "one header": lambda: request("/", X_A="a" * 2**20),
        "many headers": lambda: request("/", **{f"X-{n}": "a" for n in range(20_000)}),
        "one cookie": lambda: request("/", Cookie="a=" + "b" * 60_000),
        "many cookies": lambda: request("/", Cookie=";".join(f"a{n}=b" for n in range(6_000))),
        "an address": lambda: request("/" + "a" * 2**20),
        "many arguments": lambda: request("/lab/history?" + "&".join(f"a{n}=b" for n in range(6_000))),
        "many fields": lambda: request("/account/sign-in", "POST", body=b"&".join(b"a%d=b" % n for n in range(20_000)), **form),
        "languages": lambda: request("/", Accept_Language=",".join(f"a{n};q=0.{n % 10}" for n in range(6_000))),
        "a number": lambda: request(f"/lessons/{LESSON}/{'9' * 5000}/"),
    }[how]()
    assert status(said) in (0, 200, 400, 403, 404, 413, 414, 431) and time.monotonic() - began < 10


@session("says what is no JSON, too deep, too large, of another kind to what reads JSON", holds="16 KiB, one reader, each field of its type", at="lessons/step_views.py:_body", seen="the answers: 400 with a sentence, never 500")
def bodies_that_are_none(eve_without_a_lab):
    guest = eve_without_a_lab
    token = {"X-CSRFToken": guest.http.cookies["csrftoken"], "Accept": "application/json", "Content-Type": "application/json"}
    bodies = ["[" * 8000, '{"a":' * 2000, "[]", "null", "1e999", "NaN", '"\\ud800"', "9" * 8000, "x" * 15_000, "\xff\xfe", '{"quiz": 1e400, "option": 1}', '{"quiz": "1", "option": 1}', '{"quiz": 1, "option": 99999999999999999999}',
              '{"quiz": -1, "option": -1}', '{"quiz": true, "option": true}', '{"check": {"$ne": 1}}', '{"check": ["a"]}', '{"answers": {"x": ["y"]}}', '{"answers": {"x\\ud800": "\\ud800"}}', '{"answers": [1]}', '{"adopt": 1}', '{"auto": 1}']  # fmt: skip
    for what in ("check", "hint", "quiz", "enter", "solution", "rewind"):
        for body in bodies if what in ("check", "hint", "quiz") else bodies[:3]:
            said = guest.http.post(f"{guest.base}/lessons/{LESSON}/1/{what}", data=body.encode("latin-1", "replace"), headers=token, timeout=20)
            assert said.status_code in (200, 400, 404, 409, 429), (what, body[:40], said.status_code)
            assert said.status_code == 200 or "message" in said.json()
    guest.post("/lab/end")


@pytest.fixture
def eve_without_a_lab(lab):
    guest = Guest(lab.url, LESSON)
    guest.get("/account/sign-in")
    return guest


# The WebSocket

@stranger("opens the WebSocket without a session, under another path, or without an Origin", holds="no session: closed; an Origin that is not the page's own, or none: refused", at="labsite/origin.py:same_origin", seen="the handshake: refused, or closed with 4401 before a word")
@pytest.mark.parametrize("how", ["nobody", "path", "no origin", "null", "file", "suffix", "prefix", "credentials", "port", "broken"])
def a_socket_of_nobody(lab, bob, how):
    own = bob.guest.handshake()
    port = settings.PORT
    origin = {"no origin": None, "null": "null", "file": "file://", "suffix": f"http://127.0.0.1:{port}.{EVIL}", "prefix": f"http://{EVIL}/127.0.0.1:{port}", "credentials": f"http://127.0.0.1:{port}@{EVIL}", "port": f"http://127.0.0.1:{port + 1}", "broken": "http://[::1"}
    handshake = {**own, "origin": origin.get(how, own["origin"])}
    if how == "nobody":
        handshake["additional_headers"] = {}
    if how == "path":
        handshake["uri"] += "../other/"
    with pytest.raises((WebSocketException, OSError)) as refused, connect(**handshake, open_timeout=10, close_timeout=2) as line:
        line.send(json.dumps({"type": "hello", "since": {}}))
        raise AssertionError(line.recv(timeout=10))
    assert how != "nobody" or "4401" in str(refused.value)


@session("says to the WebSocket what is too large, too deep, of no type, or without end", holds="1 MiB a frame, one reader, each field of its type; eight that break the protocol close it", at="netcontrol/messages.py:parse", seen="the socket: closed by the server; and a page opened now works")
@pytest.mark.parametrize("how", ["a frame of 3 MiB", "a message in pieces without end", "deep", "bytes", "no JSON", "numbers", "controls in a name"])
def hostile_messages(alice, how):
    frames = {
        "a frame of 3 MiB": ['{"type":"' + "x" * 3 * 2**20],
        "a message in pieces without end": [iter(["x" * 65536] * 64)],
        "deep": ["[" * 200_000] * (MAX_BAD + 1),
        "bytes": [b"\x00" * 1000] * (MAX_BAD + 1),
        "no JSON": ["nonsense"] * (MAX_BAD + 1),
        "numbers": [json.dumps({"type": "shell.ack", "shell": "lab", "offset": n}) for n in (-1, 2**60, 0.5, None, True, "1", [1], {}, 10**300)] + ['{"type":"shell.ack","shell":"lab","offset":' + "9" * 5000 + "}"],
        "controls in a name": ['{"type":"run","shell":"lab","block":"\\u0007","text":"true"}'] * (MAX_BAD + 1),
    }[how]
    with connect(**alice.guest.handshake(), open_timeout=10, close_timeout=2) as line:
        line.send(json.dumps({"type": "hello", "since": {}}))
        with pytest.raises(ConnectionClosed) as closed:
            for frame in frames:
                line.send(frame)
            for _ in range(1000):
                line.recv(timeout=10)
    said = closed.value.rcvd  # who still sends when the line is cut may not hear why
    assert said.code in (4400, 1009) if said else how in ("a frame of 3 MiB", "a message in pieces without end")
    assert alice.answers()
