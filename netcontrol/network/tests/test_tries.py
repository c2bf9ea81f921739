"""What hosts say of who reaches whom: an answer counts when what was sent arrived, and whatever has another shape is not known."""
import asyncio
import json
import re

import pytest

from netcontrol.inside import Answer, NoAnswer, NoHost
from netcontrol.network.reach.tries import Cell, End, matrix

ASKED = re.compile(r"main\(json\.loads\((.*)\)\)\n")
ENDS = [End("lab", "lab"), End("web", "lab", container="web"), End("client", "client")]
ADDRESS = {0: "10.73.0.2", 1: "172.17.0.2", 2: "10.73.0.3"}


class Hosts:
    """Each end reaches all others; a test changes what it wants to be otherwise."""

    def __init__(self):
        self.there = {n: {"space": f"{n}", "addresses": [address]} for n, address in ADDRESS.items()}
        self.found = {a: {f"{b}": [["", ADDRESS[b], ""]] for b in ADDRESS if a != b} for a in ADDRESS}
        self.seen = {b: [f"{a}/{b}/{n}" for a in ADDRESS if a != b for n in (0, 1)] for b in ADDRESS}
        self.more = {n: {"ready": 1.0, "began": 2.0, "deaf": False} for n in ADDRESS}
        self.instead = {}  # (host, what is asked) -> something else
        self.asked = []

    async def __call__(self, host, script, seconds=5.0, /):
        question = json.loads(eval(ASKED.search(script)[1], {}))
        self.asked.append((host, question))
        answer = self.instead.get((host, question["ask"]))
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            answer = {"ends": [self.end(question, end["n"]) for end in question["ends"]]}
        return answer if isinstance(answer, Answer) else Answer(0, json.dumps(answer))

    def end(self, question, n):
        if question["ask"] == "where" or "no" in self.there[n]:
            return self.there[n]
        if question["ask"] == "alone":
            return {**self.there[n], "found": self.found[n], "seen": self.seen[n], **self.more[n]}
        return {"found": self.found[n], "seen": self.seen[n], **self.more[n]}


@pytest.fixture
def hosts():
    return Hosts()


def tried(hosts, how="ping"):
    return asyncio.run(matrix(hosts, ENDS, how))


def test_all_reach_all(hosts):
    cells = tried(hosts)
    assert [[cell.reached for cell in row] for row in cells] == [[None, True, True], [True, None, True], [True, True, None]]
    assert cells[0][1] == Cell(True, "", "172.17.0.2")
    assert {(host, question["ask"]) for host, question in hosts.asked} == {(host, ask) for host in ("lab", "client") for ask in ("where", "tries")}
    goals = [question["goals"] for _, question in hosts.asked if question["ask"] == "tries"]
    assert goals[0] == goals[1] == [{"n": n, "name": end.name, "addresses": [ADDRESS[n]]} for n, end in enumerate(ENDS)]


def test_one_host_alone_is_asked_once(hosts):
    cells = asyncio.run(matrix(hosts, ENDS[:2], "ping"))
    assert [[cell.reached for cell in row] for row in cells] == [[None, True], [True, None]]
    assert [(host, question["ask"], question["names"]) for host, question in hosts.asked] == [("lab", "alone", ["lab", "web"])]
    hosts.there[1] = {"no": "stopped"}
    assert asyncio.run(matrix(hosts, ENDS[:2], "ping"))[0][1] == Cell(False, "stopped")
    hosts.instead["lab", "alone"] = Answer(0, '{"ends": [{}, 5]}')
    assert asyncio.run(matrix(hosts, ENDS[:2], "ping"))[0][1] == Cell(None, "silent")


def test_an_answer_of_another_one_with_the_same_address(hosts):
    hosts.seen[1] = ["0/1/0"]  # what client sent did not arrive there
    assert tried(hosts)[2][1] == Cell(False, "other", "172.17.0.2")
    assert tried(hosts)[0][1].reached
    hosts.more[1]["ready"] = 3.0  # it was not there in time to see what arrived, at the first try and at the second
    hosts.asked.clear()
    assert tried(hosts)[2][1] == Cell(None, "late", "172.17.0.2")
    begun = [question["begin"] for host, question in hosts.asked if (host, question["ask"]) == ("client", "tries")]
    assert len(begun) == 2 and begun[1] > begun[0] + 0.5
    hosts.more[1] = {"ready": 1.0, "began": 2.0, "deaf": True}
    assert tried(hosts)[2][1].reached


