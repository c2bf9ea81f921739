"""The pages of the lessons. Thin: what is taught is the catalogue's, who is how far is Progress', the lab is netcontrol's.

Must not know: Docker, Redis, sandboxes. A LabError goes through to the middleware, which says it as a page or as JSON.
"""
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from lessons.loader import Catalogue, Lesson, Step, catalogue
from lessons.models import Progress, Student
from netcontrol import tasks
from netcontrol.errors import LabError
from netcontrol.state import lab_state
from netcontrol.views import answer


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    lessons = catalogue()
    modules = [
        {
            "number": module.number,
            "slug": module.slug,
            "title": module.keys.title,
            "summary": module.keys.summary,
            "lessons": [_card(lesson) for lesson in module.lessons],
        }
        for module in lessons.modules
    ]
    context = {
        "modules": modules,
        "first": _card(lessons.lessons[0]),
        "current": _current(request, lessons),
        "lab": lab_state(request.user),
    }
    return render(request, "lessons/home.html", context)


@require_safe
def lesson(request: HttpRequest, slug: str) -> HttpResponse:
    """The lesson at the step where this student was last."""
    found = _lesson(slug)
    return _page(request, found, found.steps[_resume(request, found) - 1])


@require_safe
def step(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _lesson(slug)
    if (at := found.step(number)) is None:
        message = f"The lesson “{found.keys.title}” has no step {number}."
        raise LabError("no_step", message, f"It has the steps 1 to {len(found.steps)}: begin at /lessons/{slug}/1/.", status=404)
    return _page(request, found, at)


@require_POST
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Gives the student a sandbox or a place in line, and makes a guest of somebody who is no student yet."""
    found = _lesson(slug)
    asked = request.GET.get("step", "")
    at = found.step(int(asked)) if asked.isdecimal() and len(asked) < 4 else None
    if not request.user.is_authenticated:
        login(request, Student.new_guest())
    tasks.start(request.user, found.layout)
    return answer(request, _step_url(found, at) if at else reverse("lessons:lesson", args=[found.slug]))


def _page(request: HttpRequest, lesson: Lesson, at: Step) -> HttpResponse:
    furthest = Progress.visit(request.user, lesson.slug, at.number).furthest if request.user.is_authenticated else 1
    before, after = lesson.step(at.number - 1), lesson.step(at.number + 1)
    context = {
        "lesson": _card(lesson) | {"module": dict(zip(("number", "title"), lesson.module, strict=True))},
        "step": {"number": at.number, "title": at.title, "html": at.text.html()},
        "steps": [
            {"number": s.number, "title": s.title, "url": _step_url(lesson, s), "done": s.number < furthest} for s in lesson.steps
        ],
        "previous_url": _step_url(lesson, before) if before else None,
        "next_url": _step_url(lesson, after) if after else None,
        "start_url": f"{reverse('lessons:start', args=[lesson.slug])}?step={at.number}",
        "lab": lab_state(request.user),
        "hosts": list(lesson.keys.hosts),
        "expected": catalogue().expected,
    }
    return render(request, "lessons/lesson.html", context)


def _card(lesson: Lesson) -> dict[str, object]:
    """A lesson as the table of contents shows it."""
    return {
        "number": lesson.number,
        "slug": lesson.slug,
        "title": lesson.keys.title,
        "summary": lesson.keys.summary,
        "minutes": lesson.keys.minutes,
        "level": lesson.keys.level,
        "step_count": len(lesson.steps),
        "url": reverse("lessons:lesson", args=[lesson.slug]),
    }


def _step_url(lesson: Lesson, step: Step) -> str:
    return reverse("lessons:step", args=[lesson.slug, step.number])


def _resume(request: HttpRequest, lesson: Lesson) -> int:
    """The number of the step where this student was last. A lesson may have become shorter since then."""
    if not request.user.is_authenticated:
        return 1
    row = Progress.objects.filter(student=request.user, lesson=lesson.slug).first()
    return min(row.step, len(lesson.steps)) if row else 1


def _current(request: HttpRequest, lessons: Catalogue) -> dict[str, object] | None:
    """Where this student was last, in the newest lesson that is still there."""
    if not request.user.is_authenticated:
        return None
    for row in Progress.objects.filter(student=request.user).order_by("-updated_at"):
        if found := lessons.lesson(row.lesson):
            at = found.steps[min(row.step, len(found.steps)) - 1]
            return {"lesson": _card(found), "step": at.number, "step_title": at.title, "url": _step_url(found, at)}
    return None


def _lesson(slug: str) -> Lesson:
    lessons = catalogue()
    if found := lessons.lesson(slug):
        return found
    titles = ", ".join(f"“{lesson.keys.title}” (/lessons/{lesson.slug}/)" for lesson in lessons.lessons)
    raise LabError("no_lesson", f"There is no lesson “{slug}” here.", f"The lessons are: {titles}.", status=404)
