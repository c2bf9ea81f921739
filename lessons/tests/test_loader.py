import os
from pathlib import Path

import pytest
from django.conf import settings as lab

from lessons.errors import LessonError
from lessons.loader import catalogue, load
from lessons.tests.conftest import LESSON, MODULE, STEP

YAML, ONE, TWO = "10-net/10-first/lesson.yaml", "10-net/10-first/01-look.md", "10-net/10-first/02-touch.md"
LOOK = LESSON.replace("[lab, client]", "[lab]")


def body(text: str) -> str:
    return f"---\ntitle: Look\n---\n{text}"


# file written, its text, and what is said: file:line: key: a part of the sentence
BROKEN = [
    ("10-net/module.yaml", "title: Networks\n", "10-net/module.yaml:1: summary: is missing."),
    ("10-net/module.yaml", MODULE + "order: 3\n", "10-net/module.yaml:3: order: is not known here. Known are: title, summary."),
    ("10-net/module.yaml", "- title\n", "10-net/module.yaml:1: YAML: has to be a list of keys"),
    ("10-net/module.yaml", "", "10-net/module.yaml:1: YAML: has to be a list of keys"),
    ("10-net/module.yaml", MODULE + "title: Twice\n", "10-net/module.yaml:3: YAML: found duplicate key"),
    ("10-net/module.yaml", 'title: "open\n', "10-net/module.yaml:2: YAML: found unexpected end of stream."),
    ("10-net/module.yaml", b"title: \xff\xfe\n", "10-net/module.yaml:1: file: is not UTF-8 text."),
    ("10-net/module.yaml", "title: bad\x07bell\nsummary: x\n", "10-net/module.yaml:1: YAML: cannot be read"),
    (YAML, LESSON.replace("minutes: 5", "minutes: five"), f"{YAML}:3: minutes: should be a valid integer."),
    (YAML, LESSON.replace("minutes: 5", "minutes: 0"), f"{YAML}:3: minutes: should be greater than or equal to 1."),
    (YAML, LESSON.replace("First steps", "Easy"), f"{YAML}:4: level: “Easy” is not one of 'First steps', 'Some practice' or 'Demanding'."),
    (YAML, LESSON.replace("title: First", "title: ''"), f"{YAML}:1: title: is empty."),
    (YAML, LESSON.replace("title: First", "title: |\n  a\n  b"), f"{YAML}:1: title: has to be one line."),
    (YAML, LESSON.replace("[lab, client]", "[lab, Client]"), f"{YAML}:5: hosts.1: “Client” is no name of a host"),
    (YAML, LESSON.replace("[lab, client]", "[lab, lab]"), f"{YAML}:5: hosts.1: “lab” is listed twice."),
    (YAML, LESSON.replace("[lab, client]", "[lab, tomcat9]"), f"{YAML}:11: names.tomcat9: is a host of this lesson already."),
    (YAML, LESSON.replace("[tomcat]", "['to mcat']"), f"{YAML}:6: images.0: “to mcat” is no name of an image"),
    (YAML, LESSON.replace("- 01-look.md", "- ../look.md"), f"{YAML}:8: steps.0: “../look.md” is no name of a step file"),
    (YAML, LESSON.replace("- 02-touch.md", "- 03-gone.md"), f"{YAML}:9: steps.1: there is no file 03-gone.md."),
    (YAML, LESSON.replace("- 02-touch.md", "- 03-gone.md"), f"{TWO}:1: file: is not listed under steps in lesson.yaml."),
    (YAML, LESSON.replace("container", "box"), f"{YAML}:11: names.tomcat9: “box” is not one of 'host', 'bridge'"),
    (YAML, LESSON + "checks: {}\n", f"{YAML}:12: checks: is not known here."),
    (ONE, "Just text.\n", f"{ONE}:1: front matter: is missing"),
    (ONE, "---\nname: Look\n---\n", f"{ONE}:2: title: is missing."),
    (ONE, "---\nname: Look\n---\n", f"{ONE}:2: name: is not known here. Known are: title."),
    (ONE, "---\ntitle: Look\nsolve: rm\n---\n", f"{ONE}:3: solve: is not known here."),
    (ONE, body("One.\n\n```bash {walk}\nls\n```\n"), f"{ONE}:6: fence: “walk” is not known here. Known are: run, copy, expect."),
    (ONE, body("```bash {run fast}\nls\n```\n"), f"{ONE}:4: fence: “fast” is not known for a run block."),
    (ONE, body("```bash {run host}\nls\n```\n"), f"{ONE}:4: fence: “host” is not known for a run block."),
    (ONE, body("```bash {run}\nping 10.0.0.1\n```\n"), f"{ONE}:4: fence: “ping” does not end by itself here"),
    (ONE, body("```bash {run}\ndocker exec -it a tcpdump -ni eth0\n```\n"), f"{ONE}:4: fence: “tcpdump” does not end by itself here"),
    (ONE, body("```bash {run background exit=1}\nping 10.0.0.1\n```\n"), f"{ONE}:4: fence: a background block runs until it is stopped"),
    (ONE, body("```bash {run background=1}\nls\n```\n"), f"{ONE}:4: fence: “background=1” is not known for a run block."),
    (ONE, body("```bash {run host=db}\nls\n```\n"), f"{ONE}:4: fence: this lesson has no host “db”. Its hosts: lab, client."),
    (ONE, body("```bash {run exit=256}\nls\n```\n"), f"{ONE}:4: fence: an exit code is a number from 0 to 255, not “256”."),
    (ONE, body("```bash {run exit=1 exit=2}\nls\n```\n"), f"{ONE}:4: fence: “exit” is given twice."),
    (ONE, body("```bash {run background exit=1}\nls\n```\n"), f"{ONE}:4: fence: a background block runs until it is stopped"),
    (ONE, body("```python {run}\nls\n```\n"), f"{ONE}:4: fence: a run block is “bash”, not “python”."),
    (ONE, body("```bash {run}\nls\npwd\n```\n"), f"{ONE}:4: fence: a run block is one command line, and this one has 2"),
    (ONE, body("```bash {run}\n```\n"), f"{ONE}:4: fence: a run block is one command line, and this one has 0"),
    (ONE, body("```bash {run}\necho\ta\n```\n"), f"{ONE}:4: fence: a command line cannot hold tabs"),
    (ONE, body("```bash {}\nls\n```\n"), f"{ONE}:4: fence: there is nothing between the braces"),
    (ONE, body("```bash run\nls\n```\n"), f"{ONE}:4: fence: “bash run” is not of the form LANGUAGE"),
    (ONE, body("```bash {expect}\nls\n```\n"), f"{ONE}:4: fence: expected output is “text”, not “bash”."),
    (ONE, body("```text {copy all}\nls\n```\n"), f"{ONE}:4: fence: “all” is not known for a copy block"),
    (ONE, body("```klingon\nls\n```\n"), f"{ONE}:4: fence: “klingon” is no language that can be coloured."),
    (ONE, body("```bash {run}\nls\n"), f"{ONE}:4: fence: “```” is never closed."),
    (ONE, body("Text.\n\n:::tip\nHm.\n:::\n"), f"{ONE}:6: directive: “:::tip” is not known. Known are: :::note, :::warning."),
    (ONE, body(":::note\nHm.\n"), f"{ONE}:4: directive: “:::note” is never closed"),
    (ONE, body("Text.\n\n:::\n"), f"{ONE}:6: directive: “:::” closes nothing."),
    (ONE, body("# Look\n"), f"{ONE}:4: heading: begin with “##”"),
    (ONE, body("A\n[b](javascript:alert(1)) c\n"), f"{ONE}:5: link: “javascript:alert(1)” is refused."),
    (ONE, body("![b](/static/a.png)\n"), f"{ONE}:4: picture: pictures are not supported"),
    (ONE, body("A\n`eth0`{cable} b\n"), f"{ONE}:5: name: “cable” is no kind of thing."),
    ("10-net/first/lesson.yaml", LOOK, "10-net/first:1: folder: has to be two digits"),
    ("20-more/module.yaml", MODULE, "20-more:1: folder: has no lessons in it"),
    ("20-more/20-first/lesson.yaml", LESSON, "20-more/20-first:1: folder: “first” is the name of another lesson:"),
    ("20-more/20-second/01-look.md", STEP, "20-more/20-second/lesson.yaml:1: file: is missing."),
    ("20-more/20-second/01-look.md", STEP, "20-more/module.yaml:1: file: is missing."),
]


