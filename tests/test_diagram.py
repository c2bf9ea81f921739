"""The picture of the network in Chromium, alone on a page: what must be true of every picture, what stays when something changes, keys, folds, saving."""
import base64
import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from netcontrol.network.change import change as difference
from netcontrol.network.graph import graph as told
from netcontrol.network.tests import recorded

from . import picture
from .browsing import axe
from .picture import Graph, server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
FACTS = (Path(__file__).parent / "picture/facts.js").read_text()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("picture")
    server.build(folder)
    with server.serving(folder) as url:
        yield url


@pytest.fixture
def page(chromium, address) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 700, "height": 480}, reduced_motion="reduce")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" and not line.location.get("url", "").endswith(("favicon.ico", "layout-worker.js")) else None)
    page.goto(address)
    page.evaluate("document.fonts.ready.then(() => true)")
    yield page
    context.close()
    assert not faults, "the page's own errors"


def until_drawn(page: Page, before: int) -> None:
    page.evaluate(
        "before => new Promise((done, failed) => { const end = setTimeout(() => failed(new Error('not drawn')), 5000), look = () => picture.drawn() > before ? (clearTimeout(end), done()) : requestAnimationFrame(look); look(); })", before
    )


def show(page: Page, graph: dict[str, Any]) -> None:
    before = page.evaluate("picture.drawn()")
    page.evaluate("graph => picture.network.snapshot({version: 1, read_at: '', graph, past: []})", graph)
    until_drawn(page, before)


def change(page: Page, before: dict[str, Any], after: dict[str, Any], command: str | None = "lab/1") -> None:
    drawn = page.evaluate("picture.drawn()")
    follows = "([change, after_command]) => { const {version} = picture.network; return picture.network.change({version: version + 1, from: version, read_at: '', after_command, change, lines: []}); }"
    assert page.evaluate(follows, [difference(before, after), command])
    until_drawn(page, drawn)


def scene(page: Page) -> dict[str, dict[str, Any]]:
    return {item["key"]: item for item in page.evaluate("picture.diagram.items")}


def facts(page: Page) -> list[str]:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(FACTS)


@pytest.mark.parametrize("name", picture.SAMPLES)
def test_every_picture(page, name):
    show(page, picture.SAMPLES[name]())
    assert facts(page) == []


@pytest.mark.parametrize("name", recorded.names())
def test_every_moment_of_a_recorded_scene(page, name):
    """As it was on a real lab: each moment's picture is sound, whatever stood before it."""
    graphs = [told(recorded.hosts(name), moment.bodies) for moment in recorded.moments(name)]
    show(page, graphs[0])
    assert facts(page) == [], "how it began"
    for moment, (before, after) in zip(list(recorded.moments(name))[1:], itertools.pairwise(graphs), strict=True):
        if before != after:
            change(page, before, after)
            assert facts(page) == [], moment.command


def test_the_same_graph_is_the_same_picture(page):
    once = "graph => { const {plan, layout, network} = picture; const things = new Map(Object.entries(graph.things)); return JSON.stringify(layout(plan({...graph, things, newest: new Set()}))); }"
    for make in picture.SAMPLES.values():
        graph = make()
        first = page.evaluate(once, graph)
        backwards = graph | {"things": dict(reversed(graph["things"].items()))}
        assert page.evaluate(once, graph) == first
        assert page.evaluate(once, backwards) == first, f"{make.__name__}: the order in which things are told must not matter"


MOVABLE = ("host", "rail", "loose", "region", "plate", "iface", "jack")


def moved(before: dict[str, Any], after: dict[str, Any], fold: bool = False) -> dict[str, tuple[float, float]]:
    return {key: (item["x"] - before[key]["x"], item["y"] - before[key]["y"]) for key, item in after.items() if item["shape"] in MOVABLE and key in before and (abs(item["x"] - before[key]["x"]) > 0.01 or abs(item["y"] - before[key]["y"]) > 0.01)}


