"""A fresh sandbox for a proof, taken from the running lab in the way a student takes one, and given back.

Must not know what is proved in it.
"""
import asyncio
import time
import uuid
from types import TracebackType

from lessons.models import Student
from lessons.preparation import SCRIPT_SECONDS
from netcontrol import orders
from netcontrol.errors import LabError
from netcontrol.inside import Answer, Inside
from netcontrol.models import Sandbox, Waiting

WAIT_SECONDS = 180.0


class Box:
    """Use as a context manager. Everything blocks."""

    def __init__(self, layout: str):
        self.layout, self.owner, self.sandbox = layout, Student.new_guest(), uuid.UUID(int=0)

    def __enter__(self) -> "Box":
        try:
            orders.start(self.owner, self.layout)
            end = time.monotonic() + WAIT_SECONDS
            while (mine := Sandbox.of(self.owner)) is None:
                if time.monotonic() > end or (not Waiting.objects.filter(owner=self.owner).exists() and Sandbox.of(self.owner) is None):
                    raise LabError("no_sandbox", f"The lab gave no sandbox within {WAIT_SECONDS:.0f} s.", "See ./lab status.")
                time.sleep(0.1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.sandbox = mine.pk
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        Waiting.objects.filter(owner=self.owner).delete()
        if mine := Sandbox.of(self.owner):
            orders.end(mine, "A lesson was proved in it.")
        self.owner.delete()

    def run(self, host: str, script: str) -> Answer:
        return asyncio.run(Inside(self.sandbox).run(host, script, SCRIPT_SECONDS))
