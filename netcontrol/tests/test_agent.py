"""The real agent with real bash: what it says about commands, and what it does with everything that is not one."""
import asyncio
import contextlib
import os
import re
import signal
import time
from base64 import b64decode
from pathlib import Path

import pytest

from netcontrol.agent.limits import RING, WINDOW
from netcontrol.dial import dial, execute, open_socket
from netcontrol.tests.agent_fixtures import Talk, until


@pytest.fixture
async def talk(agent):
    talk = await Talk.to(agent.dock)
    yield talk
    talk.link.close()


async def test_first_prompt(agent):
    talk = await Talk.to(agent.dock)
    began = time.perf_counter()
    opened = await talk.open()
    took = (time.perf_counter() - began) * 1000
    rss = next(line for line in Path(f"/proc/{agent.process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    print(f"first prompt {took:.1f} ms; {rss}")
    assert opened["offset"] == 0 and opened["pid"] > 1 and took < 1000
    assert b"133;" not in talk.printed()


async def test_typed_command(talk):
    await talk.open()
    talk.send("shell.input", shell="main", data="echo a; echo 'b;%;\\t'; (exit 3)\r")
    started = await talk.get("command.started")
    finished = await talk.get("command.finished")
    assert started["text"] == "echo a; echo 'b;%;\\t'; (exit 3)" and started["block"] == "" and abs(started["started_at"] - time.time()) < 5
    assert finished["exit_code"] == 3 and finished["id"] == started["id"]


@pytest.mark.parametrize(
    "text, code",
    [
        ("true", 0),
        ("false", 1),
        ("(exit 42)", 42),
        ("no-such-command-at-all", 127),
        ("if then", 2),  # a syntax error never starts: it is refused
        ("echo one\necho two; false", 1),
        ("for i in 1 2 3\ndo\n\techo $i\ndone", 0),
        ("cat <<E\nhello\n\tworld\nE", 0),
        ("# only a comment", 0),
        (" echo with a space before", 0),
        ("kill -TERM $BASHPID", None),  # bash itself ignores TERM when interactive; see below
        ("set +o history", 0),
        ("printf '\\e]133;B;guess;0;1\\a\\e]133;D;;0;1\\a'; sleep 0.05; false", 1),
    ],
)
async def test_runs(talk, text, code):
    await talk.open()
    finished = await talk.run(text)
    started = await talk.get("command.started")
    assert started["text"] == text and started["block"] == "b" == finished["block"]
    assert finished["exit_code"] == code if code is not None else True
    assert (await talk.run("true"))["exit_code"] == 0


async def test_history_settings_do_not_break_capture(talk):
    await talk.open()
    for line in ("HISTCONTROL=ignoreboth:erasedups", "HISTIGNORE='echo*'", "HISTTIMEFORMAT='%F '", " echo hidden", "echo hidden", "echo hidden", "history -c", "echo new"):
        talk.send("shell.input", shell="main", data=line + "\r")
        assert (await talk.get("command.started"))["text"] == line
        await talk.get("command.finished")
    talk.send("shell.input", shell="main", data="set +o history\r")
    await talk.get("command.finished")
    talk.send("shell.input", shell="main", data="echo unknown\r")
    await talk.get("command.started", text="set +o history")
    assert (await talk.get("command.started"))["text"] == ""


async def test_nothing_is_reported_for_nothing(talk):
    await talk.open()
    for keys in ("\r", "half a line\x03", "   \r", "\x0c", "\x12abc\x03"):
        talk.send("shell.input", shell="main", data=keys)
        prompts = talk.printed().count(b"# ")
        while talk.printed().count(b"# ") == prompts:
            await asyncio.wait_for(talk.more(), 5)
    finished = await talk.run("echo end")
    assert finished["id"] == 1 and not [v for k, v in talk.came if k == "J" and v["type"] == "command.finished"]


async def test_a_half_typed_line_is_broken_off(talk):
    await talk.open()
    talk.send("shell.input", shell="main", data="rm -rf hal")
    await talk.see(b"hal")
    finished = await talk.run("echo $((6*7))")
    assert finished["exit_code"] == 0
    assert (await talk.get("command.started"))["text"] == "echo $((6*7))"
    assert b"^C" in talk.printed() and b"42\r\n" in talk.printed()


async def test_an_open_quote_does_not_wait_for_ever(talk, monkeypatch):
    await talk.open()
    finished = await talk.run("echo 'never closed")
    assert finished["exit_code"] == 130
    talk.send("shell.input", shell="main", data="echo 'open\r")
    await talk.see(b"> ")
    await asyncio.sleep(0.4)  # longer than an Enter may be on its way
    assert (await talk.run("echo fine"))["exit_code"] == 0


async def test_busy(talk):
    await talk.open()
    talk.send("run", shell="main", block="long", text="sleep 100")
    await talk.get("command.started")
    talk.send("run", shell="main", block="short", text="true")
    refused = await talk.get("error")
    assert refused["code"] == "busy" and refused["block"] == "short"
    await broken_off(talk)
    assert (await talk.run("true"))["exit_code"] == 0


async def broken_off(talk: Talk) -> None:
    """Ctrl-C until it works: bash loses one that comes in the millisecond in which it forks."""
    for _ in range(5):
        talk.send("shell.input", shell="main", data="\x03")
        with contextlib.suppress(TimeoutError):
            assert (await talk.get("command.finished", seconds=1))["exit_code"] == 130
            return
    raise AssertionError("Ctrl-C does not work")


async def test_two_runs_at_once(talk):
    await talk.open()
    talk.send("run", shell="main", block="1", text="sleep 0.5")
    talk.send("run", shell="main", block="2", text="true")
    assert (await talk.get("error"))["block"] == "2"
    assert (await talk.get("command.finished"))["block"] == "1"


async def test_a_run_before_the_first_prompt(talk):
    talk.send("shell.open", shell="main", cols=80, rows=24)
    assert (await talk.run("echo early"))["exit_code"] == 0


@pytest.mark.parametrize("nested", ["bash --norc", "sh", "cat"])
async def test_nested(talk, nested):
    """What runs inside is part of the command that started it, and a Run is refused meanwhile."""
    await talk.open()
    talk.send("shell.input", shell="main", data=nested + "\r")
    await talk.get("command.started", text=nested)
    talk.send("shell.input", shell="main", data="echo inside\r")
    await talk.see(b"echo inside\r\necho inside" if nested == "cat" else b"inside\r\n")
    while nested != "cat" and not talk.printed().endswith(b"# "):  # at its prompt: it takes an end of file that comes before for nothing
        await asyncio.wait_for(talk.more(), 5)
    talk.send("run", shell="main", block="b", text="true")
    assert (await talk.get("error"))["code"] == "busy"
    talk.send("shell.input", shell="main", data="\x04")
    assert (await talk.get("command.finished"))["exit_code"] == 0
    assert not [v for k, v in talk.came if k == "J" and v["type"] == "command.started"]


@pytest.mark.parametrize("other", ["exec bash --norc", "exec sh"])
async def test_a_shell_that_was_replaced(talk, other):
    """It does not speak in marks any more: a Run goes through, and nobody can know its exit code."""
    await talk.open()
    assert (await talk.run(other))["exit_code"] is None
    finished = await talk.run("echo $((6*7))")
    assert finished["exit_code"] is None
    await talk.see(b"42\r\n")
    talk.send("shell.input", shell="main", data="exit\r")
    await talk.get("shell.closed")


async def test_a_student_who_takes_the_marks_out(talk):
    await talk.open()
    assert (await talk.run("PROMPT_COMMAND= PS0= PS1='> '"))["exit_code"] is None
    assert (await talk.run("true"))["exit_code"] is None
    await talk.run("PS1='mine> '; PROMPT_COMMAND=__pb_prompt")
    assert (await talk.run("false"))["exit_code"] == 1


async def test_own_prompt_and_redirected_shell(talk):
    await talk.open()
    await talk.run("PS1='mine> '")
    assert (await talk.run("false"))["exit_code"] == 1
    assert (await talk.run("exec > /dev/null"))["exit_code"] == 0
    assert (await talk.run("(exit 4)"))["exit_code"] == 4


async def test_exit_and_open_again(talk):
    await talk.open()
    talk.send("shell.input", shell="main", data="exit 7\r")
    assert (await talk.get("command.finished"))["exit_code"] is None
    assert (await talk.get("shell.closed"))["exit_code"] == 7
    talk.send("shell.input", shell="main", data="x")
    assert (await talk.get("error"))["code"] == "unknown_shell"
    before = len(talk.printed())
    talk.send("shell.open", shell="main", cols=80, rows=24)
    await talk.get("shell.opened", end=before)  # offsets go on where they were
    assert (await talk.run("true"))["exit_code"] == 0


async def test_background_jobs_do_not_hold_a_command(talk):
    await talk.open()
    assert (await talk.run("sleep 100 & disown"))["exit_code"] == 0
    assert (await talk.run("sleep 100\x20& exit 0"))["exit_code"] is None
    await talk.get("shell.closed")


async def test_64_kib(talk):
    await talk.open()
    text = "x='" + "y" * (64 * 1024 - 20) + "'; echo ${#x}"
    assert (await talk.run(text))["exit_code"] == 0
    assert (await talk.get("command.started"))["text"] == text
    await talk.see(b"65516\r\n")
    talk.send("run", shell="main", block="b", text="x" * (64 * 1024 + 1))
    assert (await talk.get("error"))["code"] == "too_long"


async def test_a_program_that_does_not_read(talk):
    """Input is bounded, and Ctrl-C works past all that waits."""
    await talk.open()
    talk.send("run", shell="main", block="b", text="stty -icanon -echo; echo a''sleep; sleep 100")  # a terminal that reads by lines throws the rest of a long one away
    await talk.see(b"asleep")
    for _ in range(8):
        talk.send("shell.input", shell="main", data="z" * 60_000)
    assert (await talk.get("error"))["code"] == "too_long"
    talk.send("shell.input", shell="main", data="\x03")
    assert (await talk.get("command.finished"))["exit_code"] == 130


async def test_size(talk):
    await talk.open()
    talk.send("shell.resize", shell="main", cols=101, rows=33)
    await talk.run("stty size")
    assert b"33 101\r\n" in talk.printed()


async def test_too_many_shells(talk):
    for n in range(8):
        await talk.open(f"s{n}")
    talk.send("shell.open", shell="s8", cols=80, rows=24)
    assert (await talk.get("error"))["code"] == "too_many_shells"
    talk.send("shell.input", shell="s0", data="exit\r")
    await talk.get("shell.closed", shell="s0")
    talk.send("shell.open", shell="s8", cols=80, rows=24)
    await talk.get("shell.opened", shell="s8")


async def test_window(talk):
    """With a viewer that does not draw, the program stops; it goes on as the viewer does."""
    await talk.open()
    talk.link.send("view", acks={"main": 0})
    talk.send("run", shell="main", block="b", text="seq 1 200000")
    with pytest.raises(TimeoutError):
        await talk.see(b"\n200000\r", seconds=1)
    stopped_at = len(talk.printed())
    assert 256 * 1024 <= stopped_at <= 256 * 1024 + 128 * 1024
    while b"\n200000\r" not in talk.printed():
        talk.link.send("view", acks={"main": len(talk.printed())})
        await talk.more()
    assert (await talk.get("command.finished"))["exit_code"] == 0


async def test_ctrl_c_is_seen_past_the_window(talk):
    """What a viewer that stands still holds back does not hide the prompt after a Ctrl-C; what is kept for that viewer is not given up."""
    await talk.open()
    talk.link.send("view", acks={"main": 0})
    talk.send("run", shell="main", block="b", text="yes")
    with pytest.raises(TimeoutError):
        await talk.get("command.finished", seconds=1)
    talk.send("shell.input", shell="main", data="\x03")
    assert (await talk.get("command.finished", seconds=2))["exit_code"] == 130


async def test_ctrl_c_does_not_take_from_a_viewer_that_is_behind(talk):
    await talk.open()
    talk.link.send("view", acks={"main": 0})
    talk.send("run", shell="main", block="b", text="trap '' INT; yes")
    await talk.see(b"y\r\ny\r\n")
    for _ in range(30):
        talk.send("shell.input", shell="main", data="\x03")
        with pytest.raises(TimeoutError):
            await talk.get("command.finished", seconds=0.05)
    assert WINDOW < len(talk.printed()) < RING and talk.text["main"][0] == 0


async def test_the_newest_worker_wins(agent):
    first = await Talk.to(agent.dock)
    await first.open()
    second = await Talk.to(agent.dock, boot=first.welcome["boot"])
    await first.get("displaced")
    assert not await first.link.reader.read()
    await second.see(b"# ")
    assert (await second.run("true"))["exit_code"] == 0


async def test_taken_up_where_it_was_left(agent):
    """A worker that comes back gets just what it lacks, and its input is not taken twice."""
    first = await Talk.to(agent.dock)
    await first.open()
    await first.run("echo one")
    have, last = len(first.printed()), 10**30
    first.link.send("shell.input", shell="main", data="echo two-$((1+1))\r", id=f"{last}-0")
    await first.get("taken", id=f"{last}-0")
    first.link.close()
    second = await Talk.to(agent.dock, boot=first.welcome["boot"], since={"main": [have, 3]})
    assert second.welcome["last_input"] == f"{last}-0"
    second.link.send("shell.input", shell="main", data="echo two-$((1+1))\r", id=f"{last}-0")
    started = await second.get("command.started")
    assert started["text"] == "echo two-$((1+1))" and second.text["main"][0] == have
    await second.get("command.finished")
    second.link.send("run", shell="main", block="b", text="echo three", id=f"{last}-1")
    await second.get("command.finished")
    assert second.printed().count(b"two-2\r\n") == 1


async def test_another_redis_numbers_from_the_start(agent):
    first = await Talk.to(agent.dock)
    first.link.send("shell.open", shell="main", cols=80, rows=24, id=f"{10**20}-0")
    await first.see(b"# ")
    second = await Talk.to(agent.dock, epoch="another")
    second.link.send("run", shell="main", block="b", text="true", id="1-0")
    assert (await second.get("command.finished"))["exit_code"] == 0


@pytest.mark.parametrize(
    "rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xffJ", b"\0\0\0\x02J{}", b"\0\0\0\x0fJ" + b'{"type":"view"}', b"\0\0\0\x11J" + b'{"type":"attach"}', b"\0\0\0\x02O{}"]
)
async def test_rubbish_ends_the_connection_and_nothing_else(agent, talk, rubbish):
    await talk.open()
    bad = await dial(agent.dock)
    bad.writer.write(rubbish)
    assert not await asyncio.wait_for(bad.reader.read(), 5)
    assert (await talk.run("true"))["exit_code"] == 0


async def test_execute(agent):
    done = await execute(agent.dock, 5, script="echo out; echo err >&2; exit 3")
    assert (done["exit_code"], done["out"], done["err"], done["timed_out"]) == (3, b"out\n", b"err\n", False)
    done = await execute(agent.dock, 0.2, script="sleep 100 & sleep 100")
    assert done["timed_out"] and done["exit_code"] is None and done["duration_ms"] < 2000
    done = await execute(agent.dock, 5, argv=["head", "-c", "1000000", "/dev/zero"])
    assert len(done["out"]) == 256 * 1024 and done["truncated"]
    done = await execute(agent.dock, 5, script="sleep 100 & echo left behind")
    assert done["out"] == b"left behind\n" and done["duration_ms"] < 2000
    with pytest.raises(OSError):
        await execute(agent.dock, 5, argv=["/no/such/program"])
    assert b64decode("") == b""


async def test_a_script_is_in_no_command_line(agent):
    """What it does may be what a student is to find out, and `ps` is the student's."""
    secret = "echo not-to-be-seen >/dev/null"
    look = "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' ' '; ls -l /proc/$$/fd /proc/self/fd"
    done = await execute(agent.dock, 10, script=f"{secret}\n{look}")
    said = done["out"].decode(errors="replace")
    assert done["exit_code"] == 0 and "/bin/bash /proc/self/fd/3" in said
    assert "not-to-be-seen" not in said
    self_fds = said.rsplit("/proc/self/fd", 1)[1]
    assert "memfd" not in self_fds and "0 -> /dev/null" in self_fds  # programs of the script cannot read it either, nor what comes behind


@pytest.mark.parametrize("size", [100, 70_000, 900_000])
async def test_scripts_of_any_length(agent, size):
    """A pipe holds 64 KiB; nothing on the way waits for somebody to read the rest."""
    done = await execute(agent.dock, 20, script="# " + "x" * size + "\necho begin; read line; echo $?$line\n" + "true\n" * 2000 + "echo end")
    assert (done["out"], done["exit_code"]) == (b"begin\n1\nend\n", 0)


async def test_errors_of_a_script_name_its_lines(agent):
    done = await execute(agent.dock, 5, script="nosuch1\ntrue\nnosuch3")
    assert done["err"] == b"/proc/self/fd/3: line 1: nosuch1: command not found\n/proc/self/fd/3: line 3: nosuch3: command not found\n"
    assert (await execute(agent.dock, 5, script="if"))["exit_code"] == 2
    assert (await execute(agent.dock, 5, script=""))["exit_code"] == 0
    assert (await execute(agent.dock, 5, script="#!/bin/sh\nexit 4"))["exit_code"] == 4
    assert (await execute(agent.dock, 5, script="cat <<'END'\nünï \\ $x\nEND"))["out"] == "ünï \\ $x\n".encode()


async def test_whoever_hangs_up_ends_what_they_asked_for(agent, tmp_path):
    link = await dial(agent.dock)
    link.send("execute", request="1", seconds=100, script=f"echo $$ > {tmp_path}/pid; exec sleep 100")
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    link.close()
    await until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())
    assert (await execute(agent.dock, 5, script="echo $HOME"))["exit_code"] == 0


