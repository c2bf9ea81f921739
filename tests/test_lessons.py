"""`./lab lessons test` on the real lab: every lesson of it holds, and one that was broken on purpose is found, with the place."""
import json
import shutil
from pathlib import Path

import pytest
from django.conf import settings

from lessons.loader import load

CONTENT = Path(settings.BASE_DIR) / "lessons" / "content"
LEAST = {"lessons": 20, "steps": 100}


@pytest.mark.timeout(1500)
def test_every_lesson_holds_in_every_language(lab):
    done = lab("lessons", "test", "--json", seconds=1400)
    report = json.loads(done.stdout)
    found = [f"{walk['lesson']} ({walk['walk']}): {finding}" for walk in report["walks"] for finding in walk["findings"]]
    assert not found and not report["mistakes"], "\n".join([*found, *map(str, report["mistakes"])])
    assert done.returncode == 0 and report["passed"]
    for walk in ("page", "replay"):
        these = [one for one in report["walks"] if one["walk"] == walk]
        assert len(these) >= LEAST["lessons"] and sum(one["steps"] for one in these) >= LEAST["steps"]
        assert all(set(one["languages"]) == {code for code, _ in settings.LANGUAGES} for one in these)
    lessons = load(CONTENT)
    for one in report["walks"]:
        lesson = lessons.lesson(one["lesson"])
        assert one["checks"] == sum(len(step.checks) for step in lesson.steps), f"{one['lesson']}: every check has passed"
        if one["walk"] == "replay":
            assert one["wrong"] == sum(len(step.wrong) for step in lesson.steps)
        else:
            assert one["commands"] == sum(len(step.text.blocks) for step in lesson.steps)


# Each of these copies of a lesson has one fault. A name, the file, what is replaced and by what, and what is said of it: `file:line: key: …`
FOLDER, LESSON = "20-by-hand", "10-namespaces-and-veth"
FIRST, SECOND = "01-an-empty-namespace.md", "02-a-cable.md"
IN_PROOF = [
    ("solution-broken", SECOND, "peer name veth-${B}\n  ip link set veth-${A} netns ${A}\n  ip link set veth-${B} netns ${B}\nwrong", "peer name veth-${B}\nwrong", "02-a-cable.md:5: checks.end_a: does not pass after the solution (failed): In the namespace `"),
    ("solution-ends-badly", SECOND, "  ip link set veth-${B} netns ${B}\nwrong", "  ip link set veth-${B} netns nowhere\nwrong", "02-a-cable.md:22: solve: ended with exit code 255, saying “Error: argument \"nowhere\" is wrong: Invalid \"netns\" value”, on lab."),
    ("setup-broken", SECOND, "checks:\n", "setup: ip link del nothing\nchecks:\n", "02-a-cable.md:4: setup: ended with exit code 1, saying “Cannot find device \"nothing\"”, on lab."),
    ("setup-never-ends", FIRST, "checks:\n", "setup: until false; do sleep 1; done\nchecks:\n", "01-an-empty-namespace.md:8: setup: did not end within 60 s on lab."),
    ("check-always-passes", FIRST, 'net.link: {name: lo, netns: "${A}", up: true}', "net.link: {name: lo}", "01-an-empty-namespace.md:9: checks.lo_a: passes before anything is done"),
    ("check-does-not-notice", FIRST, "fails: [lo_a, lo_b]", "fails: [lo_b]", "01-an-empty-namespace.md:28: wrong.0.fails: “lo_a” does not pass either (failed):"),
    ("check-notices-nothing", FIRST, "fails: [lo_b]\n    undo: ip netns del ${A}", "fails: [lo_a, lo_b]\n    undo: ip netns del ${A}", "01-an-empty-namespace.md:35: wrong.1.fails: “lo_a” does not notice it (passed)."),
    ("undo-forgets", FIRST, "fails: [lo_b]\n    undo: ip netns del ${A}", "fails: [lo_b]\n    undo: ip netns list", "01-an-empty-namespace.md:36: wrong.1.undo: “lo_a” is passed after it, and was failed before."),
    ("any-answer-is-right", SECOND, """answer: {run: "ip -n ${A} -br link | awk '/^veth-${A}@/ {print $1}'"}""", """answer: ["none of these"]""", "02-a-cable.md:19: checks.back.answer: takes “none of these” for right."),
]  # fmt: skip
IN_LINT = [
    ("check-removed", SECOND, "  end_b:\n    net.link: {name: \"veth-${B}\", netns: \"${B}\", kind: veth}\n    hint: \"It goes the same way as the first end: `ip link set … netns …`, on the host.\"\n", "", "02-a-cable.md:28: wrong.0.fails: there is no check “end_b” in this step. There are: end_a, pair, back."),
    ("hint-misnamed", SECOND, "    hint: ", "    hnit: ", "02-a-cable.md:9: checks.end_b.hnit: is not known here. Known are: title, hint,"),
]  # fmt: skip


