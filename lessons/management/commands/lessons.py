"""`./lab lessons list | lint | test | schema`: what is taught here, what is wrong with it, whether it works, and what an editor should know.

Only `test` needs a running lab.
"""
import json
import os
import sys
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand

from lessons.loader import Catalogue, load
from lessons.schema import FILES
from netcontrol.errors import LabError

VERBS = {
    "list": "the lessons, in their order",
    "lint": "every mistake as file:line: key: sentence; exit 1 if any",
    "test": "prove lessons in fresh sandboxes of the running lab; exit 1 if one fails",
    "schema": "write JSON Schemas of the files of a lesson into a folder, for editors",
}


class Command(BaseCommand):
    help = "Lists the lessons, or checks their files."
    requires_system_checks = []  # the lessons' own check would speak before `lint` does

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in VERBS.items():
            of = verbs.add_parser(verb, help=text, description=text)
            if verb == "schema":
                of.add_argument("folder", nargs="?", type=Path, default=settings.BASE_DIR / "docs" / "schema")
            else:
                of.add_argument("--json", action="store_true", help="for programs")
            if verb == "test":
                of.add_argument("slugs", nargs="*", metavar="SLUG", help="all lessons, if none is named")
                of.add_argument("--changed-since", metavar="REVISION", help="only those with a file that changed since then, as Git sees it")
                of.add_argument("--walk", choices=["page", "replay"], action="append", help="only this way through a lesson; both, if not said")
                of.add_argument("--at-once", type=int, default=3 * (os.cpu_count() or 1), help="sandboxes in use at the same time; three a core, if not said")
                of.add_argument("--url", default=f"http://127.0.0.1:{settings.PORT}", help="where the lab's page is")

    def handle(self, *args, verb: str, **options) -> None:
        if verb == "schema":
            return self._schema(options["folder"])
        lessons = load(settings.LESSONS_DIR)
        if verb == "test":
            return self._test(lessons, **{key: options[key] for key in ("slugs", "changed_since", "walk", "at_once", "url", "json")})
        {"list": self._list, "lint": self._lint}[verb](lessons, options["json"])

    def _list(self, lessons: Catalogue, as_json: bool) -> None:
        if as_json:
            rows = [
                {
                    "module": module.slug,
                    "number": lesson.number,
                    "slug": lesson.slug,
                    "steps": [step.title for step in lesson.steps],
                    "checks": sum(len(step.checks) for step in lesson.steps),
                    "languages": list(source.languages),
                    **lesson.keys.model_dump(include={"title", "summary", "minutes", "level", "hosts", "images"}),
                }
                for module in lessons.modules
                for source, lesson in zip(module.sources, module.lessons)
            ]
            return self._say(rows)
        for module in lessons.modules:
            self.stdout.write(f"{module.number}  {module.keys.title} ({module.slug})")
            for source, lesson in zip(module.sources, module.lessons):
                checks = sum(len(step.checks) for step in lesson.steps)
                facts = f"{len(lesson.steps)} steps, {checks} checks, {lesson.keys.minutes} min, on {', '.join(lesson.keys.hosts)}, in {', '.join(source.languages)}"
                self.stdout.write(f"   {lesson.number}  {lesson.slug}: {lesson.keys.title} ({facts})")
        if lessons.mistakes:
            self.stdout.write(f"{lessons.left_out} left out because of mistakes: ./lab lessons lint says which.")

    def _lint(self, lessons: Catalogue, as_json: bool) -> None:
        if as_json:
            self._say({"lessons": len(lessons.lessons), "left_out": lessons.left_out, "mistakes": [vars(mistake) for mistake in lessons.mistakes]})
        else:
            for mistake in lessons.mistakes:
                self.stdout.write(str(mistake))
            if not lessons.mistakes:
                self.stdout.write(f"No mistakes. Lessons: {len(lessons.lessons)}, modules: {len(lessons.modules)}.")
        if lessons.mistakes:
            sys.exit(1)

    def _test(self, lessons: Catalogue, slugs: list[str], changed_since: str | None, walk: list[str] | None, at_once: int, url: str, json: bool) -> None:
        from labsite.client import Guest  # what speaks to the lab is not needed to lint
        from lessons.proof import report
        from lessons.proof.prover import WALKS, changed, prove

        sources = [source for module in lessons.modules for source in module.sources if not slugs or source.slug in slugs]
        walks = []
        try:
            unknown = set(slugs) - {source.slug for source in sources}
            mistakes = [mistake for mistake in lessons.mistakes if not slugs or any(f"-{slug}/" in mistake.file for slug in unknown)]
            if unknown and not mistakes:
                raise LabError("no_lesson", f"There is no lesson {', '.join(sorted(unknown))}.", "See ./lab lessons list.")
            if changed_since:
                sources = changed(sources, changed_since, settings.BASE_DIR)
            Guest(url, "").get("/healthz")
            for done in prove(sources, walk or WALKS, url, max(1, at_once)):
                walks.append(done)
                if not json:
                    self.stdout.write(report.line(done))
                    for finding in sorted(done.findings):
                        self.stdout.write(f"      {finding}")
        except LabError as error:
            self.stderr.write(str(error))
            sys.exit(2)
        if json:
            self._say({"passed": all(done.passed for done in walks) and not mistakes, "walks": report.as_json(walks), "mistakes": [vars(mistake) for mistake in mistakes]})
        else:
            for mistake in mistakes:
                self.stdout.write(str(mistake))
            self.stdout.write(report.summary(walks) if walks else "Nothing was proved.")
        if mistakes or not all(done.passed for done in walks):
            sys.exit(1)

    def _schema(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, schema in schemas().items():
            (folder / f"{name}.json").write_text(schema)
        self.stdout.write(f"{', '.join(FILES)}: in {folder}")

    def _say(self, what: object) -> None:
        self.stdout.write(json.dumps(what, indent=2, ensure_ascii=False))


def schemas() -> dict[str, str]:
    """file of a lesson -> its JSON Schema, as text."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {name: json.dumps(head | model.model_json_schema(), indent=2, ensure_ascii=False) + "\n" for name, model in FILES.items()}