def test_a_new_container_moves_only_what_stands_behind_it(page):
    def make(third: bool) -> dict[str, Any]:
        graph = Graph()
        lab = graph.host("lab")
        docker0, net = lab.bridge("docker0", "172.17.0.1/16", "bridge"), lab.bridge("br-net_test", "192.168.78.1/24", "net_test")
        for name in ("a", "b"):
            lab.container(name, docker0)
        lab.container("other", net)
        if third:
            lab.container("c", docker0)
        return graph.whole()

    old, new = make(False), make(True)
    show(page, old)
    before = scene(page)
    change(page, old, new)
    after = scene(page)
    other = next(key for key, item in after.items() if item["shape"] == "plate" and item["name"]["text"] == "other")
    distance = moved(before, after)
    assert {dy for _, dy in distance.values()} <= {0}, "nothing goes up or down"
    assert all(before[key]["x"] >= before[other]["x"] for key in distance), "what stands before the new one stays"
    c = next(item for item in after.values() if item["shape"] == "plate" and item["name"]["text"] == "c")
    b = next(item for item in after.values() if item["shape"] == "plate" and item["name"]["text"] == "b")
    assert b["x"] < c["x"] < after[other]["x"], "the new one stands at the end of its rail"
    assert facts(page) == []
    change(page, new, old)
    assert not moved(after, scene(page)), "what goes moves nothing"
    change(page, old, new)
    assert not moved(after, scene(page)), "and one that comes finds the gap"


def test_the_view_stays_while_all_can_be_seen(page):
    """A change moves the picture on the screen only when it would not fit any more."""
    page.set_viewport_size({"width": 1000, "height": 560})
    place = "(({k, x, y}) => [k, x, y])(picture.diagram.view)"
    show(page, picture.lesson(joined=False))
    before = page.evaluate(place)
    change(page, picture.lesson(joined=False), picture.lesson())
    assert page.evaluate(place) == before
    page.set_viewport_size({"width": 800, "height": 560})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate(place) != before and page.evaluate("picture.diagram.view.whole")


def test_less_room_keeps_in_sight_what_is_at_hand(page):
    graph = picture.lesson()
    show(page, graph)
    web = next(id for id, thing in graph["things"].items() if thing["name"] == "web")
    page.evaluate("id => picture.diagram.light([id])", web)
    page.set_viewport_size({"width": 700, "height": 240})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.locator(f'.net [data-id="{web}"]').bounding_box()
    assert box and box["y"] >= 0 and box["y"] + box["height"] <= 240
    assert page.evaluate("picture.diagram.view.k") >= 11 / 12 - 0.001


def test_a_second_network_moves_nothing(page):
    """The figure of the look: `docker network connect`, and nothing that stood there moves."""
    old, new = picture.lesson(joined=False), picture.lesson()
    show(page, old)
    before = scene(page)
    change(page, old, new)
    assert set(moved(before, scene(page))) <= {next(id for id, thing in new["things"].items() if thing["name"] == "eth1")}
    assert facts(page) == []
    marked = page.evaluate("[...document.querySelectorAll('.net .new')].map(node => node.dataset.id)")
    fresh = difference(old, new)["added"]
    assert set(marked) == set(fresh), "what is new is marked, and nothing else"
    assert page.locator(".net .halo").count() == 1
    change(page, new, new | {"things": {**new["things"], "x": {"id": "x", "kind": "route", "name": "x", "host": "lab", "space": "ns:lab/4026531840", "to": "10.9.0.0/16", "via": "10.73.0.3"}}})
    assert page.locator(".net .halo").count() == 0, "until the next change"


def test_what_comes_while_a_command_runs_is_its_own(page):
    old, new = picture.lesson(joined=False), picture.lesson()
    fresh = difference(old, new)["added"]
    half = old | {"things": old["things"] | dict(list(fresh.items())[:1])}
    later = new | {"things": new["things"] | {"listen:x": {"id": "listen:x", "kind": "listener", "name": "x", "host": "lab", "space": "ns:lab/4026532008", "proto": "tcp", "address": "0.0.0.0", "port": 81}}}
    show(page, old)
    for before, after, command, marked in ((old, half, None, 1), (half, new, "lab/1", 2), (new, later, None, 3), (later, old, "lab/2", 0)):
        change(page, before, after, command)
        assert page.evaluate("picture.network.newest.size") == marked


