"""A student who follows the page to its end: over HTTP and WebSocket, every Run button, every quiz, the solution where the page leaves
something to do. Must not know: how the server grades.
"""
import asyncio
import html
import re
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from labsite.client import Event, Guest
from lessons.fences import Block
from lessons.lesson import Lesson, LessonSource, Step, StepSource
from lessons.models import Student
from lessons.preparation import SCRIPT_SECONDS
from lessons.proof.finding import Broken, Walk
from lessons.proof.replay import PATIENCE, right_answer
from netcontrol.errors import LabError
from netcontrol.inside import Inside
from netcontrol.models import Sandbox

RUN_SECONDS = 60.0
PREPARE_SECONDS = 90.0
PAUSE = 0.5


def read(source: LessonSource, url: str) -> Walk:
    walk = Walk(source, "page")
    reader = None
    try:
        with walk.timed(), Guest(url, source.slug) as guest:
            reader = _Reader(walk, source, guest)
            reader.all()
    finally:
        if reader and reader.owner:
            Student.objects.filter(pk=reader.owner).delete()
    return walk


class _Reader:
    def __init__(self, walk: Walk, source: LessonSource, guest: Guest):
        self.walk, self.source, self.guest = walk, source, guest
        self.owner: int | None = None
        self.background: dict[str, Block] = {}  # shell -> what runs there until it is stopped
        self.known: set[str] = set()  # shells that are open

    def all(self) -> None:
        self.guest.start()
        self.guest.lab()
        sandbox = Sandbox.objects.get(state=Sandbox.State.CLAIMED, pk=str(self.guest.sandbox))
        assert sandbox.owner
        self.owner, self.inside = sandbox.owner_id, Inside(sandbox.pk)
        self.lesson: Lesson = self.source.filled(sandbox.owner.variables_key)
        for source, step in zip(self.source.steps, self.lesson.steps):
            self.step(source, step)
        last = self.ask(len(self.lesson.steps), "state")
        if not last["lesson_done"]:
            self.walk.about(None, "a student who follows the page to its end has not finished the lesson.")

    def ask(self, number: int, what: str, **body: Any) -> Event:
        path = f"/lessons/{self.source.slug}/{number}/{what}"
        return self.guest.get(path).json() if what == "state" else self.guest.post(path, body)

    def step(self, source: StepSource, step: Step) -> None:
        self.pages(source, step)
        self.enter(source, step)
        for quiz in step.text.quizzes:
            state = self.ask(step.number, "quiz", quiz=quiz.number, option=quiz.correct)
            if not state["quizzes"][str(quiz.number)]["right"]:
                self.walk.about(source, f"quiz {quiz.number}: the page takes its right option for wrong.")
        for block in step.text.blocks:
            self.run(source, block)
        state = self.checked(step)
        if not state["done"] and step.solve:
            for script in step.solve:  # what the page has done already fails here, and may
                asyncio.run(self.inside.run(script.host, script.text, SCRIPT_SECONDS))
            state = self.checked(step, PATIENCE)
        for shell in list(self.background):
            self.stop(source, shell)
        if step.checks and not state["done"]:
            for check in state["checks"]:
                if check["state"] != "passed":
                    self.walk.found(source, f"does not pass for a student who follows the page ({check['state']}): {plain(check['why'])}", "checks", check["name"])
            raise Broken
        if state["held"]:
            self.walk.found(source, "“Next” stays closed when everything is done.", "hold")
        self.walk.checks += len(step.checks)

    def pages(self, source: StepSource, step: Step) -> None:
        """The page in each language has every command, and nothing of what a student must not see yet."""
        for language in self.source.languages:
            self.guest.http.cookies.set(settings.LANGUAGE_COOKIE_NAME, language)
            page = self.guest.get(f"/lessons/{self.source.slug}/{step.number}/")
            text = html.unescape(page.text)
            if page.status_code != 200:
                self.walk.about(source, f"the page in {language} answers with {page.status_code}.")
                continue
            for block in step.text.blocks:
                if f'data-block="{block.id}"' not in page.text or block.command not in text:
                    self.walk.in_text(source, block.line, f"`{block.command}` is not on the page in {language}.")
            for script in (*step.setup, *step.solve):
                if "\n" in script.text and script.text in text:  # a run block has one line
                    self.walk.found(source, f"is on the page in {language}, where every student can read it.", "solve")
        self.guest.http.cookies.set(settings.LANGUAGE_COOKIE_NAME, "en")

    def enter(self, source: StepSource, step: Step) -> None:
        state = self.ask(step.number, "enter")
        end = time.monotonic() + PREPARE_SECONDS
        while state["preparing"]:
            if said := state["preparing"]["failed"]:
                self.walk.found(source, f"does not work for a student: {said}", "setup")
                raise Broken
            if time.monotonic() > end:
                self.walk.found(source, f"is not done {PREPARE_SECONDS:.0f} s after a student came.", "setup")
                raise Broken
            time.sleep(0.2)
            state = self.ask(step.number, "state")

    def run(self, source: StepSource, block: Block) -> None:
        """Press Run, in the shell that is the block's; a background block goes on until the next one or the end of the step."""
        self.open(block)
        if block.shell in self.background:
            self.stop(source, block.shell)
        self.walk.blocks += 1
        if block.background:
            self.guest.send(type="run", shell=block.shell, block=block.id, text=block.command)
            self.guest.until("command.started", 20, shell=block.shell, block=block.id)
            self.background[block.shell] = block
            return
        try:
            code = self.finished(self.guest.run(block.shell, block.command, block.id, RUN_SECONDS))
        except TimeoutError:
            self.walk.in_text(source, block.line, f"`{block.command}` did not end within {RUN_SECONDS:.0f} s.")
            raise Broken from None
        if code != block.expect:
            self.walk.in_text(source, block.line, f"`{block.command}` ended with exit code {code}, not {block.expect}.")

    def stop(self, source: StepSource, shell: str) -> None:
        block = self.background.pop(shell)
        self.guest.send(type="shell.input", shell=shell, data="\x03")
        try:
            self.guest.until("command.finished", 20, shell=shell, block=block.id)
        except (TimeoutError, LabError):
            self.walk.in_text(source, block.line, f"`{block.command}` does not stop at Ctrl-C.")
            raise Broken from None

    def open(self, block: Block) -> None:
        if block.shell in self.known:
            return
        self.guest.open(block.shell, block.host)
        self.guest.prompt(block.shell)
        self.known.add(block.shell)

    @staticmethod
    def finished(events: Iterator[Event]) -> int | None:
        code = None
        for event in events:
            if event["type"] == "command.finished":
                code = event["exit_code"]
        return code

    def checked(self, step: Step, patience: float = 0) -> Event:
        """As the page shows it after a command, with the right answers given; asked again until patience ends."""
        end = time.monotonic() + patience
        while True:
            state = self.ask(step.number, "check", answers=self.answers(step), auto=False)
            if state["done"] or time.monotonic() >= end:
                return state
            time.sleep(PAUSE)

    def answers(self, step: Step) -> dict[str, str]:
        answers: dict[str, str] = {}
        for check in step.checks:
            if check.answered and (right := right_answer(self.inside, check)):
                answers[check.name] = right
        return answers


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", text))
