"""How every process of ours writes its log: a line for people, or a JSON object for programs (PATCHBAY_LOG_FORMAT).

A log never has what a student typed or a program printed. What a line may hold beside its sentence is named in FIELDS; of an exception it
has where it came from, and what it said only if it is one of TELLING: a ValueError says which value. Who asked (`request`) and of which lab
it is (`sandbox`) is bound once, at the door: by request_log.py and celery.py.
"""
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

FORMATS = ("text", "json")
FIELDS = ("request", "sandbox", "task", "method", "route", "status", "ms")
OURS = ("time", "level", "logger", "event", "exc_info")

# Exceptions whose words are of programs, by the names of their classes: of what is away or refused, never of what was said.
TELLING = {"LabError", "OSError", "ConnectionError", "TimeoutError", "OperationalError", "DockerException", "ImportError", "AttributeError", "NameError", "TypeError", "RuntimeError", "ImproperlyConfigured", "CommandError"}


def settings(format: str, level: str) -> dict[str, Any]:
    """For LOGGING. uvicorn's loggers have handlers of their own, unless they are taken from them."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"words": {"()": Words}},
        "formatters": {"line": {"()": structlog.stdlib.ProcessorFormatter, "processors": _ways(format), "foreign_pre_chain": _facts()}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["words"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django.channels.server": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},  # the rest stands in our own line of the request, which has no path
            "celery.beat": {"level": "WARNING"},
            "uvicorn": {"handlers": [], "propagate": True},
            "uvicorn.error": {"handlers": [], "level": "WARNING", "propagate": True},  # a line for each WebSocket, with its address
            "uvicorn.access": {"handlers": [], "level": "WARNING", "propagate": True},
        },
    }


def words(error: BaseException) -> str:
    """What it says, if that cannot be a student's words, else what it is."""
    kind = type(error).__name__
    tells = TELLING.intersection(base.__name__ for base in type(error).__mro__) and str(error)
    return f"{kind}: {error}" if tells else kind


class Words(logging.Filter):
    """An exception that a sentence is given says its `words` there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(words(value) if isinstance(value, BaseException) else value for value in record.args)
        return True


def _facts() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _ways(format: str) -> list[Processor]:
    render = structlog.processors.JSONRenderer(ensure_ascii=False) if format == "json" else _line
    return [_known, _exception, structlog.processors.EventRenamer("message"), render]


def _known(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if name in FIELDS + OURS}


def _exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The trace of it. Celery and asyncio say the exception in their sentence, too."""
    if not (exc_info := event.pop("exc_info", None)):
        return event
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        for said in filter(None, (repr(error), str(error))):
            event["event"] = event["event"].replace(said, words(error))
        event["exception"] = "\n".join(_trace(error))
    return event


def _trace(error: BaseException) -> Iterator[str]:
    if before := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        yield from _trace(before)
        yield "then:"
    yield "".join(traceback.format_tb(error.__traceback__)) + words(error)
    for one in getattr(error, "exceptions", ()):  # of a group
        yield "in it:"
        yield from _trace(one)


def _line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    known = " ".join(f"{name}={event[name]}" for name in FIELDS if event.get(name) not in (None, ""))
    said = f"{event['time']} {event['level'].upper()} {event['logger']}: {event['message']}" + (f" [{known}]" if known else "")
    return "\n".join(filter(None, (said, event.get("exception"))))
