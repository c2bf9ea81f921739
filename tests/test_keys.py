"""No key is lost: `ls` and Enter a thousand times, each key a message of its own, as fast as the socket takes them; then in pieces."""
import random

import pytest

from .page import Page

TIMES = 1000


def commands(lab, guest) -> list[tuple[str, int]]:
    code = f"from netcontrol.models import Command; print(list(Command.objects.filter(sandbox='{guest.sandbox}').order_by('started_at').values_list('text', 'exit_code', 'duration_ms')))"
    return eval(lab.shell(code))


@pytest.mark.parametrize("pieces", ["keys", "chunks"])
def test_a_thousand_commands(lab, student, pieces):
    student.hang_up()
    dice, typed = random.Random(pieces), "ls\r" * TIMES
    with Page(student, "lab") as page:
        page.until(lambda: page.opened, what="the shell")
        at = 0
        while at < len(typed):
            data = typed[at : at + (1 if pieces == "keys" else dice.randint(1, 40))]
            assert page.send("shell.input", shell="lab", data=data)
            at += len(data)
        page.until(lambda: len(page.finished) >= TIMES or any(m["type"] == "error" for m in page.events), 60, "the last of them")
        assert not [m for m in page.events if m["type"] == "error"], "a key was refused"
        page.send("run", shell="lab", block="end", text="true")  # whatever is still to come stands before it
        page.until(lambda: page.finished.get(page.ran("true")), what="the end")
        events = [(m["type"], m["id"]) for m in page.events if m["type"] in ("command.started", "command.finished")]
        ids = [id for kind, id in events if kind == "command.started"]
        assert events == [(kind, id) for id in ids for kind in ("command.started", "command.finished")], "one after another, each once"
        assert [(page.started[id]["text"], page.finished[id]["exit_code"]) for id in ids] == [("ls", 0)] * TIMES + [("true", 0)]
    lab.until(lambda: len([ms for _, _, ms in commands(lab, student) if ms is not None]) > TIMES, 20, "every row")  # they come behind the bytes
    assert [(text, code) for text, code, _ in commands(lab, student)] == [("ls", 0)] * TIMES + [("true", 0)]
