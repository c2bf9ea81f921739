"""One change while it is told: both graphs, what is told already, how things and places are called, which command shows them. Must not know what to say.

A sentence is {"id": msgid, "with": {name: value}}; a value is text, a number, a sentence again, or a list:
of machine words, which are shown between backticks, or of sentences.
"""
import re
import shlex
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from django.utils.translation import gettext_noop as _

from netcontrol.network.change import change
from netcontrol.network.tell.settled import settled

Thing = dict[str, Any]
Sentence = dict[str, Any]
Line = dict[str, Any]


class Said(NamedTuple):
    """A line's text, and why: what it means and why the command did it."""

    text: str
    why: str


class Story:
    def __init__(self, before: dict, after: dict):
        self.old, self.new, self.everything = settled(before), settled(after), after["things"]
        found = change({**before, "things": self.old}, {**after, "things": self.new})
        unseen = {*before["unseen"], *after["unseen"], *(set(before["hosts"]) ^ set(after["hosts"]))}  # what is not seen has not changed
        self.added = {id: thing for id, thing in found["added"].items() if thing["host"] not in unseen}
        self.gone = {id: self.old[id] for id in found["gone"] if self.old[id]["host"] not in unseen}
        self.changed = {id: facts for id, facts in found["changed"].items() if self.new[id]["host"] not in unseen}
        self.told: set[str] = set()
        self.silent: set[str] = set()  # came or went with something that is told, and was there before or is still: not seen meanwhile
        self.lines: list[Line] = []

    # What there is to tell

    def comes(self, kind: str, **facts: Any) -> list[Thing]:
        return sorted((thing for thing in self.added.values() if thing["id"] not in self.told and _is(thing, kind, facts)), key=_order)

    def goes(self, kind: str, **facts: Any) -> list[Thing]:
        return sorted((thing for thing in self.gone.values() if thing["id"] not in self.told and _is(thing, kind, facts)), key=_order)

    def alters(self, kind: str, *facts: str) -> Iterator[tuple[Thing, dict[str, list]]]:
        """Things that have one of these facts changed, with all that changed of them."""
        for id, changed in self.changed.items():
            if self.new[id]["kind"] == kind and any(fact in changed for fact in facts):
                yield self.new[id], changed

    def let_pass(self, *things: Thing) -> None:
        """Told with something else."""
        self.told.update(thing["id"] for thing in things)

    def thing(self, id: str | None) -> Thing | None:
        """As it is now, or as it was."""
        return None if id is None else self.new.get(id) or self.old.get(id)

    def is_new(self, id: str | None) -> bool:
        return id in self.added and id not in self.old

    def comes_new(self, network: str | None) -> bool:
        """Is a network told as new?"""
        return network in self.added and network not in self.old and network not in self.silent

    def ports_changed(self, bridge: str) -> bool:
        """Was a cable plugged into it or pulled out of it?"""
        return self._was_plugged.get(bridge, set()) != self._plugged.get(bridge, set())

    def ports_up(self, bridge: str) -> tuple[bool, bool]:
        """Whether one of its ports was up, and is."""
        was = any(self.old[id]["state"] == "up" for id in self._was_plugged.get(bridge, ()))
        return was, any(self.new[id]["state"] == "up" for id in self._plugged.get(bridge, ()))

    @cached_property
    def link_names(self) -> set[tuple[str, str]]:
        """(namespace, name) of every interface that is there."""
        return {(thing["space"], thing["name"]) for thing in self.new.values() if thing["kind"] == "interface"}

    def has_ports(self, bridge: str) -> bool:
        return bool(self._plugged.get(bridge))

    @cached_property
    def _was_plugged(self) -> dict[str, set[str]]:
        return _plugged(self.old)

    @cached_property
    def _plugged(self) -> dict[str, set[str]]:
        return _plugged(self.new)

    # How it is said

    def say(self, sign: str, kind: str, said: Said, things: list[Thing], show: list[tuple[str, str]] | None = None, **values: Any) -> None:
        """`things` are what the line is about: they light up, and are told."""
        self.let_pass(*things)
        host = next((thing["host"] for thing in things if thing["host"]), None)
        self.lines.append({
            "sign": sign, "kind": kind, "host": host, "ids": list(dict.fromkeys(thing["id"] for thing in things))[:16],
            "text": {"id": said.text, "with": values}, "why": {"id": said.why, "with": values}, "show": [list(each) for each in show or []],
        })  # fmt: skip

    def place(self, space: str | None) -> str:
        """What people call a namespace: its container's name, the name that `ip netns` gave, its process; of the root one nothing."""
        thing = self.thing(space)
        if thing is None or thing["root"]:
            return ""
        container = self.resident(thing) or self.resident(self.old.get(thing["id"], thing))  # one that has just ended had it, too
        return container["name"] if container else thing["name"]

    def where(self, space: str | None) -> str:
        """As `place`, and the root one by its host's name."""
        thing = self.thing(space)
        return self.place(space) or (thing["host"] if thing else "")

    def resident(self, space: Thing) -> Thing | None:
        """The container that a namespace was made for; others may share it."""
        found = [container for id in space["containers"] if (container := self.thing(id))]
        return next((each for each in found if not each["mode"].startswith("container:")), found[0] if found else None)

    def link(self, thing: Thing, *, bridge: bool = False) -> Sentence | list[str]:
        """An interface: where it is, and, when that is wanted, into which bridge it is plugged."""
        space, master = self.place(thing["space"]), self.thing(thing["master"]) if bridge else None
        values = {"link": thing["name"], "space": space, "bridge": master["name"] if master else ""}
        if not master and not space:
            return [thing["name"]]
        if master and space:
            return {"id": _("`%(link)s` on `%(bridge)s` in `%(space)s`"), "with": values}
        if master:
            return {"id": _("`%(link)s` on `%(bridge)s`"), "with": values}
        return {"id": _("`%(link)s` in `%(space)s`"), "with": values}

    # Which command shows it

    def command(self, space: str | None, *words: str, tool_of_the_host: bool = False) -> tuple[str, str]:
        """A command line that asks in this namespace; with `tool_of_the_host` the program is the host's, for an image may not have it."""
        line, thing = shlex.join(words), self.thing(space)
        if thing is None or thing["root"]:
            return thing["host"] if thing else "", line
        container = self.resident(thing)
        if container and tool_of_the_host:
            return thing["host"], f"nsenter -t $({container['engine']} inspect -f '{{{{.State.Pid}}}}' {shlex.quote(container['name'])}) -n {line}"
        if container:
            return thing["host"], f"{container['engine']} exec {shlex.quote(container['name'])} {line}"
        if thing["name"]:
            return thing["host"], f"ip netns exec {shlex.quote(thing['name'])} {line}"
        return thing["host"], f"nsenter -t {thing['pid'] or 1} -n {line}"

    def asks(self, link: Thing, *words: str) -> tuple[str, str]:
        return self.command(link["space"], *words, link["name"])


def _plugged(things: dict[str, Thing]) -> dict[str, set[str]]:
    """The ports of each bridge."""
    found: dict[str, set[str]] = {}
    for thing in things.values():
        if thing["kind"] == "interface" and thing["master"]:
            found.setdefault(thing["master"], set()).add(thing["id"])
    return found


def natural(name: str) -> list[tuple[int, str]]:
    """To sort by: box2 before box10."""
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in re.split(r"([0-9]{1,9})", name) if part]


def _order(thing: Thing) -> list[tuple[int, str]]:
    """What an engine tells in any order, by name; all else as it came."""
    return natural(thing["name"]) if thing["kind"] in ("network", "container") else []


def _is(thing: Thing, kind: str, facts: dict[str, Any]) -> bool:
    return thing["kind"] == kind and all(thing[fact] == value for fact, value in facts.items())