@pytest.mark.parametrize(("file", "text", "said"), BROKEN, ids=[said for _, _, said in BROKEN])
def test_mistake_is_named_with_file_line_and_key(content, file, text, said):
    content.write(file, text)
    with pytest.raises(LessonError) as caught:
        load(content.root)
    assert any(str(mistake).startswith(f"{content.root}/{said}") for mistake in caught.value.mistakes), str(caught.value)


def test_all_mistakes_are_named_at_once(content):
    content.write("10-net/module.yaml", "title: Networks\n")
    content.write(YAML, LESSON.replace("minutes: 5", "minutes: five").replace("First steps", "Easy"))
    content.write("10-net/20-next/lesson.yaml", LESSON)
    with pytest.raises(LessonError) as caught:
        load(content.root)
    assert [mistake.key for mistake in caught.value.mistakes] == ["minutes", "level", "steps.0", "steps.1", "summary"]
    assert "5 mistakes" in caught.value.message and "lessons lint" in caught.value.what_to_do


def test_hosts_have_to_fit_in_a_layout(content):
    from netcontrol.models import Sandbox

    longest = ["a" * 15, "b" * 15, "c" * 15, "d" * 15]
    content.write(YAML, LESSON.replace("[lab, client]", f"[{', '.join(longest)}]"))
    assert len(load(content.root).lessons[0].layout) <= Sandbox._meta.get_field("layout").max_length


