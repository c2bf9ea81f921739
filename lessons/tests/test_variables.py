"""Values per student: stable, spread over all choices, filled into everything that a student gets."""
from collections import Counter

from lessons import variables
from lessons.loader import load
from lessons.schema import Script, VarKeys

NET, PORT = VarKeys(pick=["blue", "teal", "plum"]), VarKeys(number=[9000, 9009])


def test_the_same_student_gets_the_same_and_students_differ():
    given = [variables.assign({"NET": NET, "PORT": PORT}, "first", str(key)) for key in range(300)]
    assert given == [variables.assign({"NET": NET, "PORT": PORT}, "first", str(key)) for key in range(300)]
    nets, ports = Counter(values["NET"] for values in given), Counter(values["PORT"] for values in given)
    assert set(nets) == {"blue", "teal", "plum"} and min(nets.values()) > 60
    assert set(ports) == {str(port) for port in range(9000, 9010)}
    assert any(variables.assign({"NET": NET}, "second", str(key)) != variables.assign({"NET": NET}, "first", str(key)) for key in range(9))


def test_nobody_in_particular_gets_the_first():
    assert variables.assign({"NET": NET, "PORT": PORT}, "first", "") == {"NET": "blue", "PORT": "9000"}


def test_a_shells_own_variables_stay():
    assert variables.fill("${NET} ${HOME} $NET ${nope}", {"NET": "blue"}) == "blue ${HOME} $NET ${nope}"
    assert variables.unset("for i in 1 2; do read -r a; B=1; echo ${i}${a}${B}${HOME}${C}${NET}; done", {"NET": NET}) == ["C"]


def test_everything_that_a_student_gets_is_filled(content):
    content.write(
        "10-net/10-first/01-look.md",
        """\
---
title: On ${NET}
vars: {NET: {pick: [blue, teal]}, N: {number: [3, 3]}}
setup: docker network create ${NET}
checks:
  there: {docker.network: {name: "${NET}", labels: {n: "${N}"}}, hint: "See `${NET}`."}
  asked: {ask: "Is it ${NET}?", choices: ["${NET}", other], answer: "${NET}", why: "It is ${NET}."}
solve: {client: "echo ${NET} ${HOME}"}
wrong: [{run: "docker network rm ${NET}", fails: [there]}]
---
See `${NET}`.

```bash {run}
docker network inspect ${NET}
```
""",
    )
    source = load(content.root).modules[0].sources[0]
    lesson = next(lesson for key in range(99) if (lesson := source.filled(str(key))).values["NET"] == "teal")
    step, later = lesson.steps
    assert step.title == "On teal" and later.title == "Touch"
    assert step.setup == (Script("lab", "docker network create teal"),) and step.solve == (Script("client", "echo teal ${HOME}"),)
    assert step.wrong[0].run == (Script("lab", "docker network rm teal"),)
    there, asked = step.checks
    assert there.params.name == "teal" and there.params.labels == {"n": "3"} and there.hints == ("See `teal`.",) and "teal" in there.title
    assert (asked.title, asked.choices, asked.answer, asked.why) == ("Is it teal?", ("teal", "other"), ("teal",), "It is teal.")
    assert step.text.blocks[0].command == "docker network inspect teal" and "<code>teal</code>" in step.text.html()
    assert source.filled("", "en").steps[0].title == "On blue"


def test_a_variable_of_an_earlier_step_is_known_later_and_keeps_its_value(content):
    first, later = "10-net/10-first/01-look.md", "10-net/10-first/02-touch.md"
    content.write(first, "---\ntitle: A\nvars: {NET: {pick: [blue]}}\n---\nA\n")
    content.write(later, "---\ntitle: B ${NET}\n---\nIn ${NET}.\n")
    lesson = load(content.root).lessons[0]
    assert lesson.steps[1].title == "B blue" and "In blue." in lesson.steps[1].text.html()
    content.write(later, "---\ntitle: B\nvars: {NET: {pick: [teal]}}\n---\nB\n")
    assert "vars.NET: is a variable of an earlier step already" in str(load(content.root).mistakes[0])
    content.write(later, "---\ntitle: B\nvars: {LATE: {pick: [teal]}}\n---\nB\n")
    content.write(first, "---\ntitle: A\n---\nToo early: ${LATE}\n")
    assert [str(m).split(": ", 1)[1] for m in load(content.root).mistakes] == ["variable: ${LATE} is no variable of this lesson."]
