"""Who learns, how far they are, and what was done to a sandbox for a lesson. Everything else about sandboxes is netcontrol's.

A lesson and a step are slugs of the content folder, not keys: a step that is put between two others moves nobody's progress, and
one that is taken out leaves its rows behind, unused. Must not know: files, HTTP, Redis.
"""
import uuid
from collections.abc import Iterable, Mapping, Set
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F
from django.utils import timezone

from lessons.lesson import Check, Lesson, Step
from netcontrol.models import Sandbox

HINTS_AFTER = 2  # evaluations that failed


class Student(AbstractUser):
    """Anyone who uses the lab. A guest is a student without a password: the session cookie is the only key."""

    language = models.CharField(max_length=10, blank=True, help_text="that they chose for the pages; empty: as their browser says")

    seed = models.CharField(max_length=20, blank=True, help_text="of the values that differ from student to student; empty: the key of this row")

    @classmethod
    def new_guest(cls) -> "Student":
        guest = cls(username=f"guest-{uuid.uuid4().hex}")
        guest.set_unusable_password()
        guest.save()
        return guest

    @property
    def is_guest(self) -> bool:
        return not self.has_usable_password()

    @property
    def variables_key(self) -> str:
        """What this student's values are chosen by. It comes along with a lab that was built with them."""
        return self.seed or str(self.pk)

    def merge_into(self, account: "Student") -> Sandbox | None:
        """This guest signs in to an account: their work goes along, and this row goes. Returns the lab that had to end, if both had one."""
        from lessons.merging import merge

        return merge(self, account)


class Progress(models.Model):
    """Where a student was last in a lesson."""

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="progress")
    lesson = models.SlugField(max_length=40)
    step = models.SlugField(max_length=40, help_text="the step they were at last; a number in rows from before steps had names")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "lesson"], name="one_progress_a_lesson")]
        indexes = [models.Index(fields=["student", "-updated_at"])]

    def __str__(self) -> str:
        return f"{self.lesson}, step {self.step}"

    @classmethod
    def visit(cls, student: Student, lesson: Lesson, step: Step) -> None:
        """The student opened this step just now."""
        rows, now = cls.objects.filter(student=student, lesson=lesson.slug), timezone.now()
        if not rows.update(step=step.slug, updated_at=now):
            cls.objects.get_or_create(student=student, lesson=lesson.slug, defaults={"step": step.slug, "updated_at": now})
        StepProgress.open(student, lesson, step)

    def at(self, lesson: Lesson) -> Step:
        """The step, in the lesson as it is now: its first one when that step is there no more."""
        number = min(int(self.step), len(lesson.sources)) if self.step.isdecimal() else 0
        found = lesson.named(self.step) or lesson.step(number) or lesson.step(1)
        assert found
        return found


class StepProgress(models.Model):
    """What a student has done of a step. Done is done: it stays so, whatever becomes of the sandbox."""

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="steps")
    lesson = models.SlugField(max_length=40)
    step = models.SlugField(max_length=40)
    opened_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True)
    solutions = models.PositiveIntegerField(default=0, help_text="how often they asked for the solution")
    solution_at = models.DateTimeField(null=True, blank=True, help_text="when they first did")
    answers = models.JSONField(default=dict, help_text="of the solution: question -> the right answer in their sandbox")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "lesson", "step"], name="one_progress_a_step")]

    def __str__(self) -> str:
        return f"{self.lesson}, {self.step}"

    @classmethod
    def of(cls, student: Student, lesson: str, step: str) -> "StepProgress":
        return cls.objects.get_or_create(student=student, lesson=lesson, step=step)[0]

    @classmethod
    def open(cls, student: Student, lesson: Lesson, step: Step) -> None:
        """They opened it. A step without checks is done when they have gone on from it; after the last one there is nothing to go on to."""
        cls.of(student, lesson.slug, step.slug)
        last = step.number == len(lesson.sources)
        left = [s.slug for s in lesson.steps if not s.checks and (s.number < step.number or (s.number == step.number and last))]
        cls.objects.filter(student=student, lesson=lesson.slug, step__in=left, done_at=None).update(done_at=timezone.now())

    @classmethod
    def done(cls, student: Student, lesson: str | None = None) -> dict[str, set[str]]:
        """Lesson -> its steps that are done."""
        rows = cls.objects.filter(student=student).exclude(done_at=None)
        found: dict[str, set[str]] = {}
        for slug, step in (rows.filter(lesson=lesson) if lesson else rows).values_list("lesson", "step"):
            found.setdefault(slug, set()).add(step)
        return found

    def show_solution(self) -> None:
        now = timezone.now()
        type(self).objects.filter(pk=self.pk).update(solutions=F("solutions") + 1)
        type(self).objects.filter(pk=self.pk, solution_at=None).update(solution_at=now)

    def finish(self) -> None:
        type(self).objects.filter(pk=self.pk, done_at=None).update(done_at=timezone.now())


def steps_done(lesson: Lesson, steps: Set[str]) -> int:
    """How many of the lesson's steps are, as it is now."""
    return sum(source.slug in steps for source in lesson.sources)


def is_done(lesson: Lesson, steps: Set[str]) -> bool:
    """Whether a lesson is, of which these steps are."""
    return steps_done(lesson, steps) == len(lesson.sources)


