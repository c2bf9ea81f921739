"""Follow and Reach in the lesson's page, in Chromium on the real lab, by keyboard: a real packet's way, a prediction that is tried, and a check on one.

What a packet meets is known by tests/test_follow.py; here it is told, lit and gone through step by step.
"""
import re

import pytest
from playwright.sync_api import Locator, Page

from .browsing import at_prompt, clean, do, until
from .test_network_page import lit, live

pytestmark = [pytest.mark.browser, pytest.mark.timeout(150)]

PHONE = {"width": 390, "height": 844}
TIME = re.compile(r"\d+ µs|\d+\.\d ms|\d+\.\d\d s")
WRONG = "y → y → n ↓ n ← y ← y ↓ y → y → n ← ↓ y ← y → → y"  # through a table of four, from its first cell: -yyn y-yn yy-n yyy-
ARROWS = {"→": "ArrowRight", "←": "ArrowLeft", "↑": "ArrowUp", "↓": "ArrowDown"}


def begin(page: Page, lesson: str, step: int = 1) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/lessons/{lesson}/{step}/")
    page.get_by_role("button", name="Start your lab").click()
    until(page, lambda: at_prompt(page) and not page.evaluate("window.patchbay.busy()"), 90, "a step that is ready")
    until(page, lambda: live(page), 30, "the network")


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(ARROWS.get(key, key))


def view(page: Page, name: str) -> Locator:
    page.locator(f"[data-show={name}]").press("Enter")
    panel = page.locator(f"[data-net-panel={name}]")
    panel.locator("button").first.wait_for()
    return panel


def there(page: Page, *names: str) -> None:
    known = "names => names.every(name => window.patchbay.network().named(name).some(id => id.startsWith('ctr:')))"
    until(page, lambda: page.evaluate(known, list(names)), 20, f"{names} in the picture")


def follow(page: Page, sender: str, to: str, port: int) -> Locator:
    """Ask for the way of a TCP packet, with the keyboard; the list of its steps."""
    panel = page.locator("[data-net-panel=follow]")
    for label, option in (("From", sender), ("To", to), ("Protocol", "TCP")):
        panel.get_by_role("combobox", name=re.compile(f"^{label}")).select_option(label=option)
    panel.get_by_role("textbox", name="Port").fill(str(port))
    page.keyboard.press("Enter")
    until(page, lambda: panel.locator(".follow-status.ok, .follow-status.bad").count(), 15, "its way")
    return panel.locator(".follow-steps > li")


def test_a_packet_is_followed(page):
    begin(page, "nat")
    do(page, "docker run -d --name shop -p 9080:80 nginx")
    there(page, "web", "shop")
    panel = view(page, "follow")
    place, status = panel.locator(".follow-bar .num"), panel.locator(".follow-status")
    assert panel.locator("select").nth(0).evaluate("node => node.selectedOptions[0].text") == "web (container)", "the step's own wish"

    steps = follow(page, "web (container)", "shop (container)", 80)
    said = steps.all_inner_texts()
    assert place.inner_text() == f"{len(said)} steps" and all(TIME.match(one) for one in said), said
    assert not panel.locator(".nat").count() and status.inner_text().startswith("Answered:")
    panel.locator(".at").first.focus()
    press(page, "Home")
    assert place.inner_text() == f"Step 1 of {len(said)}" and [label for label in lit(page) if label.startswith("Container") and "web" in label], lit(page)
    crossed = []
    for _ in said[1:]:
        press(page, "↓")
        now = panel.locator("[aria-current=step]")
        assert now.locator(".at").evaluate("node => node === document.activeElement"), "who goes by key goes along"
        crossed += [label for label in lit(page) if "docker0" in label and "The bridge" in now.inner_text()]
    assert len(crossed) == 2 and place.inner_text() == f"Step {len(said)} of {len(said)}", "docker0 lights up on the way there and back"
    clean(page)

    steps = follow(page, "client (host)", "lab (host)", 9080)
    rewrote = panel.locator(".nat")
    assert re.search(r"The destination is rewritten: \S+:9080 is now 172\.17\.\d+\.\d+:80\.", rewrote.first.inner_text().replace("\n", " "))
    assert "as connection tracking remembers" in rewrote.last.inner_text() and rewrote.count() == 2
    assert any("--dport 9080 -j DNAT" in text for text in panel.locator(".rule").all_text_contents())
    panel.get_by_role("button", name=re.compile(r"^\d+ rules$")).press("Enter")
    assert panel.locator(".rule:visible").count() == 0 and rewrote.first.is_visible()
    panel.get_by_role("button", name="Play").press("Enter")
    until(page, lambda: place.inner_text() == f"Step {steps.count()} of {steps.count()}", 15, "the end of its way")
    assert page.locator("#netpane .trail.back").count(), "the way stands in the picture"

    do(page, "iptables -I DOCKER-USER -j DROP")
    follow(page, "client (host)", "lab (host)", 9080)
    assert "-A DOCKER-USER -j DROP" in (status.text_content() or "") and "bad" in (status.get_attribute("class") or "")
    assert panel.locator("li.dropped").count() == 1 and not panel.locator(".turn").count(), "nothing comes back"
    until(page, lambda: page.locator("#netpane .ended text").text_content() == "dropped" if page.locator("#netpane .ended").count() else panel.get_by_role("button", name="Play").press("Enter"), 15, "the cross")
    clean(page)
    page.set_viewport_size(PHONE)
    page.locator("[data-open=network]").click()
    until(page, lambda: live(page) and status.is_visible(), 20, "the same on a phone")
    clean(page)


