"""`manage.py engine`: become this lab's dockerd. Run by supervisord."""
from django.core.management.base import BaseCommand, CommandError

from netcontrol.engine import this_daemon, this_gateway
from netcontrol.errors import LabError


class Command(BaseCommand):
    help = "Become this lab's dockerd."
    requires_system_checks = []

    def handle(self, *args, **options):
        try:
            this_gateway().settle()
            this_daemon().become()
        except LabError as error:
            raise CommandError(str(error)) from error
