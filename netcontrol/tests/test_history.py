"""A student's history: their own rows, found, shown safely, downloaded, and in the end deleted."""
import uuid
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from lessons.models import Student
from netcontrol import history, models, tasks
from netcontrol.history import PAGE, SHOWN, Row
from netcontrol.models import Command, Host, Sandbox
from netcontrol.templatetags.said import count, duration, line, marked, span
from netcontrol.tests.agent_fixtures import make_sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
BEGAN = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)


@pytest.fixture
def lab(alice) -> Sandbox:
    return ended_lab(alice, BEGAN)


def ended_lab(owner: Student, began: datetime) -> Sandbox:
    sandbox = make_sandbox(owner)
    Sandbox.objects.filter(pk=sandbox.pk).update(state=Sandbox.State.ENDED, claimed_at=began, ended_at=began + timedelta(minutes=72), gone_at=began + timedelta(minutes=73))
    return Sandbox.objects.get(pk=sandbox.pk)


def ran(lab: Sandbox, text: str = "true", minutes: float = 1, output: str = "", exit_code: int | None = 0, duration_ms: float | None = 12, **more) -> Command:
    fields = {"host": "lab", "shell": "lab", "output_head": output, "output_bytes": len(output), **more}
    return Command.objects.create(sandbox=lab, text=text, started_at=BEGAN + timedelta(minutes=minutes), exit_code=exit_code, duration_ms=duration_ms, **fields)


def page(client, query: str = "") -> str:
    answer = client.get(f"/lab/history{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def texts(client, query: str = "") -> list[str]:
    answer = client.get(f"/lab/history{query}")
    return [row.command.text for lab in answer.context["labs"] for day in lab.days for row in day.rows]


def download(client, query: str = "") -> str:
    answer = client.get(f"/lab/history.txt{query}")
    assert answer.status_code == 200 and answer.streaming
    return body(answer)


def body(answer) -> str:
    async def read() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(read)().decode()


# Whose


def test_nobody_sees_anothers(client, alice, lab):
    bob = Student.new_guest()
    other = ended_lab(bob, BEGAN)
    mine, theirs = ran(lab, "echo mine", output="mine"), ran(other, "echo theirs", output="theirs")
    assert texts(client) == ["echo mine"]
    assert "theirs" not in page(client) and "theirs" not in page(client, f"?lab={other.pk}") and "theirs" not in download(client)
    assert texts(client, "?q=echo") == ["echo mine"]
    assert client.get(f"/lab/history/{mine.pk}").status_code == 200
    assert client.get(f"/lab/history/{theirs.pk}").status_code == 404
    assert client.get(f"/lab/history.txt?lab={other.pk}").status_code == 404
    assert client.get(f"/lab/history/{uuid.uuid4()}").status_code == 404


def test_somebody_without_a_lab(client):
    assert "This browser has no history yet." in page(client)
    assert client.get("/lab/history.txt").status_code == 404
    assert client.get(f"/lab/history/{uuid.uuid4()}").status_code == 404
    assert not Student.objects.exists()


def test_a_guest_who_ran_nothing(client, alice):
    assert "You have run nothing yet." in page(client)
    assert "No commands." in download(client)


# What


def test_newest_first_by_lab_and_day(client, alice, lab):
    later = ended_lab(alice, BEGAN + timedelta(days=1))
    ran(lab, "one", 1)
    ran(lab, "two", 2)
    ran(lab, "after midnight", 600)
    ran(later, "three", 1441)
    labs = client.get("/lab/history").context["labs"]
    assert [(found.sandbox.pk, found.began) for found in labs] == [(later.pk, BEGAN + timedelta(days=1)), (lab.pk, BEGAN)]
    assert [[row.command.text for row in day.rows] for day in labs[1].days] == [["after midnight"], ["two", "one"]]
    text = page(client)
    assert "It ran for 1 h 12 min." in text and "kept for 365 days" in text and "Monday, 23 November" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"exit_code": 0}, "exit 0"),
        ({"exit_code": 7}, "exit 7"),
        ({"exit_code": 130}, "stopped"),
        ({"exit_code": None}, "no exit code"),
        ({"exit_code": None, "duration_ms": None}, "no exit code"),
    ],
)
def test_outcomes(client, lab, fields, words):
    ran(lab, **fields)
    assert f">{words}</span>" in page(client)
    assert f"  {words}" in download(client)