def test_an_empty_change_marks_nothing_anew(page):
    old, new = picture.lesson(joined=False), picture.lesson()
    show(page, old)
    change(page, old, new)
    change(page, new, new)
    assert page.locator(".net .halo").count() == 1, "a command that changed nothing leaves the marks"


def test_a_change_that_does_not_follow_is_refused(page):
    show(page, picture.one())
    assert page.evaluate("picture.network.change({version: 9, from: 7, change: {added: {}, gone: [], changed: {}}})") is False


def test_what_is_gone_is_struck_out_and_goes(page):
    new, old = picture.lesson(joined=False), picture.lesson()
    show(page, old)
    page.clock.install()
    page.clock.run_for(1500)
    change(page, old, new)
    cable = next(id for id, thing in old["things"].items() if thing["name"] == "veth7c1e44a")
    ghost = page.locator(f'.net .gone.is-cable[data-id="{cable}"]')
    assert ghost.count() == 1 and ghost.get_attribute("aria-hidden") == "true" and not ghost.get_attribute("tabindex")
    page.clock.run_for(6500)
    assert page.locator(".net .gone").count() == 0


def test_thirty_containers_are_folded_and_unfold(page):
    graph = picture.many(30)
    show(page, graph)
    items = scene(page)
    assert sum(item["shape"] == "plate" for item in items.values()) <= 16
    fold = next(item for item in items.values() if item["shape"] == "fold")
    button = page.locator(f'.net [data-id="{fold["key"]}"]:not(.is-tag)')
    assert "more containers, folded: worker-" in button.get_attribute("aria-label").replace("\u2068", "")
    hidden = next(id for id in fold["ids"] if id.startswith("ctr:"))
    assert page.evaluate("id => picture.diagram.find(id)", hidden) == fold["key"], "what is folded is shown by its fold"
    drawn = page.evaluate("picture.drawn()")
    page.evaluate("key => document.querySelector(`.net [data-id=\"${key}\"]:not(.is-tag)`).focus()", fold["key"])
    page.keyboard.press("Enter")
    until_drawn(page, drawn)
    assert page.evaluate("id => picture.diagram.find(id)", hidden) == hidden
    assert facts(page) == []
    drawn = page.evaluate("picture.drawn()")
    page.keyboard.press("Enter")
    until_drawn(page, drawn)
    assert page.evaluate("id => picture.diagram.find(id)", hidden) == fold["key"]


def test_keys_go_from_thing_to_thing(page):
    show(page, picture.lesson())
    at = lambda: page.evaluate("picture.network.things.get(document.activeElement.dataset.id)?.name")  # noqa: E731
    page.keyboard.press("Tab")
    assert at() == "wire"
    seen = []
    for key in ("ArrowDown",) * 9:
        page.keyboard.press(key)
        seen.append(at())
    assert "docker0" in seen and seen[-1] in ("tomcat9", "web"), seen
    page.evaluate("id => document.querySelector(`.net [data-id=\"${id}\"]`).focus()", next(thing["id"] for thing in picture.lesson()["things"].values() if thing["name"] == "tomcat9"))
    page.keyboard.press("ArrowRight")
    assert at() == "web"
    page.keyboard.press("Enter")
    assert page.evaluate("picture.said.selected.at(-1)").startswith("ctr:lab/")
    assert page.locator('.net [aria-pressed="true"]').count() == 1
    ring = page.evaluate("getComputedStyle(document.querySelector('.net .focus')).visibility")
    assert ring == "visible"
    page.keyboard.press("Escape")
    assert page.evaluate("picture.said.selected.at(-1)") is None and page.locator('.net [aria-pressed="true"]').count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.tools') !== null"), "one tab stop: the next is the first button"


