"""Questions about the network: one at a time, each answered once, to the page that asked, in its language."""
import asyncio

import pytest

from netcontrol import stream
from netcontrol.agent.limits import MAX_QUESTIONS
from netcontrol.errors import LabError
from netcontrol.network.live import asking, questions
from netcontrol.tests.agent_fixtures import Page, until
from netcontrol.tests.observed import names
from netcontrol.tests.test_live import Seeing, box, page

__all__ = ["box", "page"]
pytestmark = pytest.mark.django_db(transaction=True)

FOLLOW = {"from": "host:lab", "to": "10.0.0.1", "protocol": "icmp", "port": None}


@pytest.fixture
def answers(monkeypatch):
    """What `follow` and `reach` do: the test says it."""

    class Answers:
        async def __call__(self, run, graph, question):
            self.asked.append((graph, question))
            return await self.does(run)

    answers = Answers()
    answers.asked = []
    monkeypatch.setattr(asking, "find", lambda _: answers)
    return answers


def held(answers) -> asyncio.Event:
    """Nobody is answered before this is set."""
    go_on = asyncio.Event()

    async def does(run):
        await go_on.wait()
        return {}

    answers.does = does
    return go_on


async def test_an_answer(box, page, answers):
    async def does(run):
        return {"steps": [{"text": {"id": "A %(thing)s is there.", "with": {"thing": "bridge"}}}], "end": {"what": "answered", "why": {"id": "Yes.", "with": {}}}}

    answers.does = does
    other = await Seeing.open(box[0])
    await page.send("follow", id="q1", **FOLLOW)
    done = await page.get("follow.done")
    assert done == {"type": "follow.done", "id": "q1", "ok": True, "steps": [{"text": "A bridge is there."}], "end": {"what": "answered", "why": "Yes."}}
    graph, question = answers.asked[0]
    assert names(graph) == {"eth0"} and question == {"id": "q1", **FOLLOW}
    await page.send("reach", id="q2", who=["host:lab", "host:client"], how="tcp:80", predicted=[[None, True], [False, None]])
    assert (await page.get("reach.done"))["id"] == "q2"
    assert not [event for event in other.events if event["type"].endswith(".done")]
    await other.close()


async def test_one_at_a_time(box, page, answers):
    go_on = held(answers)
    other = await Seeing.open(box[0], cookies={"patchbay-language": "zh-hans"})
    await page.send("follow", id="1", **FOLLOW)
    await until(lambda: answers.asked)
    await other.send("follow", id="3", **FOLLOW)
    refused = await other.get("follow.done")
    assert refused["code"] == "busy" and refused["ok"] is False and refused["failed"]
    go_on.set()
    assert (await page.get("follow.done"))["ok"] is True
    await other.send("follow", id="2", **FOLLOW)
    assert (await other.get("follow.done"))["ok"] is True
    await other.close()


async def test_a_page_that_comes_back_asks_again_and_is_answered(box, page, answers):
    """Its connection was lost while the hosts were asked: they are not asked twice, and who asks now gets the answer."""
    go_on = held(answers)
    await page.send("follow", id="1", **FOLLOW)
    await until(lambda: answers.asked)
    await page.close()
    again = await Seeing.open(box[0])
    await again.send("follow", id="1", **FOLLOW)
    await asyncio.sleep(0.2)  # to be refused in, if it were
    go_on.set()
    done = await again.get("follow.done")
    assert done["ok"] is True and len(answers.asked) == 1
    await again.close()


@pytest.mark.parametrize(("fault", "code"), [
    (LabError("no_answer", "The host “lab” does not answer.", "Try again."), "no_answer"), (LabError("no_sense", "A bridge sends nothing.", ""), "no_sense"),
    (KeyError("x"), "failed"), (TimeoutError(), "too_slow"),
])  # fmt: skip
async def test_what_goes_wrong_is_said(page, answers, fault, code):
    async def does(run):
        raise fault

    answers.does = does
    await page.send("follow", id="1", **FOLLOW)
    done = await page.get("follow.done")
    assert done["code"] == code and done["failed"] and done.keys() == {"type", "id", "ok", "code", "failed"}
    assert code != "no_sense" or done["failed"] == "A bridge sends nothing."


async def test_a_page_that_asks_and_asks(page, answers):
    """The worker hears of no more than a person may ask, and each question is answered. Who waits for an answer may ask on."""
    for n in range(2 * MAX_QUESTIONS):
        answers.does = lambda run: asyncio.sleep(0, {})
        await page.send("follow", id=f"f{n}", **FOLLOW)
        assert (await page.get("follow.done"))["ok"] is True
    answers.asked.clear()
    answers.does = lambda run: asyncio.sleep(0, {"ok": False})
    for n in range(40):
        await page.send("reach", id=f"q{n}", who=["host:lab", "host:client"], how="ping", predicted=[])
    said = [await page.get("reach.done") for _ in range(40)]
    assert {m["id"] for m in said} == {f"q{n}" for n in range(40)}
    assert len([m for m in said if m.get("code") == "busy"]) >= 40 - MAX_QUESTIONS and 1 <= len(answers.asked) <= MAX_QUESTIONS


