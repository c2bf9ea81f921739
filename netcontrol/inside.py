"""Runs a script inside a host of a sandbox, outside of any terminal. Must not know why: that is the lessons'.

The host's root is the student, so an answer may say anything, and may not come at all.
"""
import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from netcontrol.agent.execute import SCRIPT
from netcontrol.agent.limits import MAX_EXECUTED
from netcontrol.agent.protocol import BadFrame
from netcontrol.agent.untrusted import Unreadable, read_object
from netcontrol.dial import NAME, dock_path, execute
from netcontrol.errors import LabError

BUSY_SECONDS = 0.05  # between two tries of an agent that runs as many scripts as it may
_OURS = re.compile(r"from (netcontrol\.[\w.]+) import ")  # on one line


def program(path: Path) -> str:
    """The text of a Python program for a host, which has nothing but the standard library: what it imports from netcontrol is put ahead of it."""
    return "".join(_texts(path, set()))


def asking(program: str, question: Any) -> str:
    """A script that asks it this, and prints what it answers. ASCII only: every escape of JSON means the same in Python."""
    return f"exec python3 -IS - <<'END OF PROGRAM'\n{program}\nmain(json.loads({json.dumps(question)!r}))\nEND OF PROGRAM\n"


def _texts(path: Path, told: set[Path]) -> Iterator[str]:
    own = []
    for line in path.read_text().splitlines(keepends=True):
        if not (found := _OURS.match(line)):
            own.append(line)
        elif (other := Path(__file__).parents[1] / f"{found[1].replace('.', '/')}.py") not in told:
            told.add(other)
            yield from _texts(other, told)
    yield "".join(own)


@dataclass(frozen=True)
class Answer:
    """`exit_code` is None when its time was over. `out` and `err` hold at most 256 KiB each; `truncated`: there was more."""

    exit_code: int | None
    out: str = ""
    err: str = ""
    truncated: bool = False

    def object(self) -> dict[str, Any]:
        """What a program has printed that was asked something (`asking`): JSON. Raises Unreadable, also when it did not come to its end."""
        if self.exit_code != 0 or self.truncated:
            raise Unreadable("it did not come to its end")
        return read_object(self.out, MAX_EXECUTED)


class Run(Protocol):
    """Runs a bash script on a host of the sandbox, outside of any terminal. Raises NoHost and NoAnswer."""

    def __call__(self, host: str, script: str, seconds: float = ..., /) -> Awaitable[Answer]: ...


class NoHost(LabError):
    """This sandbox has no such host on this machine."""

    def __init__(self, host: str):
        super().__init__("no_host", f"There is no host “{host}” in this lab.", "Get a fresh lab for this lesson.", status=404)


class NoAnswer(LabError):
    """The host's agent does not answer, or not in the protocol's words."""

    def __init__(self, host: str):
        super().__init__("no_answer", f"The host “{host}” does not answer.", "Try again; if it stays so, reset the lab.")


@dataclass(frozen=True)
class Inside:
    """The hosts of one sandbox. It has to be on this machine."""

    sandbox: uuid.UUID

    async def run(self, host: str, script: str, seconds: float = 10.0) -> Answer:
        """Run a bash script on this host; it is ended after `seconds`, and when this is cancelled. Raises NoHost and NoAnswer."""
        dock = dock_path(self.sandbox, host)
        if not host or not NAME.issuperset(host) or not dock.is_dir():
            raise NoHost(host)
        end = time.monotonic() + seconds
        while True:
            left = max(0.1, end - time.monotonic())
            try:
                done = await execute(dock, left, script=script)
                break
            except (OSError, EOFError, BadFrame) as failed:  # TimeoutError is an OSError
                if str(failed) != "busy" or left <= 0.1:
                    raise NoAnswer(host) from failed
            await asyncio.sleep(BUSY_SECONDS)
        out, err = (done[stream].decode(errors="replace") for stream in ("out", "err"))
        err = err.replace(f"{SCRIPT}: line ", "line ")  # where bash read it from helps nobody
        return Answer(done["exit_code"], out, err, done["truncated"])
