"""What a student who is root breaks on their own host: the page says what, and a fresh lab is one button away."""
import pytest

from netcontrol.engine import this_engine

from ..driving import COLOUR, run, told

pytestmark = pytest.mark.usefixtures("nobody_else_is_hurt")


def type_line(guest, text: str) -> None:
    guest.send(type="shell.input", shell="lab", data=f"{text}\r")


def test_agent_killed(student):
    """Its terminals end with it, which is said; another agent takes its place."""
    type_line(student, "pkill -9 -f /usr/lib/patchbay/agent")
    assert student.until("shell.closed", 5)["exit_code"] is None
    student.open("lab", "lab")
    assert run(student, "echo again")[1].startswith("again")


def test_agent_stopped_for_good(lab, student):
    type_line(student, "systemctl stop patchbay-agent.socket patchbay-agent.service")
    assert told(student, lambda state: state["silent"] == ["lab"])["state"] == "claimed"
    old = student.sandbox
    student.post("/lab/reset")
    fresh = told(student, lambda state: state["state"] == "claimed" and state["sandbox"] != str(old), 60)
    assert fresh["silent"] == []
    lab.until(lambda: not this_engine().containers(old), what="the removal of the old host")


@pytest.mark.parametrize("how", ["reboot", "poweroff", "reboot -f", "systemctl halt"])
def test_host_shut_down_inside(lab, student, how):
    type_line(student, how)
    ended = told(student, lambda state: state["state"] == "ended", 8 if how != "reboot -f" else 5)  # systemd stops its units first
    assert ended["why"] == "Your lab ended: its host lab was shut down or restarted from inside, and a host here starts only once."
    engine, old = this_engine(), student.sandbox
    lab.until(lambda: not engine.containers(old) and not list(engine.docks.glob(f"{old.hex[:12]}-*")), what="the removal of what is left of it")
    student.post("/lab/reset")
    assert told(student, lambda state: state["state"] == "claimed", 60)["sandbox"] != str(old)


def docker_is(guest, state: str, seconds: float) -> None:
    for _ in guest.events(seconds):
        graph = guest.network.graph
        if graph and graph["things"]["host:lab"].get("docker_state") == state:
            return


@pytest.mark.parametrize(
    ("broken", "mended"),
    [("systemctl stop docker.socket docker", "systemctl start docker"), ("echo '{' > /etc/docker/daemon.json; systemctl restart docker", "rm /etc/docker/daemon.json; systemctl reset-failed docker; systemctl start docker")],
)
def test_dockerd_stopped_or_misconfigured(student, broken, mended):
    """The shell goes on, docker says what is wrong in its own words, and the diagram shows that it does not run."""
    student.watch()
    run(student, broken)
    docker_is(student, "down", 5)
    exit_code, output = run(student, "docker ps")
    assert exit_code and "Cannot connect to the Docker daemon" in COLOUR.sub("", output)
    assert run(student, mended)[0] == 0
    docker_is(student, "up", 20)
    assert run(student, "docker ps")[0] == 0