async def test_execute_does_not_disturb_the_worker(agent, talk):
    await talk.open()
    talk.send("run", shell="main", block="b", text="sleep 0.3")
    assert (await execute(agent.dock, 5, script="true"))["exit_code"] == 0
    assert (await talk.get("command.finished"))["exit_code"] == 0


async def test_no_process_is_left(agent, talk):
    opened = await talk.open()
    talk.send("shell.input", shell="main", data="exit\r")
    await talk.get("shell.closed")
    with pytest.raises(ProcessLookupError):
        os.kill(opened["pid"], 0)
    talk.send("shell.open", shell="main", cols=80, rows=24)
    pid = (await talk.get("shell.opened"))["pid"]
    os.kill(pid, signal.SIGKILL)
    assert (await talk.get("shell.closed"))["exit_code"] == 137


# The socket lies in a folder that a hostile student writes

def test_only_a_socket_is_opened(agent, tmp_path):
    open_socket(agent.dock).close()
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "agent.sock").symlink_to(agent.dock / "agent.sock")
    with pytest.raises(OSError):
        open_socket(bad)
    (bad / "agent.sock").unlink()
    (bad / "agent.sock").write_text("a file")
    with pytest.raises(OSError):
        open_socket(bad)
    (bad / "agent.sock").unlink()
    os.mkfifo(bad / "agent.sock")
    with pytest.raises(OSError):
        open_socket(bad)
    (tmp_path / "linked").symlink_to(agent.dock)
    with pytest.raises(OSError):
        open_socket(tmp_path / "linked")


