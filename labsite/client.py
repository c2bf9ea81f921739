"""A guest student without a browser: the page's HTTP and WebSocket, spoken from Python. Used by `./lab try`, the benchmarks
and the tests. Must not know the database, Redis or the engine: it sees what a browser sees.
"""
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from netcontrol.agent.protocol import parse_output
from netcontrol.errors import LabError
from netcontrol.network.change import apply

Event = dict[str, Any]


@dataclass
class Network:
    """The network as a page keeps it, by what it is told. `graph` is None until there is one."""

    graph: dict[str, Any] | None = None
    version: int = 0
    changes: list[Event] = field(default_factory=list)  # as they came
    away: list[str] = field(default_factory=list)  # hosts that cannot be seen
    wholes: int = 0  # how often the whole was told

    @property
    def things(self) -> dict[str, Any]:
        return self.graph["things"] if self.graph else {}

    def named(self, name: str, kind: str = "") -> list[Event]:
        return [thing for thing in self.things.values() if thing["name"] == name and kind in ("", thing["kind"])]

    def hear(self, event: Event) -> None:
        """Raises ValueError for a change that does not follow on what is here."""
        match event["type"]:
            case "network.snapshot":
                self.graph, self.version, self.wholes = event["graph"], event["version"], self.wholes + 1
                self.away = []
            case "network.change":
                if self.graph is None or (event["from"], event["version"]) != (self.version, self.version + 1):
                    raise ValueError(f"version {self.version} is followed by {event['from']} → {event['version']}")
                self.graph, self.version = apply(self.graph, event["change"]), event["version"]
                self.changes.append(event)
            case "network.away":
                self.away = event["hosts"]