def test_missing_and_empty_folder(tmp_path):
    for root, says in ((tmp_path / "gone", "cannot be read: No such file or directory."), (tmp_path, "has no modules in it")):
        with pytest.raises(LessonError, match=says):
            load(root)


def test_order_numbers_and_names(content):
    content.write("20-more/module.yaml", MODULE)
    for folder in ("20-zebra", "30-ant"):
        content.write(f"20-more/{folder}/lesson.yaml", LESSON)
        content.write(f"20-more/{folder}/01-look.md", STEP)
        content.write(f"20-more/{folder}/02-touch.md", STEP)
    content.write("20-more/_draft/notes.txt", "not read")
    content.write("README.md", "not read")
    lessons = load(content.root)
    assert [(lesson.number, lesson.slug) for lesson in lessons.lessons] == [("1.1", "first"), ("2.1", "zebra"), ("2.2", "ant")]
    assert [module.slug for module in lessons.modules] == ["net", "more"]
    assert lessons.lesson("zebra").module == (2, "Networks") and lessons.lesson("tiger") is None
    first = lessons.lesson("first")
    assert first.layout == "lab,client"
    assert [step.title for step in first.steps] == ["Look", "Touch"]
    assert first.step(2).text.blocks[0].id == "first-2-1"
    assert first.step(0) is first.step(3) is None


def test_read_once_but_again_after_an_edit_while_debugging(content, settings):
    before = catalogue()
    content.write("10-net/module.yaml", MODULE.replace("Networks", "Wires"))
    assert catalogue() is before
    settings.DEBUG = True
    assert catalogue().modules[0].keys.title == "Wires"
    kept = catalogue()
    assert catalogue() is kept
    file = content.root / YAML
    os.utime(file, ns=(1, 1))
    assert catalogue() is not kept


def test_shipped_lessons_are_clean():
    shipped = load(Path(lab.BASE_DIR) / "lessons" / "content")
    assert shipped.lessons
    for lesson in shipped.lessons:
        assert all(step.text.blocks for step in lesson.steps), "each step has something to do"
        text = "".join(step.text.html() for step in lesson.steps)
        assert "!</p>" not in text and "evth" not in text


def test_the_guide_knows_every_key_and_word():
    from lessons import markdown, schema

    guide = (Path(lab.BASE_DIR) / "docs" / "writing-lessons.md").read_text()
    for word in (*schema.ModuleKeys.model_fields, *schema.LessonKeys.model_fields, *schema.KINDS, *markdown.WELL_KNOWN):
        assert f"`{word}`" in guide
    for word in ("{run}", "host=", "exit=", "background}", "{expect}", "{copy}", *(f":::{name}" for name in markdown.DIRECTIVES)):
        assert word in guide
    for level in ("First steps", "Some practice", "Demanding"):
        assert f"`{level}`" in guide
