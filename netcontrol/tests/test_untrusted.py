"""The one reader of what hosts and pages say: its bounds, the time it takes, and that nobody reads past it."""
import ast
import json
import time
from pathlib import Path

import pytest

from netcontrol.agent import untrusted
from netcontrol.agent.limits import MAX_FRAME, MAX_SNAPSHOT
from netcontrol.agent.untrusted import MOST_DEPTH, Unreadable, read_json, read_object
from netcontrol.inside import Answer

ROOT = Path(__file__).resolve().parents[2]


def nested(depth: int) -> str:
    return '{"a":[' * (depth // 2) + "]}" * (depth // 2)


@pytest.mark.parametrize("value", [{"a": [1, -2, 2.5, None, True, "ä\n\"\\[{"]}, [], {}, "text", 0, 2**63, {"deep": [[[[]]]]}], ids=str)
def test_what_is_in_bounds_is_read_as_it_is(value):
    for text in (json.dumps(value), json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert read_json(text, 100) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "nonsense", b"\xff\xfe{\0}\0", b'"\xff"', '{"a":1}x', "NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", "9" * 21, "9" * 5000, "[" * 100000, "]" * 100000,
        '{"a":' * 5000, nested(MOST_DEPTH + 2), '"\\', '"' + '\\"' * 40000,
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_not_is_not_read(text):
    with pytest.raises(Unreadable):
        read_json(text, MAX_FRAME)


def test_size_and_depth():
    assert read_json('"' + "x" * 98 + '"', 100)
    with pytest.raises(Unreadable, match="too long"):
        read_json('"' + "x" * 99 + '"', 100)
    assert read_json(nested(MOST_DEPTH), 10_000) and read_json(json.dumps("[" * 1000), 10_000) == "[" * 1000, "brackets in a text are no depth"
    assert read_json(json.dumps([{"[": '"]\\"'}] * 100), 10_000) == [{"[": '"]\\"'}] * 100
    with pytest.raises(Unreadable, match="too deep"):
        read_json(json.dumps([[[]]] + [0] * 5), 100, depth=2)


def test_halves_of_characters_are_replaced():
    found = read_json(r'{"\ud800": ["\uD83D", "\ud83d\ude00 whole", 1]}', 100)
    assert found == {"?": ["?", "😀 whole", 1]}
    json.dumps(found, ensure_ascii=False).encode()


def test_an_object():
    assert read_object('{"a": 1}', 10) == {"a": 1}
    for text in ("[]", "1", "null", '"{}"'):
        with pytest.raises(Unreadable):
            read_object(text, 10)


@pytest.mark.parametrize("piece", ['"', '\\"', "[", "{", "]", '{"a":', "[]", '"[', "\\u", "[" * 60 + "]" * 60 + ",", "1", "-", "1e", " "])
def test_no_text_takes_long(piece):
    """A quadratic reader would take minutes for these."""
    most = MAX_SNAPSHOT // 4
    began = time.process_time()
    for text in (piece * (most // len(piece)), "[" + piece * (most // len(piece) - 1), '"' + piece * (most // len(piece) - 1)):
        try:
            read_json(text.encode(), most)
        except Unreadable:
            pass
    assert time.process_time() - began < 2


@pytest.mark.parametrize("answer", [Answer(None, "{}"), Answer(1, "{}"), Answer(0, "{}", truncated=True), Answer(0, "[]"), Answer(0, ""), Answer(0, "{" * 2000)], ids=str)
def test_the_answer_of_a_program_that_did_not_come_to_its_end_is_none(answer):
    with pytest.raises(Unreadable):
        answer.object()
    assert Answer(0, '{"a": 1}').object() == {"a": 1}


# Nobody reads past it

OURS = {  # file -> why what is read there is our own
    "netcontrol/agent/untrusted.py": "the reader",
    "netcontrol/agent/observe/bounded.py": "arrays that may be longer than fits, one small object at a time; in the host",
    "netcontrol/stream.py": "written by us to Redis, which no host reaches",
    "netcontrol/network/live/store.py": "written by us to Redis",
    "netcontrol/network/live/artist.py": "between two processes of ours",
    "netcontrol/counts.py": "written by us to Redis",
    "lessons/wishes.py": "written by us to Redis",
    "netcontrol/engine/host.py": "our seccomp profile",
    "netcontrol/engine/gateway.py": "what `ip` says of the machine, and what we wrote",
    "netcontrol/engine/rings.py": "what runc says of a host that it starts",
    "lessons/documents.py": "lessons, which their authors wrote",
}
READERS = {"loads", "load", "raw_decode", "JSONDecoder", "literal_eval", "model_validate_json", "eval", "exec"}


def reading(tree: ast.AST) -> set[str]:
    """What in it makes values of text: also what is imported by name."""
    modules = {"json", "pickle", "marshal", "ast", "yaml"}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module in modules]
    names = {alias.asname or alias.name for node in imports for alias in node.names if alias.name in READERS}
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr="load") if module in modules:
                found.add(f"{module}.load")
            case ast.Attribute(attr=name) if name in READERS - {"load", "eval", "exec"}:
                found.add(name)
            case ast.Name(id=name) if name in names | {"eval", "exec"}:
                found.add(name)
    return found


def test_no_reply_is_read_by_another_reader():
    read: dict[str, set[str]] = {}
    for path in sorted([*(ROOT / "netcontrol").rglob("*.py"), *(ROOT / "lessons").rglob("*.py")]):
        name = str(path.relative_to(ROOT))
        if "tests" not in path.parts and "migrations" not in path.parts and (found := reading(ast.parse(path.read_text()))):
            read[name] = found
    assert {name: found for name, found in read.items() if name not in OURS} == {}
    assert untrusted.__name__ and "netcontrol/agent/untrusted.py" in read, "and the test would find one"


def test_the_test_finds_them():
    for text in ("import json\njson.loads(x)", "from json import loads as l\nl(x)", "from json import loads\nloads(x)", "import pickle\npickle.load(f)", "Model.model_validate_json(x)", "eval(x)"):
        assert reading(ast.parse(text)), text
