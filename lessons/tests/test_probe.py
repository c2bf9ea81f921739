"""What is sent to a host, run on this machine: as far as it needs no namespace and no dockerd."""
import asyncio
import contextlib
import os
import socket
import struct
import threading
import time

import pytest

from lessons.checks import TYPES
from lessons.checks.ask import ask
from netcontrol import places, resolver
from netcontrol.inside import Answer


async def here(host, script, seconds=5.0, /):
    """As Inside.run, but on this machine."""
    process = await asyncio.create_subprocess_exec("bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(), seconds)
    return Answer(process.returncode, out.decode(), err.decode())


async def verdict(kind, /, **params):
    return await TYPES[kind].judge(TYPES[kind].Params.model_validate(params), "lab", here)


@contextlib.contextmanager
def server(answer, family=socket.AF_INET):
    """A TCP server that sends this to whoever connects; None: it says nothing."""
    with socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family) as listener:
        held = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    if answer is not None:
                        held[-1].recv(4096)
                        held[-1].sendall(answer)
                        held.pop().close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)  # or the thread that waits keeps it open
        for sock in held:
            sock.close()


async def test_file(tmp_path):
    path = tmp_path / "it's a “file”"
    path.write_text('{"hosts": ["tcp://0.0.0.0:2375"]}\n$(touch nothing) ünd')
    path.chmod(0o640)
    assert (await verdict("file", path=str(path), contains=['"hosts"', "$(touch", "ünd"], lacks="END OF PROGRAM", mode="0640")).state == "passed"
    assert (await verdict("file", path=str(path), contains="2376")).why.endswith("does not hold `2376`.")
    assert (await verdict("file", path=f"{tmp_path}/none", exists=False)).state == "passed"
    assert (await verdict("file", path=f"{path}/below")).state == "failed"
    assert (await verdict("file", path="/etc", contains="a")).why == "`/etc` is a folder, not a file."


async def test_a_pipe_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in (await verdict("file", path=f"{tmp_path}/pipe", contains="a")).why


@pytest.mark.parametrize("text", ["END OF PROGRAM", "'''", '"""', "\\", "\\n", "$HOME `id`", "ünï 文 \U0001f600", "a\nEND OF PROGRAM\nid", "\x00"])
async def test_a_question_may_hold_any_text(tmp_path, text):
    (tmp_path / "a").write_text(text)
    assert (await ask(here, "lab", "file", path=f"{tmp_path}/a", texts=[text, text + "?"]))["holds"] == [True, False]


async def test_tcp():
    with server(b"") as port:
        assert (await verdict("net.reach", to=f"127.0.0.1:{port}")).state == "passed"
        assert (await verdict("net.reach", to=f"localhost:{port}", expect=False)).why == f"`lab` reaches `localhost:{port}`."
    assert (await verdict("net.reach", to=f"127.0.0.1:{port}")).why == f"`127.0.0.1:{port}` refuses the connection from `lab`: nothing listens there."


@pytest.mark.parametrize(
    "answer, sentence",
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 500 No\r\n\r\n", ""),  # an answer all the same
        (b"", "takes the connection from `lab`, and closes it without an answer."),
        (b"SSH-2.0-OpenSSH\r\n", "answers `lab`, but not in HTTP."),
        (b"\xff" * 10_000, "answers `lab`, but not in HTTP."),
        (None, "takes the connection from `lab`, but answers nothing in time."),
    ],
)
async def test_http(answer, sentence):
    with server(answer) as port:
        began = time.monotonic()
        said = await verdict("net.reach", to=f"http://127.0.0.1:{port}/a?b")
        assert said.why.endswith(sentence) and said.state == ("failed" if sentence else "passed")
        assert time.monotonic() - began < 4


async def test_http_over_ipv6():
    with server(b"HTTP/1.1 200 OK\r\n\r\n", socket.AF_INET6) as port:
        assert (await verdict("net.reach", to=f"http://[::1]:{port}/")).state == "passed"


async def test_listening():
    with server(b"") as port:
        assert (await verdict("net.listen", port=port, address="127.0.0.1")).state == "passed"
        assert (await verdict("net.listen", port=port, expect=False)).state == "failed"
    assert (await verdict("net.listen", port=port)).why == f"Nothing listens on port `{port}`."


async def test_links_and_routes():
    assert (await verdict("net.link", name="lo", up=True)).state == "passed"
    assert (await verdict("net.address", link="lo", address="127.0.0.1/8")).state == "passed"
    assert (await verdict("net.route", to="10.255.255.0/29")).why == "There is no route to `10.255.255.0/29`."


async def test_a_namespace_that_is_not_there():
    assert (await verdict("net.link", name="lo", netns="patchbay-none")).why == "There is no network namespace `patchbay-none`."


# Names


