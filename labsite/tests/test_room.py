"""What web loads, what a room shows, whose files are: as far as that can be said without a lab."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from labsite import rights, room, setup
from netcontrol.errors import LabError

LOADED = "import sys, labsite.asgi; print(*(name for name in sys.modules if name.split('.')[0] == 'docker' or name.startswith(('netcontrol.engine', 'netcontrol.tasks'))))"


def test_web_loads_nothing_that_could_ask_the_engine(settings):
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_a_room_shows_what_its_program_needs(own, settings):
    web, beat = room.rooms()["web"], room.rooms()["beat"]
    assert {settings.BASE_DIR, settings.LESSONS_DIR, settings.STATIC_ROOT, settings.VAR / "secret", settings.RUN / "redis"} <= set(web.read)
    assert web.written == (settings.VAR / "database",) and web.fixed == (settings.VAR / "database" / "db.sqlite3",)
    assert settings.VAR / "secret" not in beat.read and beat.written == beat.fixed == ()
    kept = (settings.RUN / "docker.sock", settings.DOCKS, settings.VAR / "store", settings.RUN / "supervisor.sock")
    assert not [path for path in kept for shown in (*web.read, *web.written, *beat.read) if path.is_relative_to(shown)]


def test_a_lab_in_the_folder_of_another_is_hidden_with_it(settings):
    settings.VAR = settings.BASE_DIR / "var" / "test"
    assert room.private() == settings.BASE_DIR.resolve() / "var"
    settings.VAR = Path("/srv/patchbay/var")
    assert room.private() == settings.VAR


@pytest.mark.parametrize(("host", "folder"), [("", "/var/run/postgresql"), ("/srv/pg", "/srv/pg"), ("db.example", None)])
def test_a_room_for_postgresql(settings, host, folder):
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "lab", "HOST": host}}
    settings.REDIS_URL = "redis://elsewhere:6379/0"
    web = room.rooms()["web"]
    assert web.written == () and (folder is None or Path(folder) in web.read)
    assert settings.RUN / "redis" not in web.read


def test_the_environment_of_who_starts_the_lab_stays_outside():
    given = {"PATH": "/bin", "PATCHBAY_PORT": "1", "DATABASE_URL": "d", "LC_ALL": "C", "LAB_VAR": "v", "SSH_AUTH_SOCK": "s", "AWS_SECRET_ACCESS_KEY": "k", "HOME": "/root", "SUPERVISOR_SERVER_URL": "u"}
    assert room.environment(given) == {"PATH": "/bin", "PATCHBAY_PORT": "1", "DATABASE_URL": "d", "LC_ALL": "C", "LAB_VAR": "v", "HOME": "/tmp"}


@pytest.fixture
def own(settings, tmp_path, monkeypatch):
    """A lab of its own place, whose files are all ours."""
    monkeypatch.setattr(rights, "number", lambda name, of_group=False: os.getgid() if of_group else os.getuid())
    settings.VAR, settings.RUN = tmp_path / "var", tmp_path / "run" / "lab"
    settings.DOCKS, settings.STATIC_ROOT, settings.REDIS_URL = settings.RUN / "docks", settings.VAR / "static", f"unix://{settings.RUN}/redis/redis.sock"
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(settings.VAR / "database" / "db.sqlite3")}}
    return settings.VAR


def modes(var: Path) -> dict[str, str]:
    return {str(path.relative_to(var)): f"{path.stat().st_mode & 0o7777:o}" for path in var.rglob("*")}


def test_first_start(own, settings):
    setup.folders()
    assert modes(own) == {"log": "700", "database": "2770", "database/db.sqlite3": "660", "secret": "640"}
    assert f"{own.stat().st_mode & 0o777:o}" == "700"
    secret = (own / "secret").read_text()
    assert len(secret) >= 50 and secret == settings.SECRET_KEY
    setup.folders()
    assert (own / "secret").read_text() == secret


def test_the_database_of_an_earlier_version_is_kept(own):
    own.mkdir()
    for name in ("db.sqlite3", "db.sqlite3-wal"):
        (own / name).write_text(name)
    setup.folders()
    assert (own / "database" / "db.sqlite3-wal").read_text() == "db.sqlite3-wal" and not (own / "db.sqlite3").exists()
    assert (own / "database" / "db.sqlite3").read_text() == "db.sqlite3"
    assert modes(own)["database/db.sqlite3-wal"] == "660"


def test_what_web_may_not_read_is_named(own, settings, tmp_path):
    settings.BASE_DIR = tmp_path / "checkout"
    (settings.BASE_DIR / "lessons").mkdir(parents=True)
    file = settings.BASE_DIR / "lessons" / "models.py"
    file.touch(mode=0o600)
    with pytest.raises(LabError, match=str(file)):
        setup.folders()
    file.chmod(0o644)
    setup.folders()


def test_a_missing_user_is_said(monkeypatch):
    monkeypatch.setattr(rights, "WEB", "no-such-user")
    with pytest.raises(LabError, match="no-such-user is missing"):
        rights.number("no-such-user")


@pytest.mark.django_db
def test_every_answer_has_its_headers(plain_static):
    answer = Client().get("/account/sign-in")
    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert answer["X-Content-Type-Options"] == "nosniff" and answer["Referrer-Policy"] == answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY" and "Strict-Transport-Security" not in answer


@pytest.mark.parametrize(("https", "warnings"), [("true", set()), ("false", {"security.W004", "security.W012", "security.W016"})])
def test_the_deploy_check_has_only_to_say_what_https_mends(settings, https, warnings):
    env = {**os.environ, "PATCHBAY_HTTPS": https}
    said = subprocess.run([sys.executable, "manage.py", "check", "--deploy"], cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and {word.strip("():") for word in said.stderr.split() if word.startswith("(security.")} == warnings
