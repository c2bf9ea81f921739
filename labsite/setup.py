"""What `./lab up` makes once: the secret, the front end, the static files, the database, the host image, the image store.

Each function does nothing when its work is done already, and leaves nothing half-made.
"""
import hashlib
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from netcontrol.engine import image, store, this_engine
from netcontrol.errors import LabError

AGENT = settings.BASE_DIR / "netcontrol" / "agent"


def folders() -> None:
    for folder in (settings.VAR, settings.VAR / "log", settings.RUN.parent, settings.RUN, settings.DOCKS):
        folder.mkdir(parents=True, exist_ok=True)
    settings.VAR.chmod(0o700)  # the database holds session keys
    settings.RUN.chmod(0o711)
    secret = settings.VAR / "secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(50))
    if not settings.SECRET_KEY or settings.SECRET_KEY.startswith("no lab"):
        settings.SECRET_KEY = secret.read_text()


def front_end(say: Callable[[str], None]) -> bool:
    """npm ci and the one esbuild command. True when something was built."""
    base = settings.BASE_DIR
    made_of = _hash([base / "package-lock.json", base / "package.json", *sorted((base / "static" / "js").rglob("*.js")), *sorted((base / "static" / "css").rglob("*.css"))])
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
    made_of, stamp = _hash(files), settings.STATIC_ROOT / "made-of"
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
    return image.build(this_engine().api, settings.VAR / "cache", settings.DEBIAN_MIRROR, AGENT, say)


def image_store(say: Callable[[str], None] = print) -> store.Store:
    return store.Store(settings.STORE, settings.RUN, settings.VAR / "cache", settings.DEBIAN_MIRROR, say)


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _run(*argv: str) -> None:
    done = subprocess.run(argv, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=600)
    if done.returncode:
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise LabError("front_end", f"`{' '.join(argv[:3])}` failed:\n{words}\n", "Mend what it says and run `./lab up` again.")
