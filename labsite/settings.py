"""All settings of one lab, in one file. Every value that an operator may change is read here, typed, from the environment.

A lab keeps everything it makes under VAR: database, sockets, logs, engine, images. Two checkouts are two labs.
"""
import hashlib
import ipaddress
import os
import socket
from functools import partial
from pathlib import Path

from celery.schedules import schedule
from django.core.management.utils import get_random_secret_key
from environs import Env, EnvError, validate

from labsite import logs
from netcontrol.clock import steady_now

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
if os.access(BASE_DIR / "lab.env", os.R_OK):  # optional; see docs/running.md. Web may not read it, and inherits what it says
    env.read_env(BASE_DIR / "lab.env", recurse=False)

# Where this lab lives
VAR: Path = env.path("PATCHBAY_VAR", BASE_DIR / "var").absolute()
LAB_ID = hashlib.sha256(str(VAR).encode()).hexdigest()[:4]  # tells the kernel objects of two labs on one machine apart
RUN = Path("/run/patchbay") / LAB_ID  # sockets, pid files, mounts: a short path, and one that the mapped root of a host may walk
MACHINE = env.str("PATCHBAY_MACHINE", socket.gethostname())
VERSION = (BASE_DIR / "VERSION").read_text().strip()

# The web page
PORT: int = env.int("PATCHBAY_PORT", 8000)
LISTEN: str = env.str("PATCHBAY_LISTEN", "127.0.0.1")
DEBUG = env.bool("PATCHBAY_DEBUG", False)
ALLOWED_HOSTS = env.list("PATCHBAY_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
METRICS_TOKEN: str = env.str("PATCHBAY_METRICS_TOKEN", "")  # without it, /metrics is told to this machine only
CSRF_TRUSTED_ORIGINS: list[str] = env.list("PATCHBAY_ORIGINS", [])

HTTPS: bool = env.bool("PATCHBAY_HTTPS", False)  # a proxy in front speaks it: uvicorn tells Django of it when it trusts the proxy


def _proxies() -> list[str]:
    """Whose word is taken for where a request comes from: addresses and networks of proxies in front, and nobody else's."""
    said = env.list("PATCHBAY_PROXIES", ["127.0.0.1", "::1"] if HTTPS else [])
    for one in said:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise EnvError(f"PATCHBAY_PROXIES: {one!r} is neither an address nor a network, such as 192.0.2.7 or 192.0.2.0/24") from None
    return said


PROXIES = _proxies()


def _secret_key() -> str:
    """The lab's own secret, made by `./lab up` in VAR/secret; a throw-away one for who may not read it, or where no lab is set up yet."""
    try:
        return (VAR / "secret").read_text().strip()
    except OSError:
        return get_random_secret_key()


SECRET_KEY = env.str("PATCHBAY_SECRET_KEY", None) or _secret_key()

# Sandboxes: how many, how long, how big
CAPACITY: int = env.int("PATCHBAY_CAPACITY", 0)  # hosts a machine holds; 0: from its memory
POOL_SIZE: int = env.int("PATCHBAY_POOL", 2)  # kept booted and waiting for a student
SANDBOX_MINUTES: int = env.int("PATCHBAY_MINUTES", 60)
SANDBOX_WARN_MINUTES: int = env.int("PATCHBAY_WARN_MINUTES", 10)
SANDBOX_IDLE_MINUTES: int = env.int("PATCHBAY_IDLE_MINUTES", 30)  # no key, no scroll, no page
SANDBOX_LONGEST_MINUTES: int = env.int("PATCHBAY_LONGEST_MINUTES", 240)  # extensions end here
LABS_PER_STUDENT: int = env.int("PATCHBAY_LABS_PER_STUDENT", 60)  # begun, in an hour
LABS_PER_ADDRESS: int = env.int("PATCHBAY_LABS_PER_ADDRESS", 250)  # at once, waiting ones included: a class often shares one address
GUESTS_PER_ADDRESS: int = env.int("PATCHBAY_GUESTS_PER_ADDRESS", 1000)  # new ones, in an hour
HISTORY_DAYS: int = env.int("PATCHBAY_HISTORY_DAYS", 365)  # commands and ended sandboxes are kept for so long
HOST_MEMORY_MIB: int = env.int("PATCHBAY_HOST_MEMORY_MIB", 768)
HOST_PIDS: int = env.int("PATCHBAY_HOST_PIDS", 1024)
HOST_CPUS: float = env.float("PATCHBAY_HOST_CPUS", 1.0)  # after boot
HOST_DISK_MIB: int = env.int("PATCHBAY_HOST_DISK_MIB", 1024)  # of its root layer
ENGINE_DISK_GIB: int = env.int("PATCHBAY_ENGINE_DISK_GIB", 20)  # all root layers and images together, a sparse file
WIRES = env.str("PATCHBAY_WIRES", "10.73.0.0/16")  # private wires are /28s of it; no lesson may use it
EGRESS: list[str] = env.list("PATCHBAY_EGRESS", [])  # what hosts may reach outside, `network[:port][/tcp|udp|icmp]`; nothing: there is no link
EGRESS_UPLINK = env.str("PATCHBAY_EGRESS_UPLINK", "")  # the network namespace that they leave through; empty: the machine's own
DEBIAN_MIRROR = env.str("PATCHBAY_DEBIAN_MIRROR", "http://deb.debian.org/debian")

# The engine: our own dockerd, never the user's
ENGINE_SOCKET = RUN / "docker.sock"
ENGINE_DISK = VAR / "engine"  # images and root layers, on a filesystem of their own
STORE = VAR / "store"  # the students' images
DOCKS = RUN / "docks"  # one small tmpfs per host: the agent's socket

# Redis
REDIS_URL = env.str("REDIS_URL", f"unix://{RUN / 'redis' / 'redis.sock'}")
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL], "prefix": f"pb:{LAB_ID}"}}
}

