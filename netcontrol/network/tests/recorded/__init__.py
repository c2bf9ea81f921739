"""Bodies as agents sent them while the scenes were played on a real lab: one file a scene, made by `tests/record.py`, never by hand.

`moments(name)` tells a scene: what was done, and the body of every host after it. In a file, a body says only what differs from the one
before it of the same host: a part that is missing is unchanged, and a space that is as it was stands there as its id.
"""
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Body = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    host: str  # "" for how it began
    command: str
    bodies: dict[str, Body]


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.json"))


def hosts(name: str) -> list[dict[str, str]]:
    """As `graph` wants them."""
    return json.loads((HERE / f"{name}.json").read_text())["hosts"]


def moments(name: str) -> Iterator[Moment]:
    bodies: dict[str, Body] = {}
    for moment in json.loads((HERE / f"{name}.json").read_text())["moments"]:
        bodies = {host: whole(bodies.get(host, {}), news) for host, news in moment["bodies"].items()}
        yield Moment(moment["host"], moment["command"], bodies)


def whole(before: Body, news: Body) -> Body:
    known = {space["id"]: space for space in before.get("spaces", ())}
    body = {**before, **news}
    body["spaces"] = [known[space] if isinstance(space, str) else space for space in body["spaces"]]
    return body


def news(before: Body, now: Body) -> Body:
    """The inverse of `whole`."""
    known = {space["id"]: space for space in before.get("spaces", ())}
    spaces = [space["id"] if known.get(space["id"]) == space else space for space in now["spaces"]]
    return {"spaces": spaces, **{part: value for part, value in now.items() if part != "spaces" and before.get(part) != value}}


def write(name: str, hosts: list[dict[str, str]], told: list[Moment]) -> Path:
    bodies: dict[str, Body] = {}
    lines = []
    for moment in told:
        lines.append(json.dumps({"host": moment.host, "command": moment.command, "bodies": {host: news(bodies.get(host, {}), body) for host, body in moment.bodies.items()}}))
        bodies = moment.bodies
    path = HERE / f"{name}.json"
    path.write_text(f'{{"hosts": {json.dumps(hosts)},\n"moments": [\n' + ",\n".join(lines) + "\n]}\n")
    return path
