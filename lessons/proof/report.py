"""What a proof found, for people and for programs. Must not know how it was found."""
from collections.abc import Iterable
from typing import Any

from lessons.proof.finding import Walk


def line(walk: Walk) -> str:
    """One walk, as it ends."""
    did = {
        "page": f"{walk.blocks} commands, {walk.checks} checks",
        "replay": f"{walk.scripts} scripts, {walk.wrongs} wrong turns, {walk.checks} checks",
    }[walk.name]
    languages = f", in {', '.join(walk.lesson.languages)}" if walk.name == "page" else ""
    outcome = "passed" if walk.passed else f"FAILED, {len(walk.findings)} to mend"
    return f"{walk.lesson.number:<5} {walk.lesson.slug:<24} {walk.name:<7} {outcome}: {did}{languages}, {walk.seconds:.1f} s"


def summary(walks: list[Walk]) -> str:
    lessons = {walk.lesson.slug for walk in walks}
    failed = {walk.lesson.slug for walk in walks if not walk.passed}
    steps = sum(len(walk.lesson.steps) for walk in walks if walk.name == "replay")
    wrongs = sum(walk.wrongs for walk in walks)
    said = f"{len(lessons)} lessons with {steps} steps and {wrongs} wrong turns"
    return f"{said}: {len(failed)} FAILED ({', '.join(sorted(failed))})." if failed else f"{said}: all passed."


def as_json(walks: Iterable[Walk]) -> list[dict[str, Any]]:
    return [
        {
            "lesson": walk.lesson.slug,
            "number": walk.lesson.number,
            "walk": walk.name,
            "languages": list(walk.lesson.languages),
            "passed": walk.passed,
            "steps": len(walk.lesson.steps),
            "scripts": walk.scripts,
            "wrong": walk.wrongs,
            "commands": walk.blocks,
            "checks": walk.checks,
            "seconds": round(walk.seconds, 2),
            "findings": [vars(finding) for finding in walk.findings],
        }
        for walk in walks
    ]
