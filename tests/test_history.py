"""Commands are facts: what ran on a real host, typed or clicked, is in its row with what it printed, whoever dies; and on the student's page."""
import json
import os
import signal
import time

import pytest

from labsite import processes
from netcontrol.agent.limits import HEAD, TAIL

from .browsing import axe, start, text, type_command, until
from .driving import run

ROW = """
import json
from netcontrol.models import Command
print(json.dumps(Command.objects.filter(pk={id!r}).values_list("text", "exit_code", "duration_ms", "output_head", "output_tail", "output_bytes", "output_left_out").first()))
"""


class Row:
    """A command's row as the database has it, once it has ended. It is written behind the bytes, after a kill by the next worker."""

    def __init__(self, lab, id: str):
        end, took = time.monotonic() + 40, None
        while took is None:
            assert time.monotonic() < end, "no row says that the command ended"
            row = json.loads(lab.shell(ROW.format(id=id)))
            took = row and row[2]
        self.text, self.exit_code, self.took, self.head, self.tail, self.bytes, self.left_out = row

    def assert_is(self, printed: bytes) -> None:
        assert self.bytes == len(printed) and self.left_out == max(0, len(printed) - HEAD - TAIL)
        if self.left_out:
            assert self.head == plain(printed[:HEAD]) and self.tail == plain(printed[-TAIL:])
        else:
            assert self.head == plain(printed) and self.tail == ""


def plain(printed: bytes) -> str:
    return printed.decode().replace("\r\n", "\n")


def press_run(guest, text: str, meanwhile=lambda printed: None, seconds: float = 60) -> tuple[str, bytes]:
    """The command's id, and exactly what it printed as the page got it."""
    printed, id = b"", ""
    for event in guest.run("lab", text, seconds=seconds):
        if event["type"] == "command.started":
            id = event["id"]
        elif event["type"] == "shell.output":
            printed += event["data"]
            meanwhile(printed)
    return id, printed


def numbers(first: int, last: int) -> bytes:
    return b"".join(b"%d\r\n" % n for n in range(first, last + 1))


def kill_attach() -> None:
    os.kill(processes.ask("getProcessInfo", "attach")["pid"], signal.SIGKILL)


def test_clicked_and_typed(lab, student):
    id, printed = press_run(student, "brctl show; false")
    row = Row(lab, id)
    assert (row.text, row.exit_code) == ("brctl show; false", 1) and "docker0" in row.head
    row.assert_is(printed)
    student.send(type="shell.input", shell="lab", data="ip -br addr show docker0\r")
    started = student.until("command.started", 10)
    student.until("command.finished", 10)
    row = Row(lab, started["id"])
    assert row.text == "ip -br addr show docker0" and "172.17.0.1/16" in row.head and row.exit_code == 0


def test_five_megabytes(lab, student):
    id, _ = press_run(student, "seq 1 700000", seconds=90)
    row = Row(lab, id)
    row.assert_is(numbers(1, 700_000))
    assert row.left_out > 4_800_000


@pytest.mark.parametrize("last", [3_000, 18_000], ids=["whole", "100 KB"])
def test_the_worker_is_killed_in_the_middle(lab, student, last):
    """kill -9, twice: once before the beginning is whole, once after. Not a byte of the row is lost or doubled."""
    killed = []

    def meanwhile(printed: bytes) -> None:
        for mark in (b"\n500\r", b"\n%d\r" % (last - 400)):
            if mark in printed and mark not in killed:
                killed.append(mark)
                kill_attach()

    middle = last - 400
    id, printed = press_run(student, f"seq 1 500; sleep 1; seq 501 {middle}; sleep 1; seq {middle + 1} {last}", meanwhile)
    assert len(killed) == 2
    assert printed == numbers(1, last)
    Row(lab, id).assert_is(printed)


def test_the_page_and_the_transcript(lab, student, guests):
    run(student, "echo one needle; ls /nowhere")
    run(student, "printf '<script>alert(1)</script>\\033[31m red\\033[0m\\n'")
    lab.until(lambda: "&lt;/script&gt; red" in student.get("/lab/history").text, what="the rows, which are written behind the bytes,")
    found = student.get("/lab/history").text
    assert "one needle" in found and "exit 2" in found and "&lt;script&gt;alert(1)&lt;/script&gt; red" in found and "<script>alert" not in found
    only = student.get("/lab/history?q=NEEDLE").text
    assert "<mark>needle</mark>" in only and "script&gt;alert" not in only
    transcript = student.get("/lab/history.txt")
    assert transcript.headers["Content-Type"] == "text/plain; charset=utf-8" and "attachment" in transcript.headers["Content-Disposition"]
    assert "    lab# echo one needle; ls /nowhere\n    one needle\n    ls: cannot access '/nowhere'" in transcript.text
    other = guests()
    other.start()
    assert "needle" not in other.get("/lab/history").text and "needle" not in other.get("/lab/history.txt").text


# In Chromium


@pytest.mark.browser
@pytest.mark.timeout(400)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_in_a_browser(page, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.goto("/lab/history")
    page.get_by_text("This browser has no history yet.").wait_for()
    start(page)
    page.locator(".run[data-block] [data-run]").first.click()
    until(page, lambda: page.locator(".run[data-block]").first.get_attribute("data-state") == "done", what="the end of the block")
    clicked = page.locator(".run[data-block] code").first.inner_text()
    type_command(page, "echo ty''ped; seq 1 2000; (exit 3)")
    until(page, lambda: "2000\n" in text(page), what="the output")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    if size[0] < 760:
        page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/lab/history")
    rows = page.locator(".cmd")
    until(page, lambda: page.reload() and rows.count() == 2 and "exit 3" in rows.first.inner_text(), what="both rows")
    assert "exit 3" in rows.first.inner_text() and clicked in rows.last.inner_text()
    rows.first.locator(".out > summary").click()
    assert "typed\n1\n2\n" in rows.first.locator(".printed").inner_text() and "lines not shown here" in rows.first.inner_text()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    copy = rows.first.get_by_role("button", name="Copy")
    copy.focus()
    page.keyboard.press("Enter")
    until(page, lambda: rows.first.locator("[data-copy]").inner_text().startswith("Copied"), what="the word that it is copied")
    page.get_by_role("link", name="All of this output").click()
    page.wait_for_url("**/lab/history/*")
    assert "\n1999\n2000" in page.locator(".printed").inner_text()
    axe(page)
    page.go_back()
    page.get_by_role("searchbox").fill("TYPED")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=TYPED**")
    assert page.locator(".cmd mark").first.inner_text() == "typed"
    page.get_by_role("searchbox").fill("100%_")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing found for “100%_”.").wait_for()
    page.goto("/lessons/meet-docker0/")  # the fixture ends the lab from a lesson's page
