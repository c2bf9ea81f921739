"""The network beside the terminal, in Chromium on the real lab: what a command changed, what a name means, and never the past as the present.

What a lab does not do on demand (a host that cannot be read) is said by the test in the server's place.
"""
import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from labsite import processes

from .browsing import cell, clean, do, end_lab, said, start, text, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STRANGE = "a<b>'\"\\&"  # an interface may be called so
SIZES = {"wide": (1440, 900), "medium": (1000, 700), "phone": (390, 844), "narrow": (320, 640), "zoomed": (720, 450)}


def title(page: Page) -> str:
    return page.locator("[data-net-title]").text_content() or ""


def live(page: Page) -> bool:
    return page.locator("#netpane").get_attribute("data-mode") == "live"


def begin(page: Page) -> None:
    start(page)
    until(page, lambda: live(page), 30, "the network")


def version(page: Page) -> int:
    return page.evaluate("window.patchbay.network()?.version ?? 0")


def ids(page: Page, name: str) -> list[str]:
    return page.evaluate("name => window.patchbay.network().named(name)", name)


def says(page: Page, message: dict[str, Any]) -> None:
    """As if the server had said it."""
    page.evaluate("message => window.patchbay.pane().message(message)", message)


def changed(page: Page, command: str) -> Locator:
    """Run a command that changes the network; its entry in the list."""
    do(page, command)
    until(page, lambda: command in page.locator("[data-net-changes] .cmd").first.inner_text().replace("\n", " ") and page.locator(".chg").count(), 20, f"what {command} changed")
    return page.locator("[data-net-changes] > .chg").first


def lit(page: Page) -> list[str]:
    return page.locator("#netpane .net .lit").evaluate_all("all => all.map(one => one.getAttribute('aria-label') ?? '')")


# What is there, what changed


def test_what_a_command_changed_is_listed_marked_said_and_explained(page):
    begin(page)
    assert title(page) == "Network, live"
    assert page.locator("[data-net-age]").inner_text().startswith("read from the kernel")
    list_ = changed(page, "ip link add pear type veth peer name apple")
    assert "pear" in list_.inner_text() and "apple" in list_.inner_text()
    until(page, lambda: "change" in (page.locator("[data-net-said]").text_content() or ""), 5, "one announcement")
    until(page, lambda: any("pear" in label and label.endswith(", new") for label in page.locator("#netpane .net .new").evaluate_all("all => all.map(one => one.getAttribute('aria-label') ?? '')")), 10, "the mark in the picture")
    assert page.locator(".same").inner_text() == "Firewall, NAT on lab: no change"
    why = list_.locator(".ask-why").first
    why.click()
    assert why.get_attribute("aria-expanded") == "true"
    assert len(list_.locator(".because p").first.inner_text()) > 40
    do(page, "true")
    until(page, lambda: page.locator("[data-net-changes] .nothing").count(), 10, "the word that nothing changed")
    assert "pear" in page.locator("[data-net-changes] > .chg").inner_text(), "what is new stays until something else is"
    removed = changed(page, "ip link del pear")
    assert "−" in removed.inner_text() and not ids(page, "pear")
    page.locator(".before > summary").click()
    assert "ip link add pear" in page.locator(".before").inner_text()


def test_a_change_without_a_command_stands_under_the_one_before(page):
    begin(page)
    do(page, "(sleep 3; ip link add early type bridge; sleep 6; ip link add late type bridge) > /dev/null 2>&1 &")
    until(page, lambda: ids(page, "early"), 20, "the interface")
    until(page, lambda: "By itself, without a command" in page.locator("[data-net-changes]").inner_text(), 5, "that no command did it")
    changed(page, "ip link add pear type veth peer name apple")
    until(page, lambda: "late" in page.locator(".later + .chg").inner_text() if page.locator(".later").count() else False, 20, "what came later")
    assert page.locator(".later").inner_text() == "a moment later"
    assert "ip link add pear" in page.locator("[data-net-changes] .cmd").first.inner_text() and "pear" in page.locator("[data-net-changes] > .chg").first.inner_text()


def test_a_strange_name_is_text(page):
    begin(page)
    changed(page, f"ip link add name $'{STRANGE}'".replace("'\"", "\\'\"").replace("\\&", "\\\\&") + " type bridge")
    until(page, lambda: ids(page, STRANGE), 10, "the interface")
    assert STRANGE in page.locator("[data-net-changes]").inner_text()
    page.locator("[data-show=text]").click()
    assert STRANGE in page.locator("[data-net-twin]").inner_text()
    page.locator("[data-net-twin] .live").filter(has_text=STRANGE).click()
    until(page, lambda: page.locator("[data-net-facts] h2").inner_text() == STRANGE, 5, "its facts")
    assert page.locator("[data-net-facts] .shown code").first.inner_text().startswith("ip -d addr show dev '")
    assert page.locator("#netpane b, #netpane h2 b").filter(has_text="'\"").count() == 0, "markup of a host became markup of the page"


# What a thing is


