"""Evaluates the checks of a step on the real hosts of a sandbox: all at once, each behind those that it needs, within one deadline.

A check that broke, or that nobody could answer in time, is Not known, never failed. Must not know: students, the database, pages.
"""
import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from lessons.checks import TYPES, Run
from lessons.checks.verdict import Cells, NotKnown, say
from lessons.lesson import Check
from netcontrol.cancel import cancel
from netcontrol.inside import Answer, NoAnswer, NoHost

SECONDS = 5.0  # for all checks of a step together
AT_ONCE = 4  # scripts on one host: an agent takes eight, and may have other work
QUOTES = "\"'`“”‘’「」"

log = logging.getLogger(__name__)
State = Literal["passed", "failed", "waits", "unknown", "open"]


@dataclass(frozen=True)
class Result:
    """`why` is plain text with names in backticks. `waits`: one that it needs has not passed. `open`: a question without an answer yet."""

    state: State
    why: str = ""
    cells: Cells = ()  # of a matrix that was filled in, those that are not so


async def grade(checks: Sequence[Check], answers: Mapping[str, str], run: Run, seconds: float = SECONDS) -> dict[str, Result]:
    """The result of each check, in their order, after `seconds` at the latest. `answers` are the student's, by the check's name."""
    end = time.monotonic() + seconds
    limited = _Limited(run, end)
    tasks: dict[str, asyncio.Task[Result]] = {}
    known = {check.name for check in checks}

    async def one(check: Check) -> Result:
        for need in check.needs:
            if need in known and (await asyncio.shield(tasks[need])).state != "passed":
                return Result("waits")
        return await _evaluate(check, answers.get(check.name, ""), limited)

    for check in checks:
        tasks[check.name] = asyncio.create_task(one(check))
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=seconds)
        late = {name for name, task in tasks.items() if not task.done()}
    finally:
        await cancel([task for task in tasks.values() if not task.done()])
    return {check.name: _late(check, late, seconds) if check.name in late else tasks[check.name].result() for check in checks}


def _late(check: Check, late: set[str], seconds: float) -> Result:
    if late.intersection(check.needs):
        return Result("waits")
    return Result("unknown", say(_("`%(host)s` did not answer within %(seconds)s s."), host=check.host, seconds=f"{seconds:g}"))


class _Limited:
    """`run` for one evaluation: nothing outlives its deadline, and no host gets more scripts at once than it takes."""

    def __init__(self, run: Run, end: float):
        self.run, self.end = run, end
        self.places: dict[str, asyncio.Semaphore] = {}

    async def __call__(self, host: str, script: str, seconds: float = SECONDS, /) -> Answer:
        async with self.places.setdefault(host, asyncio.Semaphore(AT_ONCE)):
            return await self.run(host, script, max(0.1, min(seconds, self.end - time.monotonic())))


async def _evaluate(check: Check, given: str, run: Run) -> Result:
    try:
        if check.kind == "ask":
            return await _asked(check, given, run)
        if check.kind == "run":
            return await _ran(check, run)
        if check.answered and not plain(given):
            return Result("open")
        verdict = await TYPES[check.kind].judge(check.params, check.host, run, given)
        return Result(verdict.state, verdict.why, verdict.cells)
    except NotKnown as unknown:
        return Result("unknown", str(unknown))
    except NoHost:
        return Result("unknown", say(_("There is no host `%(host)s` in this lab."), host=check.host))
    except NoAnswer:
        return Result("unknown", say(_("`%(host)s` does not answer."), host=check.host))
    except Exception:  # whatever a host said, the other checks are still told
        log.exception("The check %s broke", check.name)
        return Result("unknown", _("The check itself broke. This is a fault of the lab, not of yours."))


async def _ran(check: Check, run: Run) -> Result:
    answer = await run(check.host, check.run)
    if answer.exit_code == 0:
        return Result("passed")
    _broken(answer, check.host)
    return Result("failed", check.why)


def _broken(answer: Answer, host: str) -> None:
    """Raise NotKnown when a script has not said yes or no: it was ended, or its program is not there."""
    if answer.exit_code in (None, 124):
        raise NotKnown(say(_("`%(host)s` did not answer in time."), host=host))
    if answer.exit_code in (126, 127) or answer.exit_code > 128:
        raise NotKnown(say(_("The check's own script could not run on `%(host)s`."), host=host))


async def _asked(check: Check, given: str, run: Run) -> Result:
    if not plain(given):
        return Result("open")
    return Result("passed") if plain(given) in map(plain, await right_answers(check, run)) else Result("failed", check.why)


async def right_answers(check: Check, run: Run) -> Sequence[str]:
    """What may be answered. Raises NotKnown when the host cannot tell."""
    if check.answer is not None:
        return check.answer
    if tells := TYPES[check.kind].answer if check.kind in TYPES else None:
        return [await tells(check.params, check.host, run)]
    answer = await run(check.host, check.answer_run)
    lines = [line for line in answer.out.splitlines() if plain(line)]
    if answer.exit_code != 0 or not lines:
        _broken(answer, check.host)
        raise NotKnown(say(_("`%(host)s` does not have the answer yet."), host=check.host))
    return lines[:1]


def plain(text: str) -> str:
    """An answer without what does not matter: case, space around it, quotes around it."""
    before = None
    while before != text:
        before, text = text, text.strip().strip(QUOTES)
    return " ".join(text.split()).casefold()
