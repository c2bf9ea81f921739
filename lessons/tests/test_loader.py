import os
from pathlib import Path

import pytest
from django.conf import settings as lab

from lessons.loader import catalogue, load
from lessons.tests.conftest import LESSON, MODULE, STEP

YAML, ONE, TWO = "10-net/10-first/lesson.yaml", "10-net/10-first/01-look.md", "10-net/10-first/02-touch.md"
LOOK = LESSON.replace("[lab, client]", "[lab]")


def body(text: str) -> str:
    return f"---\ntitle: Look\n---\n{text}"


def front(keys: str) -> str:
    return f"---\ntitle: Look\n{keys}\n---\nLook.\n"


CHECKED = """\
---
title: Look
checks:
  a: {docker.network: {name: blue}, needs: [b]}
  b: {run: "true", why: No., title: B}
solve: ip link
wrong: [{run: ip link, fails: [a]}]
---
"""
QUIZ = ":::quiz\nUp?\n\n- [ ] Yes\n- [x] No\n\nBecause.\n:::\n"


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
    ("10-net/module.yaml", "title: &a Networks\nsummary: *a\n", "10-net/module.yaml:1: YAML: “&a” is an alias, which a lesson cannot have"),
    ("10-net/module.yaml", "title: Networks\nsummary: *a\n", "10-net/module.yaml:2: YAML: “*a” is an alias, which a lesson cannot have"),
    ("10-net/module.yaml", "title: !!python/name:os.system\n", "10-net/module.yaml:1: YAML: “tag:yaml.org,2002:python/name:os.system” is a tag, which a lesson cannot have"),
    ("10-net/module.yaml", "title: !!int ''\n", "10-net/module.yaml:1: YAML: “tag:yaml.org,2002:int” is a tag"),
    ("10-net/module.yaml", "title: " + "[" * 9000 + "\n", "10-net/module.yaml:1: YAML: is nested deeper than the 16 levels"),
    ("10-net/module.yaml", "# " + "x" * 33_000 + "\n", "10-net/module.yaml:1: file: is larger than 32 KiB."),
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
    (ONE, "---\nname: Look\n---\n", f"{ONE}:2: name: is not known here. Known are: title, vars, setup, hold, show, checks, solve, wrong."),
    (ONE, front("sovle: rm"), f"{ONE}:3: sovle: is not known here."),
    (ONE, front("checks: {a: {run: 'true', title: x, why: y}, a: {run: 'true', title: x, why: y}}"), f"{ONE}:3: YAML: found duplicate key"),
    (ONE, front("checks: {a: {docker.network: {nmae: x}}}"), f"{ONE}:3: checks.a.docker.network.nmae: is not known here. Known are: name, exists"),
    (ONE, front("checks: {a: {docker.network: {}}}"), f"{ONE}:3: checks.a.docker.network.name: is missing."),
    (ONE, front("checks: {a: {dokcer.network: {name: x}}}"), f"{ONE}:3: checks.a.dokcer.network: is not known here. Known are: title, hint"),
    (ONE, front("checks: {a: {title: x}}"), f"{ONE}:3: checks.a: says nothing to check: it needs one of run, ask, docker.container"),
    (ONE, front("checks: {a: {run: 'true', title: x, why: y, ask: z}}"), f"{ONE}:3: checks.a: is run and ask at once"),
    (ONE, front("checks: {a: {run: 'true', title: x}}"), f"{ONE}:3: checks.a: a “run” check has to say its why."),
    (ONE, front("checks: {a: {run: 'true', why: x}}"), f"{ONE}:3: checks.a: a “run” check has to say its title."),
    (ONE, front("checks: {a: {ask: x, why: y}}"), f"{ONE}:3: checks.a: a “ask” check has to say its answer."),
    (ONE, front("checks: {a: {run: 'true', title: x, why: y, answer: z}}"), f"{ONE}:3: checks.a: “answer” means nothing in a “run” check."),
    (ONE, front("checks: {a: {ask: x, choices: [u, v], answer: w, why: y}}"), f"{ONE}:3: checks.a.answer: has to be one of the choices"),
    (ONE, front("checks: {Ab: {ask: x, answer: w, why: y}}"), f"{ONE}:3: checks.Ab: “Ab” is no name of a check"),
    (ONE, CHECKED.replace("needs: [b]", "needs: [c]"), f"{ONE}:4: checks.a.needs.0: there is no check “c” in this step. There are: a, b."),
    (ONE, CHECKED.replace("title: B", "title: B, needs: a"), f"{ONE}:4: checks.a.needs: waits for itself"),
    (ONE, CHECKED.replace("title: B", "title: B, host: db"), f"{ONE}:5: checks.b.host: this lesson has no host “db”."),
    (ONE, CHECKED.replace("fails: [a]", "fails: [c]"), f"{ONE}:7: wrong.0.fails: there is no check “c” in this step."),
    (ONE, CHECKED.replace("run: ip link, ", ""), f"{ONE}:7: wrong.0: does nothing: it needs “run” or “answers”."),
    (ONE, CHECKED.replace("run: ip link", "answers: {a: x}"), f"{ONE}:7: wrong.0.answers: “a” asks nothing."),
    (ONE, CHECKED.replace("solve: ip link", "solve: ping 10.0.0.1"), f"{ONE}:6: solve: “ping” never ends here"),
    (ONE, CHECKED.replace("solve: ip link", "solve: |\n  ip link\n  while true; do :; done"), f"{ONE}:6: solve: “while true” never ends here"),
    (ONE, CHECKED.replace("solve: ip link", "solve: {db: ip link}"), f"{ONE}:6: solve: this lesson has no host “db”."),
    (ONE, CHECKED.replace("solve: ip link", "solve: 5"), f"{ONE}:6: solve: has to be shell lines"),
    (ONE, CHECKED.replace("solve: ip link", "solve: ip link add ${NAME}"), f"{ONE}:6: solve: ${{NAME}} is no variable of this lesson, and the script does not set it."),
    (ONE, CHECKED.replace("solve: ip link\n", ""), f"{ONE}:2: solve: is missing: a lesson proves that its checks can pass."),
    (ONE, CHECKED.replace("name: blue", "name: '${NET}'"), f"{ONE}:4: checks.a.docker.network: ${{NET}} is no variable of this lesson."),
    (ONE, front("solve: ip link"), f"{ONE}:3: solve: is proved by nothing: a check belongs here that it makes pass."),
    (ONE, front("hold: true"), f"{ONE}:3: hold: there is no check to wait for."),
    (ONE, front("checks:\n  a:\n    reach.predicted: {between: [lab]}"), f"{ONE}:5: checks.a.reach.predicted.between: List should have at least 2 items"),
    (ONE, front("checks:\n  a:\n    reach.predicted: {between: [lab, db/web]}"), f"{ONE}:5: checks.a.reach.predicted.between.1: this lesson has no host “db”."),
    (ONE, front("checks:\n  a:\n    reach.predicted: {between: [lab, '${WEB}']}"), f"{ONE}:5: checks.a.reach.predicted: ${{WEB}} is no variable of this lesson."),
    (ONE, front("checks:\n  a:\n    reach.predicted: {between: [lab, lab]}"), f"{ONE}:5: checks.a.reach.predicted: “lab” is there twice."),
    (ONE, front("checks:\n  a:\n    reach.predicted: {between: [lab, web], how: icmp}"), f"{ONE}:5: checks.a.reach.predicted.how: “icmp” is no way to reach"),
    (ONE, front("checks:\n  a: {guard: true, reach.predicted: {between: [lab, web]}}"), f"{ONE}:4: checks.a: “guard” means nothing in a “reach.predicted” check."),
    (ONE, front("checks:\n  a: {reach.predicted: {between: [lab, web]}}\nwrong:\n  - answers: {a: all}\n    fails: [a]"), f"{ONE}:6: wrong.0.answers.a: has to be a row of 2 signs for each of lab, web"),
    (ONE, front("show: {}"), f"{ONE}:3: show: shows nothing: it needs “things”, “view”, “follow” or “reach”."),
    (ONE, front("show: {thing: docker0}"), f"{ONE}:3: show.thing: is not known here. Known are: things, view, follow, reach."),
    (ONE, front("show:\n  view: map"), f"{ONE}:4: show.view: “map” is not one of 'picture', 'text'"),
    (ONE, front("show:\n  things: [docker0, 'a b']"), f"{ONE}:4: show.things.1: “a b” does not have the form"),
    (ONE, front("show:\n  things: [docker0, db/docker0]"), f"{ONE}:4: show.things.1: this lesson has no host “db”."),
    (ONE, front("show:\n  things: '${NET}'"), f"{ONE}:4: show.things.0: ${{NET}} is no variable of this lesson."),
    (ONE, front("show:\n  view: picture\n  reach: {who: [a, b]}"), f"{ONE}:3: show: “reach” is shown in the view “reach”."),
    (ONE, front("show:\n  reach:\n    who: [a]"), f"{ONE}:5: show.reach.who: List should have at least 2 items"),
    (ONE, front("show:\n  reach:\n    who: [a, b, a]"), f"{ONE}:5: show.reach.who.2: “a” is listed twice."),
    (ONE, front("show:\n  reach: {who: [a, b], how: udp}"), f"{ONE}:4: show.reach.how: “udp” is no way to reach: ping, name and tcp:80 are some."),
    (ONE, front("show:\n  reach: {who: [a, b], how: 'tcp:${PORT}'}"), f"{ONE}:4: show.reach.how: ${{PORT}} is no variable of this lesson."),
    (ONE, front("show:\n  follow: {from: a, to: b, protocol: tcp}"), f"{ONE}:4: show.follow: “tcp” needs a port."),
    (ONE, front("show:\n  follow: {from: a, to: b, port: 80}"), f"{ONE}:4: show.follow: “icmp” has no ports."),
    (ONE, front("show:\n  follow: {from: a, to: a}"), f"{ONE}:4: show.follow.to: “a” is where the packet comes from."),
    (ONE, front("vars: {net: {pick: [a]}}"), f"{ONE}:3: vars.net: “net” is no name of a variable"),
    (ONE, front("vars: {NET: {}}"), f"{ONE}:3: vars.NET: is either {{pick: [some, values]}} or {{number: [from, to]}}."),
    (ONE, front("vars: {NET: {number: [9, 1]}}"), f"{ONE}:3: vars.NET: ends before it begins."),
    (ONE, body("In ${NET}.\n"), f"{ONE}:4: variable: ${{NET}} is no variable of this lesson."),
    (ONE, body("<script>x</script>\n"), f"{ONE}:4: HTML: “<script>x</script>” is HTML, which is shown as text."),
    (ONE, body("A\nb <b>c</b>\n"), f"{ONE}:5: HTML: “<b>” is HTML, which is shown as text."),
    (ONE, body(QUIZ.replace("[x]", "[ ]")), f"{ONE}:4: quiz: has 0 right options: mark just one with “[x] ”."),
    (ONE, body(QUIZ.replace("- [ ] Yes\n", "")), f"{ONE}:4: quiz: has 1 options"),
    (ONE, body(QUIZ.replace("[ ] Yes", "Yes")), f"{ONE}:7: quiz: an option begins with “[ ] ”"),
    (ONE, body(QUIZ.replace("Because.\n", "")), f"{ONE}:4: quiz: does not say why"),
    (ONE, body(QUIZ.replace("Up?\n", "")), f"{ONE}:4: quiz: has no question"),
    (YAML, LESSON.replace("[tomcat]", "[tomcat, apache]"), f"{YAML}:6: images.1: there is no image “apache” in the lab's store. It has: busybox, busybox:1.37"),
    (YAML, LESSON.replace("02-touch.md", "02-look.md"), f"{YAML}:9: steps.1: “02-look.md” has the name of 01-look.md"),
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
    (ONE, body("Text.\n\n:::tip\nHm.\n:::\n"), f"{ONE}:6: directive: “:::tip” is not known. Known are: :::note, :::warning, :::hint, :::quiz."),
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
    found = load(content.root).mistakes
    assert any(str(mistake).startswith(f"{content.root}/{said}") for mistake in found), "\n".join(map(str, found))


