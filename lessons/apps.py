from django.apps import AppConfig
from django.core import checks


class LessonsConfig(AppConfig):
    name = "lessons"

    def ready(self) -> None:
        from lessons.sound import lessons_are_sound

        checks.register(lessons_are_sound)