async def test_a_prompt_that_is_not_read_yet_is_no_end(talk):
    """Back-pressure holds the terminal while bash is at its prompt already: the end is in what is unread, and is not guessed."""
    await talk.open()
    talk.link.send("view", acks={"main": len(talk.printed())})
    talk.send("run", shell="main", block="b", text=f"head -c {WINDOW + 20_000} /dev/zero | tr '\\0' x; (exit 7)")
    await talk.get("command.started")
    with pytest.raises(TimeoutError):
        await talk.get("command.finished", seconds=3)  # six looks: long enough for a guess
    talk.link.send("view", acks={"main": len(talk.printed())})
    assert (await talk.get("command.finished"))["exit_code"] == 7


# Closing and naming a terminal

async def gone(pid: int, seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            await asyncio.sleep(0.02)


async def pid_of(talk: Talk, command: str, shell: str = "main") -> int:
    """Start this in the background, and ask the shell for its number."""
    assert (await talk.run(f"{command} & echo \"pid=$!\"", shell))["exit_code"] == 0
    async with asyncio.timeout(8):
        while not (found := re.findall(rb"[\r\n]pid=(\d+)\r", talk.printed(shell))):  # printed, not typed
            await talk.more()
    return int(found[-1])


async def test_close(talk):
    """What runs in it is hung up, and its name is free: the next shell of that name goes on at its offset."""
    await talk.open()
    talk.send("run", shell="main", block="b", text="sleep 1000")
    await talk.get("command.started")
    talk.send("shell.close", shell="main")
    finished = await talk.get("command.finished", seconds=1.5)  # it does not wait for the kill
    assert finished["exit_code"] is None and finished["block"] == "b"
    closed = await talk.get("shell.closed")
    assert closed["asked"] is True and closed["exit_code"] == 129
    end = len(talk.printed())
    talk.send("shell.open", shell="main", cols=80, rows=24)
    assert (await talk.get("shell.opened"))["end"] == end
    assert (await talk.run("true"))["exit_code"] == 0
    talk.send("shell.input", shell="main", data="exit\r")
    assert (await talk.get("shell.closed"))["asked"] is False


async def test_close_a_shell_that_does_not_want_to(talk):
    await talk.open()
    await talk.run("trap '' HUP")
    stubborn = await pid_of(talk, "bash -c 'trap \"\" HUP; exec -a stubborn sleep 1000'")
    talk.send("shell.close", shell="main")
    with pytest.raises(TimeoutError):
        await talk.get("shell.closed", seconds=1)
    assert (await talk.get("shell.closed", seconds=4))["exit_code"] == 137
    await gone(stubborn)


async def test_what_let_go_of_the_terminal_outlives_it(talk):
    await talk.open()
    kept = await pid_of(talk, "nohup sleep 1000 < /dev/null > /dev/null 2>&1")
    held = await pid_of(talk, "bash -c 'trap \"\" HUP; exec sleep 1000'")
    async with asyncio.timeout(8):
        while {Path(f"/proc/{pid}/comm").read_text() for pid in (kept, held)} != {"sleep\n"}:  # until then they ignore nothing
            await asyncio.sleep(0.01)
    talk.send("shell.close", shell="main")
    await talk.get("shell.closed")
    await gone(held)
    os.kill(kept, signal.SIGKILL)  # raises if it is gone, too


async def test_close_what_is_not_open(talk):
    talk.send("shell.close", shell="main")
    assert (await talk.get("error"))["code"] == "unknown_shell"
    await talk.open()
    talk.send("shell.input", shell="main", data="exit 3\r")
    assert (await talk.get("shell.closed"))["exit_code"] == 3
    talk.send("shell.close", shell="main")
    assert (await talk.get("shell.closed"))["asked"] is True


async def test_a_name_is_kept_as_long_as_its_bash(agent):
    first = await Talk.to(agent.dock)
    await first.open()
    first.send("shell.name", shell="main", name="the web server’s log")
    assert (await first.get("shell.named"))["name"] == "the web server’s log"
    first.link.close()
    second = await Talk.to(agent.dock, boot=first.welcome["boot"])
    assert second.welcome["shells"][0]["name"] == "the web server’s log"
    second.send("shell.input", shell="main", data="exit\r")
    await second.get("shell.closed")
    second.send("shell.name", shell="main", name="nobody's")
    assert (await second.get("error"))["code"] == "unknown_shell"
    second.send("shell.open", shell="main", cols=80, rows=24)
    await second.get("shell.opened", end=len(second.printed()))
    third = await Talk.to(agent.dock, boot=first.welcome["boot"])
    assert third.welcome["shells"][0]["name"] == ""


async def test_a_killed_program_leaves_nothing_on(talk):
    """The prompt puts the screen, the mouse and the cursor back, after the mark: it is no output of the command."""
    await talk.open()
    await talk.run("printf '\\e[?1049h\\e[?1003h\\e[?25l'; kill -9 $BASHPID & wait")
    await talk.see(b"\x1b7\x1b[?1049l\x1b[r\x1b8\x1b[?1;1000;1002;1003;1004;1005;1006;1015l\x1b[?7;25h")


async def test_nothing_that_bash_says_is_bold(talk):
    await talk.open()
    talk.send("shell.input", shell="main", data="if then\r")
    await talk.see(b"syntax error")
    talk.send("shell.input", shell="main", data="ls /etc/pro\t\t")
    await talk.see(b"protocols")
    assert b"\x1b[1m" not in talk.printed() and b"\x1b[0;1m" not in talk.printed()
