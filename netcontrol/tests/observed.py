"""An agent that is played: it says what a test tells it of its host's network and of commands that ended, as an agent of ours would, or as none would."""
import asyncio
import contextlib
import json
import os
import time
from pathlib import Path

from netcontrol.agent.protocol import Frames, message, network, pack, parse_message


def body(*names: str, space: str = "4026531840", **more) -> bytes:
    """What is seen of a host with these interfaces."""
    links = [{"ifindex": n, "ifname": name, "flags": ["UP"], "link_type": "ether", "linkinfo": {"info_kind": "dummy"}} for n, name in enumerate(names, 2)]
    return json.dumps({"spaces": [{"id": space, "root": True, "names": [], "pid": 1, "links": links, "routes": [], "listen": []}], "system": {"os": "Debian 13"}, **more}).encode()


def names(graph: dict, host: str = "lab") -> set[str]:
    return {thing["name"] for thing in graph["things"].values() if thing["kind"] == "interface" and thing["host"] == host}


class PlayedAgent:
    """One host's. `sees`: what its observer sees now; `ended`: its shells' last commands, as `after` says it."""

    def __init__(self, dock: Path, boot: str = "b1"):
        self.dock, self.boot = dock, boot
        self.sees, self.ended, self.failed = body("eth0"), {}, ""
        self.heard: list[dict] = []  # what the worker said
        self.watched, self.mute, self.watches = False, False, True
        self.said = self.seq = 0
        self.writer = self.server = None

    async def start(self) -> "PlayedAgent":
        self.dock.mkdir(parents=True, exist_ok=True)
        (self.dock / "agent.sock").unlink(missing_ok=True)
        folder = os.open(self.dock, os.O_PATH)  # its path may be longer than an address of a socket
        self.server = await asyncio.start_unix_server(self._serve, f"/proc/self/fd/{folder}/agent.sock")
        os.close(folder)
        return self

    async def stop(self) -> None:
        self.server.close()
        self.hang_up()
        (self.dock / "agent.sock").unlink(missing_ok=True)
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        if self.writer:
            self.writer.close()
            self.writer = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter = Frames()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for _, frame in cutter.feed(data):
                    m = parse_message(frame)
                    self.heard.append(m)
                    if m["type"] == "attach":
                        self.writer, self.watched = writer, False
                        self.seq = max([0, *(seq for _, seq, _ in m["since"].values())])
                        shell = {"shell": "main", "name": "", "pid": 1, "open": True, "begin": 0, "end": 0, "running": None}
                        writer.write(message("welcome", boot=self.boot, last_input="0-0", watches=self.watches, shells=[{**shell, "shell": name} for name in self.ended]))
                    elif m["type"] == "watch":
                        if m["on"] and not self.watched:
                            self.watched = True
                            if not self.mute:
                                self.say(self.sees)
                        self.watched = m["on"]

    def say(self, sees: bytes = b"", **head) -> None:
        """One snapshot; nothing: as before."""
        self.sees = sees or self.sees
        self.said += 1
        known = {"n": self.said, "taken_at": time.time(), "took_ms": 1.0, "after": [[shell, n] for shell, n in self.ended.items()], "failed": self.failed}
        self.raw(network({**known, **head}, sees))

    def raw(self, frame: bytes) -> None:
        if self.writer:
            self.writer.write(frame)

    def junk(self, frame: bytes) -> None:
        self.raw(pack(b"N", frame))

    def begin(self, number: int, shell: str = "main") -> None:
        """A command begins."""
        self.seq += 1
        self.raw(message("command.started", shell=shell, id=number, block="", text="x", started_at=time.time(), offset=0, seq=self.seq))

    def end(self, number: int, sees: bytes = b"", shell: str = "main") -> None:
        """A command ended, and this is what is seen after it."""
        self.ended.pop(shell, None)
        self.ended[shell] = number
        self.say(sees)
