"""What a typed check is: its name, its parameters, the sentence that it makes of them, and how it looks at a host.

Must not know: any single check.
"""
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from lessons.checks.params import Params
from lessons.checks.verdict import Failed, NotKnown, Verdict
from netcontrol.inside import Run


@dataclass(frozen=True)
class CheckType:
    """`look` returns when it passes, and raises Failed or NotKnown with a sentence when not. It changes nothing on the host.

    `answer`, where there is one: the student answers this check, `look` takes what they said as well, and `answer` says what is right.
    """

    name: str
    Params: type[Params]
    title: Callable[[Any], str]
    look: Callable[..., Awaitable[None]]  # (params, host, run)
    answer: Callable[[Any, str, Run], Awaitable[str]] | None = None

    async def judge(self, params: Any, host: str, run: Run, given: str = "") -> Verdict:
        try:
            await self.look(params, host, run, *([given] if self.answer else []))
        except Failed as failed:
            return Verdict("failed", str(failed), failed.cells)
        except NotKnown as unknown:
            return Verdict("unknown", str(unknown))
        return Verdict("passed")
