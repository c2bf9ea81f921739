"""Who reaches whom in Chromium, alone on a page: choosing, predicting with keys, what is shown of the answer, on wide and on narrow screens."""
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from netcontrol.network.reach import explained
from netcontrol.network.reach.tries import Cell
from netcontrol.network.tell.said import said
from netcontrol.network.tests.test_reasons import scene

from .browsing import clean

pytestmark = pytest.mark.browser
BASE = Path(__file__).parents[1]
SCRIPT = """
import "{base}/static/css/tokens.css"; import "{base}/static/css/look.css"; import "{base}/static/css/network.css"; import "{base}/static/css/reach.css";
import {{ ReachView }} from "{base}/static/js/network/reach.js";
import {{ Network }} from "{base}/static/js/network/model.js";
const network = new Network();
network.snapshot({{ version: 1, read_at: "", graph: window.GRAPH, past: [] }});
window.state = {{ asked: [], lit: [], said: [], why: "" }};
const {{ state }} = window;
window.view = new ReachView(document.querySelector("section"), {{
  network, diagram: () => null, ready: () => state.why, light: (ids) => {{ state.lit = ids; }}, follow: (question) => {{ state.follows = question; }}, say: (text) => state.said.push(text),
  ask: async (message) => {{ state.asked.push(message); return window.answer(message); }},
}});
"""
ANSWER = "(m) => ({ who: m.who, how: m.how, cells: m.who.map((a, x) => m.who.map((b, y) => (a === b ? null : { ...ROWS[IDS.indexOf(a)][IDS.indexOf(b)], predicted: m.predicted[x][y] }))) })"


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    folder, found = tmp_path_factory.mktemp("reach"), scene("two_hosts")
    (folder / "main.js").write_text(SCRIPT.format(base=BASE))
    subprocess.run([BASE / "node_modules/.bin/esbuild", folder / "main.js", f"--outfile={folder}/out.js", "--bundle", "--loader:.woff2=dataurl", "--log-level=error"], check=True, timeout=60)
    rows = said(explained(found["graph"], found["who"], "ping", [[Cell(*cell) for cell in row] for row in found["tried"]["ping"]], None))
    symbols = (BASE / "templates/_symbols.html").read_text()
    data = f"const GRAPH = {json.dumps(found['graph'])}, ROWS = {json.dumps(rows)}, IDS = {json.dumps(found['who'])}; Object.assign(window, {{ GRAPH, answer: {ANSWER} }});"
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Reach</title><link rel="stylesheet" href="out.css"><body>{symbols}<main><h1>Lab</h1><h2>Network</h2><section class="net-panel" style="display: block" aria-label="Who reaches whom"></section></main><script>{data}</script><script src="out.js"></script>'
    (folder / "index.html").write_text(page)
    return folder / "index.html"


@pytest.fixture(scope="module", params=[900, 320], ids=["wide", "narrow"])
def page(request, chromium, html) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": request.param, "height": 900}, reduced_motion="reduce")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(html.as_uri())
    yield page
    page.close()
    assert not faults, "the page's own errors"


def test_predicting_and_probing(page):
    page.evaluate("view.show({ who: ['lab', 'client', 'web', 'client/far'], how: 'ping' })")
    assert page.evaluate("view.who.map((id) => view.on.network.things.get(id).name)") == ["lab", "client", "web", "far"]
    page.locator(".cell").first.focus()
    for key in ("y", "ArrowRight", "n", "ArrowDown", "y", "ArrowDown", "ArrowLeft", "Enter", "Enter", "Enter"):  # Enter: yes, no, nothing
        page.keyboard.press(key)
    assert page.evaluate("view.matrix.text()") == "-yn? ?-y? ??-? ???-", "from client, Down leads over the cell of web and itself"
    assert page.locator(".cell[tabindex='0']").count() == 1, "Tab comes to the table once"
    assert "3 of 12 said" in page.locator(".act").inner_text()
    page.get_by_role("button", name="Probe", exact=True).click()
    page.wait_for_selector(".pairs")
    asked = page.evaluate("state.asked")[-1]
    assert asked["type"] == "reach" and asked["how"] == "ping" and asked["predicted"][0] == [None, True, False, None]
    findings = page.locator(".findings").inner_text()
    assert "2 of 3 are otherwise than you said." in findings and "you said no" in findings
    first = page.locator(".pairs > li").first
    assert "web" in first.inner_text() and "has an interface on" in first.inner_text(), "what was otherwise comes first, with its reason"
    assert page.locator("[data-a='0'][data-b='2']").get_attribute("aria-label") == "lab to web: reached; you said otherwise"
    assert page.locator("[data-a='0'][data-b='1'] .of").inner_text() == "right", "a word, and not only a colour"
    assert page.evaluate("state.said").pop().startswith("2 of 3 are otherwise")
    first.get_by_role("button", name="Show the way").click()
    assert len(page.evaluate("state.lit")) > 2
    first.get_by_role("button", name="Follow this packet").click()
    assert page.evaluate("state.follows")["protocol"] == "icmp"
    page.get_by_role("button", name="Predict again").click()
    assert page.evaluate("view.matrix.text()") == "-yn? ?-y? ??-? ???-", "what was said is kept"


def test_nothing_can_be_asked(page):
    page.evaluate("state.why = 'The connection is lost.'; view.changed()")
    button = page.get_by_role("button", name="Probe", exact=True)
    assert button.get_attribute("aria-disabled") == "true" and "The connection is lost." in page.locator(".act").inner_text()
    asked = len(page.evaluate("state.asked"))
    button.click(force=True)
    assert len(page.evaluate("state.asked")) == asked
    page.evaluate("state.why = ''; view.changed()")


@pytest.mark.parametrize("answer", ["{ failed: 'Busy <b>`now`</b>.' }", "{}", "null", "{ cells: [] }", "{ cells: 5 }", "{ cells: [[1], [2], [3], [4]] }"])
def test_an_answer_that_is_none(page, answer):
    page.evaluate(f"window.kept ??= window.answer; window.answer = () => ({answer})")
    page.get_by_role("button", name="Probe", exact=True).click()
    page.wait_for_selector(".bad-line")
    assert page.locator(".findings b").count() == 0, "text, never markup"
    page.evaluate("window.answer = window.kept; view.changed()")


def test_for_everybody(page):
    clean(page)  # the table scrolls, not the page
