"""Write a lesson that harms who reads it.

A hostile lesson stands beside a good one in a folder of its own, and what the product makes of it is opened in a real Chromium, without the policy
that would stop script anyway. What could stop the lab itself is read in a process of its own. Must not know sandboxes: no lab runs.
"""
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.template import Context, Template
from django.test import Client

from lessons import markdown
from lessons.loader import catalogue

from .catalogue import BASE, control, lesson

MARKDOWN, LOADER, DOCUMENTS = "lessons/markdown.py", "lessons/loader.py", "lessons/documents.py"
MODULE = "title: Networks\nsummary: How they work.\n"
LESSON = "title: {title}\nsummary: {summary}\nminutes: 5\nlevel: First steps\nsteps: [10-look.md]\nnames: {{{name}: container}}\n"
GOOD = {"title": "Good", "summary": "What there is.", "name": "web"}
STEP = """\
---
title: {step}
vars: {{NET: {{pick: [{value}]}}}}
show: {{things: [{thing}]}}
checks:
  a: {{run: "true", title: {check}, hint: {hint}, why: {why}}}
  b: {{ask: {ask}, choices: [{choice}, other], answer: other, why: {why}}}
solve: "true"
---
{body} `${{NET}}` `{code}`

:::note {directive}
Text.
:::

:::quiz
{question}

- [ ] {option}
- [x] other

{because}
:::

```text {{expect}}
{listing}
```

```bash {{run}}
{command}
```
"""
PLACES = {"step": "Look", "value": "blue", "thing": "web", "check": "There", "hint": "Look", "why": "No", "ask": "Which", "choice": "one", "body": "Text", "code": "x",
          "directive": "Note", "question": "Will it", "option": "Yes", "because": "So", "listing": "x", "command": "ls"}  # fmt: skip
QUOTED = ("step", "value", "thing", "check", "hint", "why", "ask", "choice", "title", "summary", "name")  # stand in YAML
SCRIPTS = [
    "<img src=x onerror=pwned()>",
    "<script>pwned()</script>",
    "<svg/onload=pwned()>",
    "</script><script>pwned()</script>",
    "</title></textarea></code></pre><svg/onload=pwned()>",
    "x\" onfocus=\"pwned()\" autofocus tabindex=\"1",
    "x' onmouseover='pwned()' style='position:fixed;inset:0",
    "<details open ontoggle=pwned()>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "<base href=//evil.test/>",
    "<meta http-equiv=refresh content='0;url=//evil.test/'>",
    "<!--><svg/onload=pwned()>-->",
    "&lt;img src=x onerror=pwned()&gt;",
    "&#60;svg/onload=pwned()&#62;",
]
# What no page of a lesson may hold: elements and attributes that run script or lead elsewhere.
BAD = """(pages) => pages.map((html) => new DOMParser().parseFromString(html, 'text/html')).concat(document).flatMap((page) =>
  [...page.querySelectorAll('body *, base, meta[http-equiv]')].flatMap((node) =>
    [...(node.matches('script:not([type="application/json"]):not([src]), iframe, object, embed, base, meta[http-equiv], style, form[action*="evil.test"]') ? [node.outerHTML] : []),
     ...[...node.attributes].filter(({ name, value }) => name.startsWith('on') || name === 'style' && node.closest('article')
         || /^(href|src|action|formaction|xlink:href)$/.test(name) && !/^(https?:\\/\\/(?!evil)|mailto:|\\/(?![\\/\\\\])|#|data:image\\/svg)/i.test(value)).map((a) => node.tagName + ' ' + a.name + '=' + a.value)]))"""


@pytest.fixture
def shelf(tmp_path, settings, plain_static):
    """A folder with a good lesson, to which an attack adds one."""
    settings.LESSONS_DIR = settings.BASE_DIR = tmp_path
    return Shelf(tmp_path)


class Shelf:
    def __init__(self, root: Path):
        self.root = root
        self.write("10-net/module.yaml", MODULE)
        self.teach("10-good")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def teach(self, folder: str, **said: str) -> None:
        """A lesson that says this in these places, whatever else it must say."""
        quoted = {place: json.dumps(text) if place in QUOTED else text for place, text in {**GOOD, **PLACES, **said}.items()}
        self.write(f"10-net/{folder}/lesson.yaml", LESSON.format(**quoted))
        self.write(f"10-net/{folder}/10-look.md", STEP.format(**quoted))


