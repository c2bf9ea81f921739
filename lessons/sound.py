"""Warns at the start of lessons that have mistakes: they are left out, and the others are taught. Registered in apps.py."""
from django.core import checks

from lessons.loader import catalogue


def lessons_are_sound(app_configs, **kwargs) -> list[checks.CheckMessage]:
    hint = "A lesson with a mistake is not shown. `./lab lessons lint` says when nothing is left to correct."
    return [checks.Warning(str(mistake), hint=hint, id="lessons.W001") for mistake in catalogue().mistakes]
