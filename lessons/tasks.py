"""What the check worker of a machine runs: a look at a step's checks, and bringing a sandbox to a step. On the queue check@<machine>.

Thin: what counts is the models', how to look is grading.py's, where a script runs is netcontrol's. No text of a script is logged.
"""
import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from lessons.checks.predicted import PREDICTED
from lessons.checks.verdict import Failed, NotKnown
from lessons.grading import SECONDS, grade, right_answers
from lessons.lesson import Check, Step
from lessons.loader import catalogue
from lessons.models import CheckProgress, StepProgress, Student
from lessons.preparation import SCRIPT_SECONDS, Preparation
from lessons.slots import Slots
from lessons.standing import Place
from lessons.wishes import Wish, ask, take, tell
from netcontrol import orders
from netcontrol.errors import LabError
from netcontrol.inside import Inside
from netcontrol.models import Sandbox

log = logging.getLogger(__name__)

LOOKING, PREPARING = Slots(32, each=2), Slots(16, each=2)  # of the worker's 32 threads: however long hosts take to get ready, checks go on
AGAIN_SECONDS = 0.25  # until work that had no slot is tried again
FETCH_SECONDS = 7  # after which nobody waits for it any more


# A look at the checks of a step


def look(place: Place, sandbox: Sandbox, wish: Wish) -> str | None:
    """Have the worker of the sandbox's machine serve this wish, and wait. See wishes.ask."""
    arguments = (str(sandbox.pk), sandbox.owner_id, place.lesson.slug, place.step.slug)
    fetch = partial(orders.enqueue, check, *arguments, queue=_queue(sandbox), expires=FETCH_SECONDS)
    return ask(f"{sandbox.pk}/{place.step.slug}", wish, fetch)


@shared_task
def check(sandbox_id: str, student_id: int, lesson: str, step: str) -> None:
    """Serve what the pages of this student wait for in this step, until nobody waits."""
    with LOOKING.slot(sandbox_id) as mine:
        if mine:
            _look(sandbox_id, student_id, lesson, step)
        else:
            orders.enqueue(check, sandbox_id, student_id, lesson, step, queue=settings.CHECK_QUEUE, expires=FETCH_SECONDS, countdown=AGAIN_SECONDS)


def _look(sandbox_id: str, student_id: int, lesson: str, step: str) -> None:
    while wishes := take(f"{sandbox_id}/{step}"):
        with override(wishes[-1].language):
            try:
                sentence = _serve(wishes, sandbox_id, student_id, lesson, step)
            except Exception:
                log.exception("%s, step %s of %s: the checks cannot be looked at", sandbox_id, step, lesson)
                sentence = _("This is a fault of the lab, not of yours.")
        tell(wishes, sentence)


def _serve(wishes: list[Wish], sandbox_id: str, student_id: int, lesson: str, step: str) -> str:
    """Returns "" when all was done, else why not."""
    sandbox = Sandbox.objects.filter(pk=sandbox_id, owner_id=student_id, state=Sandbox.State.CLAIMED).first()
    if sandbox is None:
        return _("This lab has ended.")
    student = Student.objects.get(pk=student_id)
    read = catalogue().lesson(lesson, student.variables_key, wishes[-1].language)
    at = read.named(step) if read else None
    if at is None:
        return _("This step is taught no more.")
    inside = Inside(sandbox.pk)
    if looks := [wish for wish in wishes if not wish.solution]:
        answers = {name: text for wish in looks for name, text in wish.answers.items()}
        _evaluate(student, lesson, at, inside, answers, asked=not all(wish.auto for wish in looks))
    mine = StepProgress.of(student, lesson, step)
    if mine.solution_at:
        _answer(at, mine, inside, again=len(looks) < len(wishes))
    return ""


