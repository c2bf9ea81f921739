"""Chromium drives the terminal: what a student does in it all day, what goes wrong with it, and what a hostile program prints into it."""
import json
import time

import pytest
from playwright.sync_api import Page

from labsite import processes

from .browsing import CHROMIUM, SOFTWARE_GPU, at_prompt, cell, do, end_lab, focus, start, text, type_command, until, xterm

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def clipboard(page: Page, put: str | None = None) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if put is not None:
        page.evaluate("text => navigator.clipboard.writeText(text)", put)
    return page.evaluate("navigator.clipboard.readText()")


def another(page: Page, host: str = "lab", shell: str = "lab-2") -> None:
    """Open a further terminal."""
    page.get_by_role("button", name="New terminal").click()
    until(page, lambda: at_prompt(page, shell), what=f"the prompt of {shell}")


def same_student(page: Page, chromium, **options) -> Page:
    """Another browser of this student."""
    context = chromium.new_context(base_url=page.url, storage_state=page.context.storage_state(), viewport={"width": 1440, "height": 900}, **options)
    other = context.new_page()
    other.set_default_timeout(15_000)
    other.goto(page.url)
    until(other, lambda: "root@lab" in text(other), what="a prompt in the other browser")
    return other


def labels(page: Page) -> list[str]:
    return page.get_by_role("tab").all_inner_texts()


def strip(page: Page) -> str:
    return page.locator("[data-strip]").inner_text().replace("\n", " ")


# Programs

def test_vim_less_and_top_take_the_screen_and_give_it_back(page):
    start(page)
    do(page, "seq -f 'line %g of it' 200 > /tmp/f; echo before-vim")
    type_command(page, "vim -c 'syntax on' /etc/profile")
    until(page, lambda: xterm(page, "buffer.active.type") == "alternate" and "/etc/profile" in text(page), what="vim")
    coloured = "window.patchbay.terminal('lab').xterm.buffer.active.getLine(0).getCell(0).isFgDefault()"
    until(page, lambda: page.evaluate(coloured) is False, what="the colour of a comment")
    rows = xterm(page, "rows")
    page.set_viewport_size({"width": 1024, "height": 700})
    until(page, lambda: xterm(page, "rows") < rows and "Top" in text(page).splitlines()[-1], what="vim at the new size")
    page.keyboard.type(":echo 'size' &lines . 'x' . &columns\r")
    until(page, lambda: f"size {xterm(page, 'rows')}x{xterm(page, 'cols')}" in text(page), what="the size that vim sees")
    page.keyboard.type(":q\r")
    until(page, lambda: at_prompt(page), what="the prompt after vim")
    assert xterm(page, "buffer.active.type") == "normal" and "before-vim" in text(page)
    type_command(page, "less /tmp/f")
    until(page, lambda: "line 5 of it" in text(page), what="less")
    page.keyboard.type("/line 150\r")
    until(page, lambda: text(page).startswith("line 150 of it"), what="the place that less found")
    page.keyboard.type("q")
    until(page, lambda: at_prompt(page), what="the prompt after less")
    type_command(page, "top")
    until(page, lambda: "%Cpu" in text(page), what="top")
    page.keyboard.type("q")
    until(page, lambda: at_prompt(page), what="the prompt after top")


def test_tab_completes_and_the_history_survives_a_reload(page):
    start(page)
    do(page, "echo to-be-found-again")
    focus(page)
    page.keyboard.type("ls /etc/sys\t\t")
    until(page, lambda: "sysctl.d/" in text(page) and "systemd/" in text(page), what="the list")
    bold = "[...Array(8).keys()].some(y => window.patchbay.terminal('lab').xterm.buffer.active.getLine(y).getCell(0).isBold())"
    assert not page.evaluate(bold)
    page.keyboard.type("ctl.\t")
    until(page, lambda: text(page).endswith("ls /etc/sysctl.d/"), what="the rest of the word")
    page.keyboard.press("Control+c")
    page.reload()
    until(page, lambda: "to-be-found-again" in text(page) and at_prompt(page), what="what was printed")
    focus(page)
    page.keyboard.press("Control+r")
    page.keyboard.type("be-found")
    until(page, lambda: "reverse-i-search)`be-found': echo to-be-found-again" in text(page), what="the found line")
    page.keyboard.press("Enter")
    until(page, lambda: at_prompt(page) and text(page).count("\nto-be-found-again") == 2, what="the line once more")