def test_all_mistakes_are_named_at_once(content):
    content.write("10-net/module.yaml", "title: Networks\n")
    content.write(YAML, LESSON.replace("minutes: 5", "minutes: five").replace("First steps", "Easy"))
    content.write("10-net/20-next/lesson.yaml", LESSON)
    assert [mistake.key for mistake in load(content.root).mistakes] == ["minutes", "level", "steps.0", "steps.1", "summary"]


def test_a_lesson_with_a_mistake_is_left_out_and_the_others_are_taught(content):
    for folder in ("20-second", "30-third"):
        content.write(f"10-net/{folder}/lesson.yaml", LESSON)
        content.write(f"10-net/{folder}/01-look.md", STEP)
        content.write(f"10-net/{folder}/02-touch.md", STEP)
    content.write("10-net/20-second/02-touch.md", STEP.replace("title", "name"))
    found = load(content.root)
    assert [(lesson.number, lesson.slug) for lesson in found.lessons] == [("1.1", "first"), ("1.2", "third")]
    assert found.left_out == 1 and found.mistakes


def test_hosts_have_to_fit_in_a_layout(content):
    from netcontrol.models import Sandbox

    longest = ["a" * 15, "b" * 15, "c" * 15, "d" * 15]
    content.write(YAML, LESSON.replace("[lab, client]", f"[{', '.join(longest)}]"))
    assert len(load(content.root).lessons[0].layout) <= Sandbox._meta.get_field("layout").max_length


