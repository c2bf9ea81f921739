"""`diagram`: in Chromium, from a command's end in the host to the diagram that shows what it changed; and typing while the diagram is drawn anew.

The end is the shell's own clock, and the drawing the page's: it is one machine. Must not know how the page draws.
"""
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from playwright.sync_api import Page, WebSocket, sync_playwright

from bench import Row, percentile
from bench.crowd import COUNTS, FIVE, THIRTY, fill
from bench.lab import URL, start
from tests.browsing import CHROMIUM, WITHOUT_GPU, do, end_lab, focus, until
from tests.browsing import start as open_lesson

GOALS = {FIVE: 300.0, THIRTY: 800.0}
ROUNDS = 15
COMMANDS = ("ip link add extra0 type bridge", "docker network connect net1 box3", "docker network disconnect net1 box3", "ip link del extra0")
KEYS, KEY = 80, 50.0  # how many; ms that one may take to be in the terminal
REDRAWN = 60.0  # ms: a drawing that follows so soon was of the same change

# Notes when each change that answers for a command came, and when the diagram was drawn; and how long a key takes to be in the terminal.
WATCH = """() => {
  const { network, diagram } = window.patchbay.pane(), { xterm } = window.patchbay.terminal('lab'), seen = window.seen = { drawn: [], keys: [] };
  diagram.root.addEventListener('drawn', () => requestAnimationFrame(() => seen.drawn.push([network.version, Date.now()])));
  let pressed = 0;
  document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
  xterm.onWriteParsed(() => { if (pressed) { seen.keys.push(performance.now() - pressed); pressed = 0; } });
}"""


class Heard:
    """What the server told this page: when each command ended, and the version of the network that answers for it."""

    def __init__(self, page: Page):
        self.started: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.answered: dict[str, int] = {}
        self.sandbox = ""
        page.on("websocket", self.listen)

    def listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: isinstance(frame, str) and self.hear(json.loads(frame)))

    def hear(self, m: dict[str, Any]) -> None:
        match m["type"]:
            case "sandbox.state":
                self.sandbox = m.get("sandbox") or self.sandbox
            case "command.started":
                self.started[m["id"]] = datetime.fromisoformat(m["started_at"]).timestamp() * 1000
            case "command.finished":
                self.ended[m["id"]] = self.started[m["id"]] + m["duration_ms"]
            case "network.change":
                for id in (m["after_command"], *m["also_after"]):
                    if id:
                        self.answered[id] = m["version"]


def bench() -> Iterator[Row]:
    with sync_playwright() as p, contextlib.closing(p.chromium.launch(executable_path=CHROMIUM, args=WITHOUT_GPU)) as browser:
        for count in COUNTS:
            start(pool=1)
            page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=URL)
            heard = Heard(page)
            open_lesson(page)
            in_host = fill(heard.sandbox, count)
            until(page, lambda count=count, page=page: shown(page) >= count, 60, "the containers")
            page.evaluate(WATCH)
            took = [drawn_after(page, heard, command) for _ in range(ROUNDS) for command in COMMANDS]
            for q, goal in ((50, None), (95, GOALS[count])):
                yield Row("diagram", f"{count} containers, command to diagram, {'median' if q == 50 else 'p95'}", "ms", percentile(took, q), goal=goal)
            if count == THIRTY:
                quiet, busy = typing(page, in_host)
                yield Row("diagram", "a key while nothing changes, p95", "ms", percentile(quiet, 95))
                yield Row("diagram", "a key while it is drawn anew, p95", "ms", percentile(busy, 95), goal=KEY)
            end_lab(page)
            page.close()


def shown(page: Page) -> int:
    return page.evaluate("[...(window.patchbay.network()?.things.values() ?? [])].filter(({ kind }) => kind === 'container').length")


def drawn_after(page: Page, heard: Heard, command: str) -> float:
    """Milliseconds from the command's end to the frame that shows what it changed."""
    known = set(heard.ended)
    do(page, command, seconds=60)
    until(page, lambda: heard.ended.keys() - known, 20, "the command's end")
    (id,) = heard.ended.keys() - known
    until(page, lambda: id in heard.answered, 20, "the change")
    until(page, lambda: [at for version, at in page.evaluate("window.seen.drawn") if version >= heard.answered[id]], 20, "the drawing")
    page.wait_for_timeout(300)
    drawn = page.evaluate("window.seen.drawn")
    times = [at for version, at in drawn if version == heard.answered[id]] or [at for version, at in drawn if version >= heard.answered[id]]
    last = times[0]
    for at in times[1:]:
        if at - last <= REDRAWN:
            last = at
    page.evaluate("window.seen.drawn.length = 0")
    return max(0.0, last - heard.ended[id])


def typing(page: Page, in_host: Callable[[str], None]) -> tuple[list[float], list[float]]:
    """How long keys take while nothing changes, and while a bridge comes and goes three times a second; in turns."""
    quiet: list[float] = []
    busy: list[float] = []
    for turn in range(4):
        over = threading.Event()
        churn = threading.Thread(target=lambda over=over: [in_host("ip link add extra1 type bridge; sleep 0.3; ip link del extra1; sleep 0.3") for _ in iter(over.is_set, True)])
        if turn % 2:
            churn.start()
            time.sleep(0.5)
        page.evaluate("window.seen.keys.length = 0")
        focus(page)
        for n in range(KEYS // 2):
            page.keyboard.press("x")
            page.wait_for_timeout(30 + 7 * (n % 5))
        (busy if turn % 2 else quiet).extend(page.evaluate("window.seen.keys"))
        over.set()
        if turn % 2:
            churn.join()
        page.keyboard.press("Control+U")
        page.wait_for_timeout(500)
    return quiet, busy
