"""Who takes part in the attacks, what is looked at after each file of them, and the table of verdicts at the end."""
import contextlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from labsite.client import Guest
from tests.conftest import LESSON

from .catalogue import CORPUS, verdicts
from .other_site import Site, browser, site
from .student import Student, started


@pytest.fixture(scope="package")
def cast(lab) -> Iterator[Callable[[], Student]]:
    """Makes students who take part until the last attack: two, for there are few places."""
    with contextlib.ExitStack() as stack:
        yield lambda: started(stack.enter_context(Guest(lab.url, LESSON)))


@pytest.fixture(scope="module")
def guest_stars(lab) -> Iterator[Callable[[], Student]]:
    """Makes students who take part in the attacks of one file; each takes the place of the one before."""
    with contextlib.ExitStack() as stack:

        def another() -> Student:
            stack.close()
            return started(stack.enter_context(Guest(lab.url, LESSON)))

        yield another


@pytest.fixture(scope="package", autouse=True)
def rows_can_be_looked_at(django_db_blocker) -> Iterator[None]:
    """The lab's own database, not one of pytest's: it tells on which wire somebody is, and what was recorded."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="package")
def alice(cast) -> Student:
    """The attacker of all attacks that leave her host as it was."""
    return cast()


@pytest.fixture(scope="package")
def bob(cast) -> Student:
    """Her classmate on the same machine, who must not notice."""
    return cast()


@pytest.fixture
def mallory(guests) -> Student:
    """An attacker whose host may break: it is ended after the attack."""
    return started(guests())


@pytest.fixture(autouse=True, scope="module")
def nobody_else_was_hurt(request) -> Iterator[None]:
    """After each file whoever of the two takes part has a host that works. Asks for nobody: some attacks need no host."""
    yield
    for name in ("alice", "bob"):
        with contextlib.suppress(pytest.FixtureLookupError, AttributeError):
            definition = request._fixturemanager.getfixturedefs(name, request.node)[-1]
            if definition.cached_result and not definition.cached_result[2]:
                assert definition.cached_result[0].answers(), f"{name}'s host does not work any more"


# For attacks that need a browser, and a site of somebody else's

@pytest.fixture(scope="module")
def evil() -> Iterator[Site]:
    with site() as this:
        yield this


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as this:
        yield this


@pytest.fixture
def beside_the_driver(monkeypatch) -> None:
    """Nobody else uses this thread's connection to the database while the driver's event loop is in it."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


# The table

outcomes: dict[tuple[str, str], list[str]] = {}


def pytest_runtest_logreport(report) -> None:
    file, _, name = report.nodeid.partition("::")
    key = (file.removesuffix(".py").replace("/", "."), name.partition("[")[0])
    if key not in CORPUS:
        return
    if report.when == "call" or report.outcome != "passed":
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        outcomes.setdefault(key, []).append("error" if outcome == "failed" and report.when != "call" else outcome)


def pytest_terminal_summary(terminalreporter) -> None:
    if outcomes:
        terminalreporter.section("attack | mechanism | verdict")
        for line in verdicts(outcomes):
            terminalreporter.write_line(line)