@dataclass
class Guest:
    """One guest with one lab. Use as a context manager: leaving it ends the lab."""

    base: str  # http://127.0.0.1:8000
    lesson: str
    keep: bool = False
    http: requests.Session = field(default_factory=requests.Session)
    line: ExitStack = field(default_factory=ExitStack)
    socket: Any = None
    sandbox: uuid.UUID | None = None
    drawn: dict[str, int] = field(default_factory=dict)  # shell: offset after the last byte seen
    network: Network = field(default_factory=Network)

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        if not self.keep:
            try:
                self.post("/lab/end")
            except (LabError, requests.RequestException):
                pass

    # HTTP

    def get(self, path: str) -> requests.Response:
        try:
            return self.http.get(self.base + path, timeout=10)
        except requests.RequestException as down:
            raise LabError("no_web", f"Nothing answers at {self.base}.", "Start the lab first: ./lab up --detach") from down

    def post(self, path: str, body: Event | None = None) -> Event:
        """With `body` as JSON. Returns the JSON of the answer, {} if it is something else; raises LabError with what the lab says."""
        headers = {"Accept": "application/json", "Referer": self.base + "/", "X-CSRFToken": self.http.cookies.get("csrftoken") or ""}
        try:
            answer = self.http.post(self.base + path, json=body, headers=headers, timeout=20, allow_redirects=False)
        except requests.RequestException as down:
            raise LabError("no_web", f"Nothing answers at {self.base}.", "Start the lab first: ./lab up --detach") from down
        try:
            said = answer.json()
        except ValueError:
            said = {}
        if answer.status_code >= 400:
            raise LabError(said.get("code", "http"), said.get("message", f"The lab answered {answer.status_code}."), said.get("what_to_do", "See var/log/web.log."))
        return said

    def start(self) -> Event:
        """Press Start on the lesson. Raises LabError when the lesson is not there."""
        page = self.get(f"/lessons/{self.lesson}/")
        if page.status_code == 404:
            raise LabError("no_lesson", f"There is no lesson {self.lesson!r}.", "See the ones there are: ./lab lessons list", status=404)
        return self.start_now()

    def start_now(self) -> Event:
        """Press Start on a page that is open already."""
        return self.post(f"/lessons/{self.lesson}/start")

    # The WebSocket

    def handshake(self) -> dict[str, Any]:
        """What any client of `websockets` must say to be this guest."""
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.http.cookies)
        return {"uri": self.base.replace("http", "ws", 1) + "/ws/lab/", "origin": Origin(self.base), "additional_headers": {"Cookie": cookies}, "compression": None}

    def dial(self) -> None:
        self.socket = self.line.enter_context(connect(**self.handshake(), max_size=2**21, open_timeout=10, close_timeout=2))
        self.send(type="hello", since=self.drawn)

    def hang_up(self) -> None:
        self.line.close()
        self.socket = None

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def events(self, seconds: float) -> Iterator[Event]:
        """What the server sends, until `seconds` are over (TimeoutError). Output comes as `shell.output` with bytes in `data`, each byte once."""
        until = time.monotonic() + seconds
        while True:
            frame = self.socket.recv(timeout=max(0.0, until - time.monotonic()))
            if isinstance(frame, str):
                event = json.loads(frame)
                self.network.hear(event)
                yield event
                continue
            shell, offset, data = parse_output(frame[1:])
            seen = self.drawn.get(shell, 0)
            if offset + len(data) > seen:
                self.drawn[shell] = offset + len(data)
                self.send(type="shell.ack", shell=shell, offset=offset + len(data))
                yield {"type": "shell.output", "shell": shell, "offset": max(offset, seen), "data": data[max(0, seen - offset) :]}

    def until(self, kind: str, seconds: float, **fields: Any) -> Event:
        """The next event of this kind with these fields. Raises LabError on an `error` event, TimeoutError when it does not come."""
        for event in self.events(seconds):
            if event["type"] == kind and all(event.get(k) == v for k, v in fields.items()):
                return event
            if event["type"] == "error" and kind != "error":
                raise LabError(event["code"], event["message"], event["what_to_do"])
        raise TimeoutError

    def lab(self, seconds: float = 120, say=lambda state: None) -> Event:
        """Dial, and wait until the lab is there. `say` gets every state on the way. Returns the `sandbox.state` with it."""
        if not self.socket:
            self.dial()
        for event in self.events(seconds):
            if event["type"] == "error":
                raise LabError(event["code"], event["message"], event["what_to_do"])
            if event["type"] == "sandbox.state":
                if event["state"] == "claimed":
                    self.sandbox = uuid.UUID(event["sandbox"])
                    return event
                if event["state"] in ("failed", "ended"):
                    raise LabError(event["state"], event["why"] or "The lab did not start.", "Try again.")
                say(event)
        raise TimeoutError

    def watch(self, seconds: float = 20) -> Network:
        """Show the network. Returns it when all hosts are seen: `events` keeps it as it is from then on."""
        self.send(type="network.watch", on=True)
        for _ in self.events(seconds):
            if self.network.graph and not self.network.graph["unseen"]:
                return self.network
        raise TimeoutError

    def ask(self, question: str, seconds: float = 15, **fields: Any) -> Event:
        """`follow` or `reach`. Returns the answer. Raises LabError with what the lab says when there is none."""
        id = uuid.uuid4().hex[:8]
        self.send(type=question, id=id, **fields)
        answer = self.until(f"{question}.done", seconds, id=id)
        if "failed" in answer:
            raise LabError(answer["code"], answer["failed"], "")
        return answer

    def open(self, shell: str, host: str, cols: int = 80, rows: int = 24, seconds: float = 20) -> Event:
        self.send(type="shell.open", shell=shell, host=host, cols=cols, rows=rows)
        return self.until("shell.opened", seconds, shell=shell)

    def prompt(self, shell: str, seconds: float = 20) -> None:
        """Wait until bash has printed its prompt."""
        seen = b""
        for event in self.events(seconds):
            if event["type"] == "shell.output" and event["shell"] == shell:
                seen += event["data"]
                if b"# " in seen[-64:]:
                    return

    def run(self, shell: str, text: str, block: str = "try", seconds: float = 3600) -> Iterator[Event]:
        """Press Run: yields `command.started`, exactly what the command printed, and at last `command.finished`.

        A command that ends its own shell (`exit 7`) ends with the shell's exit code.
        """
        self.send(type="run", shell=shell, block=block, text=text)
        started: Event | None = None
        finished: Event | None = None
        for event in self.events(seconds):
            kind, here = event["type"], event.get("shell") == shell
            if kind == "error":
                raise LabError(event["code"], event["message"], event["what_to_do"])
            if kind == "command.started" and here and event["block"] == block:
                started = event
                yield event
            elif started and kind == "shell.output" and here and not finished:
                yield event
            elif started and kind == "command.finished" and event["id"] == started["id"]:
                finished = event
                if event["exit_code"] is not None:
                    yield event
                    return
            elif finished and kind == "shell.closed" and here:
                yield {**finished, "exit_code": event["exit_code"]}
                return


__all__ = ["ConnectionClosed", "Event", "Guest", "Network"]
