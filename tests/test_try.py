"""The lab from the command line, as the README promises it."""
import json

from netcontrol.engine import this_engine


def test_the_real_thing_from_the_readme(lab):
    done = lab("try", "--", "docker run -d -p 9080:8080 --name tomcat9 tomcat && docker exec tomcat9 ip addr show eth0 && brctl show && iptables -t nat -xvnL POSTROUTING")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "inet 172.17.0.2/16" in done.stdout
    assert "docker0\t\t8000." in done.stdout and "veth" in done.stdout
    assert "MASQUERADE" in done.stdout and "!docker0" in done.stdout and "172.17.0.0/16" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_exit_code_is_the_commands(lab):
    assert lab("try", "--", "exit 7").returncode == 7
    assert lab("try", "--", "sh -c 'exit 9'").returncode == 9
    assert lab("try", "--", "true").returncode == 0


def test_output_is_exact(lab):
    done = lab("try", "--", "seq 1 20000")
    assert done.stdout == "".join(f"{n}\n" for n in range(1, 20001))


def test_json_is_one_event_a_line(lab):
    done = lab("try", "--json", "--", "echo there")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["type"] == "command.started"
    assert events[-1]["type"] == "command.finished" and events[-1]["exit_code"] == 0
    assert "there" in "".join(e["data"] for e in events if e["type"] == "shell.output")


def test_a_lesson_that_is_not_there(lab):
    done = lab("try", "--lesson", "no-such-lesson", "--", "true")
    assert done.returncode == 1
    assert done.stderr.strip() == "There is no lesson 'no-such-lesson'. See the ones there are: ./lab lessons list"


def test_a_host_that_is_not_there(lab):
    done = lab("try", "--host", "nowhere", "--", "true")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("There is no host of that name in this lab.")


def test_a_command_line_of_a_megabyte(lab):
    """An argument holds 128 KiB at most, so it comes as many words."""
    done = lab("try", "--", *["x" * 100_000] * 10)
    assert done.returncode == 1
    assert "64 KiB" in done.stderr.strip().splitlines()[-1] and "Traceback" not in done.stderr


def test_nothing_is_left_behind(lab):
    before = set(this_engine().sandboxes())
    lab("try", "--", "true")
    lab.until(lambda: not json.loads(lab("status", "--json").stdout)["sandboxes"].get("claimed"), what="the end of the guest's sandbox")
    lab.until(lambda: json.loads(lab("status", "--json").stdout)["pool"]["ready"] == 2, what="a full pool")
    assert len(this_engine().sandboxes()) == 2, before
