"""`python -m tests.attacks`: print the tables of docs/security.md; with `write`, write them there. Must not know what is in them."""
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")
django.setup()

from . import catalogue  # noqa: E402

if sys.argv[1:] == ["write"]:
    catalogue.PAGE.write_text(catalogue.written(catalogue.PAGE.read_text()))
else:
    print(catalogue.page_part())
