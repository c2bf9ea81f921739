"""What a step's page asks and says: JSON in, JSON out, and each answer is the state of the step (standing.py). Thin.

Every sandbox is found by its owner, who is the student of the session; no address or body names one. A step is looked at in its own
lesson's sandbox only. Must not know: Docker, how checks are evaluated.
"""
from typing import Any, cast

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException
from django.utils.html import strip_tags
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from lessons import tasks, visitors
from lessons.from_request import find
from lessons.lesson import Check
from lessons.models import CheckProgress, QuizAnswer, StepProgress, Student
from lessons.standing import Place, language
from lessons.wishes import Wish
from netcontrol import orders, why
from netcontrol.agent.limits import MAX_BODY
from netcontrol.agent.untrusted import Unreadable, read_object
from netcontrol.errors import LabError
from netcontrol.models import Sandbox
from netcontrol.throttle import at_most, new_lab
from netcontrol.views import answer

LONGEST_ANSWER = 500


@require_GET
@never_cache
def state(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    return _standing(request, find(request, slug, number))


@require_POST
@at_most("check", 240)
def check(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    """Look at the step's checks, now. `auto`: a command ended, and nobody asked."""
    place = find(request, slug, number)
    body = _body(request, answers=dict, auto=bool)
    answers = {name: _text(place, name, text) for name, text in body["answers"].items()}
    sandbox = _own_sandbox(place)
    tasks.enter(place, sandbox)
    before = place.standing()
    finished = before["done"] and all(c["state"] == CheckProgress.State.PASSED for c in before["checks"])
    if before["preparing"] or before["belongs"] or finished:
        return JsonResponse(before)
    told = tasks.look(place, sandbox, Wish(language(), auto=body["auto"], answers=answers))
    if told is None:
        told = _("The lab’s worker does not answer. It is started again by itself: try again in a few seconds.")
    return _standing(request, place, unknown=told)


@require_POST
@at_most("hint", 120)
def hint(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    """One more hint of a check."""
    place = find(request, slug, number)
    asked = _check(place, _body(request, check=str)["check"])
    _own_sandbox(place)
    CheckProgress.show_hint(_student(place), slug, place.step.slug, asked)
    return _standing(request, place)


@require_POST
@at_most("solution", 60)
def solution(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    """What one would type, and the right answers; those that only the sandbox knows are asked of it."""
    place = find(request, slug, number)
    sandbox = _own_sandbox(place)
    StepProgress.of(_student(place), slug, place.step.slug).show_solution()
    before = place.standing()
    if any(c.asks_sandbox for c in place.step.checks) and not before["preparing"] and not before["belongs"]:
        tasks.look(place, sandbox, Wish(language(), solution=True))
    return _standing(request, place)


@require_POST
@at_most("quiz", 120)
def quiz(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    """A prediction. It needs no sandbox; a visitor's is kept in the session, and becomes the student's when they start."""
    place = find(request, slug, number)
    body = _body(request, quiz=int, option=int)
    asked = place.step.text.quiz(body["quiz"])
    if asked is None or not 0 < body["option"] <= len(asked.options):
        raise LabError("no_quiz", _("This step has no such question."), _("Load the page again: the lesson may have been changed."), status=404)
    if place.student:
        QuizAnswer.give(place.student, slug, place.step, [(body["quiz"], body["option"])])
    else:
        visitors.keep(request, place, body["quiz"], body["option"])
    return _standing(request, place)


@require_POST
@at_most("enter", 120)
def enter(request: HttpRequest, slug: str, number: int) -> JsonResponse:
    """The student is at this step, in a sandbox that is there. `adopt`: use it as it is, although it was another lesson's."""
    place = find(request, slug, number)
    adopt = _body(request, adopt=bool)["adopt"]
    tasks.enter(place, _own_sandbox(place), adopt)
    return _standing(request, place)


@require_POST
def rewind(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A fresh sandbox for this step. It is brought there by the page's `enter`, when it is claimed."""
    place = find(request, slug, number)
    if place.student is None:
        raise _no_sandbox()
    new_lab(request)
    if mine := place.sandbox():
        orders.end(mine, why.ASKED)
    orders.start(place.student, place.lesson.layout)
    return answer(request, f"/lessons/{slug}/{number}/")


# What a request says


def _standing(request: HttpRequest, place: Place, unknown: str = "") -> JsonResponse:
    return JsonResponse(place.standing(unknown=unknown, quizzes=visitors.answers(request, place)))


def _student(place: Place) -> Student:
    return cast(Student, place.student)


def _no_sandbox() -> LabError:
    return LabError("no_sandbox", _("You have no lab at the moment."), _("Start one: the button is on this page."), status=409)


def _own_sandbox(place: Place) -> Sandbox:
    if mine := place.sandbox():
        return mine
    raise _no_sandbox()


def _check(place: Place, name: str) -> Check:
    if found := place.step.check(name):
        return found
    raise LabError("no_check", _("This step has no such check."), _("Load the page again: the lesson may have been changed."), status=404)


def _text(place: Place, name: Any, text: Any) -> str:
    """The answer to a question. Of a choice the page has only what can be read of it: it stands for the choice as it was written."""
    asked = _check(place, name)
    if not asked.answered or not isinstance(text, str):
        raise _bad_request()
    text = text.replace("\0", "").strip()[:LONGEST_ANSWER]
    return next((choice for choice in asked.choices if strip_tags(place.lesson.inline(choice)).strip() == text), text)


def _body(request: HttpRequest, **fields: type) -> dict[str, Any]:
    """These fields of the JSON object, each of its type; one that is not there is empty, 0 or false. Raises LabError."""
    try:
        told = read_object(request.body or b"{}", MAX_BODY)
    except (Unreadable, RequestDataTooBig, RawPostDataException):  # the last: a form, which was read already
        raise _bad_request() from None
    if not all(type(told.get(name, of())) is of for name, of in fields.items()):
        raise _bad_request()
    return {name: told.get(name, of()) for name, of in fields.items()}


def _bad_request() -> LabError:
    return LabError("bad_request", _("The lab does not understand what this page says."), _("Load the page again."), status=400)