CACHES = {  # small counts that every web process must know: how often a password was tried
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": f"pb:{LAB_ID}", "OPTIONS": {"socket_timeout": 2, "serializer": "django.core.signing.JSONSerializer"}}
}

# Celery. `control`: boot, reset, reap. `attach@machine`: the long-lived carriers of shells. `check@machine`: checks of lessons and
# preparations of sandboxes, which somebody waits for.
_celery_redis = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", _celery_redis)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "control"
ATTACH_QUEUE = f"attach@{MACHINE}"
CHECK_QUEUE = f"check@{MACHINE}"
CELERY_TASK_ROUTES = {"netcontrol.tasks.attach": {"queue": ATTACH_QUEUE}, "lessons.tasks.*": {"queue": CHECK_QUEUE}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = False  # a late ack runs a long task twice once Redis' visibility timeout is over
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": None, "health_check_interval": 10}
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
every = partial(schedule, nowfun=steady_now)  # the machine's clock may be set back by an hour
CELERY_BEAT_SCHEDULE = {
    "keep-pool": {"task": "netcontrol.tasks.keep_pool", "schedule": every(5), "options": {"expires": 5}},
    "reap": {"task": "netcontrol.tasks.reap", "schedule": every(10), "options": {"expires": 10}},
    "forget": {"task": "netcontrol.tasks.forget_old", "schedule": every(24 * 3600), "options": {"expires": 3600}},
    "reconcile": {"task": "netcontrol.tasks.reconcile", "schedule": every(60), "options": {"expires": 60}},
}

DATABASES = {"default": env.dj_db_url("DATABASE_URL", f"sqlite:///{VAR / 'database' / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {  # WAL alone fails read-then-write transactions under load; IMMEDIATE does not
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "units.sqlite3")}  # in memory, threads lock one another's tables
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "labsite",
    "netcontrol",
    "lessons",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "labsite.request_log.RequestLog",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "netcontrol.middleware.LabErrorMiddleware",
]
AUTH_USER_MODEL = "lessons.Student"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "account:sign_in"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 90  # a guest's only key to the work they did
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "__Host-patchbay" if HTTPS else "patchbay"  # no sibling domain can set the former
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365 if HTTPS else 0
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]  # other names of the domain, and plain HTTP, are the operator's and the proxy's: docs/running.md

# Scripts are ours alone. xterm.js writes <style> elements without a nonce, and style attributes for true colours, so inline styles are allowed.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "worker-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}

ROOT_URLCONF = "labsite.urls"
ASGI_APPLICATION = "labsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

LESSONS_DIR: Path = env.path("PATCHBAY_LESSONS", BASE_DIR / "lessons" / "content")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]  # each in its own words
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "patchbay-language"
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = HTTPS
TIME_ZONE = env.str("TZ", "UTC")
USE_TZ = True

LOGGING = logs.settings(
    env.str("PATCHBAY_LOG_FORMAT", "text", validate=validate.OneOf(logs.FORMATS, error="Must be one of: {choices}.")), env.str("PATCHBAY_LOG", "INFO").upper()
)