def test_characters_and_colours_reach_the_cells(page):
    start(page)
    do(page, r"""clear; printf '\e[38;5;208mP\e[48;2;1;2;3mT\e[0m 漢|🐳|e\u0301|┌┐\n'""")
    found = page.evaluate("""() => {
      const line = window.patchbay.terminal('lab').xterm.buffer.active.getLine(0), cell = (x) => line.getCell(x);
      return [cell(0).isFgPalette(), cell(0).getFgColor(), cell(1).isBgRGB(), cell(1).getBgColor(), cell(3).getChars(), cell(3).getWidth(), cell(6).getChars(), cell(6).getWidth(), cell(9).getChars(), cell(11).getChars()];
    }""")
    assert found == [True, 208, True, 0x010203, "漢", 2, "🐳", 2, "e\u0301", "┌"]
    focus(page)
    page.keyboard.insert_text("echo 'übung 漢字 🐳'")
    page.keyboard.press("Enter")
    until(page, lambda: "\nübung 漢字 🐳\n" in text(page), what="the echo of typed UTF-8")


# Copy, paste, links, find

def test_copy_and_paste(page):
    start(page)
    clipboard(page, "echo one-$((1+0))\necho two-$((1+1))\n")
    focus(page)
    page.keyboard.press("Control+Shift+V")
    until(page, lambda: "echo two" in text(page), what="the pasted lines")
    page.wait_for_timeout(200)  # nothing may happen
    assert "one-1" not in text(page)
    page.keyboard.press("Enter")
    until(page, lambda: "\none-1\ntwo-2\n" in text(page), what="both lines at once")
    # a selection: Ctrl-C copies at a prompt, and interrupts while something runs
    page.mouse.dblclick(*cell(page, "two-2"))
    page.keyboard.press("Control+c")
    until(page, lambda: clipboard(page) == "two-2", what="the copy")
    assert "^C" not in text(page)
    type_command(page, "sleep 100")
    until(page, lambda: "sleep 100" in strip(page), what="the command")
    page.mouse.dblclick(*cell(page, "one-1"))
    page.keyboard.press("Control+c")
    until(page, lambda: at_prompt(page) and "^C" in text(page), what="the interruption")
    page.mouse.dblclick(*cell(page, "one-1"))
    page.keyboard.press("Control+Shift+C")
    until(page, lambda: clipboard(page) == "one-1", what="the copy")
    # by mouse: what is selected is pasted by the middle button
    page.mouse.click(*cell(page, "sleep 100"), button="middle")
    until(page, lambda: text(page).endswith("# one-1"), what="the paste")
    page.keyboard.press("Control+u")  # Ctrl-C may mean the selection
    until(page, lambda: at_prompt(page), what="an empty line")
    do(page, "echo only this")
    page.get_by_role("button", name="Copy output").click()
    until(page, lambda: clipboard(page).strip() == "only this", what="the output of the last command")


def test_60_kilobytes_are_pasted_whole(page):
    start(page)
    lines = "".join(f"{n:05d} abcdefghijklmnopqrstuvwxyz 🐳 é\n" for n in range(1500))
    type_command(page, "stty -echo; cat > /tmp/pasted; stty echo")
    until(page, lambda: "cat" in strip(page), what="the command")
    clipboard(page, lines)
    page.keyboard.press("Control+Shift+V")
    page.keyboard.press("Control+d")
    until(page, lambda: at_prompt(page), what="the end")
    assert do(page, "wc -lc < /tmp/pasted; tail -n1 /tmp/pasted").split("\n")[0].split() == ["1500", str(len(lines.encode()))]


