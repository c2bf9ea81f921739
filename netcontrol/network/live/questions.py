"""The questions that one page has asked about its network: each is answered once, whatever becomes of who was to answer it.

Runs in the web. Must not know what is asked, the WebSocket, workers.
"""
import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from netcontrol.agent.limits import MAX_QUESTIONS
from netcontrol.cancel import cancel
from netcontrol.network.tell.said import said

QUESTIONS = ("follow", "reach")
ANSWERS = tuple(f"{question}.done" for question in QUESTIONS)
LATE_SECONDS = 12.0  # then the page gives up: what it asked before need not be answered
MOST_SECONDS = 5.0  # in which a page may ask so many: each refusal of the worker is an event that all pages of the sandbox read
WHY = {
    "busy": _("Another question about this network is being answered. Ask again when it is."),
    "too_slow": _("The hosts did not answer within 10 seconds. Ask again; if it stays so, reset the lab."),
    "no_answer": _("A host of this lab does not answer. Ask again; if it stays so, reset the lab."),
    "no_host": _("This lab has no such host."),
    "unseen": _("The network of this lab cannot be seen at the moment. Ask again in a few seconds."),
    "late": _("Nobody answered. The lab comes back by itself: ask again in a few seconds."),
    "failed": _("This question could not be answered. That is a fault of the lab, not of yours."),
}


class Questions:
    """`tell` sends a message."""

    def __init__(self, viewer: str, tell: Callable[[dict[str, Any]], Awaitable[None]]):
        self.viewer, self.tell = viewer, tell
        self.open: dict[tuple[str, str], asyncio.Task] = {}  # (type of the answer, id of the question) -> what happens when none comes
        self.asked_at: deque[float] = deque(maxlen=MAX_QUESTIONS)

    async def too_many(self, m: dict[str, Any]) -> bool:
        """Whether this is one more than a page may ask. Then it is answered already."""
        now = time.monotonic()
        if len(self.asked_at) == MAX_QUESTIONS and now - self.asked_at[0] < MOST_SECONDS:
            await self.tell(in_words({"type": f"{m['type']}.done", "id": m["id"], "code": "busy"}))
            return True
        self.asked_at.append(now)
        return False

    def asked(self, m: dict[str, Any]) -> dict[str, Any]:
        """The question as it goes to the worker."""
        key = (f"{m['type']}.done", m["id"])
        self.forget(m)
        self.open[key] = asyncio.create_task(self._late(*key))
        return {**m, "viewer": self.viewer}

    def forget(self, m: dict[str, Any]) -> None:
        """It was not asked after all."""
        if late := self.open.pop((f"{m['type']}.done", m["id"]), None):
            late.cancel()

    async def answered(self, m: dict[str, Any]) -> None:
        """An answer to some page of this student."""
        late = self.open.pop((m["type"], m["id"]), None) if m["viewer"] == self.viewer else None
        if late:
            late.cancel()
            if m.get("ok"):  # that took its time, and holds back who asks
                self.asked_at.clear()
            await self.tell(in_words({name: value for name, value in m.items() if name != "viewer"}))

    async def _late(self, type: str, id: str) -> None:
        await asyncio.sleep(LATE_SECONDS)
        self.open.pop((type, id), None)
        await self.tell(in_words({"type": type, "id": id, "code": "late"}))

    async def end(self) -> None:
        await cancel(self.open.values())


def in_words(m: dict[str, Any]) -> dict[str, Any]:
    code = m.get("code")
    if code is None:
        return said(m)
    failed = str(WHY[code]) if code in WHY else said(m["failed"])
    return {"type": m["type"], "id": m["id"], "ok": False, "code": code, "failed": failed}
