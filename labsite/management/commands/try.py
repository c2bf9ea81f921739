"""`./lab try`: be a guest student from the command line, over the same HTTP and WebSocket as the page.

With a command: types it the way the Run button does, prints its output, ends with its exit code. Without: a terminal.
"""
import json
import os
import select
import shutil
import signal
import sys
import termios
import tty

from django.conf import settings
from django.core.management.base import BaseCommand

from labsite.client import ConnectionClosed, Guest
from lessons.loader import catalogue
from netcontrol.errors import LabError


class Command(BaseCommand):
    help = "Be a guest student from the command line: run a command on a fresh host, or open a terminal there."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--lesson", help="slug of the lesson whose hosts to get; the first one without it")
        parser.add_argument("--host", default="lab", help="which of its hosts")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the events, a JSON object a line")
        parser.add_argument("--url", default=f"http://127.0.0.1:{settings.PORT}", help="where the lab's page is")
        parser.add_argument("words", nargs="*", metavar="COMMAND", help="what to run, after --")

    def handle(self, *args, lesson, host, as_json, url, words, **options):
        try:
            with Guest(url.rstrip("/"), lesson or catalogue().lessons[0].slug) as guest:
                guest.start()
                guest.lab(say=self.waits)
                cols, rows = shutil.get_terminal_size()
                guest.open(host, host, max(2, cols), max(2, rows))
                code = self.run(guest, host, " ".join(words), as_json) if words else self.terminal(guest, host)
        except LabError as error:
            self.fail(as_json, error.as_event())
        except (ConnectionClosed, TimeoutError, OSError) as lost:
            self.fail(as_json, {"type": "error", "code": "lost", "message": f"The lab stopped answering ({type(lost).__name__}).", "what_to_do": "See ./lab status."})
        except KeyboardInterrupt:
            sys.exit(130)
        sys.exit(code)

    def waits(self, state):
        if state["state"] == "waiting" and state["in_use"] >= state["capacity"]:
            self.stderr.write(f"All {state['capacity']} places are in use; you are number {state['place']} in line.")

    def run(self, guest: Guest, shell: str, text: str, as_json: bool) -> int:
        guest.prompt(shell)
        before = signal.signal(signal.SIGINT, lambda *_: guest.send(type="shell.input", shell=shell, data="\x03"))
        try:
            for event in guest.run(shell, text):
                if as_json:
                    shown = {**event, "data": event["data"].decode(errors="replace")} if "data" in event else event
                    print(json.dumps(shown), flush=True)
                elif event["type"] == "shell.output":
                    sys.stdout.buffer.write(event["data"].replace(b"\r\n", b"\n") if not sys.stdout.isatty() else event["data"])
                    sys.stdout.buffer.flush()
                if event["type"] == "command.finished":
                    return 255 if event["exit_code"] is None else event["exit_code"]
        finally:
            signal.signal(signal.SIGINT, before)
        return 255

    def terminal(self, guest: Guest, shell: str) -> int:
        """Raw keys one way, raw bytes the other, until the shell ends."""
        if not sys.stdin.isatty():
            raise LabError("no_terminal", "Without a command, ./lab try needs a terminal.", "Give it a command: ./lab try -- 'ip addr'")
        before = termios.tcgetattr(0)
        tty.setraw(0)
        size = None
        try:
            while True:
                if (now := os.get_terminal_size()) != size:
                    size = now
                    guest.send(type="shell.resize", shell=shell, cols=max(2, size.columns), rows=max(2, size.lines))
                if select.select([0], [], [], 0)[0]:
                    guest.send(type="shell.input", shell=shell, data=os.read(0, 4096).decode(errors="replace"))
                try:
                    for event in guest.events(0.01):
                        if event["type"] == "shell.output":
                            os.write(1, event["data"])
                        elif event["type"] == "shell.closed":
                            return event["exit_code"] or 0
                        elif event["type"] == "error":
                            os.write(2, f"\r\n{event['message']} {event['what_to_do']}\r\n".encode())
                        elif event["type"] == "sandbox.state" and event["state"] in ("ended", "failed"):
                            os.write(2, f"\r\n{event['why']}\r\n".encode())
                            return 1
                except TimeoutError:
                    pass
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)

    def fail(self, as_json: bool, error: dict):
        if as_json:
            print(json.dumps(error))
        else:
            self.stderr.write(f"{error['message']} {error['what_to_do']}")
        sys.exit(1)