@pytest.fixture(scope="module")
def browser_page(chromium):
    """Of a browser that says when script of a lesson ran, and whom it asked for something."""
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.ran, page.asked = [], []
    page.expose_function("pwned", lambda *_: page.ran.append("script"))
    page.on("request", lambda request: page.asked.append(request.url) if "evil.test" in request.url else None)
    yield page
    context.close()


def harm(page, *pages: str) -> list[str]:
    """What these pages hold that they may not, and what the last one does to a browser that has no policy against it."""
    page.ran.clear(), page.asked.clear()
    page.goto("about:blank")
    page.set_content(pages[-1], wait_until="domcontentloaded")
    page.mouse.move(200, 200)
    page.keyboard.press("Tab")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return [*page.ran, *page.asked, *page.evaluate(BAD, list(pages))]


def pages(*addresses: str) -> list[str]:
    """As a visitor gets them. In a thread of its own: the browser's driver has an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(lambda: [Client().get(address) for address in addresses]).result(60)
    return [answer.content.decode() for answer in answers if answer.status_code == 200]


def in_portions(texts: list[str], most: int) -> list[str]:
    """All of these, as few of which as go into so many characters behind one another."""
    portions = [""]
    for text in (text for text in texts if len(text) <= most):
        if len(portions[-1]) + len(text) >= most:
            portions.append("")
        portions[-1] = f"{portions[-1]} {text}".strip()
    return portions


def rendered(text: str) -> list[str]:
    """What comes out of a text although there are mistakes in it: as a line, and as a whole."""
    whole = markdown.read(text, file="s.md", first_line=1, block_prefix="x-1", hosts=["lab"], names={}, mistakes=[])
    quizzes = [part for quiz in whole.quizzes for part in (quiz.question, *quiz.options, quiz.explanation)]
    return [whole.html(), markdown.inline(text), *quizzes]


# In the browser of who reads it

@control("the same texts where nothing makes them harmless")
@pytest.mark.browser
def a_browser_runs_script(browser_page):
    assert "script" in harm(browser_page, f"<article>{SCRIPTS[0]}</article>")
    assert harm(browser_page, "<article><a href='javascript:pwned()'>x</a></article>", "") == ["A href=javascript:pwned()"]
    assert harm(browser_page, "<img src=https://evil.test/a.png>")


@lesson("puts script into any text of a lesson: titles, prose, hints, questions, listings, values", holds="raw HTML is a mistake and shown as text; templates escape; what a page is told as JSON cannot end its element", at=f"{MARKDOWN}:html_block", seen="Chromium without a policy: nothing ran, and the page holds no such element")
@pytest.mark.browser
@pytest.mark.parametrize("place", [*PLACES, "title", "summary", "name"])
def script_in_a_text(shelf, browser_page, place):
    portions = in_portions(SCRIPTS, 60 if place in ("value", "name") else 290 if place in QUOTED else 9000)
    for n, portion in enumerate(portions):
        shelf.teach(f"{30 + n}-evil-{n}", **{place: portion})
    taught = {found.slug for found in catalogue().lessons}
    refused = {mistake.file.split("/")[1] for mistake in catalogue().mistakes}
    assert "good" in taught and len(refused) + len(taught) == len(portions) + 1, "each is shown, or refused by name"
    assert harm(browser_page, *pages("/", *(f"/lessons/{slug}/1/" for slug in sorted(taught, reverse=True)))) == []


@lesson("puts script into Markdown that lint refuses, in case it is shown all the same", holds="the writer has no rule that lets HTML through", at=f"{MARKDOWN}:add_render_rule", seen="Chromium without a policy: nothing ran")
@pytest.mark.browser
@pytest.mark.parametrize("around", ["{}", "# {}", "> {}", "- {}", "| a |\n|---|\n| {} |", "[{}](/x)", "[x](/x \"{}\")", "![{}](https://evil.test/x.png)", "`{}`", "```\n{}\n```", "```{}\nx\n```", ":::hint {}\nx\n:::", ":::{}\nx\n:::", ":::quiz\n{0}\n\n- [ ] {0}\n- [x] b\n\n{0}\n:::"])
def script_in_markdown(browser_page, around):
    parts = [f"<article>{html}</article>" for script in SCRIPTS for html in rendered(around.format(script))]
    assert harm(browser_page, *parts, "".join(parts)) == []


@lesson("makes a link that runs script, or looks like a page of the lab and leads elsewhere", holds="a link begins with https://, http://, mailto:, / or #, after what a browser would make of it", at=f"{MARKDOWN}:_LINK", seen="Chromium: where each link would lead")
@pytest.mark.browser
@pytest.mark.parametrize("form", ["[a]({})", "[a](<{}>)", "[a]\n\n[a]: {}", "<{}>", "[a]( {} )", "![a]({})"])
def links(browser_page, form):
    for url in ["javascript:pwned()", "JAVASCRIPT:pwned()", "java\\script:pwned()", "&#106;avascript:pwned()", "java&Tab;script:pwned()", "java&#10;script:pwned()", "&#1;javascript:pwned()",
                "data:text/html,<script>pwned()</script>", "vbscript:x", "blob:x", "file:///etc/passwd", "//evil.test", "/\\evil.test", "/&#9;/evil.test", "\\\\evil.test", "http:evil", "view-source:x"]:  # fmt: skip
        html = "".join(rendered(form.format(url)))
        browser_page.set_content(f"<base href='https://lab.test/lessons/x/1/'><article>{html}</article>")
        for leads in browser_page.evaluate("[...document.querySelectorAll('a, img')].map((node) => node.href ?? node.src)"):
            assert leads.startswith(("https://lab.test/", "mailto:", "http://evil/")), (url, leads)  # `http:evil` is an address of the web like another


@lesson("has readers' browsers ask another site for a picture", holds="pictures are a mistake, and shown as words; img-src is the lab's own", at=f"{MARKDOWN}:image", seen="Chromium: nothing was asked for")
@pytest.mark.browser
def a_picture(browser_page):
    for text in ("![a](https://evil.test/a.png)", "![a][b]\n\n[b]: https://evil.test/a.png", "[![a](https://evil.test/a.png)](/x)"):
        assert harm(browser_page, "".join(rendered(text))) == []


@lesson("writes code of the page's templates", holds="texts are values of templates, never templates", at="lessons/lesson.py:SafeString", seen="the page: it says the code, not its result")
@pytest.mark.parametrize("place", ["title", "step", "body", "hint", "ask", "listing", "command"])
def template_code(shelf, place):
    shelf.teach("20-evil", **{place: "{{ 7777|add:1111 }}{{ settings.SECRET_KEY }}{{ request.user }}"})
    said = "".join([*pages("/lessons/evil/1/", "/"), *rendered("{{ 7777|add:1111 }}")])
    assert "7777|add:1111" in said and "8888" not in said and Template("{{ 7777|add:1111 }}").render(Context()) == "8888"


# In the lab that reads it

BOMBS = {
    "aliases": "title: A\n" + "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}' if n else 'x'] * 9)}]\n" for n in range(12)),
    "itself": "title: &a [*a]\n",
    "deep-flow": "title: " + "[" * 30_000,
    "deep-maps": "title: " + "{a: " * 7_000,
    "deep-lists": "title: " + "\n" + "".join(" " * n + "-\n" for n in range(240)),
    "python": "title: !!python/object/apply:os.system [touch pwned]\n",
    "tag": "title: !!bool x\n",
    "digits": "title: " + "9" * 30_000 + "\n",
    "many": "".join(f"k{n}: 1\n" for n in range(600)),
    "large": "title: " + "x" * 4_000_000,
    "control": "title: \x00\x1b\n",
}
TEXTS = {
    "brackets": "[" * 15_000, "pictures": "![" * 7_000, "emphasis": "*a_" * 5_000, "ticks": "".join("`" * n + " " for n in range(1, 240)), "quotes": "> " * 15_000,
    "tables": "|a" * 20 + "\n" + "|-" * 20 + "\n" + "|\n" * 4_000, "comments": "<!--" * 7_000, "references": "".join(f"[a{n}]: /x\n" for n in range(2_000)), "quizzes": ":::quiz\n" * 1_000,
    "directives": "".join(":" * (230 - n) + "note\n" for n in range(220)), "entities": "&#x" * 10_000, "endless": "```bash {run}\ndocker exec " + "-a " * 10_000 + "\n```",
}  # fmt: skip
SECONDS, MEMORY = 60, 1024**3
READER = """
import django, json
django.setup()
from lessons.loader import catalogue
print(json.dumps({"taught": [lesson.slug for lesson in catalogue().lessons], "mistakes": [[m.file, m.sentence] for m in catalogue().mistakes]}))
"""


@dataclass
class Read:
    """What the product made of a folder."""

    root: Path
    taught: list[str]
    mistakes: list[tuple[str, str]]  # file, sentence

    def refused(self, folder: str) -> list[str]:
        """The sentences about this folder, whose lesson is not taught."""
        assert folder[3:] not in self.taught
        return [sentence for file, sentence in self.mistakes if f"/{folder}/" in f"{file}/"]


@pytest.fixture(scope="module")
def read_apart(tmp_path_factory) -> Read:
    """All of these in one folder, read in a process with little memory and time."""
    shelf = Shelf(tmp_path_factory.mktemp("bombs"))
    for name, text in BOMBS.items():
        shelf.write(f"10-net/20-{name}/lesson.yaml", text)
        shelf.teach(f"30-in-{name}")
        shelf.write(f"10-net/30-in-{name}/10-look.md", f"---\n{text}\n---\nText.\n")
    for name, text in TEXTS.items():
        shelf.teach(f"40-{name}", body=f"Text.\n\n{text}\n\n")
    shelf.write("secret", "title: machine-secret\nsummary: of-the-machine\n")
    for name, leads in {"out": "../../secret", "machine": "/etc/hostname", "endless": "/dev/zero", "loop": "lesson.yaml"}.items():
        (shelf.root / f"10-net/50-{name}-link").mkdir()
        (shelf.root / f"10-net/50-{name}-link/lesson.yaml").symlink_to(leads)
    (shelf.root / "10-net/50-pipe").mkdir()
    os.mkfifo(shelf.root / "10-net/50-pipe/lesson.yaml")
    (shelf.root / "20-machine").symlink_to("/etc")
    limits = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # noqa: E731
    env = {**os.environ, "PATCHBAY_LESSONS": str(shelf.root), "PYTHONPATH": str(BASE), "DJANGO_SETTINGS_MODULE": "labsite.settings"}
    done = subprocess.run([sys.executable, "-c", READER], cwd=shelf.root, env=env, preexec_fn=limits, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return Read(shelf.root, **json.loads(done.stdout))


@control("a good lesson beside them")
def a_good_lesson_is_taught(read_apart):
    assert "good" in read_apart.taught


@lesson("fills the lab's memory or time with a few lines of YAML: aliases of aliases, itself in itself, thousands of levels, endless digits, megabytes", holds="32 KiB a file; no aliases; 16 levels; a lesson with a mistake is left out", at=f"{DOCUMENTS}:DEPTH", seen="a reader that has 1 GiB and a minute for all of them: each is named, and the good lesson taught")
@pytest.mark.parametrize("bomb", BOMBS)
def yaml_bomb(read_apart, bomb):
    assert read_apart.refused(f"20-{bomb}") and read_apart.refused(f"30-in-{bomb}")


@lesson("has YAML make an object, or call a function", holds="the reader takes no tags", at=f"{DOCUMENTS}:ctag", seen="the folder of the reader: the file that the call would make is not there")
def yaml_tags(read_apart):
    assert "is a tag" in read_apart.refused("20-python")[0]
    assert not (read_apart.root / "pwned").exists()


@lesson("stops the reader with a text that takes it for ever: brackets, emphasis, tables, references, a command line", holds="32 KiB a file; patterns that take time in proportion", at=f"{LOADER}:LARGEST", seen="a reader that has 1 GiB and a minute for all of them")
@pytest.mark.parametrize("text", TEXTS)
def long_texts(read_apart, text):
    assert text in read_apart.taught or read_apart.refused(f"40-{text}")


@lesson("links a lesson's file to a file of the machine, to what never ends, or to what never answers", holds="links are not followed; what is no file is not read", at=f"{LOADER}:O_NOFOLLOW", seen="lint: each is named, and nothing of what it leads to is said")
@pytest.mark.parametrize("folder", ["50-out-link", "50-machine-link", "50-endless-link", "50-loop-link", "50-pipe"])
def links_to_the_machine(read_apart, folder):
    told = " ".join(read_apart.refused(folder))
    assert "is a link" in told or "is no file" in told
    assert not any("machine-secret" in sentence or "/etc/" in sentence for _, sentence in read_apart.mistakes)


@lesson("names a step outside of its folder", holds="the name of a step is two digits, small letters and .md", at="lessons/schema.py:StepFile", seen="lint: it names the line, and nothing of the file is read")
@pytest.mark.parametrize("name", ["../secret", "../10-good/10-look.md", "/etc/hostname", "10-look.md/../../10-good/10-look.md", "..%2f10-look.md", "10-look.md\\0"])
def a_step_outside(shelf, name):
    shelf.write("secret", "---\ntitle: of-another-folder\n---\nText.\n")
    shelf.teach("20-evil")
    shelf.write("10-net/20-evil/lesson.yaml", LESSON.format(title="Evil", summary="x", name="web").replace("[10-look.md]", json.dumps([name])))
    assert {found.slug for found in catalogue().lessons} == {"good"}
    assert any("no name of a step file" in mistake.sentence for mistake in catalogue().mistakes)
    assert pages("/lessons/evil/1/") == []