def test_running_is_said_of_a_lab_that_runs(client, alice):
    lab = make_sandbox(alice)
    ran(lab, "sleep 9", exit_code=None, duration_ms=None)
    text = page(client)
    assert ">running</span>" in text and "Your lab runs." in text


def test_another_shell_of_a_host_is_named(client, lab):
    ran(lab, host="lab", shell="lab-2")
    assert "lab · lab-2" in page(client)


def test_text_that_is_not_known_and_text_that_is_long(client, lab):
    ran(lab, "")
    long = ran(lab, "cat <<EOF\n" + "x\n" * 20 + "EOF")
    text = page(client)
    assert "history was switched off" in text and '<details class="long">' in text
    assert "x\n" * 20 in unescape(client.get(f"/lab/history/{long.pk}").content.decode())


def test_output_with_a_hole_and_output_that_was_refused(client, lab):
    ran(lab, "seq", output="1\n2\n", output_tail="8\n9\n", output_bytes=1_004_000, output_left_out=1_003_992)
    ran(lab, "yes", output_bytes=900, output_left_out=900)
    text = page(client)
    assert "1,003,992 bytes left out" in text and "4 lines kept of 1,004,000 bytes" in text
    assert "It printed 900 bytes, which are not kept" in text
    assert "    1\n    2\n  [1,003,992 bytes left out]\n    8\n    9\n" in download(client)


def test_a_long_output_stands_in_part_and_whole_on_a_page_of_its_own(client, lab):
    output = "".join(f"line {n}\n" for n in range(2000))
    row = ran(lab, output=output)
    text = page(client)
    assert "line 0\n" in text and "line 1999" not in text and "lines not shown here" in text
    assert len(text) < 20_000
    assert f'href="/lab/history/{row.pk}"' in text
    assert output in client.get(f"/lab/history/{row.pk}").content.decode()


def test_an_empty_first_line_is_kept(client, lab):
    ran(lab, output="\n\nx\n")
    assert "<pre>\n\n\nx\n</pre>" in page(client)  # a parser drops the first one


# Search


def test_search_is_literal_and_in_any_case(client, lab):
    for text, output in (("echo 100%", ""), ("echo 100 percent", ""), ("a_b", ""), ("axb", ""), ("ls", "DOCKER0 up"), ("back\\slash", ""), ("it's", "")):
        ran(lab, text, output=output)
    assert texts(client, "?q=100%25") == ["echo 100%"]
    assert texts(client, "?q=a_b") == ["a_b"]
    assert texts(client, "?q=docker0") == ["ls"]
    assert texts(client, "?q=%5C") == ["back\\slash"]
    assert texts(client, "?q=t%27s") == ["it's"]
    assert texts(client, "?q=ECHO") == ["echo 100 percent", "echo 100%"] or len(texts(client, "?q=ECHO")) == 2
    assert len(texts(client, "?q=%00")) == 7
    assert "Nothing found for “nope%”." in page(client, "?q=nope%25")
    assert texts(client, "?q=" + "x" * 5000) == []


def test_search_in_the_tail(client, lab):
    ran(lab, "seq", output="1\n", output_tail="needle\n", output_bytes=99_000, output_left_out=98_000)
    assert texts(client, "?q=needle") == ["seq"]
    assert '<details class="out" open>' in page(client, "?q=needle")


def test_failures_only(client, lab):
    for code in (0, 1, 130, None, 137):
        ran(lab, f"exit {code}", exit_code=code)
    assert sorted(texts(client, "?failed=1")) == ["exit 1", "exit 137"]
    assert texts(client, "?failed=1&q=137") == ["exit 137"]
    Command.objects.filter(exit_code__in=[1, 137]).delete()
    assert "No command failed here." in page(client, "?failed=1")


@pytest.mark.parametrize("at", [0, 1000, 1999])
@pytest.mark.parametrize("tail", [False, True])
def test_the_match_stands_on_the_page(lab, at, tail):
    lines = [f"line {n}" for n in range(2000)]
    lines[at] = "a Needle here"
    text, other = "\n".join(lines) + "\n", "other\n" * 1000
    row = Row(ran(lab, output=other if tail else text, output_tail=text if tail else other, output_left_out=5), wanted="needle")
    shown = "".join(part.text for part in row.parts)
    assert "a Needle here" in shown and len(shown) <= SHOWN + 100
    assert shown.index("Needle") <= 3 * history.BEFORE
    assert [part.left_out for part in row.parts if part.left_out] == [5]
    assert any(part.lines for part in row.parts)


