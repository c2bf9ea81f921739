"""What students do to their shells: every command is seen as it was, or degrades as docs/protocol.md says, and a Run never waits for ever.

Real bash under the real agent. `shell_as_it_was` is the proof that nothing broke: the next Run has its own exit code, at once.
"""
import asyncio
import os
import re
import shutil
import signal
import time

import pytest

from netcontrol.tests.agent_fixtures import PATIENCE, Talk

AT_ONCE = 2.0  # seconds; a shell without marks takes about one


@pytest.fixture
async def talk(agent):
    talk = await Talk.to(agent.dock)
    yield talk
    talk.link.close()


async def keys(talk: Talk, data: str) -> None:
    talk.send("shell.input", shell="main", data=data)


async def typed(talk: Talk, line: str) -> tuple[str, int | None]:
    """Type this line: the text and exit code of the command that ran."""
    await keys(talk, line + "\r")
    started = await talk.get("command.started")
    return started["text"], (await talk.get("command.finished", id=started["id"]))["exit_code"]


async def shell_as_it_was(talk: Talk, code: int | None = 7) -> None:
    for _ in range(2):
        finished = await talk.run("(exit 7)", seconds=AT_ONCE)
        assert finished["exit_code"] == code
    assert not re.search(rb"133;[BCD];[0-9a-f]{24}", talk.printed())


@pytest.mark.parametrize(
    "line, code",
    [
        ("set -u", 0), ("set -x", 0), ("set -v", 0), ("set -o noclobber", 0), ("set -o vi", 0), ("set +o emacs", 0), ("set -o posix", 0), ("set +m", 0),
        ("unset PS0 PS1; set -u", 0), ("readonly PROMPT_COMMAND PS0 PS1 HISTCONTROL", 0), ("export PS1", 0),
        ("trap 'echo before' DEBUG", 0), ("trap 'echo wrong' ERR", 0), ("trap '' INT", 0), ("shopt -s extdebug histverify failglob", 0),
        ("PROMPT_COMMAND=", 0), ("unset PROMPT_COMMAND", 0), ("PROMPT_COMMAND='history -a'", 0), ("PROMPT_COMMAND='(exit 5)'", 0), ("PS0=", 0), ("PS1=", 0),
        ("PS1='$(false)a\\nb> '", 0), ("unset -f __pb_started", 0), ("printf() { :; }; history() { :; }", 0), ("IFS=0123456789", 0), ("unset EPOCHREALTIME", 0),
        ("HISTSIZE=0", 0), ("HISTCONTROL=ignoreboth:erasedups", 0), ("unset HISTFILE", 0), ("unset TERM", 0), ("bind 'set enable-bracketed-paste off'", 0),
        ("stty -echo", 0), ("stty raw", 0), ("stty raw -echo", 0), ("stty -isig", 0), ("clear", 0), ("(exit 3)", 3), ("exec no-such-program", 127),
        ("bash -c 'exit 5'", 5), ("sh -c 'exit 6'", 6), ("kill -9 $BASHPID & wait $!", 137), ("echo hi!", 0), ("cat <<A <<'B'\n$HOME\nA\n$HOME\nB", 0), ("read x <<< y; (exit 9)", 9),
        ("printf '\\e[?1049h\\e[2Jfull screen\\e[?1049l'", 0), ("printf 'no newline, and half a mark \\e]133;C'", 0),
    ],
)  # fmt: skip
async def test_a_shell_keeps_its_marks(talk, line, code):
    await talk.open()
    assert (await talk.run(line))["exit_code"] == code
    await shell_as_it_was(talk)


async def test_marks_come_back_under_set_u(talk):
    """A typed command is only seen by its marks: a Run would be found out by looking as well, and hide that they are gone."""
    await talk.open()
    await talk.run("unset PS0 PS1; set -u")
    await keys(talk, "(exit 6)\r")
    started = await talk.get("command.started", text="(exit 6)")
    assert (await talk.get("command.finished", id=started["id"]))["exit_code"] == 6


@pytest.mark.parametrize("line", ["exec 2>/dev/null", "exec >/dev/null 2>&1", "shopt -u promptvars"])
async def test_a_prompt_that_is_not_seen(talk, line):
    """The end of a command is told all the same, so it has its exit code; that the next may be typed is found out by looking."""
    await talk.open()
    assert (await talk.run(line))["exit_code"] == 0
    await shell_as_it_was(talk)


@pytest.mark.parametrize("line", ["unset __pb_nonce", "exec bash", "exec sh", "exec bash --norc", "exec -a bash bash -i"])
async def test_a_shell_without_marks_takes_runs(talk, line):
    await talk.open()
    assert (await talk.run(line, seconds=3))["exit_code"] is None
    finished = await talk.run("echo $((6*7))x", seconds=3)
    assert finished["exit_code"] is None
    await talk.see(b"42x\r\n")