async def test_too_slow_and_too_much(page, answers, monkeypatch):
    monkeypatch.setattr(asking, "SECONDS", 0.3)
    answers.does = lambda run: asyncio.sleep(100)
    await page.send("follow", id="1", **FOLLOW)
    assert (await page.get("follow.done"))["code"] == "too_slow"

    async def much(run):
        return {"steps": ["x" * 1000] * 1000}

    answers.does = much
    await page.send("follow", id="2", **FOLLOW)
    assert (await page.get("follow.done"))["code"] == "failed"


async def test_a_host_is_asked(box, page, answers):
    """`run` is what the lessons' checks have. This agent does not answer to it."""
    async def does(run):
        return {"answer": await run("nowhere", "true", 1.0)}

    answers.does = does
    await page.send("follow", id="1", **FOLLOW)
    assert (await page.get("follow.done"))["code"] == "no_host"


async def test_a_killed_worker_and_a_page_that_waits(page, answers, asked, monkeypatch):
    """The page is told that nobody answered; and what nobody waits for any more is not asked again."""
    monkeypatch.setattr(questions, "LATE_SECONDS", 1.0)
    answers.does = lambda run: asyncio.sleep(100)
    await page.send("follow", id="1", **FOLLOW)
    await until(lambda: answers.asked)
    monkeypatch.setattr(asking, "LATE_SECONDS", 0.0)
    await asked.carriers[-1].kill()
    done = await page.get("follow.done")
    assert done["code"] == "late" and done["id"] == "1"
    await page.get("sandbox.state", worker="up")
    await asyncio.sleep(0.5)
    assert len(answers.asked) == 1 and not [event for event in page.events if event["type"] == "follow.done"]


async def test_a_question_survives_the_worker(page, answers, asked):
    """Its successor reads it again, and answers."""
    answers.does = lambda run: asyncio.sleep(100)
    await page.send("follow", id="1", **FOLLOW)
    await until(lambda: answers.asked)
    answers.does = lambda run: asyncio.sleep(0, {"found": True})
    await asked.carriers[-1].kill()
    assert (await page.get("follow.done"))["ok"] is True


async def test_before_the_network_is_seen(box, answers, monkeypatch):
    monkeypatch.setattr(asking, "GRAPH_SECONDS", 0.2)
    page = await Page.open(box[0])
    await page.get("sandbox.state", worker="up")
    await page.send("follow", id="1", **FOLLOW)
    assert (await page.get("follow.done"))["code"] == "unseen"
    await page.close()


@pytest.mark.parametrize("bad", [
    {"protocol": "sctp"}, {"port": 0}, {"port": "80"}, {"port": True}, {"from": 1}, {"to": None}, {"id": "x" * 100}, {"to": "x" * 300},
])  # fmt: skip
async def test_a_question_that_is_none(page, bad):
    await page.send("follow", **{"id": "1", **FOLLOW, **bad})
    assert (await page.get("error"))["code"] in ("bad_message", "too_long")


@pytest.mark.parametrize("bad", [
    {"who": []}, {"who": ["a"] * 2}, {"who": [f"c{n}" for n in range(9)]}, {"who": "ab"}, {"who": [1, 2]}, {"how": "tcp"}, {"how": "tcp:70000"}, {"how": "tcp:80\n"}, {"how": None},
    {"predicted": [[1]]}, {"predicted": None}, {"predicted": [[True] * 9]}, {"predicted": [True]},
])  # fmt: skip
async def test_a_matrix_that_is_none(page, bad):
    await page.send("reach", **{"id": "1", "who": ["a", "b"], "how": "ping", "predicted": [], **bad})
    assert (await page.get("error"))["code"] == "bad_message"


async def test_a_question_that_could_not_be_sent(page, answers, private_redis, monkeypatch):
    """It is refused like any other word, and no answer is waited for."""
    async def full(*_):
        raise stream.TooMuchInput

    monkeypatch.setattr(questions, "LATE_SECONDS", 1.5)
    monkeypatch.setattr(stream, "send_input", full)
    await page.send("follow", id="1", **FOLLOW)
    assert (await page.get("error"))["code"] == "not_now"
    await asyncio.sleep(1)
    assert not [event for event in page.events if event["type"] == "follow.done"]