def test_a_thing_has_facts_and_a_command_that_shows_it(page):
    begin(page)
    page.locator("#netpane .net .it").filter(has=page.locator("text", has_text="docker0")).first.click()
    facts = page.locator("[data-net-facts]")
    until(page, lambda: facts.is_visible() and facts.locator("h2").inner_text() == "docker0", 5, "the facts")
    assert "bridge on lab" in facts.inner_text() and "172.17.0.1/16" in facts.inner_text()
    shown = facts.locator(".shown").first
    assert shown.locator("code").inner_text() == "ip -d addr show dev docker0"
    shown.get_by_role("button", name="Run").click()
    until(page, lambda: "qdisc" in text(page), 10, "the command in the terminal")
    facts.get_by_role("button", name="Close the facts").click()
    assert facts.is_hidden()


def test_the_picture_the_text_and_the_copy_tell_the_same(page):
    begin(page)
    page.locator("[data-show=text]").click()
    twin = page.locator("[data-net-twin]")
    for thing in page.evaluate("[...window.patchbay.network().things.values()].filter(t => ['host', 'container'].includes(t.kind) || t.type === 'bridge').map(t => t.name)"):
        assert thing in twin.inner_text()
    assert twin.locator("ul ul").count()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    twin.get_by_role("button", name="Copy as text").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "lab" in copied and "\n  " in copied and "docker0" in copied


# Names


def test_a_name_in_the_prose_lights_up_everywhere_and_says_what_it_is(page):
    begin(page)
    name = page.locator(".read code.n", has_text="docker0").first
    if not name.count():
        pytest.skip("the first step does not speak of docker0")
    until(page, lambda: name.get_attribute("role") == "button", 5, "a live name")
    name.hover()
    until(page, lambda: any("docker0" in label for label in lit(page)), 5, "the light in the picture")
    until(page, lambda: page.locator(".tip").is_visible() and "bridge on lab" in page.locator(".tip").inner_text(), 5, "what it is")
    page.keyboard.press("Escape")
    assert page.locator(".tip").is_hidden()
    page.mouse.move(0, 0)
    name.focus()
    page.keyboard.press("Enter")
    until(page, lambda: page.locator("[data-net-facts] h2").inner_text() == "docker0", 5, "its facts, by key")
    do(page, "systemctl stop docker.service docker.socket; ip link del docker0")
    until(page, lambda: "gone" in (name.get_attribute("class") or ""), 10, "the word that it is not there")


def test_names_in_the_output_are_marked_explained_and_listed(page):
    begin(page)
    do(page, "ip -br addr")
    until(page, lambda: page.locator(".term-name.bridge").count(), 10, "docker0 in its hue")
    assert page.locator(".term-note").count(), "what an interface is stands beside it"
    page.mouse.move(*cell(page, "docker0"))
    until(page, lambda: any("docker0" in label for label in lit(page)), 5, "the light in the picture")
    until(page, lambda: page.locator(".tip").is_visible() and "docker0" in page.locator(".tip").inner_text(), 5, "what it is")
    page.locator("[data-names]").first.focus()
    page.keyboard.press("Enter")
    listed = page.get_by_role("group", name="Names in this output")
    assert "docker0" in listed.inner_text() and "bridge on lab" in listed.inner_text()
    clean(page)
    listed.get_by_role("button").filter(has_text="docker0").first.click()
    assert page.locator("[data-net-facts] h2").inner_text() == "docker0"


def test_a_flood_is_not_slowed_by_its_names(page):
    """Nothing is drawn on output that still comes."""
    begin(page)
    page.evaluate("() => { window.marks = 0; new MutationObserver(all => { window.marks += all.flatMap(one => [...one.addedNodes]).filter(node => node.classList?.contains('term-name')).length; }).observe(document.querySelector('.screen'), {childList: true, subtree: true}); }")
    do(page, "for i in $(seq 20000); do echo docker0 $i; done", seconds=60)
    until(page, lambda: page.evaluate("window.marks"), 10, "the names, once it is quiet")
    page.wait_for_timeout(600)
    assert page.evaluate("window.marks") <= 3 * page.evaluate("window.patchbay.terminal('lab').xterm.rows")


# Never the past as the present


def test_what_cannot_be_read_is_said_and_not_shown_as_live(page):
    begin(page)
    says(page, {"type": "network.away", "hosts": ["lab"], "why": "Its observer does not answer."})
    assert title(page) == "Network, as it was" and page.locator("#netpane").get_attribute("data-fresh") == "no"
    assert "Its observer does not answer." in page.locator("[data-net-says]").inner_text()
    clean(page)
    says(page, {"type": "network.away", "hosts": [], "why": ""})
    assert title(page) == "Network, live"
    processes.ask("stopProcess", "attach", True)
    try:
        until(page, lambda: "worker has stopped" in page.locator("[data-net-says]").inner_text(), 10, "the word that the worker is gone")
        assert title(page) == "Network, as it was"
    finally:
        processes.ask("startProcess", "attach", False)
    until(page, lambda: live(page), 30, "the network again")
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    until(page, lambda: "connection is lost" in page.locator("[data-net-says]").inner_text(), 10, "the word that the connection is lost")
    page.context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    until(page, lambda: live(page) and page.locator("[data-net-says]").is_hidden(), 30, "the network again")
    end_lab(page)
    until(page, lambda: "Your lab has ended" in page.locator("[data-net-says]").inner_text(), 20, "the end")
    assert page.locator("#netpane .net .it").count() and page.locator("#netpane").get_attribute("data-fresh") == "no"
    assert page.locator(".read code.n.gone").count() == 0, "nothing is said to be gone when nobody can know"