def mutated(content: Path, faults) -> None:
    """A module of copies of the lesson, each under the name of its fault."""
    module = content / FOLDER
    module.mkdir(parents=True)
    shutil.copy(CONTENT / FOLDER / "module.yaml", module)
    for n, (name, file, old, new, _) in enumerate(faults):
        lesson = module / f"{n + 10}-{name}"
        shutil.copytree(CONTENT / FOLDER / LESSON, lesson, ignore=shutil.ignore_patterns("i18n"))
        for path in lesson.glob("0[3-9]-*.md"):  # two steps are enough
            path.unlink()
        keys = lesson / "lesson.yaml"
        keys.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if not line.startswith(tuple(f"  - 0{n}" for n in range(3, 10)))))
        text = (lesson / file).read_text()
        assert text.count(old) >= 1, f"{name}: {old!r} is not in {file} any more"
        (lesson / file).write_text(text.replace(old, new, 1))


@pytest.mark.timeout(600)
def test_a_lesson_that_was_broken_is_found_with_file_and_line(lab, tmp_path):
    mutated(tmp_path, IN_PROOF)
    done = lab("lessons", "test", "--walk", "replay", seconds=580, PATCHBAY_LESSONS=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    missing = [f"{name}: {said}" for name, _, _, _, said in IN_PROOF if f"-{name}/{said}" not in done.stdout]
    assert not missing, "\n".join([*missing, "", done.stdout])
    assert f"{len(IN_PROOF)} FAILED" in done.stdout


@pytest.mark.parametrize("fault", IN_LINT, ids=[fault[0] for fault in IN_LINT])
def test_a_lesson_with_a_mistake_is_not_proved_but_named(lab, tmp_path, fault):
    mutated(tmp_path, [fault])
    done = lab("lessons", "test", fault[0], PATCHBAY_LESSONS=str(tmp_path))
    assert done.returncode == 1 and f"-{fault[0]}/{fault[4]}" in done.stdout, done.stdout + done.stderr


def test_a_page_that_does_not_do_what_it_says_is_found(lab, tmp_path):
    """Over HTTP and WebSocket: an exit code that is not the one, a command that the page has not, a hidden script that it shows."""
    lesson = tmp_path / FOLDER / LESSON
    shutil.copytree(CONTENT / FOLDER / LESSON, lesson, ignore=shutil.ignore_patterns("i18n"))
    shutil.copy(CONTENT / FOLDER / "module.yaml", tmp_path / FOLDER)
    text = (lesson / FIRST).read_text()
    assert text.count("```bash {run}\nip netns add ${A}\n") == 1
    (lesson / FIRST).write_text(text.replace("```bash {run}\nip netns add ${A}\n", "```bash {run exit=3}\nip netns add ${A}; echo more\n"))
    done = lab("lessons", "test", "--walk", "page", "namespaces-and-veth", seconds=300, PATCHBAY_LESSONS=str(tmp_path))
    line = text[: text.index("```bash {run}\nip netns add ${A}\n")].count("\n") + 1
    assert done.returncode == 1, done.stdout
    assert f"{FIRST}:{line}: run: `ip netns add " in done.stdout and "; echo more` ended with exit code 0, not 3." in done.stdout, done.stdout
    assert "is not on the page in en." in done.stdout


def test_what_is_to_be_proved_is_chosen(lab):
    unknown = lab("lessons", "test", "no-such-lesson")
    assert unknown.returncode == 2 and "There is no lesson no-such-lesson. See ./lab lessons list." in unknown.stderr
    nothing = lab("lessons", "test", "--changed-since", "HEAD", "--json")
    assert nothing.returncode == 0 and json.loads(nothing.stdout) == {"passed": True, "walks": [], "mistakes": []}
    bad = lab("lessons", "test", "--changed-since", "no-such-revision")
    assert bad.returncode == 2 and "Git cannot tell what changed since “no-such-revision”" in bad.stderr
