"""The lesson without its page: for each step its setup, what its checks say of that, each wrong turn, the solution.

Must not know: HTTP, browsers.
"""
import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack

from lessons.checks.predicted import PREDICTED, flipped
from lessons.checks.verdict import Failed, NotKnown
from lessons.grading import Result, grade, right_answers
from lessons.lesson import Check, Lesson, LessonSource, Step, StepSource
from lessons.preparation import SCRIPT_SECONDS
from lessons.proof.box import Box
from lessons.proof.finding import Broken, Walk
from lessons.schema import Script, WrongKeys
from netcontrol.inside import Answer, Inside

PATIENCE = 15.0  # seconds in which a solution may show its effect: a server needs a moment until it answers
PAUSE = 0.5
AGAIN = 1.0  # seconds after which what failed is looked at once more: it might only have been early
NONSENSE = "none of these"


def replay(source: LessonSource) -> Walk:
    walk = Walk(source, "replay")
    with walk.timed():
        _Replay(walk, source).all()
    return walk


class _Replay:
    def __init__(self, walk: Walk, source: LessonSource):
        self.walk, self.source = walk, source
        self.stack, self.box = ExitStack(), Box(source.filled().layout)
        self.lesson: Lesson = source.filled(self.box.owner.variables_key)

    def all(self) -> None:
        self.stack.enter_context(self.box)
        try:
            for source, step in zip(self.source.steps, self.lesson.steps):
                self.scripts(source, step.setup, "setup")
                before = self.before(source, step)
                for n, case in enumerate(step.wrong):
                    if case.run:
                        self.wrong(source, step, n, case, before)
                self.scripts(source, step.solve, "solve")
                self.solved(source, step)
                for n, case in enumerate(step.wrong):
                    if not case.run:  # everything is done, and one answer is wrong
                        self.noticed(source, step, n, case)
        finally:
            self.stack.close()

    def scripts(self, source: StepSource, scripts: tuple[Script, ...], *at: str | int) -> None:
        """Raises Broken when one does not end well: what follows would be about something else."""
        for script in scripts:
            answer = self.box.run(script.host, script.strict)
            if answer.exit_code != 0:
                self.walk.found(source, f"{how_it_ended(answer)} on {script.host}.", *at)
                raise Broken
            self.walk.scripts += at[0] != "wrong"

    def look(self, step: Step, answers: Mapping[str, str]) -> dict[str, Result]:
        return asyncio.run(grade(step.checks, answers, Inside(self.box.sandbox).run))

    def before(self, source: StepSource, step: Step) -> dict[str, Result]:
        results = self.until(step, {check.name: check.guard for check in step.checks}, {}, right_answers=False)
        for check in step.checks:
            result, guard = results[check.name], check.guard
            if result.state == "unknown":
                self.walk.found(source, f"cannot be evaluated when a student comes to this step: {result.why}", "checks", check.name)
            elif result.state == "passed" and not guard:
                self.walk.found(source, "passes before anything is done: it proves nothing. (`guard: true` if it is to notice that something breaks.)", "checks", check.name)
            elif result.state != "passed" and guard:
                self.walk.found(source, f"is a guard and has to pass from the beginning: {result.why}", "checks", check.name)
        return results

    def wrong(self, source: StepSource, step: Step, n: int, case: WrongKeys, before: Mapping[str, Result]) -> None:
        self.scripts(source, case.run or (), "wrong", n, "run")
        self.noticed(source, step, n, case)
        if case.undo:
            self.scripts(source, case.undo, "wrong", n, "undo")
            self.as_before(source, step, n, before)
        else:
            self.afresh(source)

    def noticed(self, source: StepSource, step: Step, n: int, case: WrongKeys) -> None:
        """Just the checks that it names fail, and those that need them do not pass."""
        not_to_pass = _with_those_that_need_them(step, case.fails)
        wanted = {check.name: check.name not in not_to_pass for check in step.checks}
        results = self.until(step, wanted, case.answers)
        if any(results[name].state == "failed" for name in case.fails):
            time.sleep(AGAIN)
            results = self.look(step, self.answers(step, case.answers))
        behind = {name for name in case.fails if name in _with_those_that_need_them(step, [other for other in case.fails if other != name])}
        for name in case.fails:
            if results[name].state != "failed" and not (results[name].state == "waits" and name in behind):
                why = f": {results[name].why}" if results[name].state == "unknown" else ""
                self.walk.found(source, f"“{name}” does not notice it ({results[name].state}{why}).", "wrong", n, "fails")
        for name, to_pass in wanted.items():
            if to_pass and results[name].state != "passed":
                self.walk.found(source, f"“{name}” does not pass either ({results[name].state}): {results[name].why}", "wrong", n, "fails")
        self.walk.wrongs += 1

    def as_before(self, source: StepSource, step: Step, n: int, before: Mapping[str, Result]) -> None:
        wanted = {name: result.state == "passed" for name, result in before.items()}
        results = self.until(step, wanted, {}, right_answers=False)
        for name, to_pass in wanted.items():
            if (results[name].state == "passed") != to_pass:
                self.walk.found(source, f"“{name}” is {results[name].state} after it, and was {before[name].state} before. {results[name].why}".rstrip(), "wrong", n, "undo")

    def afresh(self, until: StepSource) -> None:
        """A new sandbox in the state in which a student comes to this step."""
        self.stack.close()
        self.box = self.stack.enter_context(Box(self.lesson.layout))
        for source, step in zip(self.source.steps, self.lesson.steps):
            self.scripts(source, step.setup, "setup")
            if source is until:
                return
            self.scripts(source, step.solve, "solve")

    def solved(self, source: StepSource, step: Step) -> None:
        results = self.until(step, {check.name: True for check in step.checks}, {})
        for check in step.checks:
            result = results[check.name]
            if result.state == "passed":
                self.walk.checks += 1
            elif result.state != "waits":  # what it waits for is named
                self.walk.found(source, f"does not pass after the solution ({result.state}): {result.why}", "checks", check.name)
        asks = [check for check in step.checks if check.answered]
        for check in asks:
            right = self.answers(step, {}).get(check.name)
            others = [choice for choice in check.choices if choice != right] or (flipped(right) if right and check.kind == PREDICTED.name else [NONSENSE])
            for other in others:
                if self.look(step, {check.name: other})[check.name].state == "passed":
                    self.walk.found(source, f"takes “{other}” for right.", "checks", check.name, "answer")
        if any(result.state != "passed" for result in results.values()):
            raise Broken

    def until(self, step: Step, wanted: Mapping[str, bool], answers: Mapping[str, str], right_answers: bool = True) -> dict[str, Result]:
        """Look until the checks that are to pass do, and no others, or until patience ends."""
        end = time.monotonic() + PATIENCE
        while True:
            given = self.answers(step, answers) if right_answers else answers
            results = self.look(step, given)
            late = {check.name for check in step.checks if check.answered and results[check.name].state == "unknown"}  # a matrix takes most of the time that there is
            if (not late and all((results[name].state == "passed") == passes for name, passes in wanted.items())) or time.monotonic() > end:
                return results
            time.sleep(PAUSE)

    def answers(self, step: Step, wrong: Mapping[str, str]) -> dict[str, str]:
        right = {check.name: right_answer(Inside(self.box.sandbox), check) for check in step.checks if check.answered}
        return {name: text for name, text in {**right, **wrong}.items() if text is not None}


def right_answer(inside: Inside, check: Check) -> str | None:
    """What a student has to answer now; None when it cannot be told."""
    try:
        return next(iter(asyncio.run(right_answers(check, inside.run))), None)
    except (Failed, NotKnown):
        return None


def _with_those_that_need_them(step: Step, names: list[str]) -> set[str]:
    failing = set(names)
    while more := {check.name for check in step.checks if check.name not in failing and failing & set(check.needs)}:
        failing |= more
    return failing


def how_it_ended(answer: Answer) -> str:
    if answer.exit_code is None:
        return f"did not end within {SCRIPT_SECONDS:.0f} s"
    said = [line for line in (answer.err or answer.out).splitlines() if line.strip()]
    return f"ended with exit code {answer.exit_code}{f', saying “{said[-1].strip()[:200]}”,' if said else ''}"
