"""To which lesson a sandbox belongs, and what was run in it to bring it to a step: the rules, and who may do it.

A fresh sandbox belongs to the lesson whose page comes first. Walking on from step to step runs each step's setup once. Coming to a later
step in a fresh sandbox runs the setup and the solution of each step before it. Must not know: how scripts are run, HTTP.
"""
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from lessons.lesson import Lesson, Step
from lessons.schema import Script
from netcontrol.models import Sandbox

SCRIPT_SECONDS = 60.0
TAKEN_UP = timedelta(seconds=15)  # that the worker may take to begin
RESTARTED = gettext_noop("The lab was restarted while it got your host ready.")
SILENT = timedelta(seconds=SCRIPT_SECONDS + 15)  # after which whoever ran the scripts must be gone


class Preparation(models.Model):
    """Of one sandbox. nothing to do -> wanted -> running -> nothing to do, or failed; and from failed on to wanted again."""

    class Phase(models.TextChoices):
        IDLE = "idle"
        WANTED = "wanted"
        RUNNING = "running"
        FAILED = "failed"

    sandbox = models.OneToOneField(Sandbox, primary_key=True, on_delete=models.CASCADE, related_name="+")
    student = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preparations")
    lesson = models.SlugField(max_length=40)
    entered = models.JSONField(default=list, help_text="the steps whose setup was run here, or is among what is to run")
    plan = models.JSONField(default=list, help_text="what is to run, in order: [step, setup or solve, which of its scripts]")
    at = models.PositiveIntegerField(default=0, help_text="how much of the plan has been run")
    phase = models.CharField(max_length=8, choices=Phase, default=Phase.IDLE)
    began_at = models.DateTimeField(null=True, blank=True)
    heard_at = models.DateTimeField(null=True, blank=True, help_text="the last sign of life of whoever is at it")
    runner = models.UUIDField(null=True, blank=True, help_text="who is at it; another one may have taken over")
    failed = models.CharField(max_length=500, blank=True, default="", help_text="a sentence for the student")

    def __str__(self) -> str:
        return f"{self.sandbox_id.hex[:8]} for {self.lesson} ({self.phase})"

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Preparation | None":
        return cls.objects.filter(sandbox=sandbox).first()

    # What to run

    @classmethod
    def enter(cls, sandbox: Sandbox, lesson: Lesson, step: Step, adopt: bool = False) -> bool:
        """The student is at this step in this sandbox. True when there is something to run now, which the caller has to see to.

        Nothing happens when the sandbox is another lesson's, unless `adopt` says to use it as it is; when something runs already; and when
        steps between were passed over, for then the student only looks ahead, or needs a fresh sandbox.
        """
        from lessons.models import CheckProgress

        if sandbox.layout != lesson.layout:
            return False
        row = cls.objects.get_or_create(sandbox=sandbox, defaults={"student_id": sandbox.owner_id, "lesson": lesson.slug})[0]
        mine = row.lesson == lesson.slug
        if not mine and not adopt:
            return False
        if mine and row.left():
            return row._want([] if adopt else row.plan, row.entered, 0 if adopt else row.at)
        entered = row.entered if mine else []
        before = [s for s in lesson.steps if s.number < step.number and s.slug not in entered]
        if step.slug in entered or (not adopt and row.passed_over(lesson, step)):
            return False
        plan: list[list[str | int]] = []
        if mine and not entered and not adopt:
            plan = [part for s in before for part in (*cls._scripts(s, "setup"), *cls._scripts(s, "solve"))]
        if not mine or step.number > row.furthest(lesson):
            plan += cls._scripts(step, "setup")
        taken = row._want(plan, [*entered, *(s.slug for s in before), step.slug], 0, lesson.slug)
        if taken and not entered:
            CheckProgress.begin_afresh(row.student_id, lesson)
        return taken and bool(plan)

    @staticmethod
    def _scripts(step: Step, kind: str) -> list[list[str | int]]:
        return [[step.slug, kind, n] for n in range(len(step.setup if kind == "setup" else step.solve))]

    def _want(self, plan: list[list[str | int]], entered: list[str], at: int, lesson: str = "") -> bool:
        """One update, so that of two pages only one has the work done."""
        now = timezone.now()
        idle = Q(phase=self.Phase.IDLE, entered=self.entered, lesson=self.lesson) | Q(phase=self.Phase.FAILED) | self._given_up(now)
        changes = {"plan": plan, "entered": entered, "at": at, "lesson": lesson or self.lesson, "failed": "", "runner": None}
        phase = self.Phase.WANTED if plan else self.Phase.IDLE
        return bool(type(self).objects.filter(idle, pk=self.pk).update(**changes, phase=phase, began_at=now, heard_at=now))

    def left(self) -> bool:
        """Whether something of the plan was not run."""
        return self.at < len(self.plan)

    def furthest(self, lesson: Lesson) -> int:
        """The number of the last step that was come to in this sandbox."""
        return max((s.number for s in lesson.steps if s.slug in self.entered), default=0)

    def passed_over(self, lesson: Lesson, step: Step) -> list[Step]:
        """The steps before this one that were never come to in this sandbox, although they do something to it. None in a fresh one."""
        furthest = self.furthest(lesson)
        return [s for s in lesson.steps if 0 < furthest < s.number < step.number and (s.setup or s.solve)]

    # Who runs it

    @classmethod
    def _given_up(cls, now: datetime) -> Q:
        return Q(phase=cls.Phase.WANTED, heard_at__lt=now - TAKEN_UP) | Q(phase=cls.Phase.RUNNING, heard_at__lt=now - SILENT)

    @classmethod
    def take(cls, sandbox_id: str) -> "Preparation | None":
        """The work on this sandbox, for whoever asks first."""
        runner = uuid.uuid4()
        wanted = cls.objects.filter(pk=sandbox_id, phase=cls.Phase.WANTED, sandbox__state=Sandbox.State.CLAIMED)
        if not wanted.update(phase=cls.Phase.RUNNING, runner=runner, heard_at=timezone.now()):
            return None
        return cls.objects.select_related("student").filter(pk=sandbox_id, runner=runner).first()

    @classmethod
    def in_line(cls, sandbox_id: str) -> bool:
        """Others are in the way: a sign of life meanwhile. False when nobody wants it any more."""
        return bool(cls.objects.filter(pk=sandbox_id, phase=cls.Phase.WANTED, sandbox__state=Sandbox.State.CLAIMED).update(heard_at=timezone.now()))

    def scripts(self, lesson: Lesson) -> Iterator[tuple[Step, Script]]:
        """What is still to run, one after the other; ends early when another runner has taken over."""
        steps = {step.slug: step for step in lesson.steps}
        while self.left() and self.alive():
            slug, kind, n = self.plan[self.at]
            scripts = (steps[slug].setup if kind == "setup" else steps[slug].solve) if slug in steps else ()
            if n < len(scripts):  # the lesson may have been edited since
                yield steps[slug], scripts[n]
            self.at += 1

    def alive(self) -> bool:
        """Say how far it is. False when it is this runner's no more."""
        return bool(self._mine().update(at=self.at, heard_at=timezone.now()))

    def finish(self) -> None:
        self._mine().update(phase=self.Phase.IDLE, at=self.at, failed="")

    def fail(self, sentence: str) -> None:
        self._mine().update(phase=self.Phase.FAILED, failed=sentence[:500])

    def _mine(self) -> "models.QuerySet[Preparation]":
        return type(self).objects.filter(pk=self.pk, phase=self.Phase.RUNNING, runner=self.runner)

    @classmethod
    def not_begun(cls, sandbox: Sandbox, sentence: str) -> None:
        cls.objects.filter(sandbox=sandbox, phase=cls.Phase.WANTED).update(phase=cls.Phase.FAILED, failed=sentence[:500])

    @classmethod
    def interrupted(cls, machine: str) -> int:
        """A worker starts on this machine: what its predecessor was at has stopped somewhere in the middle."""
        left = cls.objects.filter(phase=cls.Phase.RUNNING, sandbox__machine__name=machine)
        return left.update(phase=cls.Phase.FAILED, failed=RESTARTED)

    # What the page shows

    def progress(self, lesson: Lesson) -> dict[str, object] | None:
        """How far it is; None when there is nothing to wait for."""
        if self.phase == self.Phase.IDLE or not self.plan:
            return None
        now = timezone.now()
        failed = _(self.failed) if self.failed else ""
        if type(self).objects.filter(self._given_up(now), pk=self.pk).exists():
            failed = _("Nobody is getting your host ready at the moment: the lab’s worker does not answer.")
        slugs = list(dict.fromkeys(slug for slug, *which in self.plan))
        slug = self.plan[min(self.at, len(self.plan) - 1)][0]
        step = lesson.named(slug)
        return {
            "of": len(slugs),
            "at": slugs.index(slug) + 1,
            "title": step.title if step else "",
            "seconds": round((now - (self.began_at or now)).total_seconds(), 1),
            "failed": failed,
        }
