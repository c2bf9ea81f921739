"""All settings of one lab, in one file. Every value that an operator may change is read here, typed, from the environment.

A lab keeps everything it makes under VAR: database, sockets, logs, engine, images. Two checkouts are two labs.
"""
import hashlib
import socket
from pathlib import Path

from celery.schedules import schedule
from environs import Env

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
env.read_env(BASE_DIR / "lab.env", recurse=False)  # optional; see docs/running.md

# Where this lab lives
VAR: Path = env.path("PATCHBAY_VAR", BASE_DIR / "var").absolute()
LAB_ID = hashlib.sha256(str(VAR).encode()).hexdigest()[:4]  # tells the kernel objects of two labs on one machine apart
RUN = Path("/run/patchbay") / LAB_ID  # sockets, pid files, mounts: a short path, and one that the mapped root of a host may walk
MACHINE = env.str("PATCHBAY_MACHINE", socket.gethostname())

# The web page
PORT: int = env.int("PATCHBAY_PORT", 8000)
LISTEN: str = env.str("PATCHBAY_LISTEN", "127.0.0.1")
DEBUG = env.bool("PATCHBAY_DEBUG", False)
ALLOWED_HOSTS = env.list("PATCHBAY_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("PATCHBAY_ORIGINS", [])


def _secret_key() -> str:
    """The lab's own secret, made by `./lab up` in VAR/secret (mode 0600); a throw-away one before that."""
    path = VAR / "secret"
    return path.read_text().strip() if path.exists() else "no lab is set up here yet"


SECRET_KEY = env.str("PATCHBAY_SECRET_KEY", None) or _secret_key()

# Sandboxes: how many, how long, how big
CAPACITY: int = env.int("PATCHBAY_CAPACITY", 0)  # sandboxes a machine holds; 0: from its memory
POOL_SIZE: int = env.int("PATCHBAY_POOL", 2)  # kept booted and waiting for a student
SANDBOX_MINUTES: int = env.int("PATCHBAY_MINUTES", 60)
SANDBOX_WARN_MINUTES: int = env.int("PATCHBAY_WARN_MINUTES", 10)
SANDBOX_IDLE_MINUTES: int = env.int("PATCHBAY_IDLE_MINUTES", 30)  # no key, no scroll, no page
SANDBOX_LONGEST_MINUTES: int = env.int("PATCHBAY_LONGEST_MINUTES", 240)  # extensions end here
HISTORY_DAYS: int = env.int("PATCHBAY_HISTORY_DAYS", 365)  # commands and ended sandboxes are kept for so long
HOST_MEMORY_MIB: int = env.int("PATCHBAY_HOST_MEMORY_MIB", 768)
HOST_PIDS: int = env.int("PATCHBAY_HOST_PIDS", 1024)
HOST_CPUS: float = env.float("PATCHBAY_HOST_CPUS", 1.0)  # after boot
HOST_DISK_MIB: int = env.int("PATCHBAY_HOST_DISK_MIB", 1024)  # of its root layer
ENGINE_DISK_GIB: int = env.int("PATCHBAY_ENGINE_DISK_GIB", 20)  # all root layers and images together, a sparse file
WIRES = env.str("PATCHBAY_WIRES", "10.73.0.0/16")  # private wires are /28s of it; no lesson may use it
DEBIAN_MIRROR = env.str("PATCHBAY_DEBIAN_MIRROR", "http://deb.debian.org/debian")

# The engine: our own dockerd, never the user's
ENGINE_SOCKET = RUN / "docker.sock"
ENGINE_DISK = VAR / "engine"  # images and root layers, on a filesystem of their own
STORE = VAR / "store"  # the students' images
DOCKS = RUN / "docks"  # one small tmpfs per host: the agent's socket

# Redis
REDIS_URL = env.str("REDIS_URL", f"unix://{RUN / 'redis.sock'}")
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL], "prefix": f"pb:{LAB_ID}"}}
}

# Celery. `control`: boot, reset, reap. `attach@machine`: the long-lived carriers of shells.
_celery_redis = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", _celery_redis)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "control"
ATTACH_QUEUE = f"attach@{MACHINE}"
CELERY_TASK_ROUTES = {"netcontrol.tasks.attach": {"queue": ATTACH_QUEUE}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = False  # a late ack runs a long task twice once Redis' visibility timeout is over
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": None, "health_check_interval": 10}
CELERY_BEAT_SCHEDULE_FILENAME = str(RUN / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "keep-pool": {"task": "netcontrol.tasks.keep_pool", "schedule": schedule(5), "options": {"expires": 5}},
    "reap": {"task": "netcontrol.tasks.reap", "schedule": schedule(10), "options": {"expires": 10}},
    "forget": {"task": "netcontrol.tasks.forget_old", "schedule": schedule(24 * 3600), "options": {"expires": 3600}},
    "reconcile": {"task": "netcontrol.tasks.reconcile", "schedule": schedule(60), "options": {"expires": 60}},
}

DATABASES = {"default": env.dj_db_url("DATABASE_URL", f"sqlite:///{VAR / 'db.sqlite3'}")}
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
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "netcontrol.middleware.LabErrorMiddleware",
]
AUTH_USER_MODEL = "lessons.Student"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 90  # a guest's only key to the work they did
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "patchbay"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("PATCHBAY_HTTPS", False)
if SESSION_COOKIE_SECURE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

# xterm.js writes <style> elements without a nonce, so inline styles are allowed; scripts are ours alone.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
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
TIME_ZONE = env.str("TZ", "UTC")
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("PATCHBAY_LOG", "INFO").upper()},
    "loggers": {"django.channels.server": {"level": "WARNING"}},
}
