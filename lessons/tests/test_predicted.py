"""reach.predicted: what a student says of a matrix, held against what was tried."""
import asyncio
import json

import pytest
from pydantic import ValidationError

from lessons import grading
from lessons.checks import predicted
from lessons.checks.predicted import PREDICTED, PredictedParams, flipped, in_words, read
from lessons.lesson import Check
from netcontrol.inside import Answer, NoHost
from netcontrol.network.reach.tries import Cell, End

BETWEEN = ["lab", "web", "client/db"]
YES, NO = Cell(True, "", "10.0.0.2"), Cell(False, "timeout", "10.0.0.2")
TRUE = [[Cell(None), YES, NO], [YES, Cell(None), NO], [NO, NO, Cell(None)]]  # -yn y-n nn-


@pytest.fixture
def found(monkeypatch):
    """What the try finds, and between whom it was tried."""
    state = {"cells": [list(row) for row in TRUE], "tried": []}

    async def matrix(run, ends, how, leads):
        state["tried"].append((ends, how))
        return state["cells"]

    monkeypatch.setattr(predicted, "matrix", matrix)
    return state


async def run(host, script, seconds=5.0, /):
    if host not in ("lab", "client"):
        raise NoHost(host)
    return Answer(0 if script == "true" or script.endswith("/red") else 1)


def judge(given, between=BETWEEN, how="ping"):
    return asyncio.run(PREDICTED.judge(PredictedParams(between=between, how=how), "lab", run, given))


def test_right(found):
    assert judge("-yn y-n nn-").state == "passed"
    assert found["tried"] == [([End("lab", "lab"), End("web", "lab", container="web"), End("client/db", "client", container="db")], "ping")]


def test_hosts_and_namespaces(found):
    judge("-yn y-n nn-", ["client", "red", "client/red"])
    assert found["tried"][0][0] == [End("client", "client"), End("red", "lab", netns="red"), End("client/red", "client", netns="red")]


def test_wrong_cells_are_named_and_no_others(found):
    verdict = judge("-yy y-n yn-")
    assert (verdict.state, verdict.cells) == ("failed", ((0, 2), (2, 0)))
    assert verdict.why == (
        "`lab` does not reach `client/db`: nothing comes back from `10.0.0.2`. `client/db` does not reach `lab`: nothing comes back from `10.0.0.2`."
    )
    verdict = judge("-ny n-y yy-")
    assert len(verdict.cells) == 6 and verdict.why.endswith("And 2 more.")


@pytest.mark.parametrize("given", ["-?n y-n nn-", "-yn y-n nn?", "???"])
def test_not_everything_is_said(found, given):
    verdict = judge(given)
    assert verdict.state == ("passed" if given == "-yn y-n nn?" else "failed")
    if given != "-yn y-n nn?":
        assert found["tried"] == [], "nothing is tried, so nothing is told"


@pytest.mark.parametrize("given", ["yes", "-yn", "-yn y-n", "-yn y-n nn-x", "-yn y-n nx-", "y" * 400, "\u202e"])
def test_nonsense(found, given):
    assert judge(given).why == "Say of each whether it reaches each of the others."


def test_what_nobody_can_tell_is_not_known(found):
    found["cells"][1][2] = Cell(None, "silent")
    assert judge("-yn y-n nn-").state == "unknown"


def test_a_container_that_is_not_there(found):
    gone = Cell(False, "no-container")
    found["cells"] = [[Cell(None), gone, YES], [gone, Cell(None), gone], [YES, gone, Cell(None)]]
    assert judge("-yn y-n nn-").why == "There is nothing here that is called `web`."


def test_answer(found):
    params = PredictedParams(between=BETWEEN)
    text = asyncio.run(PREDICTED.answer(params, "lab", run))
    assert text == "-yn y-n nn-"
    assert in_words(params, text) == "lab → web; web → lab; client/db → –"
    assert list(flipped(text)) == ["-nn y-n nn-", "-yn y-n ny-"]
    assert read(text, 3) == [[None, True, False], [True, None, False], [False, False, None]]


def test_titles():
    assert [PREDICTED.title(PredictedParams(between=BETWEEN, how=how)) for how in ("ping", "name", "tcp:80")] == [
        "You can tell who reaches whom with a ping", "You can tell who knows whose name", "You can tell who reaches whom on TCP port 80",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"between": ["a"]}, {"between": ["a", "a"]}, {"between": ["a"] * 9}, {"between": ["a", "b"], "how": "udp:1"}, {"between": ["a", "b c"]}, {"between": ["a", "x/y/z"]}])
def test_parameters(wrong):
    with pytest.raises(ValidationError):
        PredictedParams.model_validate(wrong)


def test_graded(found):
    """As a question: open until it is answered, and the proof can ask what is right."""
    check = Check("who", "reach.predicted", "Who", (), (), "lab", False, "", params=PredictedParams(between=BETWEEN))
    assert check.answered and check.asks_sandbox
    assert asyncio.run(grading.grade([check], {}, run))["who"].state == "open"
    result = asyncio.run(grading.grade([check], {"who": "-yy y-n nn-"}, run))["who"]
    assert (result.state, result.cells) == ("failed", ((0, 2),))
    assert asyncio.run(grading.right_answers(check, run)) == ["-yn y-n nn-"]
    assert json.dumps({"wrong": result.cells}) == '{"wrong": [[0, 2]]}'
