"""The one exception of this folder."""
import subprocess

from netcontrol.errors import LabError


class EngineError(LabError):
    """The machine or its engine could not do what was asked."""


def run(*argv: str, stdin: str | None = None, timeout: float = 10) -> str:
    """Run a system command and return its output. Raises EngineError with the command's own last words."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise EngineError("engine_late", f"`{argv[0]}` did not answer within {timeout:g} s.", "See `./lab doctor`.") from late
    except OSError as missing:
        raise EngineError("engine_tool", f"`{argv[0]}` cannot be run: {missing.strerror}.", "Run `./lab up` again; it installs what is missing.") from missing
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError("engine_command", f"`{' '.join(argv[:4])}` failed: {words[-1] if words else 'it said nothing'}.", "See `./lab doctor`.")
    return done.stdout
