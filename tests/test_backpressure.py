"""`yes` and a page that does not read: the program is held back, nothing grows, and Ctrl-C works at once. With nobody there it goes on."""
import asyncio
import time

from netcontrol.dial import dock_path, execute

from .page import Page
from .test_hostile import rss

HELD = 1.0  # seconds without a byte after which a program stands still
PROGRAMS = ("redis", "worker", "attach", "beat", "web")


def in_host(guest, script: str) -> str:
    return asyncio.run(execute(dock_path(guest.sandbox, "lab"), 10, script=script))["out"].decode()


def written(guest) -> int:
    """Bytes that `yes` has printed."""
    return int(in_host(guest, "sed -n 's/^wchar: //p' /proc/$(pgrep -x yes)/io"))


def sizes(guest) -> dict[str, int]:
    agent = in_host(guest, "grep VmRSS /proc/$(systemctl show -P MainPID patchbay-agent)/status").split()[1]
    return {"agent": int(agent) // 1024, **{program: rss(program) for program in PROGRAMS}}


def grown(before: dict[str, int], after: dict[str, int]) -> None:
    print(f"MiB: {before} -> {after}")
    assert all(after[name] - before[name] < 40 for name in before), (before, after)
    assert after["agent"] < 40 and max(after[name] for name in ("redis", "attach", "web")) < 150


def stands_still(guest, seconds: float = 20) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = written(guest)
        time.sleep(HELD)
        if written(guest) == before:
            return before
    raise AssertionError("the program is not held back")


def test_a_page_that_does_not_read(student):
    student.hang_up()
    with Page(student, "lab") as slow:
        slow.until(lambda: slow.opened, what="the shell")
        before = sizes(student)
        slow.send("run", shell="lab", block="y", text="yes")
        slow.until(lambda: slow.end("lab") > 500_000, what="half a megabyte")
        slow.may_read.clear()
        printed = stands_still(student)
        grown(before, sizes(student))
        assert written(student) == printed, "still held back"
        with Page(student, "lab") as second:
            second.until(lambda: second.opened and second.end("lab") > 0, what="the shell")
            began = time.monotonic()
            second.send("shell.input", shell="lab", data="\x03")
            ended = second.until(lambda: second.finished.get(second.ran("yes")), 10, "the end of yes")
            took = time.monotonic() - began
            print(f"Ctrl-C after {took * 1000:.0f} ms")
            assert ended["exit_code"] == 130 and took < 2
            slow.may_read.set()
            slow.until(lambda: slow.end("lab") >= second.end("lab"), what="the rest")
        assert not slow.gaps and bytes(slow.kept["lab"]).count(b"y\r\n") > 0, "and the slow page has lost nothing"


def test_nobody_looks(student):
    student.hang_up()
    page = Page(student, "lab")
    with page:
        page.until(lambda: page.opened, what="the shell")
        before = sizes(student)
        page.send("run", shell="lab", block="y", text="yes")
        page.until(lambda: page.end("lab") > 500_000, what="half a megabyte")
    had, enough = page.end("lab"), written(student) + 20_000_000
    end = time.monotonic() + 30
    while written(student) < enough:
        assert time.monotonic() < end, "the program does not go on"
        time.sleep(0.1)
    grown(before, sizes(student))
    with Page(student, "lab", since={"lab": had}) as again:
        gap = again.until(lambda: again.gaps and again.gaps[0], what="the gap")
        assert gap["from"] == had < gap["to"]
        again.send("shell.input", shell="lab", data="\x03")
        assert again.until(lambda: again.finished.get(again.ran("yes")), 10, "the end of yes")["exit_code"] == 130
