"""What real hosts look like, recorded: the graph of each scene is true, and so are the changes from each moment of it to every other."""
import itertools
import json
from typing import Any

import pytest

from netcontrol.network.change import apply, change
from netcontrol.network.graph import graph

from . import recorded
from .scenes import SCENES, View


def told(name: str) -> list[dict[str, Any]]:
    return [graph(recorded.hosts(name), moment.bodies) for moment in recorded.moments(name)]


def test_every_scene_is_recorded_as_it_is_written():
    """A scene that was changed is to be recorded anew: `python -m tests.record NAME`."""
    assert recorded.names() == sorted(SCENES)
    for name, scene in SCENES.items():
        steps = scene.steps if scene.every else scene.steps[-1:]
        assert [(m.host, m.command) for m in recorded.moments(name)] == [("", ""), *steps], name


@pytest.mark.parametrize("name", SCENES)
def test_the_graph_is_true(name):
    last = told(name)[-1]
    assert not last["unseen"] and not any(last["left_out"].values())
    SCENES[name].true(View(last))


@pytest.mark.parametrize("name", SCENES)
def test_what_a_thing_names_is_there(name):
    for one in told(name):
        things = one["things"]
        assert all(thing["id"] == id for id, thing in things.items())
        named = {text for thing in things.values() for text in _texts({**thing, "id": ""}) if text.partition(":")[0] in KINDS and "/" in text}
        assert named <= set(things), named - set(things)


KINDS = {"host", "ns", "if", "net", "ctr"}


def _texts(value: Any):
    if isinstance(value, dict):
        yield from (key for key in value if key.startswith("net:"))  # a container's networks
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", SCENES)
def test_changes_lead_from_each_moment_to_every_other(name):
    graphs = told(name)
    for before, after in itertools.product(graphs, repeat=2):
        news = json.loads(json.dumps(change(before, after)))  # as it comes to a page
        assert apply(json.loads(json.dumps(before)), news) == after
    for same in graphs:
        assert apply(same, change(same, same)) == same


@pytest.mark.parametrize("name", SCENES)
def test_a_body_read_again_is_the_same_graph(name):
    """In whatever order a host tells of what it has."""
    for moment in recorded.moments(name):
        turned = json.loads(json.dumps(moment.bodies))
        for body in turned.values():
            body["spaces"].reverse()
            body["docker"]["containers"].reverse()
            body["docker"]["networks"].reverse()
            for space in body["spaces"]:
                space["links"].reverse()
                space["listen"].reverse()
        assert change(graph(recorded.hosts(name), moment.bodies), graph(recorded.hosts(name), turned)) == {"added": {}, "gone": [], "changed": {}}
