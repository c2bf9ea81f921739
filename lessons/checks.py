"""Refuses to start with a broken lesson, and names what is wrong with it. Registered in apps.py."""
from django.core import checks

from lessons.errors import LessonError
from lessons.loader import catalogue


def lessons_are_sound(app_configs, **kwargs) -> list[checks.CheckMessage]:
    try:
        catalogue()
    except LessonError as error:
        hint = "`./lab lessons lint` says when nothing is left to correct."
        return [checks.Error(str(mistake), hint=hint, id="lessons.E001") for mistake in error.mistakes]
    return []
