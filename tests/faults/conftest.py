"""A second student, whom no fault may hurt: the same shell answers after each."""
import pytest

from labsite.client import ConnectionClosed, Guest
from netcontrol.errors import LabError

from ..conftest import LESSON
from ..driving import run


@pytest.fixture(scope="module")
def bystander(lab):
    with Guest(lab.url, LESSON) as guest:
        guest.start()
        guest.lab()
        guest.open("lab", "lab")
        guest.prompt("lab")
        run(guest, "here=unhurt")
        yield guest


@pytest.fixture
def nobody_else_is_hurt(lab, bystander):
    yield

    def unhurt() -> bool:
        try:
            if not bystander.socket:
                bystander.lab(10)
                bystander.open("lab", "lab")
            return "unhurt" in run(bystander, "echo $here")[1]
        except (ConnectionClosed, TimeoutError, OSError, LabError):
            bystander.hang_up()
            return False

    lab.until(unhurt, 40, "the second student's shell")
