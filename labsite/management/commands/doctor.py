"""`./lab doctor`: what is missing or broken, and what mends it. Ends with 1 when there is anything that is not a student's own doing."""
import sys

from django.core.management.base import BaseCommand

from labsite.doctor import findings


class Command(BaseCommand):
    help = "Say what is missing or broken, and what mends it."
    requires_system_checks = []

    def handle(self, *args, **options):
        found = findings()
        for finding in found:
            self.stdout.write(f"{'  ' if finding.students else ''}{finding.what}\n    → {finding.mend}")
        if broken := sum(not finding.students for finding in found):
            self.stdout.write(f"{broken} to mend.")
        else:
            self.stdout.write("Nothing is missing and nothing is broken." + (" What stands above, students did to their own hosts." if found else ""))
        sys.exit(1 if broken else 0)