class NameServer:
    """Knows web (IPv4), six (IPv6) and web.lan; says NXDOMAIN of others, and nothing of `silent`."""

    def __init__(self, monkeypatch):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()
        real, port = socket.socket.connect, self.sock.getsockname()[1]
        monkeypatch.setattr(socket.socket, "connect", lambda sock, to: real(sock, (to[0], port) if to[1:] == (53,) else to))

    def serve(self):
        while True:
            try:
                data, who = self.sock.recvfrom(512)
            except OSError:
                return
            name = b".".join(part for part in self.labels(data[12:])).decode()
            kind = struct.unpack(">H", data[-4:-2])[0]
            self.asked.append(name)
            if name == "silent":
                continue
            address = {("web", 1): bytes((10, 9, 0, 2)), ("web.lan", 1): bytes((10, 9, 0, 3)), ("six", 28): bytes(15) + b"\1"}.get((name, kind))
            known = name in ("web", "six", "web.lan")
            head = data[:2] + struct.pack(">5H", 0x8180 | (0 if known else 3), 1, 2 if address else 0, 0, 0)
            alias = b"\xc0\x0c" + struct.pack(">2HIH", 5, 1, 60, 2) + b"\xc0\x0c"
            answer = alias + b"\xc0\x0c" + struct.pack(">2HIH", kind, 1, 60, len(address)) + address if address else b""
            self.sock.sendto(b"rubbish", who)
            self.sock.sendto(head + data[12:] + answer, who)

    @staticmethod
    def labels(data):
        while data[0]:
            yield data[1 : 1 + data[0]]
            data = data[1 + data[0] :]


@pytest.fixture
def names(monkeypatch, tmp_path):
    server = NameServer(monkeypatch)
    monkeypatch.setattr(resolver, "NAME_SECONDS", 0.3)

    def resolve(name, resolv="nameserver 127.0.0.1\n", hosts=""):
        (tmp_path / "resolv.conf").write_text(resolv)
        (tmp_path / "hosts").write_text(hosts)
        try:
            return resolver.resolve(name, str(tmp_path))
        except resolver.No as no:
            return str(no)

    yield resolve
    server.sock.close()


def test_names(names):
    assert names("web") == ["10.9.0.2"]
    assert names("six") == ["::1"]
    assert names("nobody") == "no-name"
    assert names("10.9.0.9") == ["10.9.0.9"]
    assert names("fd00::9") == ["fd00::9"]
    assert names("Db", hosts="# c\n10.9.0.7 api DB # b\nrubbish db\n") == ["10.9.0.7"]
    assert names("web", resolv="search lan\nnameserver 127.0.0.1\n") == ["10.9.0.3"]
    assert names("web", resolv="search lan\nnameserver 127.0.0.1\noptions ndots:0\n") == ["10.9.0.2"]
    assert names("web", resolv="# none\n") == "no-nameserver"
    assert names("web", resolv="nameserver rubbish\n") == "no-nameserver"
    assert names("a" * 100) == "no-name"


def test_a_name_server_that_is_silent(names):
    began = time.monotonic()
    assert names("silent") == "nameserver-silent:127.0.0.1"
    assert names("silent", resolv="nameserver 127.0.0.11\nnameserver 127.0.0.12\n") == "no-name"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("data", [b"", b"\0" * 11, b"\0\1\x81\x80\0\1\0\xff\0\0\0\0" + b"\xc0\x0c" * 40, b"\0\1\x81\x80\xff\xff\xff\xff" + b"\x3f" * 500])
def test_rubbish_of_a_name_server(data):
    with contextlib.suppress(ValueError, IndexError, struct.error):
        assert resolver.read_answer(data)[2] == []


# dockerd


@pytest.fixture
def dockerd(monkeypatch, tmp_path):
    """Says what a test wants to one question."""
    monkeypatch.setattr(places, "DOCKER", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(places, "DOCKER_SECONDS", 0.5)
    monkeypatch.setattr(places, "dockerd_runs", lambda: True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(places.DOCKER)
    listener.listen()

    held = []

    def ask(*pieces, path="/containers/web/json"):
        def serve():
            sock, _ = listener.accept()
            held.append(sock)
            assert sock.recv(4096).startswith(f"GET {path} HTTP/1.0\r\n".encode())
            with contextlib.suppress(OSError):
                for piece in pieces:
                    sock.sendall(piece)
                    if piece == b" ":
                        time.sleep(0.1)
            if pieces:
                sock.close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            return places.docker(path)
        except resolver.No as no:
            return str(no)

    yield ask
    listener.close()


def test_dockerd(dockerd, monkeypatch):
    assert dockerd(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n", b'{"a": ', b"1}\n") == (200, {"a": 1})
    assert dockerd(b'HTTP/1.0 404 Not Found\r\n\r\n{"message": "no"}') == (404, {"message": "no"})
    assert dockerd(b"HTTP/1.0 200 OK\r\n\r\nno JSON") == "dockerd-odd"
    assert dockerd(b"rubbish") == "dockerd-odd"
    assert dockerd(*[b"x" * 65536] * 50) == "dockerd-odd"  # without end: it is not read to the end
    assert dockerd() == "dockerd-silent"
    began = time.monotonic()
    assert dockerd(*[b" "] * 100) == "dockerd-silent"  # a little at a time
    assert time.monotonic() - began < 2


def test_a_dockerd_that_does_not_run_is_not_woken(dockerd, monkeypatch):
    """Its socket is systemd's: a question on it would start it."""
    monkeypatch.setattr(places, "dockerd_runs", lambda: False)
    with pytest.raises(resolver.No, match="dockerd-down"):
        places.docker("/containers/web/json")
