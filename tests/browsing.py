"""What browser tests do on the page: wait, look at the terminal, type into it. Must not know the server's side."""
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from labsite import translations

# A test's browser talks to the lab and to nobody else.
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WITHOUT_GPU = [*FLAGS, "--disable-gpu"]
SOFTWARE_GPU = [*FLAGS, "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
CHROMIUM = "/usr/bin/chromium"


def until(page: Page, true: Callable[[], object], seconds: float = 20, what: str = "it") -> None:
    """Poll: the page's policy forbids the eval that Playwright's own wait needs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        page.wait_for_timeout(30)
    pytest.fail(f"{what} did not happen within {seconds:g} s; the terminal says:\n{text(page)[-2000:]}")


def text(page: Page, shell: str = "lab") -> str:
    return page.evaluate("shell => window.patchbay?.text?.(shell) ?? ''", shell)


def xterm(page: Page, what: str, shell: str = "lab") -> Any:
    """A property of the terminal, such as `buffer.active.type`."""
    return page.evaluate(f"shell => window.patchbay.terminal(shell).xterm.{what}", shell)


def start(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Start").first.click()
    page.wait_for_url("**/lessons/**")
    until(page, lambda: at_prompt(page), what="a prompt")


def at_prompt(page: Page, shell: str = "lab") -> bool:
    line = "const { xterm } = window.patchbay?.terminal?.(shell) ?? {}, buffer = xterm?.buffer.active; return buffer?.getLine(buffer.baseY + buffer.cursorY)?.translateToString(true) ?? ''"
    return page.evaluate(f"shell => {{ {line} }}", shell).rstrip() == "root@lab:~#"


def said(page: Page, english: str) -> str:
    """What the page says for this, in its language. Fails when it has no words for it."""
    if page.locator("html").get_attribute("lang") == "en":
        return english
    return next(entry.said[0] for file in translations.files() for entry in translations.read(file) if entry.id == english)


def focus(page: Page) -> None:
    page.locator(".screen:not([hidden]) textarea").focus()


def type_command(page: Page, command: str) -> None:
    focus(page)
    page.keyboard.type(command)
    page.keyboard.press("Enter")


def do(page: Page, command: str, shell: str = "lab", seconds: float = 20) -> str:
    """Type a command into the terminal in sight and wait for its end. Returns what it printed."""
    before = page.evaluate("shell => window.patchbay.ended(shell)", shell)
    type_command(page, command)
    until(page, lambda: page.evaluate("shell => window.patchbay.ended(shell)", shell) > before and at_prompt(page, shell), seconds, f"the end of {command}")
    return text(page, shell).rsplit(command, 1)[-1].removesuffix("root@lab:~#").strip("\n")


def cell(page: Page, wanted: str, shell: str = "lab") -> tuple[float, float]:
    """The middle of the first character of the last place in the terminal where this stands, in pixels of the page."""
    found = page.evaluate(
        """([shell, wanted]) => {
          const { xterm, screen } = window.patchbay.terminal(shell), buffer = xterm.buffer.active, box = screen.querySelector('.xterm-screen').getBoundingClientRect();
          for (let row = xterm.rows - 1; row >= 0; row--) {
            const column = buffer.getLine(buffer.viewportY + row)?.translateToString(true).lastIndexOf(wanted) ?? -1;
            if (column >= 0) return [box.x + (column + .5) * box.width / xterm.cols, box.y + (row + .5) * box.height / xterm.rows];
          }
        }""",
        [shell, wanted],
    )
    assert found, f"{wanted!r} is not in sight:\n{text(page, shell)[-1000:]}"
    return found[0], found[1]


STILL = "Promise.allSettled(document.getAnimations().filter(it => it.effect.getComputedTiming().endTime < 2000).map(it => it.finished)).then(() => null)"


def axe(page: Page) -> None:
    """axe finds no violation. It measures colours, so what is on its way from one colour to another is let arrive."""
    page.evaluate(STILL)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def clean(page: Page) -> None:
    """axe finds no violation, and nothing makes the page scroll sideways."""
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def end_lab(page: Page) -> None:
    page.evaluate("fetch('/lab/end', {method: 'POST', headers: {'X-CSRFToken': document.cookie.match(/csrftoken=([^;]+)/)?.[1] ?? ''}}).then(r => r.status)")
