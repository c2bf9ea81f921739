"""Chromium drives the page, on the real lab: start as a guest, type by hand, reload, lose the worker. A lesson is walked in test_lesson_page.py."""
import pytest

from labsite import processes

from .browsing import axe, start, text, type_command, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_typing_by_hand_and_a_reload_that_finds_the_same_shell(page):
    start(page)
    type_command(page, "kept=still-here; echo my pid is $$")
    until(page, lambda: "my pid is " in text(page).replace("echo my pid is", ""), what="the output")
    pid = text(page).rsplit("my pid is ", 1)[1].split()[0]
    page.reload()
    until(page, lambda: f"my pid is {pid}" in text(page), what="the history after the reload")
    type_command(page, "echo $kept in $$")
    until(page, lambda: f"still-here in {pid}" in text(page), what="the same shell")


def test_run_types_into_the_shell_that_the_student_types_in(page):
    start(page)
    type_command(page, "cd /etc")
    until(page, lambda: "root@lab:/etc#" in text(page), what="the other folder")
    block = page.locator(".run[data-block]").first
    block.locator("[data-run]").click()
    until(page, lambda: block.get_attribute("data-state") == "done", what="the end of the block")
    assert "root@lab:/etc# " + block.locator("code").inner_text() in text(page)
    page.reload()
    until(page, lambda: page.locator(".run[data-block]").first.get_attribute("data-state") == "done", what="the block's outcome after a reload")


def test_a_stopped_command_is_no_error(page):
    start(page)
    type_command(page, "sleep 60")
    until(page, lambda: "sleep 60" in text(page), what="the command")
    page.locator(".run[data-block]").first.locator("[data-run]").click(force=True)
    until(page, lambda: "sleep" in page.locator(".run[data-block]").first.inner_text(), what="the word that the terminal is in use")
    page.locator("#termpane textarea").first.focus()
    page.keyboard.press("Control+c")
    until(page, lambda: text(page).count("root@lab:~#") >= 2, what="the prompt")


def test_a_dead_worker_is_said_within_five_seconds_and_mends_itself(page):
    start(page)
    processes.ask("stopProcess", "attach", True)
    try:
        until(page, lambda: page.get_by_text("worker has stopped").first.is_visible(), 5, "the word that the worker is gone")
    finally:
        processes.ask("startProcess", "attach", False)
    until(page, lambda: not page.get_by_text("worker has stopped").first.is_visible(), 20, "the return")
    type_command(page, "echo and $((40 + 2))")
    until(page, lambda: "and 42" in text(page), what="the output")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_nothing_is_out_of_reach(page, scheme, size):
    """axe finds no violation, and nothing makes the page scroll sideways."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto("/")
    axe(page)
    start(page)
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_pages_that_are_not_there_say_so(page):
    answer = page.goto("/lessons/no-such-lesson/")
    assert answer.status == 404
    assert "no-such-lesson" in page.inner_text("main")