def test_lettering_stays_legible_at_every_size(page):
    for width, height in ((320, 300), (390, 560), (700, 480), (1600, 1000)):
        page.set_viewport_size({"width": width, "height": height})
        show(page, picture.many())
        page.keyboard.press("Tab")
        for _ in range(8):
            page.keyboard.press("-")
        assert page.evaluate("picture.diagram.view.k") >= 11 / 12 - 0.001
        page.keyboard.press("0")
        assert page.evaluate("picture.diagram.view.k") >= 11 / 12 - 0.001


def test_what_is_what_waits_where_there_is_little_room(page):
    show(page, picture.compose())
    legend, what = page.locator("ul.legend"), page.locator(".what")
    assert legend.is_visible() and not what.is_visible()
    page.set_viewport_size({"width": 360, "height": 480})
    assert not legend.is_visible()
    what.click()
    assert legend.is_visible() and what.get_attribute("aria-expanded") == "true"
    assert "veth pair" in legend.text_content() and "macvlan" not in legend.text_content(), "only what is there"


def test_wheel_drag_and_pinch(page):
    show(page, picture.many())
    state = lambda: page.evaluate("(({k, x, y}) => [k, x, y])(picture.diagram.view)")  # noqa: E731
    k, x, _ = state()
    page.mouse.move(300, 200)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    assert state()[0] > k
    page.keyboard.press("Tab")
    page.keyboard.press("0")
    page.mouse.move(300, 240)
    page.mouse.down()
    page.mouse.move(100, 240, steps=4)
    page.mouse.up()
    assert state()[1] < x - 150 and page.evaluate("picture.said.selected.length") == 0, "a drag chooses nothing"
    before = state()[1]
    page.keyboard.press("Shift+ArrowLeft")
    assert state()[1] > before


def test_light_and_find(page):
    graph = picture.compose()
    show(page, graph)
    things = graph["things"]
    back = next(thing for thing in things.values() if thing["name"] == "shop_back")
    page.evaluate("id => picture.diagram.light([id])", back["id"])
    lit = page.evaluate("[...document.querySelectorAll('.net .lit')].map(node => node.dataset.id)")
    assert lit == [back["bridge"]], "a network is shown by its bridge"
    for thing in things.values():
        assert page.evaluate("id => picture.diagram.find(id)", thing["id"]), f"{thing['id']} is shown by something"
    assert page.evaluate("picture.network.named('shop-db-1')") == [next(thing["id"] for thing in things.values() if thing["name"] == "shop-db-1")]
    assert page.evaluate("picture.network.named('shop_back')") == [back["id"], back["bridge"]]
    page.mouse.move(0, 0)
    page.evaluate("id => picture.diagram.show([id])", back["bridge"])
    page.locator(f'.net [data-id="{back["bridge"]}"] .nm').hover(timeout=3000)
    assert page.evaluate("picture.said.lit.at(-1)")[0] == back["bridge"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, theme):
    page.emulate_media(color_scheme=theme)
    show(page, picture.lesson(joined=False))
    change(page, picture.lesson(joined=False), picture.lesson())
    axe(page)


def test_a_hostile_name_is_text(page):
    show(page, picture.hostile())
    assert page.evaluate("document.querySelectorAll('.net script, .net foreignObject').length") == 0
    said = page.evaluate("[...document.querySelectorAll('.net .it[aria-label]')].map(node => node.getAttribute('aria-label'))")
    assert all(len(words) < 2500 for words in said)
    assert not [words for words in said if "\u202e" in words or "\u2066" in words]
    assert page.evaluate("picture.diagram.pictureSVG().then(text => new DOMParser().parseFromString(text, 'image/svg+xml').querySelector('parsererror')?.textContent ?? '')") == ""


