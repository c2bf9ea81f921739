"""What end-to-end tests do with a guest student. Must not know more than a browser would."""
import re
from collections.abc import Callable

from labsite.client import Guest

COLOUR = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def lab_of(guest: Guest) -> Guest:
    """Start it, and hang up: what comes is told to the pages that a test opens."""
    guest.start()
    guest.lab()
    guest.hang_up()
    return guest


def run(guest: Guest, text: str, shell: str = "lab") -> tuple[int | None, str]:
    """Press Run: the exit code and what the command printed, without colours."""
    output = b""
    for event in guest.run(shell, text, seconds=60):
        if event["type"] == "shell.output":
            output += event["data"]
        elif event["type"] == "command.finished":
            return event["exit_code"], COLOUR.sub("", output.decode(errors="replace")).replace("\r\n", "\n")
    raise AssertionError("the events ended before the command")


def next_state(guest: Guest, want: str, seconds: float = 30, **fields) -> dict:
    """The next `sandbox.state` that says so."""
    for event in guest.events(seconds):
        if event["type"] == "sandbox.state" and event["state"] == want and all(event.get(k) == v for k, v in fields.items()):
            return event
    raise AssertionError(f"no state {want}")


def told(guest: Guest, true: Callable[[dict], object], seconds: float = 5.0) -> dict:
    """The next `sandbox.state` of which this is true: what a student must see within five seconds."""
    for event in guest.events(seconds):
        if event["type"] == "sandbox.state" and true(event):
            return event
    raise AssertionError("the events ended")
