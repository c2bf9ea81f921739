"""Whose a listening socket is, as this process sees its own."""
import os
import socket

import pytest

from netcontrol.agent.observe import kernel, listeners


@pytest.fixture
def look(monkeypatch):
    """Looks once, with these processes to be seen. Says the name of the program that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = os.fstat(server.fileno()).st_ino
        monkeypatch.setattr(kernel, "listening", lambda _: [("tcp", "ip", "127.0.0.1", 80, inode)])
        monkeypatch.setattr(listeners, "program", lambda pid: "server")
        of = listeners.Listeners()

        def look(*pids: int) -> str:
            of.begin()
            of.processes["here"] = list(pids)
            ((listener,), left_out) = of.say("here", "here", None)
            assert left_out == 0
            return listener["program"]

        yield look


def test_a_program_is_looked_up_once(look):
    assert look(os.getpid()) == "server"
    assert look() == "server"


def test_one_that_has_just_started_is_looked_for_again(look):
    assert look() == "" and look() == ""
    assert look(os.getpid()) == "server"


def test_what_nobody_has_is_not_looked_for_for_ever(look):
    assert [look() for _ in range(listeners.LOOKS)] == [""] * listeners.LOOKS
    assert look(os.getpid()) == ""