def test_a_packet_is_played(page):
    graph = picture.lesson()
    show(page, graph)
    name = {thing["name"]: id for id, thing in graph["things"].items() if thing["host"] == "lab"}
    steps = [{"thing": id, "direction": "there"} for id in (next(i for i, t in graph["things"].items() if t["name"] == "eth1"), name["veth7c1e44a"], name["br-net_test"], name["docker0"], "nothing", name["eth0"])]
    page.evaluate("steps => picture.diagram.play(steps, {failed: true, where: steps[2].thing, words: 'dropped: no route'})", steps)
    assert page.locator(".net .follows .trail").count() == 4
    assert page.locator(".net .ended text").text_content() == "dropped: no route"
    page.evaluate("steps => picture.diagram.at(steps, 1)", steps)
    assert page.locator(".net .follows .trail").count() == 1 and page.locator(".net .ended").count() == 0
    page.evaluate("picture.diagram.stop()")
    assert page.locator(".net .trail, .net .ended").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_saved_picture_needs_nothing_else(chromium, page, theme, tmp_path):
    page.emulate_media(color_scheme=theme)
    show(page, picture.lesson())
    text = page.evaluate("picture.diagram.pictureSVG()")
    assert "var(--" in text and "light-dark" not in text and "http://" not in text.replace("http://www.w3.org/", "")
    assert text.count("@font-face") >= 2 and "tabindex" not in text
    file = tmp_path / "network.svg"
    file.write_text(text)
    alone = chromium.new_page()
    alone.goto(file.as_uri())
    alone.evaluate("document.fonts.ready.then(() => true)")
    rail = "getComputedStyle(document.querySelector('.is-rail .rail')).stroke"
    assert alone.evaluate(rail) == page.evaluate(rail)
    assert alone.evaluate("document.fonts.check('12px \"JetBrains Mono Variable\"')")
    alone.close()
    png = page.evaluate("picture.png().then(async (blob) => btoa(String.fromCharCode(...new Uint8Array(await blob.slice(0, 32).arrayBuffer()))))")
    head = base64.b64decode(png)
    assert head[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(head[16:20]) > 1000


def test_layout_has_its_own_thread(page):
    show(page, picture.many())
    assert page.evaluate("Boolean(picture.diagram.worker)")


def test_without_a_worker_the_page_lays_out_itself(page, address):
    page.route("**/layout-worker.js", lambda route: route.fulfill(status=404))
    page.goto(address)
    show(page, picture.lesson())
    assert facts(page) == []
    assert page.evaluate("picture.diagram.worker") is None


def test_a_host_that_cannot_be_seen_is_grey(page):
    show(page, picture.lesson())
    stale = "[...document.querySelectorAll('.net .stale')].length"
    for hosts, grey in ((["lab"], True), ([], False)):
        drawn = page.evaluate("picture.drawn()")
        page.evaluate("hosts => picture.network.lost({hosts, why: 'lab does not answer.'})", hosts)
        until_drawn(page, drawn)
        assert (page.evaluate(stale) > 10) is grey
    assert page.locator(".net .is-plate").count() == 2


def test_two_hosts_may_have_the_same_addresses(page):
    graph = Graph()
    for name, container in (("lab", "web"), ("client", "other")):
        host = graph.host(name)
        host.container(container, host.bridge("docker0", "172.17.0.1/16", "bridge"), published=((9081, 80),))
    show(page, graph.whole())
    assert page.locator(".net .is-line text").all_text_contents() == [":9081 → web:80", ":9081 → other:80"]


def test_forged_shapes_break_nothing(page):
    graph = picture.lesson()
    for id, thing in copy.deepcopy(graph["things"]).items():
        for fact, value in (("addresses", None), ("name", None), ("peer", id), ("master", id), ("space", None), ("parent", id), ("networks", []), ("containers", ["x"]), ("published", "x"), ("match", None), ("rules", None), ("subnets", None)):
            if fact in thing and hash((id, fact)) % 3:
                graph["things"][id] = graph["things"][id] | {fact: value}
    show(page, graph)
    assert page.locator(".net .is-host").count() >= 1
