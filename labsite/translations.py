"""The words of the interface in other languages: where they lie, and how they are made ready. Must not know what they say.

locale/*/LC_MESSAGES/*.po are for people and in the repository; the .mo beside them are compiled from them and are not.
"""
import ast
import hashlib
import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import to_locale

from netcontrol.errors import LabError

LOCALES = tuple(to_locale(code) for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE)


def files() -> list[Path]:
    return sorted(path for locale in LOCALES for path in (settings.LOCALE_PATHS[0] / locale / "LC_MESSAGES").glob("*.po"))


def compile_all() -> bool:
    """True when something was compiled. Side by side with others doing the same: each writes a whole file, or none."""
    stale = [po for po in files() if not (mo := po.with_suffix(".mo")).exists() or mo.stat().st_mtime < po.stat().st_mtime]
    for po in stale:
        fresh = po.with_suffix(f".{os.getpid()}")
        try:
            done = subprocess.run(["msgfmt", "--check-format", "-o", fresh, po], capture_output=True, text=True, timeout=60)
        except FileNotFoundError as missing:
            raise LabError("gettext", "There is no msgfmt, so the pages' translations cannot be made.", "Install it: apt-get install gettext") from missing
        if done.returncode:
            raise LabError("translations", f"msgfmt does not take {po}:\n{done.stderr.strip()}\n", "Mend what it says and run `./lab up` again.")
        fresh.replace(po.with_suffix(".mo"))
    return bool(stale)


@lru_cache
def version(language: str) -> str:
    """Changes with the words that the page's script says in this language."""
    mo = settings.LOCALE_PATHS[0] / to_locale(language) / "LC_MESSAGES" / "djangojs.mo"
    return hashlib.sha256(mo.read_bytes()).hexdigest()[:12] if mo.exists() else "none"


@dataclass
class Entry:
    """One string of a .po file: what the code says, its plural if it has one, and the translations."""

    id: str
    plural: str = ""
    context: str = ""
    said: list[str] = field(default_factory=list)
    fuzzy: bool = False

    @property
    def done(self) -> bool:
        return not self.fuzzy and bool(self.said) and all(self.said)


def read(po: Path) -> list[Entry]:
    """The entries of a .po file as msgmerge writes it, the header left out."""
    entries = []
    for block in po.read_text().split("\n\n"):
        parts: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if found := re.match(r'(msg\w+(?:\[\d\])?) (".*")$', line):
                name = found[1]
                parts[name] = ast.literal_eval(found[2])
            elif line.startswith('"'):
                parts[name] += ast.literal_eval(line)
        if parts.get("msgid"):
            said = [text for key, text in parts.items() if key.startswith("msgstr")]
            entries.append(Entry(parts["msgid"], parts.get("msgid_plural", ""), parts.get("msgctxt", ""), said, "#, fuzzy" in block))
    return entries
