"""`./lab doctor`: what is missing or broken, and the command that mends it. Ends with 0 when nothing is."""
import sys

from django.core.management.base import BaseCommand

from labsite.health import findings


class Command(BaseCommand):
    help = "Say what is missing or broken, and what mends it."
    requires_system_checks = []

    def handle(self, *args, **options):
        found = findings()
        for finding in found:
            self.stdout.write(f"{finding.what}\n    {finding.mend}")
        if not found:
            self.stdout.write("Nothing is missing and nothing is broken.")
        sys.exit(1 if found else 0)
