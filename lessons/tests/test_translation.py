"""A lesson in another language: the same steps, commands, checks and quizzes; only prose differs, and lint sees to it."""
import pytest

from lessons.loader import load

PLACE = "10-net/10-first/i18n/zh-hans"
STEP = """\
---
title: Look
checks:
  there: {docker.network: {name: blue}, hint: "Look at `docker network ls`."}
  which: {ask: "Which?", choices: [eth0, docker0], answer: docker0, why: "Look again."}
  lines: {run: "true", title: It is, why: It is not.}
solve: docker network create blue
---
Text with `docker0`.

:::quiz
Up?

- [ ] Yes
- [x] No

Because.
:::

```bash {run}
ip addr
```

```yaml {copy}
a: 1
```
"""
THEIRS = """\
---
title: 看
checks:
  there: {hint: "看 `docker network ls`。"}
  which: {ask: "哪一个？", choices: [网卡, 网桥], why: "再看一次。"}
  lines: {title: 是, why: 不是。}
---
有 `docker0`。

:::quiz
开着吗？

- [ ] 是
- [x] 不是

因为。
:::

```bash {run}
ip addr
```

```yaml {copy}
a: 1
```
"""
TOUCH = "---\ntitle: 碰\n---\n文字。\n\n```bash {run}\nip addr\n```\n"


@pytest.fixture
def translated(content):
    content.write("10-net/10-first/01-look.md", STEP)
    content.write("10-net/i18n/zh-hans/module.yaml", "title: 网络\nsummary: 怎样工作。\n")
    content.write(f"{PLACE}/lesson.yaml", "title: 第一课\nsummary: 有什么。\n")
    content.write(f"{PLACE}/01-look.md", THEIRS)
    content.write(f"{PLACE}/02-touch.md", TOUCH)
    return content


def test_prose_is_theirs_and_everything_else_the_originals(translated):
    found = load(translated.root)
    assert found.mistakes == ()
    module = found.modules[0]
    assert module.words("zh-hans").title == "网络" and module.words("en").title == "Networks"
    lesson, original = found.lesson("first", "7", "zh-hans"), found.lesson("first", "7")
    assert (lesson.title, lesson.summary, lesson.module, lesson.language) == ("第一课", "有什么。", (1, "网络"), "zh-hans")
    step, english = lesson.steps[0], original.steps[0]
    assert step.title == "看" and "有 <code" in step.text.html() and step.text.blocks == english.text.blocks
    assert step.solve == english.solve and [check.params for check in step.checks] == [check.params for check in english.checks]
    there, which, lines = step.checks
    assert there.hints == ("看 `docker network ls`。",)
    assert (which.ask, which.choices, which.answer, which.why) == ("哪一个？", ("网卡", "网桥"), ("网桥",), "再看一次。")
    assert (lines.title, lines.why, lines.run) == ("是", "不是。", "true")
    assert step.text.quizzes[0].options == ["是", "不是"] and step.text.quizzes[0].correct == english.text.quizzes[0].correct


def test_without_a_translation_it_is_english(content):
    lesson = load(content.root).lesson("first", "", "zh-hans")
    assert (lesson.title, lesson.language, lesson.steps[0].title) == ("First", "en", "Look")


BROKEN = [
    ("01-look.md", THEIRS.replace("ip addr", "ip address"), "01-look.md:19: fence: `ip address` is `ip addr` in the original."),
    ("01-look.md", THEIRS.replace("bash {run}", "bash {run exit=1}"), "01-look.md:19: fence: `ip addr` is `ip addr` in the original."),
    ("01-look.md", THEIRS.replace("a: 1\n", "a: 2\n"), "01-look.md:8: fence: a listing to copy differs"),
    ("01-look.md", THEIRS.replace("- [ ] 是\n- [x] 不是", "- [x] 是\n- [ ] 不是"), "01-look.md:8: quiz: 1 has other options than the original, or another right one."),
    ("01-look.md", THEIRS.split(":::quiz")[0] + "```bash {run}\nip addr\n```\n\n```yaml {copy}\na: 1\n```\n", "01-look.md:8: text: has 0 quizzes, and the original 1."),
    ("01-look.md", THEIRS.replace('hint: "看 `docker network ls`。"', ""), "01-look.md:4: checks.there.hint: is missing."),
    ("01-look.md", THEIRS.replace("choices: [网卡, 网桥]", "choices: [网卡, 网桥, 线]"), "01-look.md:5: checks.which.choices: has 3 lines, and the original 2."),
    ("01-look.md", THEIRS.replace("  lines:", "  words:"), "01-look.md:6: checks.words: there is no check “words” in the original."),
    ("01-look.md", THEIRS.replace("{title: 是,", "{title: 是, run: 'true',"), "01-look.md:6: checks.lines.run: is not known here. Known are: title, hint, why, ask, choices."),
    ("01-look.md", THEIRS.replace("title: 看\n", "title: 看\nsolve: rm\n"), "01-look.md:3: solve: is not known here. Known are: title, checks."),
    ("01-look.md", THEIRS.replace("因为。", "因为 <b>。"), "HTML: “<b>” is HTML"),
    ("03-more.md", TOUCH, "03-more.md:1: file: is not listed under steps in lesson.yaml."),
    ("lesson.yaml", "title: x\n", "lesson.yaml:1: summary: is missing."),
]


@pytest.mark.parametrize(("file", "text", "said"), BROKEN, ids=[said for _, _, said in BROKEN])
def test_what_differs_from_the_original_is_named_and_the_lesson_stays_in_english(translated, file, text, said):
    translated.write(f"{PLACE}/{file}", text)
    found = load(translated.root)
    assert any(said in str(mistake) and f"{translated.root}/{PLACE}/" in str(mistake) for mistake in found.mistakes), "\n".join(map(str, found.mistakes))
    assert found.lesson("first", "", "zh-hans").language == "en", "a half translated lesson is not shown"


def test_a_file_that_is_missing_and_a_language_that_is_not_there(translated):
    (translated.root / PLACE / "02-touch.md").unlink()
    translated.write("10-net/10-first/i18n/klingon/lesson.yaml", "title: x\nsummary: y\n")
    said = "\n".join(map(str, load(translated.root).mistakes))
    assert "02-touch.md:1: file: is missing." in said and "klingon:1: folder: “klingon” is no language of this lab. It has: zh-hans." in said
