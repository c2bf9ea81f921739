"""The pages of the lessons. Thin: what is taught is the catalogue's, who is how far is the models', the lab is netcontrol's.

Must not know: Docker, Redis. A LabError goes through to the middleware, which says it as a page or as JSON. What a step's page asks once
it is there is in step_views.py.
"""
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from lessons import visitors
from lessons.from_request import find, find_lesson, key_of, student_of
from lessons.lesson import Lesson, Step
from lessons.loader import catalogue
from lessons.models import Preparation, Progress, StepProgress, Student, is_done, steps_done
from lessons.schema import Level
from lessons.standing import Place, language
from netcontrol import orders, why
from netcontrol.models import Sandbox
from netcontrol.state import lab_state
from netcontrol.throttle import new_guest, new_lab
from netcontrol.views import answer

LEVELS: dict[Level, str] = {"First steps": _("First steps"), "Some practice": _("Some practice"), "Demanding": _("Demanding")}  # type: ignore[dict-item]
Done = Mapping[str, set[str]]  # lesson -> its steps that are done


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The contents.

    modules   [{number, slug, title, summary, lessons: [card], done, count}]: lessons of it that are done, and that there are
    first     the first card; None when nothing is taught
    current   None, or where the student was last: {lesson: card, step, step_title, url, next}; `next` is the card after a lesson that is done
    left_out  how many lessons are not taught because of mistakes in them; `mistakes` names these, for an author (DEBUG) or staff
    lab       as GET /lab/state

    A card: {number, slug, title, summary, minutes, level, url, step_count, steps_done, done}.
    """
    student, lessons = student_of(request), catalogue()
    done = StepProgress.done(student) if student else {}
    modules: list[dict[str, Any]] = []
    for module in lessons.modules:
        cards = [_card(source.filled(key_of(student), language()), done) for source in module.sources]
        words, count = module.words(language()), sum(bool(card["done"]) for card in cards)
        modules.append(
            {"number": module.number, "slug": module.slug, "title": words.title, "summary": words.summary, "lessons": cards}
            | {"done": count, "count": len(cards)}
        )
    cards = [card for module in modules for card in module["lessons"]]
    context = {
        "modules": modules,
        "first": cards[0] if cards else None,
        "current": _current(student, cards) if student else None,
        "left_out": lessons.left_out,
        "mistakes": lessons.mistakes if settings.DEBUG or (student and student.is_staff) else (),
        "lab": lab_state(request.user),
    }
    return render(request, "lessons/home.html", context)


@require_safe
def lesson(request: HttpRequest, slug: str) -> HttpResponse:
    """The lesson at the step where this student was last. Context: see _page."""
    found = find_lesson(request, slug)
    return _page(request, Place(student_of(request), found, _resume(student_of(request), found)))


@require_safe
def step(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One step. Context: see _page."""
    return _page(request, find(request, slug, number))


@require_POST
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Gives the student a sandbox or a place in line, and makes a guest of somebody who is no student yet.

    A lesson begins in a fresh sandbox: one that belongs to another lesson is ended; one that is this lesson's goes on.
    """
    found = find_lesson(request, slug)
    asked = request.GET.get("step", "")
    at = found.step(int(asked)) if asked.isdecimal() and len(asked) < 4 else None
    if not request.user.is_authenticated:
        new_guest(request)
        guest = Student.new_guest()
        login(request, guest)
        visitors.hand_over(request, guest)
    new_lab(request)
    mine = Sandbox.of(request.user)
    if mine and Preparation.objects.filter(sandbox=mine).exclude(lesson=slug).exists():
        orders.end(mine, why.OTHER_LESSON % {"title": found.title})
    orders.start(request.user, found.layout)
    return answer(request, _step_url(found, at.number) if at else reverse("lessons:lesson", args=[found.slug]))


def _page(request: HttpRequest, place: Place) -> HttpResponse:
    """lesson: its card and `module`; step: {number, title, html, show}; steps: [{number, title, url, done}]; previous_url and next_url: None at
    an end; start_url; lab: as GET /lab/state; step_state: as GET state of the step, for the page's `step-state`; hosts: their names;
    expected: block -> exit code that is as it should be, when not 0."""
    lesson, at = place.lesson, place.step
    if place.student:
        with suppress(DatabaseError):  # locked or full: reading goes on
            Progress.visit(place.student, lesson, at)
    done = StepProgress.done(place.student, lesson.slug) if place.student else {}
    before, after = lesson.step(at.number - 1), lesson.step(at.number + 1)
    context = {
        "lesson": _card(lesson, done) | {"language": lesson.language, "module": dict(zip(("number", "title"), lesson.module, strict=True))},
        "step": {"number": at.number, "title": at.title, "html": at.text.html(), "show": at.show.for_the_page() if at.show else None},
        "steps": [
            {"number": s.number, "title": s.title, "url": _step_url(lesson, s.number), "done": s.slug in done.get(lesson.slug, ())}
            for s in lesson.steps
        ],
        "previous_url": _step_url(lesson, before.number) if before else None,
        "next_url": _step_url(lesson, after.number) if after else None,
        "start_url": f"{reverse('lessons:start', args=[lesson.slug])}?step={at.number}",
        "lab": lab_state(request.user),
        "step_state": place.standing(quizzes=visitors.answers(request, place)),
        "hosts": list(lesson.keys.hosts),
        "expected": catalogue().expected,
    }
    return render(request, "lessons/lesson.html", context)


def _card(lesson: Lesson, done: Done) -> dict[str, object]:
    """A lesson as the table of contents shows it."""
    steps = done.get(lesson.slug, set())
    return {
        "number": lesson.number,
        "slug": lesson.slug,
        "title": lesson.title,
        "summary": lesson.summary,
        "minutes": lesson.keys.minutes,
        "level": LEVELS[lesson.keys.level],
        "step_count": len(lesson.sources),
        "steps_done": steps_done(lesson, steps),
        "done": is_done(lesson, steps),
        "url": reverse("lessons:lesson", args=[lesson.slug]),
    }


def _step_url(lesson: Lesson, number: int) -> str:
    return reverse("lessons:step", args=[lesson.slug, number])


def _resume(student: Student | None, lesson: Lesson) -> Step:
    """The step where this student was last."""
    row = Progress.objects.filter(student=student, lesson=lesson.slug).first() if student else None
    return row.at(lesson) if row else lesson.steps[0]


def _current(student: Student, cards: list[dict]) -> dict[str, object] | None:
    """Where this student was last, in the newest lesson that is still there."""
    places = {card["slug"]: n for n, card in enumerate(cards)}
    for row in Progress.objects.filter(student=student).order_by("-updated_at"):
        if row.lesson in places and (found := catalogue().lesson(row.lesson, key_of(student), language())):
            at, n = row.at(found), places[row.lesson]
            after = cards[n + 1] if cards[n]["done"] and n + 1 < len(cards) else None
            return {"lesson": cards[n], "step": at.number, "step_title": at.title, "url": _step_url(found, at.number), "next": after}
    return None
