#!/usr/bin/env python
"""Django's command line for Patchbay. `./lab` calls it with the lab's own virtualenv."""
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")
    from django.core.management import execute_from_command_line
    from environs import EnvError

    try:
        execute_from_command_line(sys.argv)
    except EnvError as wrong:
        sys.exit(f"A setting is wrong: {wrong}. See docs/running.md for what each one takes.")
