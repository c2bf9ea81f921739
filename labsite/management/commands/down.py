"""`./lab down`: end every sandbox, every process, and what they hold on the machine. The database and the images stay."""
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from labsite import processes
from labsite.setup import image_store
from netcontrol.engine import this_daemon, this_engine, this_gateway
from netcontrol.errors import LabError
from netcontrol.models import Sandbox, Waiting


class Command(BaseCommand):
    help = "Stop the lab; nothing of it keeps running."
    requires_system_checks = []

    def handle(self, *args, **options):
        running = processes.running()
        for program in ("web", "beat", "check", "attach", "worker"):  # nobody may start what is being ended
            try:
                processes.ask("stopProcess", program, True)
            except Exception:  # supervisord or the program does not run: that is what is wanted
                pass
        try:
            now = timezone.now()
            Waiting.objects.all().delete()
            Sandbox.objects.filter(state__in=Sandbox.LIVE).update(state=Sandbox.State.ENDED, why="The lab was stopped.", ended_at=now)
            remove_hosts()
            Sandbox.objects.filter(gone_at=None).update(gone_at=now)
        except DatabaseError:
            remove_hosts()  # no database yet
        processes.stop()
        daemon = this_daemon()
        daemon.end_leftovers()
        try:
            this_gateway().remove()
            daemon.unmount()
            image_store().unseal()
            if f" {settings.RUN}/" not in Path("/proc/mounts").read_text():
                shutil.rmtree(settings.RUN, ignore_errors=True)
        except LabError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The lab is stopped." if running else "The lab was not running.")


def remove_hosts() -> None:
    """Every container, dock and wire of this lab; what needs the engine only when it answers."""
    try:
        engine = this_engine()
    except LabError:
        return  # no set-up, nothing held
    if not engine.answers() and this_daemon().processes("containerd-shim"):  # it was killed, and its hosts run on
        processes.launch()
        processes.start("engine")
        processes.wait(engine.answers, 30, None)
    if not engine.answers():  # and it holds nothing that runs
        engine.sweep_machine(set(), set())
        return
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(engine.discard, engine.containers()))
    engine.sweep({})