def test_missing_and_empty_folder(tmp_path):
    for root, says in ((tmp_path / "gone", "cannot be read: No such file or directory."), (tmp_path, "has no modules in it")):
        found = load(root)
        assert found.lessons == () and [says in str(mistake) for mistake in found.mistakes] == [True]


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
    assert shipped.lessons and not shipped.mistakes


def test_the_guide_knows_every_key_and_word():
    from lessons import markdown, schema
    from lessons.checks import TYPES

    guide = (Path(lab.BASE_DIR) / "docs" / "writing-lessons.md").read_text()
    for word in (*schema.Titles.model_fields, *schema.LessonKeys.model_fields, *schema.StepKeys.model_fields, *schema.CheckBase.model_fields, *TYPES, *schema.KINDS, *markdown.WELL_KNOWN):
        assert f"`{word}`" in guide
    for check in TYPES.values():
        for name, field in check.Params.model_fields.items():
            assert f"`{field.alias or name}`" in guide or f"`{field.alias or name}:" in guide, f"{check.name}: {name}"
    for word in ("{run}", "host=", "exit=", "background}", "{expect}", "{copy}", *(f":::{name}" for name in markdown.DIRECTIVES)):
        assert word in guide
    for level in ("First steps", "Some practice", "Demanding"):
        assert f"`{level}`" in guide


def test_what_a_link_leads_to_is_no_lesson(content, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (content.root / "10-net").rename(elsewhere)
    (content.root / "10-net").symlink_to(elsewhere)
    (content.root / "20-net").mkdir()
    (content.root / "20-net/module.yaml").symlink_to(elsewhere / "module.yaml")
    (content.root / "20-net/10-first").symlink_to(elsewhere / "10-first")
    found = load(content.root)
    assert not found.modules
    assert sorted(str(mistake).removeprefix(f"{content.root}/") for mistake in found.mistakes if "is a link" in mistake.sentence) == [
        f"{name}:1: file: is a link, which is not followed: put there what it leads to." for name in ("10-net", "20-net/10-first", "20-net/module.yaml")
    ]


def test_what_is_no_file_is_not_waited_for(content):
    (content.root / ONE).unlink()
    os.mkfifo(content.root / ONE)
    (content.root / "10-net/module.yaml").unlink()
    os.mkfifo(content.root / "10-net/module.yaml")
    assert "10-net/module.yaml:1: file: is no file." in "\n".join(map(str, load(content.root).mistakes))