def test_links_are_opened_and_only_those_that_lead_somewhere(page):
    start(page)
    page.evaluate("() => { window.opened = []; window.open = (...what) => { window.opened.push(what); return null; }; }")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    do(page, r"""clear; printf 'see https://example.org/a?b=1 here, http://172.17.0.2:8080/ there\n\e]8;;javascript:alert(1)\e\\evil\e]8;;\e\\ \e]8;;https://example.net/\e\\named\e]8;;\e\\\n'""")

    def click(what: str) -> None:
        x, y = cell(page, what)
        page.mouse.move(x, y + 40)
        page.mouse.move(x + 2, y, steps=3)
        page.wait_for_timeout(120)  # xterm looks for links where the pointer rests
        page.mouse.click(x + 2, y)

    click("https://example.org")
    until(page, lambda: page.evaluate("window.opened") == [["https://example.org/a?b=1", "_blank", "noopener,noreferrer"]], what="the page")
    click("evil")
    click("http://172")
    until(page, lambda: page.get_by_text("172.17.0.2 is an address inside your lab").first.is_visible(), what="the word that it is inside")
    click("named")
    until(page, lambda: len(page.evaluate("window.opened")) == 2, what="the named link")
    assert page.evaluate("window.opened")[1][0] == "https://example.net/" and dialogs == []


def test_find_text_size_and_the_way_out(page):
    start(page)
    do(page, "seq 1 300")
    page.keyboard.press("Control+Shift+F")
    page.keyboard.type("25")
    until(page, lambda: page.locator("[data-found]").inner_text() == "1/13", what="the first match")
    page.keyboard.press("Enter")
    until(page, lambda: page.locator("[data-found]").inner_text() == "2/13" and xterm(page, "getSelection()") == "25", what="the next match")
    page.keyboard.press("Escape")
    focused = "document.activeElement.className"
    until(page, lambda: page.evaluate(focused) == "xterm-helper-textarea", what="the way back")
    page.keyboard.press("Control+F6")
    assert page.evaluate("document.activeElement.id") == "tab-lab"
    page.keyboard.press("Control+F6")
    assert page.evaluate(focused) == "xterm-helper-textarea"
    cols = xterm(page, "cols")
    page.get_by_role("button", name="How the terminal is shown").click()
    for _ in range(3):
        page.get_by_role("button", name="Larger").click()
    until(page, lambda: xterm(page, "cols") < cols, what="larger letters")
    cols, size = xterm(page, "cols"), page.locator("[data-size-now]").inner_text()
    page.reload()
    until(page, lambda: at_prompt(page) and xterm(page, "cols") == cols, what="the same size after a reload")
    assert page.locator("[data-size-now]").text_content() == size
    assert do(page, "stty size").split() == [str(xterm(page, "rows")), str(cols)]