def _evaluate(student: Student, lesson: str, step: Step, inside: Inside, answers: Mapping[str, str], asked: bool) -> None:
    answered = CheckProgress.answered(student, lesson, step)
    open_now = [check for check in step.checks if check.name not in answered]
    found = asyncio.run(grade(open_now, answers, inside.run))
    questions = {check.name for check in open_now if check.answered}
    results = {name: (result.state, result.why) for name, result in found.items() if name not in questions or name in answers}
    matrices = [check.name for check in open_now if check.kind == PREDICTED.name and check.name in answers]
    CheckProgress.keep_said(student, lesson, step.slug, {name: {"given": answers[name], "wrong": found[name].cells} for name in matrices})
    if CheckProgress.record(student, lesson, step, results, asked):
        StepProgress.of(student, lesson, step.slug).finish()


def _answer(step: Step, mine: StepProgress, inside: Inside, again: bool) -> None:
    """Right answers that only the sandbox knows, for a student who has asked for the solution; `again`: those known already, too."""
    asks = [check for check in step.checks if check.asks_sandbox and (again or not mine.answers.get(check.name))]
    if asks:
        answers = {**mine.answers, **asyncio.run(_run_answers(asks, inside))}
        StepProgress.objects.filter(pk=mine.pk).update(answers=answers)


async def _run_answers(asks: list[Check], inside: Inside) -> dict[str, str]:
    async def first(check: Check) -> str:
        try:
            async with asyncio.timeout(SECONDS if check.params else SECONDS / 2):  # a matrix is tried for 3 s
                return "".join(filter(str.isprintable, (await right_answers(check, inside.run))[0]))[:200]  # PostgreSQL keeps no NUL
        except (LabError, Failed, NotKnown, TimeoutError):
            return ""

    return dict(zip([check.name for check in asks], await asyncio.gather(*map(first, asks))))


# Bringing a sandbox to a step


def enter(place: Place, sandbox: Sandbox, adopt: bool = False) -> None:
    """The student is at this step: have the sandbox brought there when it is not."""
    if not Preparation.enter(sandbox, place.lesson, place.step, adopt):
        return
    try:
        orders.enqueue(prepare, str(sandbox.pk), place.lesson.language, queue=_queue(sandbox))
    except LabError as down:
        Preparation.not_begun(sandbox, str(down))


@shared_task
def prepare(sandbox_id: str, language: str) -> None:
    """Run what brings this sandbox to its student's step, when it is its turn."""
    with PREPARING.slot(sandbox_id) as mine:
        if mine and (row := Preparation.take(sandbox_id)):
            _bring(row, language)
        elif not mine and Preparation.in_line(sandbox_id):
            orders.enqueue(prepare, sandbox_id, language, queue=settings.CHECK_QUEUE, countdown=AGAIN_SECONDS)


def _bring(row: Preparation, language: str) -> None:
    with override(language):
        try:
            sentence = _prepare(row)
        except Exception:
            log.exception("%s cannot be prepared", row.sandbox_id)
            sentence = _("This is a fault of the lab, not of yours.")
        if sentence:
            log.warning("%s is not prepared for %s: part %d of %d", row.sandbox_id, row.lesson, row.at + 1, len(row.plan))
            row.fail(sentence)
        else:
            row.finish()


def _prepare(row: Preparation) -> str:
    lesson = catalogue().lesson(row.lesson, row.student.variables_key)
    if lesson is None:
        return _("This lesson is taught no more.")
    inside = Inside(row.sandbox_id)
    for step, script in row.scripts(lesson):
        try:
            answer = asyncio.run(inside.run(script.host, script.strict, SCRIPT_SECONDS))
        except LabError as away:
            return str(away)
        if answer.exit_code:
            return _("The step “%(title)s” could not be got ready: its commands ended with exit code %(code)d.") % {
                "title": step.title,
                "code": answer.exit_code,
            }
        if answer.exit_code is None:
            return _("The step “%(title)s” could not be got ready within %(seconds)d seconds.") % {"title": step.title, "seconds": SCRIPT_SECONDS}
    return ""


@worker_ready.connect
def begin(sender, **_) -> None:
    """What this worker's predecessor was at has stopped in the middle."""
    if settings.CHECK_QUEUE in sender.app.amqp.queues.consume_from and (stopped := Preparation.interrupted(settings.MACHINE)):
        log.warning("%d sandboxes were being prepared when the worker stopped", stopped)


def _queue(sandbox: Sandbox) -> str:
    return f"check@{sandbox.machine.name}"
