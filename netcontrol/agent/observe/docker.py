"""What dockerd says: its networks and containers. Must not know the kernel, nor what is made of it.

It is asked over its socket in one GET a question, several at once, and never waited for longer than it is worth: the kernel's part of a
look is told in time whatever dockerd does. One that does not run is not asked, or systemd would start it. A container is asked about in
full only when the list says something else of it than before, its process has ended, or dockerd told that something happened to it.
"""
import select
import socket
import time
from collections.abc import Callable

from ..limits import MAX_CONTAINERS, MAX_NETWORKS, MAX_SAID, ROOM_CONTAINERS, ROOM_NETWORKS
from ..untrusted import Unreadable, read_json, read_object
from .bounded import Texts, array, dumps, small
from .files import dockerd_runs

SOCKET = "/run/docker.sock"
PATIENCE = 1.0  # seconds for an answer, after which dockerd is silent
SHORT = 0.2  # seconds for one when nobody waits for this look, and for one of a silent dockerd: it is asked again soon
LIVED = 5.0  # seconds after which it is news that a stream of events ended
AT_ONCE = 8
ACTIONS = frozenset(("create", "start", "die", "destroy", "rename", "pause", "unpause", "update", "restart", "stop", "connect", "disconnect", "remove"))
EVENTS = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"
NETWORK = ("Name", "Id", "Scope", "Driver", "EnableIPv6", "IPAM", "Internal", "Attachable", "Ingress", "Options", "Labels")
ENDPOINT = ("Aliases", "DNSNames", "IPAddress", "IPPrefixLen", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "MacAddress", "NetworkID", "Gateway", "IPv6Gateway")
SUMMARY = ("Id", "Names", "Image", "Ports", "Labels", "State", "HostConfig", "NetworkSettings")
ID = frozenset("0123456789abcdef")


