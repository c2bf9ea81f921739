"""`./lab status [--json]`: what runs. Ends with 0 when healthy, else 1."""
import json
import sys

from django.core.management.base import BaseCommand

from labsite.doctor import status


class Command(BaseCommand):
    help = "Say what runs."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args, as_json, **options):
        now = status()
        if as_json:
            self.stdout.write(json.dumps(now, indent=1))
        else:
            for name, state in now["parts"].items():
                self.stdout.write(f"  {name:<10} {state}")
            pool, counts = now["pool"], now["sandboxes"]
            self.stdout.write(f"  {'pool':<10} {pool['ready']} of {pool['wanted']} ready, {pool['booting']} booting")
            self.stdout.write(f"  {'in use':<10} {counts.get('claimed', 0)}, {now['waiting']} in line")
            self.stdout.write(f"Healthy: {now['address']}" if now["healthy"] else "Not healthy. ./lab doctor says what mends it.")
        sys.exit(0 if now["healthy"] else 1)
