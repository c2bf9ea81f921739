"""Questions about the network that take seconds, because they are put to the hosts: one at a time in a sandbox, each answered once.

Runs in the carrier. Must not know what is asked (../follow and ../reach do), pages, Redis.
"""
import asyncio
import importlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from netcontrol.agent.limits import MAX_ANSWER
from netcontrol.errors import LabError
from netcontrol.inside import Inside, Run
from netcontrol.network.live.live import Live
from netcontrol.network.live.picture import dump
from netcontrol.network.live.questions import LATE_SECONDS

log = logging.getLogger(__name__)

SECONDS = 10.0  # for all of an answer
GRAPH_SECONDS = 2.0  # for the network to be seen, when the page has just begun to look

Ask = Callable[[Run, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]


class Asking:
    """`tell` is given the answer, a message for the page that asked."""

    def __init__(self, sandbox: uuid.UUID, network: Live, tell: Callable[[dict[str, Any]], None]):
        self.run, self.network, self.tell = Inside(sandbox).run, network, tell
        self.tasks: list[asyncio.Task] = []
        self.asked: dict[str, Any] = {}  # what is being answered

    def ask(self, m: dict[str, Any], asked_at: float) -> None:
        """A question of a page, asked at this time. A carrier that follows another may read it again: who asked takes one answer."""
        if time.time() - asked_at > LATE_SECONDS:
            return
        answer = partial(self._tell, m)
        self.tasks = [task for task in self.tasks if not task.done()]
        if self.tasks and (m["type"], m["id"]) == (self.asked["type"], self.asked["id"]):  # the page has come back, under another name
            self.asked["viewer"] = m["viewer"]
            return
        if self.tasks:
            return answer(code="busy")
        self.asked = m
        self.tasks.append(asyncio.create_task(self._answer(m, answer)))

    async def _answer(self, m: dict[str, Any], answer: Callable[..., None]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                graph = await self._graph()
                found = await find(m["type"])(self.run, graph, {name: value for name, value in m.items() if name not in ("type", "viewer")})
            if len(dump(found)) > MAX_ANSWER:
                raise ValueError("too much of an answer")
            answer(**{"ok": True, **found})
        except TimeoutError:
            answer(code="too_slow")
        except LabError as error:  # a host that does not answer, or a question that makes no sense
            answer(code=error.code, failed={"id": error.message, "with": {}})
        except Exception:  # a fault of ours, in one answer: the shells go on
            log.exception("%s is not answered", m["type"])
            answer(code="failed")

    async def _graph(self) -> dict[str, Any]:
        until = time.monotonic() + GRAPH_SECONDS
        while (graph := await self.network.graph()) is None:
            if time.monotonic() > until:
                raise LabError("unseen", "", "")
            await asyncio.sleep(0.05)
        return graph

    def _tell(self, m: dict[str, Any], **answer: Any) -> None:
        self.tell({**answer, "type": f"{m['type']}.done", "id": m["id"], "viewer": m["viewer"]})


def find(question: str) -> Ask:
    """The function that answers it, loaded when it is first asked: the terminals do not wait for it."""
    return getattr(importlib.import_module(f"netcontrol.network.{question}"), question)