def test_a_prediction_is_tried_and_its_reason_followed(page):
    begin(page, "nat")
    there(page, "web")
    panel = view(page, "reach")
    assert [chip.inner_text() for chip in panel.locator(".chip[aria-pressed=true]").all()] == ["lab", "client", "web"]
    panel.locator(".cell[tabindex='0']").focus()
    press(page, "y → y ↓ y")  # lab to client and to web, client to web
    assert "3 of 6 said" in panel.inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, lambda: panel.locator(".findings h3").count(), 15, "what was found")
    assert "1 of 3 is otherwise than you said." in panel.inner_text()
    first = panel.locator(".pairs > li").first
    assert first.locator(".pair").inner_text() == "client → web not reached you said yes" and len(first.locator(".why").inner_text()) > 30
    clean(page)
    first.get_by_role("button", name="Follow this packet").press("Enter")
    asked = page.locator("[data-net-panel=follow]")
    until(page, lambda: asked.locator(".follow-status.bad").count(), 15, "its way")
    assert [chosen.evaluate("node => node.selectedOptions[0].text") for chosen in asked.locator("select").all()] == ["client (host)", "web (container)", "ping (ICMP)"]
    assert page.evaluate("document.activeElement.closest('[data-net-panel=follow]') !== null"), "the focus is where the answer is"
    page.set_viewport_size(PHONE)
    page.locator("[data-open=network]").click()
    until(page, lambda: live(page), 20, "the network")
    panel = view(page, "reach")
    assert "1 of 3 is otherwise than you said." in panel.inner_text(), "what was found is kept"
    clean(page)


def found(page, check) -> str:
    """What is said of this check. A host that is too busy to be asked in time is Not known: then one asks again, as a student would."""
    state = (check.get_attribute("class") or "-").split()[0]
    if state == "unknown":
        with page.expect_response("**/check"):
            press(page, "Enter")
    return state


def test_a_check_on_a_prediction(page):
    begin(page, "network-modes", 5)
    do(page, "docker restart -t 1 side")
    check = page.locator("[data-check=modes]")
    until(page, lambda: check.locator(".cell").count() == 12 and check.locator("form").is_visible(), 20, "the table")
    check.locator(".cell[tabindex='0']").focus()
    press(page, WRONG)
    assert "tried from each to each" in check.locator("[data-filled]").inner_text()
    press(page, "Tab Enter")
    until(page, lambda: found(page, check) == "failed", 40, "that it is not so")
    assert [cell.get_attribute("aria-label") for cell in check.locator(".cell.wrong").all()] == [f"sealed to {name}: you said yes, and it is not so" for name in ("direct", "web", "side")]
    clean(page)
    press(page, "Shift+Tab n ← n ← n")
    assert not check.locator(".cell.wrong").count(), "what is said anew is not yet wrong"
    press(page, "Tab Enter")
    until(page, lambda: found(page, check) == "passed", 40, "that it is so")
    assert check.locator("form").is_hidden()
    clean(page)
