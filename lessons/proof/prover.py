"""Both walks of many lessons at once, over sandboxes of the running lab. Must not know what a walk does, or how results are shown."""
import logging
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from django.db import connection

from lessons.lesson import LessonSource
from lessons.proof.finding import Walk
from lessons.proof.reader import read
from lessons.proof.replay import replay
from netcontrol.errors import LabError

log = logging.getLogger(__name__)
WALKS = ("page", "replay")


def prove(sources: Iterable[LessonSource], walks: Sequence[str], url: str, at_once: int) -> Iterator[Walk]:
    """The walks, as they end. The longest lessons begin first. `at_once`: walks mostly wait, for servers and for pings without answer."""
    longest_first = sorted(sources, key=lambda source: -sum(len(step.document.keys.wrong) for step in source.steps))
    with ThreadPoolExecutor(at_once, "proof") as pool:
        begun = [pool.submit(_walk, source, name, url) for source in longest_first for name in walks]
        try:
            for done in as_completed(begun):
                yield done.result()
        finally:
            for walk in begun:
                walk.cancel()


def _walk(source: LessonSource, name: str, url: str) -> Walk:
    try:
        return read(source, url) if name == "page" else replay(source)
    except (LabError, OSError, TimeoutError, EOFError) as lost:
        return _broken(source, name, f"broke off: {lost or type(lost).__name__}")
    except Exception as fault:  # the proof's own: the other lessons are proved all the same
        log.exception("The proof of %s broke", source.slug)
        return _broken(source, name, f"the proof itself broke: {type(fault).__name__}: {fault}")
    finally:
        connection.close()


def _broken(source: LessonSource, name: str, sentence: str) -> Walk:
    walk = Walk(source, name)
    walk.about(None, sentence)
    return walk


def changed(sources: Iterable[LessonSource], since: str, base: Path) -> list[LessonSource]:
    """Those with a file that differs from this Git revision, or is new. Raises LabError when Git cannot tell."""
    names: set[str] = set()
    for argv in (["git", "diff", "--name-only", since], ["git", "ls-files", "--others", "--exclude-standard"]):
        try:
            done = subprocess.run(argv, cwd=base, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as e:
            raise LabError("git", f"Git cannot tell what changed since “{since}”: {getattr(e, 'stderr', '') or e}".strip(), "Name a revision, such as HEAD~1 or origin/main.") from e
        names |= set(done.stdout.splitlines())
    return [source for source in sources if any(name.startswith(str(Path(source.steps[0].document.file).parent) + "/") for name in names)]
