"""What somebody has answered who is no student yet, in the session: reading leaves no trace of a visitor, answering does.

It becomes rows when they become a student. Must not know: sandboxes, JSON.
"""
from django.http import HttpRequest

from lessons.loader import catalogue
from lessons.models import QuizAnswer, Student
from lessons.standing import Place

KEY = "quizzes"  # in the session: lesson/step -> {quiz: option}; at most one for each quiz there is


def keep(request: HttpRequest, place: Place, quiz: int, option: int) -> None:
    """The first answer stays."""
    kept = request.session.get(KEY, {})
    kept.setdefault(f"{place.lesson.slug}/{place.step.slug}", {}).setdefault(str(quiz), option)
    request.session[KEY] = kept


def answers(request: HttpRequest, place: Place) -> dict[int, int]:
    """Quiz -> the option that this visitor chose; nothing for a student, whose answers are rows."""
    if place.student:
        return {}
    kept = request.session.get(KEY, {}).get(f"{place.lesson.slug}/{place.step.slug}", {})
    return {int(quiz): option for quiz, option in kept.items()}


def hand_over(request: HttpRequest, student: Student) -> None:
    """This session's visitor has become this student."""
    for where, chosen in request.session.pop(KEY, {}).items():
        slug, _, step = where.partition("/")
        lesson = catalogue().lesson(slug, student.variables_key)
        if at := lesson.named(step) if lesson else None:
            QuizAnswer.give(student, slug, at, [(int(quiz), option) for quiz, option in chosen.items()])