def test_a_match_in_a_line_without_an_end(lab):
    row = Row(ran(lab, output="x" * 9000 + "needle" + "y" * 9000), wanted="NEEDLE")
    assert "needle" in "".join(part.text for part in row.parts) and len("".join(part.text for part in row.parts)) <= SHOWN + 100


def test_marks(client, lab):
    ran(lab, "docker ps", output="a Docker line\n")
    text = page(client, "?q=docker")
    assert "<mark>docker</mark> ps" in text and "a <mark>Docker</mark> line" in text


# Hostile


EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;</pre></details>"


@pytest.mark.parametrize("query", ["", "?q=script", "?q=%3Cscript%3E", "?q=%22%27", "?q=amp", "?q=%26"])
def test_nothing_that_ran_is_markup(client, lab, query):
    row = ran(lab, EVIL, output=EVIL, host="lab", shell="lab-2")
    for text in (page(client, query), client.get(f"/lab/history/{row.pk}").content.decode()):
        assert "<script>alert" not in text and "<img" not in text and "&amp;amp;" in text.replace("<mark>", "").replace("</mark>", "")
    assert "<b>" not in page(client, "?q=%3Cb%3E").split("<main")[1].replace('<b class="num">', "")


def test_controls_in_a_command_line_are_signs(client, lab):
    ran(lab, "echo '\x1b[2J'\x07\u202e\r")
    for text in (page(client), download(client)):
        assert "\x1b" not in text and "\u202e" not in text and "␛[2J" in text


def test_no_output_looks_like_a_line_of_ours(client, lab):
    forged = "=== Lab of 2020\n\n--- 2026-11-23 14:03:00  lab  exit 0  0.1 s\n    lab# rm -rf /\n  [9 bytes left out]"
    ran(lab, forged, output=forged)
    ran(lab, "x", 2, output=forged)
    lines = download(client).split("\n")
    assert sum(line.startswith("--- ") for line in lines) == 2 and sum(line.startswith("=== ") for line in lines) == 1
    assert not [line for line in lines if line.startswith("  [")]
    assert len(download(client, "?q=x%0A%3D%3D%3D").split("\n===")) <= 2


# The transcript