class CheckProgress(models.Model):
    """What was found last of a check, and how much help was given."""

    class State(models.TextChoices):
        OPEN = "open"  # nothing was found yet, or it did not pass and nobody had asked
        PASSED = "passed"
        FAILED = "failed"  # somebody had asked
        UNKNOWN = "unknown"

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="checks")
    lesson = models.SlugField(max_length=40)
    step = models.SlugField(max_length=40)
    check_name = models.SlugField(max_length=40)
    passed_at = models.DateTimeField(null=True, blank=True, help_text="when it first did")
    failures = models.PositiveIntegerField(default=0, help_text="evaluations that the student asked for and that failed")
    hints_shown = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    why = models.TextField(blank=True, default="", help_text="the sentence that belongs to the state, in the student's language of then")
    said = models.JSONField(default=dict, help_text="of a matrix: given, what the student said last, and wrong, the cells of that which were not so")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "lesson", "step", "check_name"], name="one_progress_a_check")]

    def __str__(self) -> str:
        return f"{self.lesson}, {self.step}, {self.check_name}: {self.state}"

    @classmethod
    def of_step(cls, student: Student, lesson: str, step: str) -> "dict[str, CheckProgress]":
        return {row.check_name: row for row in cls.objects.filter(student=student, lesson=lesson, step=step)}

    @classmethod
    def answered(cls, student: Student, lesson: str, step: Step) -> set[str]:
        """The questions of the step that have been answered rightly: they need not be answered again."""
        asked = [check.name for check in step.checks if check.answered]
        rows = cls.objects.filter(student=student, lesson=lesson, step=step.slug, check_name__in=asked).exclude(passed_at=None)
        return set(rows.values_list("check_name", flat=True))

    @classmethod
    def record(cls, student: Student, lesson: str, step: Step, found: Mapping[str, tuple[str, str]], asked: bool) -> bool:
        """What one evaluation found: check -> (state, why). Writes only what is new. True when the step is done now.

        Done takes one evaluation in which all that can be looked at passes at once: what was right a while ago and has been undone since
        is no state that the next step could begin in. A question that was answered rightly stays answered.
        """
        rows, now = cls.of_step(student, lesson, step.slug), timezone.now()
        for name, (state, why) in found.items():
            if state == "waits":
                state, why = cls.State.OPEN, ""
            elif state == cls.State.FAILED and not asked:
                state = cls.State.OPEN
            if name not in rows:  # a hint that was asked for just now may have made it
                rows[name] = cls.objects.get_or_create(student=student, lesson=lesson, step=step.slug, check_name=name)[0]
            row = rows[name]
            changes: dict[str, Any] = {}
            if (row.state, row.why) != (state, why):
                changes |= {"state": state, "why": why}
            if state == cls.State.PASSED and row.passed_at is None:
                changes["passed_at"] = now
            for field, value in changes.items():
                setattr(row, field, value)
            if state == cls.State.FAILED:
                changes["failures"] = F("failures") + 1
            if changes:
                cls.objects.filter(pk=row.pk).update(**changes)
        return all(cls._holds(check, rows.get(check.name), found) for check in step.checks)

    @classmethod
    def _holds(cls, check: Check, row: "CheckProgress | None", found: Mapping[str, tuple[str, str]]) -> bool:
        if check.answered:
            return row is not None and row.passed_at is not None
        return found.get(check.name, ("",))[0] == cls.State.PASSED

    @classmethod
    def keep_said(cls, student: Student, lesson: str, step: str, said: Mapping[str, Mapping[str, Any]]) -> None:
        """What the student said of each matrix, and what was found of it."""
        for name, one in said.items():
            cls.objects.update_or_create(student=student, lesson=lesson, step=step, check_name=name, defaults={"said": one})

    @classmethod
    def begin_afresh(cls, student_id: int, lesson: Lesson) -> None:
        """Another sandbox: what was found in the one before says nothing of it. Answers to questions stay, and so does what is done."""
        asked = {(step.slug, check.name) for step in lesson.steps for check in step.checks if check.answered}
        rows = cls.objects.filter(student_id=student_id, lesson=lesson.slug).exclude(state=cls.State.OPEN)
        old = [pk for pk, step, name in rows.values_list("pk", "step", "check_name") if (step, name) not in asked]
        cls.objects.filter(pk__in=old).update(state=cls.State.OPEN, why="")

    @classmethod
    def show_hint(cls, student: Student, lesson: str, step: str, check: Check) -> None:
        """One more, as long as there are some."""
        row = cls.objects.get_or_create(student=student, lesson=lesson, step=step, check_name=check.name)[0]
        cls.objects.filter(pk=row.pk, hints_shown__lt=len(check.hints)).update(hints_shown=F("hints_shown") + 1)


class QuizAnswer(models.Model):
    """What a student predicted. The first answer stays: after it they have read which one is right."""

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="quizzes")
    lesson = models.SlugField(max_length=40)
    step = models.SlugField(max_length=40)
    quiz = models.PositiveSmallIntegerField(help_text="1 for the first of its step")
    chosen = models.PositiveSmallIntegerField(help_text="1 for the first option")
    right = models.BooleanField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "lesson", "step", "quiz"], name="one_answer_a_quiz")]

    def __str__(self) -> str:
        return f"{self.lesson}, {self.step}, quiz {self.quiz}: {self.chosen}"

    @classmethod
    def give(cls, student: Student, lesson: str, step: Step, chosen: Iterable[tuple[int, int]]) -> None:
        """(quiz, option) of this step; what it does not have is passed over."""
        for number, option in chosen:
            quiz = step.text.quiz(number)
            if quiz and 0 < option <= len(quiz.options):
                answer = {"chosen": option, "right": option == quiz.correct}
                cls.objects.get_or_create(student=student, lesson=lesson, step=step.slug, quiz=number, defaults=answer)

    @classmethod
    def of_step(cls, student: Student, lesson: str, step: str) -> dict[int, int]:
        """Quiz -> the option that was chosen."""
        return dict(cls.objects.filter(student=student, lesson=lesson, step=step).values_list("quiz", "chosen"))


from lessons.preparation import Preparation  # noqa: E402, F401  the last model has a file of its own
