"""`./lab restore FILE`: the database and the lab's secret as `./lab backup` wrote them. The lab must not run."""
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labsite.backup import restore
from netcontrol.errors import LabError


class Command(BaseCommand):
    help = "Put back what ./lab backup wrote."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *args, file: Path, **options):
        try:
            about, aside = restore(file)
        except LabError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The lab is as it was on {about['made_at']}. What it was until now lies in {aside}. Start it: ./lab up --detach")
