"""All checks of a step: in the order of their needs, within one deadline, and never failed when nobody could look."""
import asyncio
import time

import pytest

from lessons import grading
from lessons.checks import TYPES
from lessons.checks.verdict import Failed, NotKnown
from lessons.grading import Result, grade, plain
from lessons.lesson import Check
from netcontrol.inside import Answer, NoAnswer, NoHost


def check(name, kind="run", **fields):
    fields = {"run": name if kind == "run" else "", "ask": "Which?" if kind == "ask" else "", "why": f"{name} is not so.", **fields}
    return Check(**{"name": name, "kind": kind, "title": name, "hints": (), "needs": (), "host": "lab", "guard": False, **fields})


class Hosts:
    """Answers scripts as a test says: an Answer, an exit code, seconds to wait before 0, or something to raise."""

    def __init__(self, **scripts):
        self.scripts, self.began, self.running, self.most, self.ended, self.seconds = scripts, [], 0, 0, [], []

    async def __call__(self, host, script, seconds=5.0, /):
        self.began.append(script)
        self.seconds.append(seconds)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            said = self.scripts.get(script, 0)
            if isinstance(said, Exception):
                raise said
            if isinstance(said, float):
                await asyncio.sleep(said)
                said = 0
            return said if isinstance(said, Answer) else Answer(said)
        finally:
            self.running -= 1
            self.ended.append(script)


def states(results):
    return {name: result.state for name, result in results.items()}


async def test_run():
    hosts = Hosts(no=1, late=None, timeout=124, missing=127, closed=126, killed=137, gone=NoAnswer("lab"), none=NoHost("lab"), bug=ValueError("x"))
    results = await grade([check(name) for name in ("yes", *hosts.scripts)], {}, hosts)
    assert list(results) == ["yes", *hosts.scripts]
    assert results["yes"] == Result("passed")
    assert results["no"] == Result("failed", "no is not so.")
    assert {name for name, result in results.items() if result.state == "unknown"} == set(hosts.scripts) - {"no"}
    assert results["late"].why == results["timeout"].why == "`lab` did not answer in time."
    assert results["missing"].why == "The check's own script could not run on `lab`."
    assert results["gone"].why == "`lab` does not answer."
    assert results["none"].why == "There is no host `lab` in this lab."
    assert results["bug"].why == "The check itself broke. This is a fault of the lab, not of yours."


async def test_no_checks():
    assert await grade([], {}, Hosts()) == {}


async def test_needs():
    hosts = Hosts(b=1, bug=ValueError())
    checks = [check("d", needs=["c"]), check("c", needs=["a", "b"]), check("b"), check("a", needs=["elsewhere"]), check("e", needs=["a"]), check("bug"), check("f", needs=["bug"])]
    assert states(await grade(checks, {}, hosts)) == {"d": "waits", "c": "waits", "b": "failed", "a": "passed", "e": "passed", "bug": "unknown", "f": "waits"}
    assert hosts.began.index("a") < hosts.began.index("e") and not {"c", "d", "f"} & set(hosts.began)


async def test_a_question_without_an_answer_is_open_and_what_needs_it_waits():
    checks = [check("which", "ask", answer=("eth0",)), check("a", needs=["which"])]
    assert states(await grade(checks, {}, Hosts())) == {"which": "open", "a": "waits"}
    assert states(await grade(checks, {"which": " "}, Hosts())) == {"which": "open", "a": "waits"}
    assert states(await grade(checks, {"which": "ETH0"}, Hosts())) == {"which": "passed", "a": "passed"}
    assert await grade(checks[:1], {"which": "eth1"}, Hosts()) == {"which": Result("failed", "which is not so.")}


async def test_one_deadline_for_all():
    """They are asked at once, what is not there by then is not known, and nothing goes on behind it."""
    hosts = Hosts(slow=30.0, slower=60.0, quick=0.01)
    checks = [check("quick"), check("slow"), check("slower", host="client"), check("next", needs=["slow"])]
    began = time.monotonic()
    results = await grade(checks, {}, hosts, seconds=0.3)
    assert time.monotonic() - began < 2
    assert states(results) == {"quick": "passed", "slow": "unknown", "slower": "unknown", "next": "waits"}
    assert results["slower"].why == "`client` did not answer within 0.3 s."
    assert sorted(hosts.ended) == ["quick", "slow", "slower"] and hosts.running == 0
    assert max(hosts.seconds) <= 0.3


async def test_needs_that_go_round_end_too():
    checks = [check("a", needs=["b"]), check("b", needs=["a"]), check("c", needs=["c"])]
    assert set(states(await grade(checks, {}, Hosts(), seconds=0.1)).values()) == {"waits"}


async def test_who_gives_up_leaves_nothing_behind():
    hosts = Hosts(slow=30.0)
    task = asyncio.create_task(grade([check("slow")], {}, hosts))
    while not hosts.began:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hosts.ended == ["slow"]


async def test_a_host_gets_only_so_many_scripts_at_once():
    names = [f"s{n}" for n in range(3 * grading.AT_ONCE)]
    hosts = Hosts(**dict.fromkeys(names, 0.02))
    assert set(states(await grade([check(name) for name in names], {}, hosts)).values()) == {"passed"}
    assert hosts.most == grading.AT_ONCE


async def test_typed(monkeypatch):
    async def look(params, host, run):
        if params.name == "broken":
            raise KeyError
        if params.name != "web":
            raise (Failed if params.name == "db" else NotKnown)(f"{params.name} on {host}")

    of = TYPES["docker.container"]
    monkeypatch.setitem(TYPES, "docker.container", type(of)(of.name, of.Params, of.title, look))
    names = ("web", "db", "x", "broken")
    results = await grade([check(name, "docker.container", params=of.Params(name=name), host="client") for name in names], {}, Hosts())
    assert (results["web"], results["db"], results["x"]) == (Result("passed"), Result("failed", "db on client"), Result("unknown", "x on client"))
    assert results["broken"].state == "unknown"


@pytest.mark.parametrize(
    "answer, given, state",
    [
        (Answer(0, "\n  172.17.0.2  \n172.17.0.3\n"), "172.17.0.2", "passed"),
        (Answer(0, "172.17.0.2\n172.17.0.3\n"), "172.17.0.3", "failed"),
        (Answer(0, "\n"), "172.17.0.2", "unknown"),
        (Answer(1, "172.17.0.2\n"), "172.17.0.2", "unknown"),
        (Answer(127), "172.17.0.2", "unknown"),
        (Answer(None, "172.17.0.2"), "172.17.0.2", "unknown"),
        (NoAnswer("lab"), "172.17.0.2", "unknown"),
    ],
)
async def test_an_answer_that_the_host_knows(answer, given, state):
    asked = check("which", "ask", answer_run="look")
    hosts = Hosts(look=answer)
    assert (await grade([asked], {"which": given}, hosts))["which"].state == state
    assert (await grade([asked], {}, hosts))["which"].state == "open" and hosts.began == ["look"]  # nobody is asked before there is an answer


@pytest.mark.parametrize(
    "text, same",
    [
        ("eth0", "eth0"), (" ETH0\n", "eth0"), ("`eth0`", "eth0"), ('"eth0"', "eth0"), (" “'eth0'” ", "eth0"), ("Straße", "STRASSE"), ("two  words", "two words"), ("", ""), ("“”", "")
    ],
)  # fmt: skip
def test_what_does_not_matter_in_an_answer(text, same):
    assert plain(text) == plain(same)


def test_what_does_matter():
    assert plain("eth0") != plain("eth 0") != plain("eth1")
    assert plain("don't") == "don't"
