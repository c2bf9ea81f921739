"""Where a student stands in a step, as the page is told: its checks, quizzes, hints, solution, and what is done to the sandbox for it.

What a student has not asked for is not in it: hints, the solution, the right answers. Must not know: how checks are evaluated, HTTP.
"""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from lessons.checks.predicted import PredictedParams, in_words
from lessons.lesson import Check, Lesson, Step
from lessons.loader import catalogue
from lessons.models import HINTS_AFTER, CheckProgress, QuizAnswer, StepProgress, Student, is_done
from lessons.preparation import Preparation
from lessons.texts import ENGLISH
from netcontrol.models import Sandbox
from netcontrol.templatetags.said import in_a_row

State = CheckProgress.State


def language() -> str:
    """In which the student of this request reads."""
    return get_language() or ENGLISH


@dataclass(frozen=True)
class Place:
    """A step of a lesson as one student reads it. `student` is None for a visitor, of whom nothing is kept."""

    student: Student | None
    lesson: Lesson
    step: Step

    def sandbox(self) -> Sandbox | None:
        return Sandbox.of(self.student) if self.student else None

    def standing(self, *, unknown: str = "", quizzes: Mapping[int, int] | None = None) -> dict[str, Any]:
        """The state of the step. `unknown` says why its checks could not be looked at just now; `quizzes` are a visitor's answers."""
        rows, mine, done, chosen = self._rows()
        sandbox = self.sandbox()
        preparation = Preparation.of(sandbox) if sandbox else None
        is_finished = mine is not None and mine.done_at is not None
        return {
            "step": self.step.number,
            "done": is_finished,
            "held": self.step.hold and not is_finished,
            "lesson_done": is_done(self.lesson, done),
            "checks": [self._check(check, rows, is_finished, unknown) for check in self.step.checks],
            "quizzes": self._quizzes({**chosen, **(quizzes or {})}),
            "solution": self._solution(mine) if mine and mine.solution_at else None,
            "preparing": self._preparing(preparation) if preparation else None,
            "belongs": self._belongs(sandbox, preparation) if sandbox else None,
        }

    def _rows(self) -> tuple[dict[str, CheckProgress], StepProgress | None, set[str], dict[int, int]]:
        if self.student is None:
            return {}, None, set(), {}
        at = (self.student, self.lesson.slug, self.step.slug)
        steps = {row.step: row for row in StepProgress.objects.filter(student=self.student, lesson=self.lesson.slug)}
        done = {slug for slug, row in steps.items() if row.done_at}
        return CheckProgress.of_step(*at), steps.get(self.step.slug), done, QuizAnswer.of_step(*at)

    # One check

    def _check(self, check: Check, rows: Mapping[str, CheckProgress], done: bool, unknown: str) -> dict[str, Any]:
        row = rows.get(check.name)
        state, why, waits_for = self._state(check, rows, done, unknown)
        shown = min(row.hints_shown, len(check.hints)) if row else 0
        return {
            "name": check.name,
            "title": self.lesson.inline(check.title),
            "kind": check.kind,
            "matrix": self._matrix(check.params, row) if isinstance(check.params, PredictedParams) else None,
            "choices": [self.lesson.inline(choice) for choice in check.choices] or None,
            "state": state,
            "why": self.lesson.inline(why),
            "waits_for": self.lesson.inline(waits_for),
            "hints": len(check.hints),
            "hints_shown": [self.lesson.inline(hint) for hint in check.hints[:shown]],
            "hint_offered": state != State.PASSED and row is not None and row.failures >= HINTS_AFTER and shown < len(check.hints),
        }

    @staticmethod
    def _matrix(params: PredictedParams, row: CheckProgress | None) -> dict[str, Any]:
        """Who is in it, what was said of it last, and which cells of that were not so."""
        said = row.said if row else {}
        return {"between": params.between, "how": params.how, "said": said.get("given", ""), "wrong": said.get("wrong", [])}

    def _state(self, check: Check, rows: Mapping[str, CheckProgress], done: bool, unknown: str) -> tuple[str, str, str]:
        """(state, why, title of the check that it waits for)"""
        row = rows.get(check.name)
        if self._passed(row, done):
            return State.PASSED, "", ""
        for name in check.needs:
            needed = self.step.check(name)
            if needed and not self._passed(rows.get(name), done):
                return "waits", "", needed.title
        if unknown:
            return State.UNKNOWN, unknown, ""
        return (row.state, row.why, "") if row else (State.OPEN, "", "")

    @staticmethod
    def _passed(row: CheckProgress | None, done: bool) -> bool:
        """In a step that is done, what has passed counts, whatever became of it since."""
        return row is not None and (row.state == State.PASSED or (done and row.passed_at is not None))

    # The rest

    def _quizzes(self, chosen: Mapping[int, int]) -> dict[str, Any]:
        return {
            str(quiz.number): {
                "chosen": chosen[quiz.number],
                "right": chosen[quiz.number] == quiz.correct,
                "correct": quiz.correct,
                "html": quiz.explanation,
            }
            for quiz in self.step.text.quizzes
            if quiz.number in chosen
        }

    def _solution(self, mine: StepProgress) -> dict[str, Any]:
        asks = [check for check in self.step.checks if check.answered]
        return {
            "scripts": [{"host": script.host, "text": script.text} for script in self.step.solve],
            "answers": [{"title": self.lesson.inline(check.title), "answer": self._answer(check, mine)} for check in asks],
        }

    def _answer(self, check: Check, mine: StepProgress) -> str:
        if check.answer:
            return check.answer[0]
        if isinstance(check.params, PredictedParams) and (known := mine.answers.get(check.name)):
            return in_words(check.params, known)
        return mine.answers.get(check.name) or _("Not there yet: your host says it once the rest of the step is done.")

    def _preparing(self, row: Preparation) -> dict[str, Any] | None:
        if row.lesson != self.lesson.slug:
            return None
        if progress := row.progress(self.lesson):
            return progress
        passed = row.passed_over(self.lesson, self.step)
        if not passed or self.step.slug in row.entered:
            return None
        first, last = passed[0].number, passed[-1].number
        sentence = ngettext(
            "Your lab is not as this step needs it: step %(first)d was passed over.",
            "Your lab is not as this step needs it: the steps %(first)d to %(last)d were passed over.",
            last - first + 1,
        ) % {"first": first, "last": last}
        ways = _("Go back there, or start a fresh lab for this step.")
        return {"of": 0, "at": 0, "title": self.step.title, "seconds": 0.0, "failed": in_a_row(sentence, ways)}

    def _belongs(self, sandbox: Sandbox, row: Preparation | None) -> dict[str, Any] | None:
        """The other lesson that the sandbox was started for; without a name when it only has other hosts."""
        same_hosts = sandbox.layout == self.lesson.layout
        if same_hosts and (row is None or row.lesson == self.lesson.slug):
            return None
        other = catalogue().lesson(row.lesson, self.student.variables_key, language()) if row and self.student else None
        url = reverse("lessons:lesson", args=[other.slug]) if other else ""
        return {"lesson": other.title if other else "", "url": url, "usable": same_hosts}