def test_the_transcript(client, lab):
    ran(lab, "docker ps", 1, output="CONTAINER ID\n", duration_ms=28)
    ran(lab, "for n in 1 2; do\n  echo $n\ndone", 2, output="1\n2", exit_code=3, duration_ms=65_000, shell="lab-2")
    answer = client.get("/lab/history.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8" and answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == f'attachment; filename="patchbay-history-{timezone.localdate()}.txt"'
    assert body(answer).split("\n", 2)[2] == (
        "\n=== Lab of 2026-11-23 14:02, 1 h 12 min\n"
        "\n--- 2026-11-23 14:03:00  lab  exit 0  28 ms\n    lab# docker ps\n    CONTAINER ID\n"
        "\n--- 2026-11-23 14:04:00  lab · lab-2  exit 3  1 min 5 s\n    lab# for n in 1 2; do\n    >   echo $n\n    > done\n    1\n    2\n"
    )


def test_the_transcript_of_one_lab(client, alice, lab):
    ran(lab, "here")
    ran(ended_lab(alice, BEGAN + timedelta(days=1)), "there", 1500)
    text = download(client, f"?lab={lab.pk}")
    assert "here" in text and "there" not in text
    assert 'filename="patchbay-lab-2026-11-23-1402.txt"' in client.get(f"/lab/history.txt?lab={lab.pk}")["Content-Disposition"]
    assert client.get("/lab/history.txt?lab=nonsense").status_code == 404
    assert download(client, "?q=ther").count("--- ") == 1


def test_the_transcript_goes_on_over_its_batches(client, lab):
    for n in range(120):
        ran(lab, f"echo {n};", n // 3)  # several at the same time
    text = download(client)
    assert all(text.count(f"echo {n};") == 1 for n in range(120))


@pytest.mark.django_db(transaction=True)
async def test_the_transcript_is_streamed(async_client):
    guest = await sync_to_async(Student.new_guest)()
    await async_client.aforce_login(guest)
    lab = await sync_to_async(ended_lab)(guest, BEGAN)
    for n in range(3):
        await sync_to_async(ran)(lab, f"echo {n};", n)
    answer = await async_client.get("/lab/history.txt")
    pieces = [piece async for piece in answer.streaming_content]
    assert len(pieces) == 4 and b"echo 2;" in pieces[3]


# Pages


def test_pages(client, lab):
    for n in range(PAGE + 3):
        ran(lab, f"echo {n}", n)
    first, second = texts(client), texts(client, "?page=2&q=echo")
    assert len(first) == PAGE and first[0] == f"echo {PAGE + 2}" and second == ["echo 2", "echo 1", "echo 0"]
    text = page(client, "?q=echo&failed=")
    assert 'rel="next" href="?q=echo&amp;failed=&amp;page=2"' in text and "Page 1 of 2" in text
    assert texts(client, "?page=nonsense") == first and texts(client, "?page=99") == second


def test_a_constant_number_of_queries(client, alice, lab, django_assert_num_queries):
    ran(lab)
    with django_assert_num_queries(6):  # session, student, count, order, rows; has the guest anything to keep
        client.get("/lab/history")
    for n in range(60):
        ran(ended_lab(alice, BEGAN + timedelta(days=n + 1)), minutes=1440 * (n + 1))
    with django_assert_num_queries(6):
        client.get("/lab/history?q=t")


def test_only_reading(client, alice):
    assert client.post("/lab/history").status_code == 405 and client.post("/lab/history.txt").status_code == 405


# How long


def test_sessions_that_are_over_are_forgotten(client, alice):
    over, client_key = SessionStore(), client.session.session_key
    over.set_expiry(-1)
    over.save()
    tasks.forget_old()
    assert list(Session.objects.values_list("pk", flat=True)) == [client_key]


def test_old_rows_are_forgotten(client, alice, settings, monkeypatch):
    settings.HISTORY_DAYS = 30
    monkeypatch.setattr(models, "BATCH", 3)
    now = timezone.now()
    old, new, held, live = (make_sandbox(Student.new_guest()) for _ in range(4))
    ended = {"state": Sandbox.State.ENDED, "ended_at": now - timedelta(days=31), "gone_at": now - timedelta(days=31)}
    Sandbox.objects.filter(pk=old.pk).update(**ended)
    Sandbox.objects.filter(pk=held.pk).update(**ended | {"gone_at": None})
    Sandbox.objects.filter(pk=new.pk).update(**ended | {"ended_at": now - timedelta(days=29)})
    for lab, days in ((old, 31), (held, 31), (new, 29), (live, 31), (live, 0)):
        for _ in range(5):
            Command.objects.create(sandbox=lab, host="lab", shell="lab", text="x", started_at=now - timedelta(days=days))
    tasks.forget_old()
    assert set(Sandbox.objects.values_list("pk", flat=True)) == {new.pk, held.pk, live.pk}
    assert (new.commands.count(), held.commands.count(), live.commands.count()) == (5, 0, 5)
    assert not Host.objects.filter(sandbox=old).exists()
    tasks.forget_old()
    assert Command.objects.count() == 10


# Words


def test_words():
    assert [duration(ms) for ms in (0.4, 99.4, 100, 9949, 9950, 65_000, 7_380_000)] == ["0 ms", "99 ms", "0.1 s", "9.9 s", "9 s", "1 min 5 s", "2 h 3 min"]
    assert [span(timedelta(seconds=s)) for s in (-5, 40, 540, 6120, 7200)] == ["0 s", "40 s", "9 min", "1 h 42 min", "2 h"]
    assert count(1, "line") == "1 line" and count(1200, "byte") == "1,200 bytes"


def test_marked_is_literal():
    assert marked("a.b axb <i>", ".") == "a<mark>.</mark>b axb &lt;i&gt;"
    assert marked("<<", "<") == "<mark>&lt;</mark><mark>&lt;</mark>"
    assert line("ip -br <addr>", "") == "ip <span>-br</span> &lt;addr&gt;"
    assert line("ip -br <addr>", "BR") == "ip -<mark>br</mark> &lt;addr&gt;"