def test_a_connection_is_known_by_its_number(hosts):
    assert tried(hosts, "tcp:80")[0][1] == Cell(None, "late", "172.17.0.2"), "its own number was not seen"
    hosts.found[0]["1"] = [["", "172.17.0.2", "77"]]
    assert tried(hosts, "tcp:80")[0][1] == Cell(False, "other", "172.17.0.2")
    hosts.seen[1].append("77")
    assert tried(hosts, "tcp:80")[0][1].reached
    hosts.found[0]["1"] = [["refused", "172.17.0.2", "77"]]
    assert tried(hosts, "tcp:80")[0][1].code == "refused"
    hosts.seen[1].remove("77")
    assert tried(hosts, "tcp:80")[0][1].code == "turned-away", "it was not the one who was meant that refused"


def test_of_several_addresses_one_is_enough_and_the_most_telling_counts(hosts):
    hosts.found[0]["1"] = [["timeout", "172.18.0.2", ""], ["", "172.17.0.2", ""]]
    assert tried(hosts)[0][1] == Cell(True, "", "172.17.0.2")
    hosts.seen[1] = ["0/1/1", "2/1/0"]
    hosts.found[0]["1"] = [["", "172.18.0.2", ""], ["timeout", "172.17.0.2", ""]]
    assert tried(hosts)[0][1] == Cell(False, "timeout", "172.17.0.2"), "what arrived was sent to another address than the one that answered"
    hosts.found[0]["1"] = [["no-route", "172.18.0.2", ""], ["timeout", "172.17.0.2", ""]]
    assert tried(hosts)[0][1] == Cell(False, "timeout", "172.17.0.2")


def test_names(hosts):
    hosts.found = {0: {"1": ["no-nameserver", []], "2": ["", ["10.73.0.3"]]}, 1: {"0": ["nameserver-silent:8.8.8.8", []], "2": ["", ["10.9.9.9"]]}, 2: {"0": ["", []]}}
    cells = tried(hosts, "name")
    assert cells[0][1:] == [Cell(False, "no-nameserver"), Cell(True, "", "10.73.0.3")]
    assert cells[1][0] == Cell(False, "nameserver-silent:8.8.8.8")
    assert cells[1][2] == Cell(False, "other", "10.9.9.9"), "the name is known, and stands for something else"
    assert cells[2][:2] == [Cell(False, "other"), Cell(None, "odd")]


def test_what_is_not_there(hosts):
    hosts.there[1] = {"no": "stopped"}
    cells = tried(hosts)
    assert [cells[0][1], cells[1][0], cells[1][2], cells[2][1]] == [Cell(False, "stopped")] * 4
    assert cells[0][2].reached
    assert [end["n"] for host, question in hosts.asked for end in question["ends"] if (host, question["ask"]) == ("lab", "tries")] == [0]
    hosts.there[1] = {"space": "1", "addresses": []}
    assert tried(hosts)[0][1] == Cell(False, "no-address")
    hosts.there[1] = {"no": "dockerd-down"}
    assert tried(hosts)[0][1] == Cell(None, "dockerd-down")


FORGED = ["", "no JSON", "[]", "5", '{"ends": 5}', '{"ends": []}', '{"ends": [1, 2]}', '{"ends": [[], {}]}', '{"ends": [{"no": {}}, {"no": []}]}', "[" * 100000, '{"ends": [{}, {}]}',
          '{"ends": [{"addresses": [1, "x", "10.0.0.0/8", null], "found": [], "seen": {}, "ready": "x"}, {"found": {"0": [["", 5, 5]], "2": 7}}]}']  # fmt: skip


@pytest.mark.parametrize("text", FORGED, ids=range(len(FORGED)))
@pytest.mark.parametrize("ask", ["where", "tries"])
@pytest.mark.parametrize("how", ["ping", "name", "tcp:80"])
def test_a_forged_answer_is_not_known_and_harms_no_other_host(hosts, text, ask, how):
    if how == "name":
        hosts.found = {a: {f"{b}": ["", [ADDRESS[b]]] for b in ADDRESS} for a in ADDRESS}
    hosts.instead["lab", ask] = Answer(0, text)
    cells = tried(hosts, how)
    assert all(isinstance(cell, Cell) for row in cells for cell in row)
    assert not any(cell.reached for cell in cells[0]) or ask == "where"
    assert not any(cell.reached and cell.address not in ADDRESS.values() for row in cells for cell in row)


@pytest.mark.parametrize("said", [NoAnswer("lab"), NoHost("lab"), Answer(None), Answer(127, "", "no python3")])
def test_a_host_that_does_not_answer(hosts, said):
    hosts.instead["lab", "where"] = said
    cells = tried(hosts)
    assert {cell.reached for row in cells for cell in row} == {None}
    assert cells[2][0].code == "silent"