async def test_a_bashrc_that_starts_another_shell(agent):
    """No prompt of ours ever comes."""
    (agent.home / ".bashrc").write_text("exec sh\n")
    talk = await Talk.to(agent.dock)
    await talk.open()
    assert (await talk.run("echo $((6*7))x", seconds=5))["exit_code"] is None
    await talk.see(b"42x\r\n")
    talk.link.close()


@pytest.mark.parametrize("options", ["-e", "-eu -o pipefail"])
async def test_set_e_ends_the_shell_with_the_first_failure(talk, options):
    await talk.open()
    await talk.run(f"set {options}")
    assert (await talk.run("true"))["exit_code"] == 0
    assert (await talk.run("(exit 7)"))["exit_code"] is None
    assert (await talk.get("shell.closed"))["exit_code"] == 7


@pytest.mark.parametrize("line, code", [("kill -9 $$", 137), ("exit 5", 5), ("kill -HUP $$", 129), ("exec true", 0)])
async def test_a_shell_that_ends(talk, line, code):
    await talk.open()
    assert (await talk.run(line))["exit_code"] is None
    assert (await talk.get("shell.closed"))["exit_code"] == code
    talk.send("shell.open", shell="main", cols=80, rows=24)
    await talk.get("shell.opened")
    await shell_as_it_was(talk)


async def test_a_shell_that_stops_itself(talk):
    """Nobody but the agent could tell it to go on."""
    await talk.open()
    assert (await talk.run("suspend", seconds=3))["exit_code"] is not None
    await shell_as_it_was(talk)


@pytest.mark.parametrize("line", ["read -n1 x", "read -sn1 x", "read -d! x"])
async def test_a_question_is_no_prompt(talk, line):
    """bash itself waits for a key: the command goes on until it came."""
    await talk.open()
    talk.send("run", shell="main", block="b", text=line)
    await talk.get("command.started")
    with pytest.raises(TimeoutError):
        await talk.get("command.finished", seconds=1.8)  # three looks
    await keys(talk, "!")
    assert (await talk.get("command.finished", seconds=AT_ONCE))["exit_code"] == 0
    await shell_as_it_was(talk)


NESTED = [
    ("bash --norc", "echo in''side", "exit"), ("sh", "echo in''side", "exit"), ("su", "echo in''side", "exit"), ("unshare --fork bash --norc", "echo in''side", "exit"),
    ("script -qc 'bash --norc' /dev/null", "echo in''side", "exit"), ("python3 -q", "print('in' 'side')", "exit()"), ("bash", "PS1='x> '; echo in''side", "exit"),
    ("env -i PATCHBAY_NONCE=guess bash --rcfile /dev/null", "echo in''side", "exit"),
]  # fmt: skip


@pytest.mark.parametrize("start, say, leave", NESTED, ids=[nested[0] for nested in NESTED])
async def test_nested(talk, start, say, leave):
    """One command from its start to its end, whatever is typed in it; a terminal of its own (`script`, as `docker exec -it` has) changes nothing."""
    await talk.open()
    await keys(talk, start + "\r")
    started = await talk.get("command.started", text=start)
    await keys(talk, say + "\r")
    await talk.see(b"inside\r\n")
    talk.send("run", shell="main", block="b", text="true")
    assert (await talk.get("error"))["code"] == "busy"
    await keys(talk, leave + "\r")
    assert (await talk.get("command.finished", id=started["id"]))["exit_code"] == 0
    assert not [v for k, v in talk.came if k == "J" and v["type"] == "command.started"]
    await shell_as_it_was(talk)


FULL = [("vi -u NONE file", ":q!\r"), ("less /etc/services", "q"), ("top -d 0.1", "q"), ("watch -n 0.1 true", "\x03")]


@pytest.mark.parametrize("line, leave", [f for f in FULL if shutil.which(f[0].split()[0])], ids=lambda v: v.split()[0])
async def test_full_screen_programs(talk, line, leave):
    await talk.open()
    await keys(talk, line + "\r")
    started = await talk.get("command.started", text=line)
    at = started["offset"] - talk.text["main"][0]  # some of it may have come already
    async with asyncio.timeout(PATIENCE):
        while b"\x1b[" not in talk.printed()[at:]:
            await talk.more()
    await keys_until(talk, leave, started["id"], 0)
    await shell_as_it_was(talk)


