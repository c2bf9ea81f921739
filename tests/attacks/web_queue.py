"""Reach what carries tasks and keys.

Redis and Celery's queues, as somebody on the machine who is not of the lab, and as somebody who can put a message into a queue. Must not know tasks.
"""
import os
import pickle
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.conf import settings

from labsite import processes
from netcontrol.connection import sync

from .catalogue import control, stranger

CELERY, CONF = "labsite/settings.py:CELERY_ACCEPT_CONTENT", "labsite/supervisord.conf:unixsocketperm"
NOBODY = 65534
QUEUES = {"worker": "control", "attach": settings.ATTACH_QUEUE, "check": settings.CHECK_QUEUE}


def pid(program: str) -> int:
    """Of a worker that runs; it is another one when it had to be started again."""
    return processes.ask("getProcessInfo", program)["pid"]


@pytest.fixture
def sender(lab):
    """Somebody who can write into the queues, and sends what they like in any form."""
    app = Celery("evil", broker=settings.CELERY_BROKER_URL, set_as_current=False)
    app.conf.update(task_ignore_result=True, broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS, accept_content=["json", "pickle", "yaml"])
    app.pids = {program: pid(program) for program in QUEUES}
    yield app
    app.close()


def works(lab, sender, program: str) -> None:
    """The worker that was there has done with what came before: it takes the next message out of its queue, too."""
    sender.send_task(f"evil.{uuid.uuid4().hex}", queue=QUEUES[program])
    with sync() as r:
        lab.until(lambda: not r.llen(QUEUES[program]), 30, "that the worker goes on")
    assert pid(program) == sender.pids[program]


class Evil:
    """Runs a command wherever it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return (os.system, (f"touch {self.file}",))


@pytest.fixture
def canary():
    """A file that anybody's process could make."""
    file = Path("/tmp") / f"patchbay-canary-{uuid.uuid4().hex}"
    yield file
    file.unlink(missing_ok=True)


@control("unpickles the same message in a process that would")
def a_pickle_runs(canary):
    subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"], input=pickle.dumps(Evil(canary)), timeout=20, check=True)
    assert canary.exists()


@stranger("puts a task into a queue whose arguments are a pickle, which runs code where it is read", holds="workers take JSON only", at=CELERY, seen="the machine: the file that the code makes is not there; the worker goes on")
@pytest.mark.parametrize("program", QUEUES)
def a_pickle(lab, sender, canary, program):
    sender.send_task("netcontrol.tasks.reap", args=[Evil(canary)], serializer="pickle", queue=QUEUES[program])
    works(lab, sender, program)
    assert not canary.exists()


@stranger("says of a pickle or a YAML object that it is JSON, or the other way round", holds="what a message says it is, is how it is read: as JSON, or not at all", at=CELERY, seen="the machine: no such file; the worker goes on")
@pytest.mark.parametrize("kind", ["application/json", "application/x-python-serialize", "application/x-yaml", "text/plain"])
def a_body_of_another_kind(lab, sender, canary, kind):
    body = f"!!python/object/apply:os.system ['touch {canary}']".encode() if "yaml" in kind else pickle.dumps(([Evil(canary)], {}, {}))
    with sender.connection_for_write() as connection, connection.channel() as channel:
        producer = connection.Producer(channel)
        producer.publish(body, routing_key="control", exchange="", content_type=kind, content_encoding="binary", headers={"task": "netcontrol.tasks.reap", "id": str(uuid.uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": ""})
    works(lab, sender, "worker")
    assert not canary.exists()


@stranger("calls what is no task by its name: a function of Python, a task of Celery's own that writes or shells out", holds="a worker runs what is registered; nothing is looked up by a name from a message", at="labsite/celery.py:autodiscover_tasks", seen="the machine: no such file; the worker goes on")
@pytest.mark.parametrize("task", ["os.system", "subprocess.call", "celery.map", "celery.starmap", "celery.chunks", "celery.accumulate"])
def what_is_no_task(lab, sender, canary, task):
    inner = {"task": "os.system", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    arguments = {"celery.map": [inner, [f"touch {canary}"]], "celery.starmap": [inner, [[f"touch {canary}"]]], "celery.chunks": [inner, [[f"touch {canary}"]], 1]}.get(task, [f"touch {canary}"])
    sender.send_task(task, args=arguments, queue="control")
    works(lab, sender, "worker")
    assert not canary.exists()


@stranger("orders the tasks that there are with arguments that are paths, lists, or nobody's", holds="a sandbox is looked up in the database by its id; a path is never made of it before", at="netcontrol/tasks.py:def attach", seen="the workers' processes: none was lost; the lab is as it was")
def odd_arguments(lab, sender):
    for name in ("attach", "remove", "boot"):
        for argument in ("../../../../tmp/x", "", "x" * 10_000, None, [], {"a": 1}, str(uuid.UUID(int=0)), -1):
            sender.send_task(f"netcontrol.tasks.{name}", args=[argument], queue=QUEUES["attach" if name == "attach" else "worker"], expires=20)
    for program in ("worker", "attach"):
        works(lab, sender, program)


# Redis

@control("the lab's own processes speak to Redis")
def redis_answers_the_lab(lab):
    with sync() as r:
        assert r.ping()


@stranger("speaks to Redis from another user of the machine", holds="a unix socket that only the lab's own users may open", at=CONF, seen="the kernel: it is refused to nobody's user")
def redis_as_nobody(lab):
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({urlsplit(settings.REDIS_URL).path!r}); s.sendall(b'PING\\r\\n'); print(s.recv(9))"
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=20, cwd="/")
    assert done.returncode != 0 and ("PermissionError" in done.stderr or "FileNotFoundError" in done.stderr), done


@stranger("speaks to Redis or the engine over the network", holds="--port 0, and an engine on a unix socket", at="labsite/supervisord.conf:--port 0", seen="the machine's list of listeners: only the web, on the address that was said")
def listeners(lab):
    pids = {pid(program) for program in processes.PROGRAMS}
    listening = [line for line in subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, timeout=20, check=True).stdout.splitlines() if any(f"pid={one}," in line for one in pids)]
    assert len(listening) == 1 and f"127.0.0.1:{settings.PORT} " in listening[0], listening
    with sync() as r:
        config = r.config_get("port") | r.config_get("tls-port")
    assert set(config.values()) == {"0"}


@stranger("has a page's own words become commands of Redis", holds="words are arguments, counted in bytes, of scripts that are the lab's own", at="netcontrol/stream.py:def send_input", seen="Redis: the key that the words would make is not there")
def words_that_are_commands(alice):
    from tests.page import Page

    evil = "\r\nSET patchbay-evil 1\r\n*3\r\n$3\r\nSET\r\n$13\r\npatchbay-evil\r\n$1\r\n1\r\n"
    with Page(alice.guest, "lab") as page:
        page.until(lambda: "lab" in page.opened, 20, "the shell")
        page.send("shell.input", shell="lab", data=f"# {evil}")
        page.send("shell.name", shell="lab", name=evil)
        page.send("run", shell="lab", block="redis", text=f"true # {evil}"[:60])
        page.send("follow", id=evil[:60], **{"from": evil[:60], "to": evil[:60], "protocol": "tcp", "port": 80})
        page.send("shell.open", shell="after", host="lab", cols=80, rows=24)
        page.until(lambda: any(m["type"] == "shell.opened" and m["shell"] == "after" for m in page.events), 20, "an answer to what came after it")
        page.send("shell.input", shell="lab", data="\x03")
        page.send("shell.close", shell="after")
    with sync() as r:
        assert not r.exists("patchbay-evil")
