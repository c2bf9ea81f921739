"""What `./lab up` makes once: the secret, the front end, the static files, the database, the host image, the image store.

Each function does nothing when its work is done already, and leaves nothing half-made.
"""
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from labsite import rights
from labsite.made import made_of_files
from netcontrol.engine import image, store, this_engine
from netcontrol.errors import LabError

AGENT = settings.BASE_DIR / "netcontrol" / "agent"


def folders() -> None:
    """And what is kept in them from the first start on. Whose they are is said in rights.py."""
    rights.make()
    secret, database = settings.VAR / "secret", rights.sqlite()
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(50))
        settings.SECRET_KEY = os.environ.get("PATCHBAY_SECRET_KEY") or secret.read_text()
    if database and not database.exists():
        move_database(settings.VAR / database.name, database)
        database.touch()  # before SQLite makes it: its journal gets its mode
    rights.make()
    if path := rights.unreadable():
        raise LabError("unreadable", f"Web runs as {rights.WEB}, which may not read {path}.", f"Run: chmod -R o+rX {settings.BASE_DIR}")


def move_database(old: Path, new: Path) -> None:
    """From where an earlier version kept it, with what SQLite has not yet written into it."""
    for tail in ("-wal", "-shm", ""):  # the file itself last: half a move is begun again
        if (journal := old.with_name(old.name + tail)).exists():
            journal.rename(new.with_name(new.name + tail))


def front_end(say: Callable[[str], None]) -> bool:
    """npm ci and the one esbuild command. True when something was built."""
    base = settings.BASE_DIR
    made_of = made_of_files([base / "package-lock.json", base / "package.json", *sorted((base / "static" / "js").rglob("*.js")), *sorted((base / "static" / "css").rglob("*.css"))])
    stamp = base / "static" / "vendor" / "made-of"
    if stamp.exists() and stamp.read_text() == made_of:
        return False
    say("npm ci")
    _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
    say("esbuild")
    _run("npm", "run", "--silent", "build")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(made_of)
    return True


def static_files() -> bool:
    files = [path for folder in settings.STATICFILES_DIRS for path in sorted(folder.rglob("*")) if path.is_file()]
    made_of, stamp = made_of_files(files), settings.STATIC_ROOT / "made-of"
    if stamp.exists() and stamp.read_text() == made_of:
        return False
    shutil.rmtree(settings.STATIC_ROOT, ignore_errors=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(made_of)
    return True


def database() -> bool:
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return False
    call_command("migrate", interactive=False, verbosity=0)
    return True


def host_image(say: Callable[[str], None]) -> bool:
    image.clear(settings.VAR / "cache")
    return image.build(this_engine().api, settings.VAR / "cache", settings.DEBIAN_MIRROR, AGENT, say)


def image_store(say: Callable[[str], None] = print) -> store.Store:
    return store.Store(settings.STORE, settings.RUN, settings.VAR / "cache", settings.DEBIAN_MIRROR, say)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=600)
    if done.returncode:
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise LabError("front_end", f"`{' '.join(argv[:3])}` failed:\n{words}\n", "Mend what it says and run `./lab up` again.")