class Get:
    """One question, as its answer comes in."""

    def __init__(self, path: str):
        self.data, self.ended, self.began = bytearray(), False, time.monotonic()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.setblocking(False)
        try:
            self.sock.connect(SOCKET)  # refused at once when nobody listens, or too many wait
            self.sock.send(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        except OSError:
            self.close()

    def close(self) -> None:
        self.ended = True
        self.sock.close()

    def read(self) -> None:
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.data += data
        if not data or len(self.data) > MAX_SAID:
            self.close()

    def answer(self) -> object:
        """What it said; None when it said nothing that is an answer."""
        head, _, body = self.data.partition(b"\r\n\r\n")
        if not self.ended or head.split(b" ", 2)[1:2] != [b"200"]:
            return None
        try:
            return read_json(body, MAX_SAID)
        except Unreadable:
            return None


def gather(questions: list[Get], until: float) -> None:
    """Wait for the answers. What takes longer is not answered."""
    while waiting := [question for question in questions if not question.ended]:
        left = until - time.monotonic()
        if left <= 0:
            for question in waiting:
                question.data.clear()
                question.close()
            return
        poll = select.poll()
        for question in waiting:
            poll.register(question.sock, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(left * 1000)}
        for question in waiting:
            if question.sock.fileno() in ready:
                question.read()


class Docker:
    def __init__(self, space_of: Callable[[int], str]) -> None:
        """`space_of`: the network namespace of a process."""
        self.space_of = space_of
        self.state, self.version = "down", ""
        self.networks, self.networks_left_out, self.left_out, self.no_room = "[]", 0, 0, 0
        self.summaries: dict[str, int] = {}  # what the list said of each, as a hash
        self.containers: dict[str, tuple[int, str, str]] = {}  # id -> (process, its namespace, JSON)
        self.order: list[str] = []
        self.suspect: set[str] = set()  # containers that something happened to
        self.news = False  # something happened, or may have, that it has not been asked about
        self.waited_for, self.unanswered_since = True, 0.0
        self.asked: list[Get] = []
        self.events: Get | None = None

    # A look

    def begin(self, told: bool) -> None:
        """Ask, if it runs: the answers come while others are asked. Not `told`: only if it had not said by itself that something is different."""
        if not dockerd_runs():
            self._down()
            return
        self.waited_for = told
        listens = self.events is not None and not self.events.ended
        if not listens:
            self.events = Get(EVENTS)
        if told or self.news or not listens or self.state != "up":
            self.asked = [Get("/networks"), Get("/containers/json?all=1"), *([] if self.version else [Get("/version")])]

    def end(self) -> None:
        """Take the answers."""
        asked, self.asked = self.asked, []
        if not asked:
            return
        now = time.monotonic()
        until = now + SHORT if self.state == "silent" or not self.waited_for else now + PATIENCE
        gather(asked, until)
        networks, containers = asked[0].answer(), asked[1].answer()
        if not isinstance(networks, list) or not isinstance(containers, list):  # what it said before still stands, as far as anybody knows
            self.news = True
            self.unanswered_since = self.unanswered_since or now
            if self.state == "down" or time.monotonic() - self.unanswered_since >= PATIENCE:
                self.state = "silent"
            return
        self.state, self.news, self.unanswered_since = "up", False, 0.0
        if len(asked) > 2:
            said = asked[2].answer()
            self.version = str(said.get("Version", ""))[:40].partition("+")[0] if isinstance(said, dict) else ""
        self._take_networks(networks)
        self._take_containers(containers, until)

    def _down(self) -> None:
        self.state, self.version, self.networks, self.networks_left_out, self.left_out = "down", "", "[]", 0, 0
        self.summaries, self.containers, self.order = {}, {}, []
        if self.events:
            self.events.close()

    def _take_networks(self, said: list) -> None:
        networks = [{key: network[key] for key in NETWORK if key in network} for network in said if isinstance(network, dict)]
        networks.sort(key=lambda network: (str(network.get("Name")), str(network.get("Id"))))
        self.networks, too_long = array(networks[:MAX_NETWORKS], ROOM_NETWORKS)
        self.networks_left_out = max(0, len(networks) - MAX_NETWORKS) + too_long

    def _take_containers(self, said: list, until: float) -> None:
        known = {c["Id"]: c for c in said if isinstance(c, dict) and isinstance(c.get("Id"), str) and 0 < len(c["Id"]) <= 64 and ID.issuperset(c["Id"])}
        found = sorted(known.values(), key=lambda c: (c["Created"] if isinstance(c.get("Created"), int) else 0, c["Id"]))
        self.left_out = max(0, len(found) - MAX_CONTAINERS)
        found = found[:MAX_CONTAINERS]
        self.order = [c["Id"] for c in found]
        asked: dict[str, Get] = {}
        summaries = {c["Id"]: _summary(c) for c in found}
        for id in self.order:
            process, space, _ = self.containers.get(id, (0, "", ""))
            if id not in self.containers or id in self.suspect or summaries[id] != self.summaries.get(id) or (process and self.space_of(process) != space):
                asked[id] = Get(f"/containers/{id}/json")
                if len(asked) % AT_ONCE == 0:
                    gather(list(asked.values()), until)
        gather(list(asked.values()), until)
        for id, question in asked.items():
            facts = question.answer()
            if isinstance(facts, dict):
                process, container = reduced(facts, self.space_of)
                self.containers[id] = process, container["space"], dumps(small(container))
            else:  # busy with it, as while it starts
                del summaries[id]
                self.news = True
        self.containers = {id: kept for id, kept in self.containers.items() if id in summaries or id in self.order}
        self.summaries, self.suspect = summaries, set()

    def text(self) -> str:
        texts = Texts(ROOM_CONTAINERS)
        for id in self.order:
            if id in self.containers:
                texts.add(self.containers[id][2])
        self.no_room = texts.left_out
        return f'{{"state":"{self.state}","networks":{self.networks},"containers":{texts.array()}}}'

    # Between two looks

    def sockets(self) -> list[socket.socket]:
        return [self.events.sock] if self.events and not self.events.ended else []

    def happened(self) -> bool:
        """Whether it told something that matters here."""
        if not self.sockets():
            return False
        assert self.events
        self.events.read()
        news = self.events.ended and time.monotonic() - self.events.began > LIVED
        *lines, rest = bytes(self.events.data).split(b"\n")
        self.events.data[:] = rest
        for line in lines[-256:]:
            try:
                event = read_object(line, MAX_SAID)
                action, kind, actor = event["Action"], event["Type"], event["Actor"]
                if action.partition(":")[0] in ACTIONS:
                    news = True
                    if kind == "container":
                        self.suspect.add(str(actor["ID"]))
                    else:
                        self.suspect.add(str(actor["Attributes"].get("container")))
            except (Unreadable, KeyError, TypeError, AttributeError):
                continue
        self.news = self.news or news
        return news


def reduced(facts: dict, space_of: Callable[[int], str]) -> tuple[int, dict]:
    """The process of a container, and what of all that is said about it is the network's. podman says it in the same words."""
    state, config, host, settings = (_dict(facts.get(key)) for key in ("State", "Config", "HostConfig", "NetworkSettings"))
    process = state.get("Pid")
    process = process if isinstance(process, int) and process > 0 else 0
    command = [part for part in [facts.get("Path"), *_list(facts.get("Args"))] if isinstance(part, str)]
    networks = {name: {key: end[key] for key in ENDPOINT if key in end} for name, end in _dict(settings.get("Networks")).items() if isinstance(end, dict)}
    return process, {
        "Id": facts.get("Id"), "Name": facts.get("Name"), "Image": facts.get("ImageName") or config.get("Image"),
        "State": {key: state.get(key) for key in ("Status", "Pid", "ExitCode")},
        "Mode": host.get("NetworkMode"), "Privileged": host.get("Privileged") is True,
        "Networks": networks, "Ports": settings.get("Ports"), "PortBindings": host.get("PortBindings"),
        "Exposed": list(_dict(config.get("ExposedPorts"))), "Labels": _dict(config.get("Labels")),
        "space": space_of(process) if process else "", "command": " ".join(command)[:200],
    }  # fmt: skip


def _summary(container: dict) -> int:
    """What the list says, without what time changes: "Up 3 minutes"."""
    status = str(container.get("Status"))
    code = status.partition(")")[0] if status.startswith(("Exited", "Restarting")) else ""
    return hash(dumps([code, *(container.get(key) for key in SUMMARY)]))


def _dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list:
    return value if isinstance(value, list) else []
