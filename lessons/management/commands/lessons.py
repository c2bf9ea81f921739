"""`./lab lessons list | lint`: what is taught here, and what is wrong with it. Needs no database and no running lab."""
import json
import sys

from django.conf import settings
from django.core.management.base import BaseCommand

from lessons.errors import LessonError
from lessons.loader import Catalogue, load


class Command(BaseCommand):
    help = "Lists the lessons, or checks their files."
    requires_system_checks = []  # the lessons' own check would stop `lint` before it can speak

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in (("list", "the lessons, in their order"), ("lint", "every mistake as file:line: key: sentence; exit 1 if any")):
            verbs.add_parser(verb, help=text, description=text).add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args, verb: str, json: bool, **options) -> None:
        try:
            lessons = load(settings.LESSONS_DIR)
        except LessonError as error:
            self._mistakes(error, json)
            sys.exit(1)
        {"list": self._list, "lint": self._clean}[verb](lessons, json)

    def _list(self, lessons: Catalogue, as_json: bool) -> None:
        if as_json:
            rows = [
                {
                    "module": module.slug,
                    "number": lesson.number,
                    "slug": lesson.slug,
                    "steps": [step.title for step in lesson.steps],
                    **lesson.keys.model_dump(include={"title", "summary", "minutes", "level", "hosts", "images"}),
                }
                for module in lessons.modules
                for lesson in module.lessons
            ]
            return self._say(rows)
        for module in lessons.modules:
            self.stdout.write(f"{module.number}  {module.keys.title} ({module.slug})")
            for lesson in module.lessons:
                facts = f"{len(lesson.steps)} steps, {lesson.keys.minutes} min, {lesson.keys.level}, on {', '.join(lesson.keys.hosts)}"
                self.stdout.write(f"   {lesson.number}  {lesson.slug}: {lesson.keys.title} ({facts})")

    def _clean(self, lessons: Catalogue, as_json: bool) -> None:
        if as_json:
            return self._say({"lessons": len(lessons.lessons), "mistakes": []})
        self.stdout.write(f"No mistakes. Lessons: {len(lessons.lessons)}, modules: {len(lessons.modules)}.")

    def _mistakes(self, error: LessonError, as_json: bool) -> None:
        if as_json:
            return self._say({"lessons": None, "mistakes": [vars(mistake) for mistake in error.mistakes]})
        for mistake in error.mistakes:
            self.stdout.write(str(mistake))

    def _say(self, what: object) -> None:
        self.stdout.write(json.dumps(what, indent=2, ensure_ascii=False))
