"""`./lab backup FILE`: the database and the lab's secret in one file, while the lab runs."""
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labsite.backup import backup
from netcontrol.errors import LabError


class Command(BaseCommand):
    help = "Write the lab's database and its secret into one file."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *args, file: Path, **options):
        try:
            size = backup(file)
        except LabError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {size / 1024**2:.1f} MiB, checked. Whoever has it can be any student: keep it as you keep a key.")
