"""`./lab up`: set up what is missing, start every process, wait until a student could start, print the address."""
import errno
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from labsite import processes, setup, translations
from labsite.steps import step
from netcontrol import connection, tasks
from netcontrol.engine import this_engine
from netcontrol.errors import LabError
from netcontrol.models import Sandbox


class Command(BaseCommand):
    help = "Set up what is missing, start the lab, print its address."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--detach", action="store_true", help="return when the lab is healthy")

    def handle(self, *args, detach: bool, **options):
        if os.geteuid():
            raise CommandError("./lab up needs root, for the engine and its network. Run: sudo ./lab up")
        began, was_running = time.monotonic(), processes.running()
        try:
            self.start()
        except (LabError, SystemCheckError, KeyboardInterrupt, OSError) as error:
            if not was_running:  # half a lab is of no use to anybody
                call_command("down", stdout=io.StringIO())
            raise CommandError(words(error)) from error
        host = "localhost" if settings.LISTEN in ("127.0.0.1", "0.0.0.0", "::") else settings.LISTEN
        self.stdout.write(f"Patchbay is ready after {time.monotonic() - began:.1f} s: http://{host}:{settings.PORT}/")
        if not detach:
            self.follow()

    def start(self):
        processes.same_programs()
        was_running = processes.running() and processes.states().get("web") == "RUNNING"
        if not was_running:
            free_port()
        setup.folders()
        with step("front end") as this:
            built = this.did(setup.front_end(this.say))
        with step("translations") as this:
            built = this.did(translations.compile_all()) or built
        with step("static files") as this:
            built = this.did(setup.static_files()) or built
        with step("database") as this:
            this.did(setup.database())
        call_command("check", stdout=io.StringIO())  # raises, with one sentence for each wrong setting
        with step("Redis and the engine") as this:
            this.did(not was_running)
            processes.launch()
            processes.start(*processes.STORES)
            processes.until(lambda: connection.alive() and this_engine().answers(), 30, *processes.STORES)
        with step("host image") as this:
            new_image = this.did(setup.host_image(this.say))
        with step("students' images") as this:
            this.did(setup.image_store(this.say).build(this_engine()))
        if new_image:
            retire_pool()
        renewed = processes.renew(built and was_running)
        with step("worker, beat, web") as this:
            if this.did(not was_running or renewed) and not was_running:
                tasks.reconcile()  # what an earlier life left ready may have died with it
            processes.start(*processes.OF_CODE)
            processes.until(web_answers, 180, "web")
        with step("first sandbox in the pool") as this:
            this.did(not served())
            processes.until(served, 180, "worker", "attach", "check", "beat")

    def follow(self):
        self.stdout.write("Ctrl-C stops it. Its logs are in var/log; they follow here.")
        logs = [str(settings.VAR / "log" / f"{name}.log") for name in processes.PROGRAMS if name != "redis"]
        tail = subprocess.Popen(["tail", "-n", "0", "-q", "-F", *logs], stdout=sys.stdout, stderr=subprocess.DEVNULL)
        try:
            tail.wait()
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
            call_command("down")
        finally:
            tail.terminate()


def words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Stopped. Nothing of it keeps running; ./lab up goes on where it was."
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}. " + ("Free the disk: df -h var" if error.errno == errno.ENOSPC else "See ./lab doctor.")
    return str(error)


def free_port():
    with socket.socket(socket.AF_INET6 if ":" in settings.LISTEN else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.LISTEN, settings.PORT))
        except OSError as taken:
            raise LabError("port", f"Port {settings.PORT} cannot be used: {str(taken.strerror).lower()}.", f"Stop the other program, or choose another port: PATCHBAY_PORT={settings.PORT + 1} ./lab up") from taken


def web_answers() -> bool:
    try:
        host = f"[{settings.LISTEN}]" if ":" in settings.LISTEN else settings.LISTEN.replace("0.0.0.0", "127.0.0.1")
        request = urllib.request.Request(f"http://{host}:{settings.PORT}/healthz", headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".")})
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.load(answer).get("lab") == settings.LAB_ID
    except (OSError, ValueError, urllib.error.URLError):
        return False


def served() -> bool:
    """A student who presses Start now would get a sandbox, or every place is taken by one."""
    return settings.POOL_SIZE == 0 or Sandbox.objects.filter(state__in=[Sandbox.State.READY, Sandbox.State.CLAIMED], gone_at=None).exists()


def retire_pool() -> None:
    """Pooled hosts of an older image make way for new ones; claimed ones stay with their students."""
    for sandbox in Sandbox.objects.filter(state=Sandbox.State.READY):
        sandbox.end("A newer host image was built.")
