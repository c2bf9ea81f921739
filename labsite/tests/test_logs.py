"""What a log line has, and what it never has."""
import io
import json
import logging
import logging.config

import pytest
from structlog.contextvars import bound_contextvars

from labsite import logs
from netcontrol.errors import LabError

CANARY = "hunter2-was-typed"


@pytest.fixture(params=logs.FORMATS)
def line(request):
    """Logs as the lab's processes do, and returns what came out: a dictionary of it, and the text."""
    root, out = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    logging.config.dictConfig(logs.settings(request.param, "INFO"))
    (handler,) = [handler for handler in root.handlers if handler.name == "console"]
    handler.setStream(out)

    def said(*args, **how) -> tuple[dict, str]:
        out.seek(0)
        out.truncate()
        logging.getLogger("a.program").error(*args, **how)
        return (json.loads(out.getvalue()) if request.param == "json" else {}), out.getvalue()

    yield said
    root.handlers[:] = before
    root.setLevel(level)


def fail(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


def test_a_line_has_who_and_what(line):
    with bound_contextvars(request="r1", sandbox="s1"):
        found, text = line("it is %s", "so", extra={"status": 503})
    assert "it is so" in text and text.count("\n") == 1
    if found:
        assert found.items() >= {"message": "it is so", "level": "error", "logger": "a.program", "request": "r1", "sandbox": "s1", "status": 503}.items()
        assert found["time"].endswith("Z")
    else:
        assert text.endswith("Z ERROR a.program: it is so [request=r1 sandbox=s1 status=503]\n")


def test_what_is_not_named_stays_out(line):
    with bound_contextvars(typed=CANARY):
        _, text = line("it is so", extra={"data": {"args": CANARY}, "output": CANARY})
    assert "it is so" in text and CANARY not in text


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY), json.JSONDecodeError(CANARY, "x", 0), ExceptionGroup(CANARY, [ValueError(CANARY)])])
def test_an_exception_does_not_say_which_value(line, error):
    error.__cause__ = ValueError(CANARY)
    raised = fail(error)
    _, text = line("it broke: %s", raised, exc_info=raised)
    assert type(error).__name__ in text and "test_logs.py" in text and CANARY not in text
    _, text = line(f"Task a.task[1] raised unexpected: {raised!r}", exc_info=raised)  # as Celery does
    assert CANARY not in text


@pytest.mark.parametrize("error", [OSError(2, "No such file", "/run/x.sock"), LabError("no_answer", "It is away.", "Try again."), ConnectionRefusedError("refused")])
def test_an_exception_says_what_is_away(line, error):
    _, text = line("not now: %s", error)
    assert str(error) in text


def test_a_format_that_is_none_is_refused(tmp_path):
    import subprocess
    import sys

    from django.conf import settings

    done = subprocess.run([sys.executable, "manage.py", "check"], cwd=settings.BASE_DIR, env={"PATCHBAY_LOG_FORMAT": "xml", "PATCHBAY_VAR": str(tmp_path)}, capture_output=True, text=True, timeout=60)
    assert done.returncode and "PATCHBAY_LOG_FORMAT" in done.stderr and "Must be one of: text, json." in done.stderr and "Traceback" not in done.stderr