def test_before_there_is_a_lab_its_place_is_kept(page):
    page.goto("/lessons/meet-docker0/1/")
    assert page.get_by_text("Your network is drawn here.").is_visible()
    assert page.locator(".what-is li").count() == 7
    clean(page)


def test_nobody_is_told_what_nobody_sees(page):
    begin(page)
    page.evaluate("() => { window.sent = []; const send = window.patchbay.socket.send.bind(window.patchbay.socket); window.patchbay.socket.send = m => { window.sent.push(m); return send(m); }; }")
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, lambda: page.evaluate("window.sent.some(m => m.type === 'network.watch' && m.on === false)"), 5, "the word that nobody looks")
    page.locator("[data-open=network]").click()
    until(page, lambda: page.evaluate("window.sent.at(-1)?.on === true || window.sent.some(m => m.type === 'network.watch' && m.on)"), 5, "the word that somebody does")
    until(page, lambda: live(page), 20, "the network")


# Its place


def test_the_splitter_is_keyed_and_keeps_its_place(page):
    begin(page)
    bar = page.get_by_role("separator", name="Height of the terminal")
    before = page.locator("#termpane").bounding_box()["height"]
    bar.focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert page.locator("#termpane").bounding_box()["height"] > before + 40
    box = bar.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] - 80, steps=4)
    page.mouse.up()
    height = page.locator("#termpane").bounding_box()["height"]
    page.reload()
    until(page, lambda: live(page), 30, "the network")
    assert abs(page.locator("#termpane").bounding_box()["height"] - height) < 3
    page.get_by_role("button", name="The network in the full window").click()
    assert page.locator("#netpane").bounding_box()["width"] == 1440 and page.locator("#termpane").is_hidden()
    page.keyboard.press("Control+F6")
    assert page.evaluate("document.activeElement.matches('.screen textarea')"), "Ctrl-F6 leads into the terminal from everywhere"


def test_a_phone_has_three_tabs(page):
    page.set_viewport_size({"width": 390, "height": 844})
    start(page)
    page.locator("[data-open=terminal]").click()
    until(page, lambda: live(page), 30, "the network")
    size = page.evaluate("[window.patchbay.terminal('lab').cols, window.patchbay.terminal('lab').rows]")
    do(page, "ip link add pear type veth peer name apple")
    tab = page.locator("[data-open=changes]")
    until(page, lambda: tab.inner_text() != "Changes", 20, "the count")
    tab.click()
    assert "pear" in page.locator("[data-net-changes]").inner_text()
    clean(page)
    page.locator("[data-net-changes] .live").first.click()
    until(page, lambda: page.locator("[data-open=network]").get_attribute("aria-pressed") == "true" and page.locator("[data-net-facts]").is_visible(), 5, "its facts under the picture")
    clean(page)
    page.locator("[data-open=terminal]").click()
    page.wait_for_timeout(400)
    assert page.evaluate("[window.patchbay.terminal('lab').cols, window.patchbay.terminal('lab').rows]") == size, "another tab does not change the terminal's size"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_view_is_within_reach(page, scheme, size):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    start(page)
    if SIZES[size][0] <= 760:
        page.locator("[data-open=network]").click()
        page.wait_for_timeout(400)
    until(page, lambda: live(page), 30, "the network")
    for view in page.locator("[data-show]:visible").all():
        view.click()
        page.wait_for_timeout(150)
        clean(page)


@pytest.mark.parametrize("page", ["zh-CN"], indirect=True)
def test_it_speaks_chinese(page):
    page.goto("/")
    page.get_by_role("button", name="开始").first.click()
    until(page, lambda: live(page), 40, "the network")
    assert title(page) == said(page, "Network, live") != "Network, live"
    do(page, "ip link add pear type veth peer name apple")
    until(page, lambda: page.locator("[data-net-changes] > .chg").count(), 20, "what changed")
    list_ = page.locator("[data-net-changes] > .chg")
    list_.locator(".ask-why").first.click()
    assert any(letter > "\u4e00" for letter in list_.locator(".because p").first.inner_text()), list_.inner_text()


def test_a_step_shows_what_it_speaks_of(page):
    begin(page)
    page.evaluate(
        """wish => { document.getElementById('show')?.remove(); const node = document.createElement('script'); node.type = 'application/json'; node.id = 'show'; node.textContent = wish;
          document.querySelector('.read').append(node); window.patchbay.pane().step(); }""",
        json.dumps({"things": ["docker0"], "view": "text"}),
    )
    assert page.locator("[data-show=text]").get_attribute("aria-pressed") == "true"
    page.locator("[data-show=picture]").click()
    until(page, lambda: any("docker0" in label for label in lit(page)), 5, "docker0 in the light")