async def test_stopped_and_brought_back(talk):
    await talk.open()
    await keys(talk, "sleep 100\r")
    started = await talk.get("command.started")
    await keys_until(talk, "\x1a", started["id"], 148)
    await shell_as_it_was(talk)
    await keys(talk, "fg\r")
    back = await talk.get("command.started", text="fg")
    await keys_until(talk, "\x03", back["id"], 130)


async def keys_until(talk: Talk, data: str, id: int, code: int) -> None:
    """Press until the command ends so: while a program starts, it or bash loses a key."""
    for _ in range(5):
        await keys(talk, data)
        try:
            assert (await talk.get("command.finished", id=id, seconds=1))["exit_code"] == code
            return
        except TimeoutError:
            continue
    raise AssertionError(f"{data!r} does not end it")


async def test_a_job_that_prints_after_the_prompt(talk):
    await talk.open()
    assert (await talk.run("(sleep 0.3; echo la''te) &"))["exit_code"] == 0
    await talk.see(b"late\r\n")
    assert not [v for k, v in talk.came if k == "J" and v["type"] == "command.finished"]
    await shell_as_it_was(talk)


SPECIAL = "echo '" + "".join(chr(c) for c in range(32, 127) if chr(c) not in "'!") + "' %25 \\a ;: é€🐎 \u2028"


@pytest.mark.parametrize(
    "line, code",
    [(SPECIAL, 0), ("true " + "x" * 60_000, 0), ("cat <<E; false\n;%\t\\ \nE", 1), ("echo 'open\nand closed'", 0), ("echo a \\\n b", 0), ("for i in 1 2\ndo false\ndone", 1), ("  true  ", 0)],
)
async def test_typed_text_is_seen_as_it_was(talk, line, code):
    """Typed key by key but for Tabs, which are bash's."""
    await talk.open()
    await keys(talk, "bind 'set disable-completion on'\r")
    await talk.get("command.finished")
    await talk.get("command.started")
    async with asyncio.timeout(5):
        while b"# " not in talk.printed()[talk.printed().rfind(b"completion on'") :]:  # before its prompt, Linux keeps 4095 bytes of a line
            await talk.more()
    text, exit_code = await typed(talk, line.replace("\n", "\r"))
    assert exit_code == code
    assert text.rstrip() == (line if not line.startswith("echo a") else "echo a  b").rstrip() or line.startswith("echo a \\")
    await shell_as_it_was(talk, 7)


async def test_history_expansion(talk):
    await talk.open()
    assert await typed(talk, "echo one") == ("echo one", 0)
    assert await typed(talk, "!!; (exit 3)") == ("echo one; (exit 3)", 3)
    await keys(talk, "echo !no-such-event\r")  # refused: no command, and a new prompt
    await talk.see(b"event not found")
    await shell_as_it_was(talk)
    finished = await talk.run("!no-such-event", seconds=AT_ONCE)
    assert finished["exit_code"] is not None
    await shell_as_it_was(talk)


async def test_every_end_of_a_typed_line(talk):
    """Empty lines, lines that are broken off, and syntax errors are no commands; the line after them is."""
    await talk.open()
    for before in ("\r", "   \r", "# nothing\r", "abc\x03", "echo 'open\r\x03", "if then\r", "abc\x15", "\x12abc\x03", "abc\x1b#"):
        prompts = talk.printed().count(b"# ")
        await keys(talk, before)
        async with asyncio.timeout(5):
            while before[-1] != "\x15" and talk.printed().count(b"# ") <= prompts + ("# " in before):  # bash may lose keys that come before its prompt
                await talk.more()
        assert await typed(talk, "(exit 3)") == ("(exit 3)", 3), before
        async with asyncio.timeout(5):
            while b"# " not in talk.printed()[talk.printed().rfind(b"(exit 3)") :]:  # it has ended before its prompt is there
                await talk.more()


async def test_bytes_that_look_like_a_mark_at_the_end_of_a_shell(talk):
    """Held back as what may be a mark; when nothing more can come it was none."""
    await talk.open()
    await keys(talk, "printf 'last \\033]133;C'; exec sleep 0\r")
    await talk.get("shell.closed")
    assert talk.printed().endswith(b"last \x1b]133;C")


async def test_a_shell_that_is_killed_from_outside_while_a_run_waits(talk):
    opened = await talk.open()
    talk.send("run", shell="main", block="b", text="sleep 100")
    await talk.get("command.started")
    began = time.monotonic()
    os.kill(opened["pid"], signal.SIGKILL)
    assert (await talk.get("command.finished"))["exit_code"] is None
    assert (await talk.get("shell.closed"))["exit_code"] == 137 and time.monotonic() - began < AT_ONCE