def test_a_screen_reader_is_told_once(page):
    start(page)
    page.get_by_role("button", name="How the terminal is shown").click()
    page.get_by_label("For screen readers").check()
    page.keyboard.press("Escape")
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const live = (target.nodeType === 3 ? target.parentElement : target)?.closest('[aria-live], [role=status], [role=alert], [role=log]');
          if (live?.textContent.includes('announce-42') && window.said.at(-1) !== live.textContent) window.said.push(live.textContent);
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    }""")
    do(page, "echo announce-$((40+2))")
    until(page, lambda: page.evaluate("window.said.length"), what="the announcement")
    page.wait_for_timeout(300)  # a second one may not come
    assert len(page.evaluate("window.said")) == 1
    assert page.get_by_role("listitem").filter(has_text="announce-42").count() >= 1  # and it can be read at leisure


@pytest.fixture
def webgl_page(lab, chromium):
    """A fresh visitor whose browser has WebGL, as most have."""
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=SOFTWARE_GPU)
    page = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=lab.url).new_page()
    page.set_default_timeout(15_000)
    yield page
    end_lab(page)
    browser.close()


def test_webgl_draws_and_when_it_is_lost_the_dom_does(webgl_page):
    page = webgl_page
    start(page)
    alive = "[...document.querySelectorAll('.screen canvas')].some(c => c.getContext('webgl2')?.isContextLost() === false)"
    until(page, lambda: page.locator(".screen canvas").count() > 0 and page.evaluate(alive), what="WebGL")
    before = do(page, "echo drawn-by-webgl")
    page.evaluate("() => { for (const c of document.querySelectorAll('.screen canvas')) c.getContext('webgl2')?.getExtension('WEBGL_lose_context')?.loseContext(); }")
    until(page, lambda: page.locator(".xterm-rows").count() > 0 and "drawn-by-webgl" in page.locator(".xterm-rows").inner_text(), what="the DOM's rows")
    assert do(page, "echo drawn-by-dom") and before == "drawn-by-webgl"
    until(page, lambda: "drawn-by-dom" in page.locator(".xterm-rows").inner_text(), what="the DOM's rows")


# Tabs

def test_a_terminal_is_opened_named_and_closed_in_every_browser(page, chromium):
    start(page)
    another(page)
    assert labels(page) == ["lab", "lab-2"] and page.locator("[data-tab=lab] .tab-x").count() == 0
    other = same_student(page, chromium)
    until(other, lambda: labels(other) == ["lab", "lab-2"], what="the tab in the other browser")
    page.get_by_role("tab", name="lab-2").dblclick()
    page.keyboard.type("not this")
    page.keyboard.press("Escape")
    assert labels(page)[1] == "lab-2"
    page.keyboard.press("F2")
    page.keyboard.type("web log, and some more than fits")
    page.keyboard.press("Enter")
    for each in (page, other):
        until(each, lambda each=each: labels(each) == ["lab", "web log, and some more th"[:24]], what="the name")
    page.reload()
    until(page, lambda: len(labels(page)) == 2 and labels(page)[1].startswith("web log"), what="the name after a reload")
    page.get_by_role("tab").nth(1).click()
    type_command(page, "sleep 1000")
    until(page, lambda: "sleep 1000" in strip(page), what="the command")
    page.keyboard.press("Control+F6")
    page.keyboard.press("Delete")
    question = page.get_by_role("alertdialog")
    assert "sleep still runs in web log" in question.inner_text()
    page.keyboard.press("Escape")
    until(page, lambda: question.count() == 0, what="the end of the question")
    assert len(labels(page)) == 2
    page.locator("[data-tab=lab-2] .tab-x").click()
    page.get_by_role("button", name="Close it").click()
    for each in (page, other):
        until(each, lambda each=each: labels(each) == ["lab"], what="the end of the tab")
    assert page.locator(".screen:not([hidden])").get_attribute("data-terminal") == "lab"
    page.reload()
    until(page, lambda: at_prompt(page), what="the prompt")
    page.wait_for_timeout(300)  # a closed terminal may not come back
    assert labels(page) == ["lab"]
    assert do(page, "pgrep -c sleep || true") == "0"
    another(page)  # the name is free, and nothing of the old one is there
    assert labels(page) == ["lab", "lab-2"] and text(page, "lab-2") == "root@lab:~#" and "Nothing has run" in strip(page)
    type_command(page, "sleep 500")
    until(page, lambda: "sleep 500" in strip(page), what="the command")
    page.reload()  # the end of the one before is in the log, and is not this one's
    until(page, lambda: page.locator("#tab-lab-2 .busy-dot").count() == 1 and "sleep 500" in text(page, "lab-2"), what="the running command after a reload")
    page.get_by_role("tab", name="lab-2").click()
    until(page, lambda: "sleep 500 runs" in strip(page), what="the running command in the strip")
    focus(page)
    page.keyboard.press("Control+c")
    until(page, lambda: "stopped, exit 130" in strip(page), what="its end")
    page.keyboard.press("Control+F6")
    page.keyboard.press("Delete")
    until(page, lambda: labels(page) == ["lab"], what="the end, without a question")
    assert page.evaluate("document.activeElement.id") == "tab-lab"
    other.context.close()


def test_two_browsers_on_one_shell(page, chromium):
    start(page)
    do(page, "ls -la / --color=always")
    other = same_student(page, chromium)
    until(other, lambda: text(other) == text(page), what="the same text")
    do(other, "echo from the other one")
    until(page, lambda: text(page) == text(other), what="the same text again")
    other.set_viewport_size({"width": 1000, "height": 640})  # whoever types has the right size
    until(other, lambda: xterm(other, "cols") < xterm(page, "cols"), what="the smaller window")
    focus(other)
    assert do(other, "stty size").split() == [str(xterm(other, "rows")), str(xterm(other, "cols"))]
    page.locator("[data-find]").focus()
    focus(page)
    assert do(page, "stty size").split() == [str(xterm(page, "rows")), str(xterm(page, "cols"))]
    other.context.close()


# Run

def test_a_double_click_runs_once_and_stop_stops(page, chromium):
    start(page)
    block = page.locator(".run[data-block]").first
    page.evaluate("document.querySelector('.run[data-block] code').textContent = 'echo once-$((1+0)); sleep 30'")
    block.locator("[data-run]").dblclick()
    until(page, lambda: "\nonce-1" in text(page), what="the output")
    page.wait_for_timeout(300)  # a second one would come now
    assert text(page).count("\nonce-1") == 1 and block.get_attribute("data-state") == "busy" and "^C" not in text(page)
    until(page, lambda: block.locator("[data-time]").inner_text() in ("1 s", "2 s"), what="the counter")
    block.get_by_role("button", name="Stop").click()
    until(page, lambda: block.get_attribute("data-state") == "halt", what="the end")
    assert "stopped, exit 130" in block.inner_text() and "not an error" in block.inner_text()
    # two pages at once: one of them runs it, and the other one sees just that
    other = same_student(page, chromium)
    for each in (page, other):
        each.evaluate("document.querySelector('.run[data-block] code').textContent = 'echo both-$((1+1)); sleep 2'")
    for each in (page, other):
        each.evaluate("document.querySelector('.run[data-block] [data-run]').click()")
    for each in (page, other):
        until(each, lambda each=each: each.locator(".run[data-block]").first.get_attribute("data-state") == "done", what="the end")
        assert text(each).count("\nboth-2") == 1 and not each.locator(".run[data-block]").first.locator(".says").is_visible()
    other.context.close()


def test_what_was_expected_or_stopped_reads_the_same_after_a_reload(page):
    start(page)
    expected = json.loads(page.locator("#expected").text_content() or "{}")
    block, code = next(iter(expected.items()))
    assert page.locator(f".run[data-block='{block}']").count() == 0  # it stands at another step
    page.evaluate("([block, text]) => window.patchbay.socket.send({ type: 'run', shell: 'lab', block, text })", [block, f"(exit {code})"])

    def looks() -> tuple[str, str]:
        return page.locator("[data-strip]").get_attribute("class") or "", strip(page)

    until(page, lambda: f"exit {code}, as it should" in strip(page), what="the outcome")
    was, marks = looks(), page.locator(".gut-mark.ok").count()
    assert " ok" in was[0] and marks == 1
    page.reload()
    until(page, lambda: looks() == was and page.locator(".gut-mark.ok").count() == marks, what="the same after a reload")
    # one that does not end, in a terminal of its own; it exits with 0 when it is stopped
    page.goto("/lessons/meet-docker0/4/")
    apart = page.locator(".run.apart")
    until(page, lambda: at_prompt(page), what="the prompt")
    page.get_by_role("button", name="Use the lab as it is").click()  # the steps between were passed over
    apart.locator("[data-run]:not([aria-disabled])").click()
    until(page, lambda: "listening on docker0" in text(page, "lab-2") and apart.locator("[data-time]").inner_text() == "1 s", what="tcpdump")
    apart.get_by_role("button", name="Stop").click()
    until(page, lambda: apart.get_attribute("data-state") == "halt", what="its end")
    assert "stopped, exit 0" in apart.inner_text()
    page.reload()
    until(page, lambda: "stopped, exit 0" in apart.inner_text(), what="the same after a reload")
    apart.locator("[data-run]").click()
    until(page, lambda: apart.get_attribute("data-state") == "busy" and page.locator("#tab-lab-2 .busy-dot").count() == 1, what="tcpdump again")
    page.locator("[data-tab=lab-2] .tab-x").click()
    page.get_by_role("button", name="Close it").click()
    until(page, lambda: "You closed its terminal" in apart.inner_text(), what="what became of it")
    assert apart.get_attribute("data-state") == "halt" and apart.get_by_role("button").is_enabled()


# What goes wrong

def test_the_web_process_is_started_again(page, chromium):
    """The strip says what is going on, a key is refused and not kept, and afterwards the text is what it would have been."""
    start(page)
    type_command(page, "for n in 1 2 3 4 5 6; do echo tick-$n; sleep 1; done")
    until(page, lambda: "tick-1" in text(page), what="the command")
    processes.ask("stopProcess", "web", True)
    try:
        until(page, lambda: "Connection lost" in strip(page), 5, "the word that the connection is lost")
        assert "you will see what you missed" in strip(page) and page.get_by_role("button", name="Try now").is_visible()
        assert "stale" in page.locator(".screen").get_attribute("class")
        focus(page)
        page.keyboard.type("lost")
        until(page, lambda: "nudge" in page.locator("[data-strip]").get_attribute("class"), 3, "the sign that keys are not taken")
        assert "no connection" in page.locator(".run[data-block]").first.inner_text()
        until(page, lambda: "next try in" in strip(page) and "2 s ago" in strip(page), what="the next stage")
    finally:
        processes.ask("startProcess", "web", False)
    until(page, lambda: "Connection" not in strip(page), 20, "the connection")
    until(page, lambda: "tick-6" in text(page) and at_prompt(page), 20, "the rest")
    assert "stale" not in page.locator(".screen").get_attribute("class")
    assert "lost" not in text(page) and [text(page).count(f"tick-{n}\n") for n in range(1, 7)] == [1] * 6
    other = same_student(page, chromium)
    until(other, lambda: text(other) == text(page), what="the same text as in a browser that was never away")
    other.context.close()


def test_ten_reconnections_draw_nothing_twice_and_nothing_old(page):
    start(page)
    do(page, "echo of the first bash")
    type_command(page, "exit")
    until(page, lambda: "ended" in strip(page), what="the end of the shell")
    page.keyboard.press("Enter")
    until(page, lambda: at_prompt(page), what="the new shell")
    do(page, "echo of the second bash")
    before = text(page)
    for _ in range(10):
        page.evaluate("window.patchbay.socket.ws.close()")
        until(page, lambda: not page.evaluate("window.patchbay.socket.up"), what="the end of the connection")
        until(page, lambda: page.evaluate("window.patchbay.socket.up"), what="the connection")
    assert do(page, "echo done") == "done"
    assert text(page) == f"{before} echo done\ndone\nroot@lab:~#" and "Nothing" not in strip(page)


def test_a_shell_that_ended_does_not_look_alive(page):
    start(page)
    type_command(page, "exit 3")
    until(page, lambda: "This shell ended with exit 3. Press Enter for a new one." in text(page), what="the end")
    assert "This shell has ended" in strip(page) and "stale" in page.locator(".screen").get_attribute("class")
    assert page.locator("[data-tab=lab]").get_attribute("data-state") == "ended"
    page.keyboard.type("x")
    until(page, lambda: "nudge" in page.locator("[data-strip]").get_attribute("class"), 3, "the sign that keys are not taken")
    page.get_by_role("button", name="New shell").click()
    until(page, lambda: at_prompt(page) and "stale" not in page.locator(".screen").get_attribute("class"), what="a new shell")
    assert do(page, "echo $((6*7))") == "42"


def test_a_page_that_is_hidden_at_load_has_the_right_size(page):
    start(page)
    hidden = page.context.new_page()
    hidden.add_init_script("for (const [name, value] of [['hidden', true], ['visibilityState', 'hidden']]) Object.defineProperty(document, name, { get: () => value, configurable: true });")
    hidden.goto(page.url)
    until(hidden, lambda: at_prompt(hidden), what="a prompt")
    assert (xterm(hidden, "cols"), xterm(hidden, "rows")) == (xterm(page, "cols"), xterm(page, "rows"))


def test_a_page_in_the_background_does_not_hold_a_program_back(page):
    """A browser draws there once a second, later once a minute; here not at all. What it missed is drawn when it is looked at again."""
    page.add_init_script("""
      Object.defineProperty(document, 'hidden', { get: () => Boolean(window.background), configurable: true });
      const later = window.setTimeout, never = window.clearTimeout, late = new Map();
      window.setTimeout = (call, ms, ...more) => { if (!window.background) return later(call, ms, ...more); late.set(-1 - late.size, call); return -late.size; };
      window.clearTimeout = (id) => id < 0 ? late.set(id, () => {}) : never(id);
      window.forth = () => { window.background = false; for (const call of late.values()) call(); };
    """)
    start(page)
    do(page, "echo before")
    page.evaluate("window.background = true")
    page.evaluate("window.patchbay.socket.send({ type: 'run', shell: 'lab', block: '', text: 'seq 1 200000' })")
    until(page, lambda: "seq 1 200000, exit 0" in strip(page), 15, "the end of the program")
    page.evaluate("window.forth()")
    until(page, lambda: at_prompt(page) and "\n200000\n" in text(page), 15, "what was missed")


# What a hostile program prints

def test_hostile_output(webgl_page):
    page = webgl_page
    start(page)
    clipboard(page, "mine")
    title, size = page.title(), (xterm(page, "cols"), xterm(page, "rows"))

    def holds(what: str) -> None:
        """The page answers at once, and the next command is taken, shown and reported."""
        began = time.monotonic()
        assert page.evaluate("1 + 1") == 2 and time.monotonic() - began < 2, what
        assert do(page, "echo fine-$((40+2)); (exit 3)").startswith("fine-42"), what
        until(page, lambda: "exit 3" in strip(page), 5, f"the exit code after {what}")

    do(page, r"printf '\e]52;c;aGFja2Vk\a\e]52;c;?\a'")
    holds("OSC 52")
    assert clipboard(page) == "mine"
    do(page, r"for n in {1..8000}; do printf '\e]0;hacked %s\a' $n; done")
    holds("titles")
    assert page.title() == title
    do(page, r"printf '\e[?40h\e[?3h\e[8;5;20t\e[4;100;100t\e[9;1t'")
    holds("resizes")
    assert (xterm(page, "cols"), xterm(page, "rows")) == size
    noise = "head -c 20000 /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:1 2> /dev/null"  # the same at every run
    do(page, rf"printf '\0\0\0\xff\xfe\xc3(\x80\xf0\x9f\n'; {noise}; printf '\030\n'; read -rsn 999 -t 0.5 _")
    holds("rubbish")
    do(page, r"printf '\e[?1049h\e[?1003h\e[?1006h\e[?25l\e[5;8r\e[?7l\e(0'")
    holds("modes that are left on")
    assert xterm(page, "buffer.active.type") == "normal" and xterm(page, "modes.mouseTrackingMode") == "none" and xterm(page, "modes.wraparoundMode")
    do(page, r"printf '\e]133;A\a\e]133;C;x;1;forged\a\e]133;D;;0\a\e]133;D;0;0;1\a\e]133;B;0;0;1\a'")
    holds("forged marks")
    assert "forged" not in strip(page)
    do(page, "head -c 10000000 /dev/zero | tr '\\0' x; echo", seconds=40)
    holds("ten megabytes on one line")
    assert page.evaluate("performance.memory.usedJSHeapSize") < 300e6


def test_questions_are_answered_a_few_times_and_never_from_the_past(page):
    start(page)
    flood = r"""stty -echo raw; for n in {1..3000}; do printf '\e[c\e[6n\e[>c'; done; timeout 2 cat > /tmp/answers; stty sane; echo over"""
    do(page, flood)
    got = int(do(page, "wc -c < /tmp/answers"))
    assert 5 < got < 3000, got  # 9000 questions would be 60 000 bytes of answers
    before = text(page)
    page.reload()
    until(page, lambda: text(page) == before, what="the same text after a reload")
    assert do(page, "echo clean") == "clean" and text(page).endswith("\nroot@lab:~# echo clean\nclean\nroot@lab:~#")
