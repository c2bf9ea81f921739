"""`./lab words`: collect what the interface says into locale/, for translators. New strings come in empty, gone ones go.

Django's makemessages, for both domains and with this project's ways: `t` and `n` in the page's script (translate.js), no guesses
(“fuzzy”), no line numbers, and no date, so that a file changes only when its words do.
"""
import re
from typing import Any

from django.conf import settings
from django.core.management.commands import makemessages

from labsite import translations

IGNORED = ["node_modules/*", "var/*", "static/vendor/*", "lessons/content/*", "tests/*", "*/tests/*", "bench/*", "docs/*"]


class Command(makemessages.Command):
    help = "Collect the strings of the interface into locale/."
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def add_arguments(self, parser: Any) -> None:
        pass

    def handle(self, *args: Any, **options: Any) -> None:
        options |= {"exclude": [], **dict.fromkeys(("all", "symlinks", "no_location", "keep_pot"), False)}
        options |= {"extensions": None, "use_default_ignore_patterns": True, "no_wrap": True, "add_location": "file", "no_obsolete": True}
        own = makemessages.Command.xgettext_options
        for domain, keywords in (("django", []), ("djangojs", ["--keyword=t", "--keyword=n:1,2", "--keyword=parts"])):
            self.xgettext_options = [*own, *keywords]
            self.msgmerge_options, self.msguniq_options, self.msgattrib_options = type(self).msgmerge_options, type(self).msguniq_options, type(self).msgattrib_options
            super().handle(*args, **{**options, "domain": domain, "locale": list(translations.LOCALES), "ignore_patterns": [*IGNORED], "verbosity": 0})
        for file in translations.files():
            file.write_text(re.sub(r'^"(?:POT-Creation|PO-Revision)-Date:.*\n', "", file.read_text(), flags=re.MULTILINE))
        missing = [entry for file in translations.files() for entry in translations.read(file) if not entry.done]
        self.stdout.write(f"{len(missing)} strings wait for a translation in {settings.LOCALE_PATHS[0]}." if missing else "Everything is translated.")
