"""docs/protocol.md and the code say the same."""
import re
from pathlib import Path

from netcontrol import dial, lease, messages, stream
from netcontrol.agent import server
from netcontrol.network.live import questions, store, watching

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/protocol.md").read_text()


def section(title: str) -> str:
    return PAGE.split(title, 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]


def types(text: str) -> set[str]:
    """The names in the first column of the tables of this text."""
    return {name for row in re.findall(r"^\| (`[^|]*) \|", text, re.M) for name in re.findall(r"`([a-z.]+)`", row)}


def source(module) -> str:
    return Path(module.__file__).read_text()


def test_browser_to_server():
    text = section("### Browser to server")
    assert types(text) == set(messages.FIELDS)
    for names, fields in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", text, re.M):
        for name in re.findall(r"`([a-z.]+)`", names):
            assert re.findall(r"`([a-z]+)", fields) == list(messages.FIELDS[name]), name


def test_server_to_browser():
    known = types(section("### Server to browser"))
    from_agent = {name for name in dial.SCHEMA if name.startswith(("shell.", "command."))}
    of_the_network = set(re.findall(r'"type": "(network\.[a-z]+)"', source(watching)))
    assert len(of_the_network) == 3
    assert known == from_agent | of_the_network | set(questions.ANSWERS) | {"sandbox.state", "commands", "error", "shell.known"}


def test_errors():
    for code in messages.ERRORS:
        assert f"`{code}`" in PAGE, f"the page does not know the error {code}"
    assert set(dial.ERRORS) <= set(messages.ERRORS)
    for code in questions.WHY:
        assert f"`{code}`" in section("### Server to browser"), f"the page does not know why a question is not answered: {code}"


def test_agent_to_worker():
    text = PAGE.split("Agent to worker:", 1)[1].split("\n## ", 1)[0]
    assert types(text) == set(dial.SCHEMA)


def test_worker_to_agent():
    text = PAGE.split("Worker to agent:", 1)[1].split("Agent to worker:", 1)[0]
    handled = set(re.findall(r'"([a-z]+(?:\.[a-z]+)?)"', source(server).split("def _handle", 1)[1].split("def _to_shell", 1)[0]))
    assert types(text) <= handled


def test_keys():
    used = set(re.findall(r'\bkey\("([a-z]+)"', source(stream) + source(lease)))
    used |= set(re.search(r'key\(kind, sandbox\) for kind in \(([^)]+)\)', source(store))[1].replace('"', "").split(", "))
    assert used == set(re.findall(r"`pb:<lab>:([a-z]+):<sandbox>", PAGE))


def test_numbers():
    assert "expires 3 s after" in PAGE and lease.LEASE_MS == 3000


def test_the_pages_script_knows_every_message():
    scripts = "".join(path.read_text() for path in sorted((ROOT / "static/js").rglob("*.js"))) if (ROOT / "static/js").exists() else ""
    if not scripts:
        return
    for name in types(section("### Server to browser")):
        assert re.search(rf"\b{re.escape(name)}\b", scripts), f"no script in static/js handles {name}"
