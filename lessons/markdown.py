"""The text of a step: Markdown in; HTML, Run blocks and quizzes out.

Reading finds every mistake and renders nothing; rendering cannot fail. What a lesson says never becomes HTML by itself:
raw HTML is a mistake and shown as text, and links go to web addresses and to pages of this site only.
Must not know: files, lessons, students.
"""
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_noop
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.container import container_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from lessons.errors import Mistake
from lessons.fences import Block, fence
from lessons.schema import KINDS

DIRECTIVES = {"note": gettext_noop("Note"), "warning": gettext_noop("Warning"), "hint": gettext_noop("Hint"), "quiz": ""}
WELL_KNOWN = {"docker0": "bridge", "podman0": "bridge", "eth0": "wire"}
_PATTERNS = {"bridge": re.compile(r"br-\S+"), "veth": re.compile(r"veth\S+")}
_LINK = re.compile(r"(https?://|mailto:|/(?!/)|#)", re.IGNORECASE)
_SAID = re.compile(r"\{([a-z]+)\}")
_OPTION = re.compile(r"\[( |x)\] ")
_COLOURS = HtmlFormatter(nowrap=True)


def _html(tokens: Iterable[Token]) -> SafeString:
    return mark_safe(_WRITER.renderer.render(list(tokens), _WRITER.options, {}))


@dataclass(frozen=True)
class Quiz:
    """Something to predict. The page gets the question and the options; `correct` and the explanation follow an answer."""

    number: int  # 1 for the first of its step
    asked: tuple[Token, ...]
    offered: tuple[tuple[Token, ...], ...]
    correct: int  # 1 for the first option
    explained: tuple[Token, ...]

    @property
    def question(self) -> SafeString:
        return _html(self.asked)

    @property
    def options(self) -> list[SafeString]:
        return [_html(tokens) for tokens in self.offered]

    @property
    def explanation(self) -> SafeString:
        return _html(self.explained)


@dataclass(frozen=True)
class Text:
    """One step's text, as read."""

    tokens: tuple[Token, ...]
    blocks: tuple[Block, ...]
    quizzes: tuple[Quiz, ...] = ()
    copied: tuple[str, ...] = ()  # the listings that are there to be copied

    def html(self) -> SafeString:
        return _html(self.tokens)

    def quiz(self, number: int) -> Quiz | None:
        return next((quiz for quiz in self.quizzes if quiz.number == number), None)


@dataclass
class _Reading:
    """What reading one text needs to know, and what it found so far."""

    source: str
    file: str
    first_line: int
    block_prefix: str
    hosts: list[str]
    names: dict[str, str]
    mistakes: list[Mistake]

    def __post_init__(self) -> None:
        self.lines = self.source.split("\n")  # as markdown-it counts them
        self.blocks: list[Block] = []
        self.quizzes: list[Quiz] = []
        self.copied: list[str] = []

    def wrong(self, line: int, key: str, sentence: str) -> None:
        self.mistakes.append(Mistake(self.file, self.first_line + line, key, sentence))

    def kind(self, name: str) -> str | None:
        if name in self.names:
            return self.names[name]
        if name in self.hosts:
            return "host"
        return WELL_KNOWN.get(name) or next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)


def read(
    source: str, *, file: str, first_line: int, block_prefix: str, hosts: list[str], names: dict[str, str], mistakes: list[Mistake]
) -> Text:
    reading = _Reading(source, file, first_line, block_prefix, hosts, names, mistakes)
    refused: dict[str, None] = {}
    tokens = _parser(refused).parse(source)
    for url in refused:
        line = next((n for n, text in enumerate(reading.lines) if url in text), 0)
        reading.wrong(line, "link", f"“{url}” is refused. A link begins with https://, http://, mailto:, / or #.")
    line = 0
    for token in tokens:
        line = token.map[0] if token.map else line
        if token.type == "fence":
            _fence(token, line, reading)
        elif token.type == "container_directive_open":
            _directive(token, line, reading)
        elif token.type == "heading_open" and token.tag == "h1":
            reading.wrong(line, "heading", "begin with “##”: the title of the step is the first heading of its page.")
        elif token.type == "html_block":
            _raw(token, line, reading)
        elif token.type == "inline":
            _inline(token, line, reading)
    return Text(tuple(_with_quizzes(tokens, reading)), tuple(reading.blocks), tuple(reading.quizzes), tuple(reading.copied))


def inline(source: str, hosts: Iterable[str] = (), names: Mapping[str, str] | None = None) -> SafeString:
    """One line of prose, such as a check's title or a hint: names in backticks, emphasis, links."""
    if not source:
        return SafeString("")
    reading = _Reading(source, "", 1, "", list(hosts), dict(names or {}), [])
    tokens = _WRITER.parseInline(source)
    for token in tokens:
        _inline(token, 0, reading)
    return _html(tokens)


def _raw(token: Token, line: int, reading: _Reading) -> None:
    if token.content.startswith("</"):
        return  # its beginning is named already
    sentence = f"“{token.content.strip().splitlines()[0][:40]}” is HTML, which is shown as text. Write Markdown, and put what stands in <…> into backticks."
    reading.wrong(line, "HTML", sentence)


def _with_quizzes(tokens: list[Token], reading: _Reading) -> Iterable[Token]:
    """The same, with each quiz in one token."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "container_directive_open" and token.meta["name"] == "quiz":
            end = next(n for n in range(at, len(tokens)) if tokens[n].type == "container_directive_close" and tokens[n].level == token.level)
            quiz = Token("quiz", "", 0)
            quiz.meta = {"quiz": _quiz(tokens[at], tokens[at + 1 : end], reading)}
            yield quiz
            at = end
        else:
            yield token
        at += 1


def _quiz(opening: Token, inner: list[Token], reading: _Reading) -> Quiz:
    """A question, a list with one [x] in it, an explanation."""
    assert opening.map
    line, level = opening.map[0], opening.level + 1
    starts = [n for n, token in enumerate(inner) if token.type == "bullet_list_open" and token.level == level]
    ends = [n for n, token in enumerate(inner) if token.type == "bullet_list_close" and token.level == level]
    begin, end = (starts[0], ends[0]) if starts else (len(inner), len(inner))
    offered: list[tuple[Token, ...]] = []
    correct: list[int] = []
    for token in inner[begin:end]:
        if token.type != "inline" or not token.children:
            continue
        first = token.children[0]
        if first.type != "text" or not (mark := _OPTION.match(first.content)):
            reading.wrong(token.map[0] if token.map else line, "quiz", "an option begins with “[ ] ”, and the right one with “[x] ”.")
            continue
        first.content = first.content[mark.end() :]
        offered.append((token,))
        if mark[1] == "x":
            correct.append(len(offered))
    asked, explained = tuple(inner[:begin]), tuple(inner[end + 1 :])
    if not any(token.type == "inline" for token in asked):
        reading.wrong(line, "quiz", "has no question: a paragraph belongs before its options.")
    if not 2 <= len(offered) <= 5:
        reading.wrong(line, "quiz", f"has {len(offered)} options: a list of 2 to 5 belongs there, “- [ ] …”.")
    if len(correct) != 1:
        reading.wrong(line, "quiz", f"has {len(correct)} right options: mark just one with “[x] ”.")
    if not explained:
        reading.wrong(line, "quiz", "does not say why: an explanation belongs behind its options.")
    if any(token.type == "fence" for token in inner):
        reading.wrong(line, "quiz", "holds a block: put it before or behind the quiz.")
    quiz = Quiz(len(reading.quizzes) + 1, asked, tuple(offered), correct[0] if correct else 0, explained)
    reading.quizzes.append(quiz)
    return quiz


def _fence(token: Token, line: int, reading: _Reading) -> None:
    assert token.map
    last = reading.lines[token.map[1] - 1].lstrip("> ")
    if token.map[1] - token.map[0] < 2 or not last.startswith(token.markup):
        reading.wrong(line, "fence", f"“{token.markup}” is never closed.")
    said, sentences = fence(token.info, token.content, reading.hosts)
    for sentence in sentences:
        reading.wrong(line, "fence", sentence)
    token.meta = {"fence": said}
    if said.kind == "copy":
        reading.copied.append(token.content)
    if said.kind == "run":
        number = len(reading.blocks) + 1
        block = Block(f"{reading.block_prefix}-{number}", said.host, token.content.strip(), said.exit, said.background, line)
        reading.blocks.append(block)
        token.meta["block"] = block


def _directive(token: Token, line: int, reading: _Reading) -> None:
    assert token.map
    name, _, title = token.info.strip().partition(" ")
    if name not in DIRECTIVES:
        what = f"“:::{name}” is not known." if name else "“:::” closes nothing."
        reading.wrong(line, "directive", f"{what} Known are: {', '.join(f':::{known}' for known in DIRECTIVES)}.")
    end = token.map[1]
    if end >= len(reading.lines) or not reading.lines[end].lstrip("> ").startswith(":::"):
        reading.wrong(line, "directive", f"“:::{name}” is never closed: “:::” belongs on a line of its own behind its text.")
    if name == "quiz" and title.strip():
        reading.wrong(line, "directive", "a quiz has no title: its question is its first paragraph.")
    token.meta = {"name": name, "title": title.strip()}


def _inline(token: Token, line: int, reading: _Reading) -> None:
    """Says of each `name` in the prose which kind of thing it is: `eth0`{veth} when the author says so."""
    children: Iterable[Token] = token.children or []
    before: Token | None = None
    for child in children:
        if child.type in ("softbreak", "hardbreak"):
            line += 1
        if child.type == "html_inline":
            _raw(child, line, reading)
        if child.type == "image":
            reading.wrong(line, "picture", "pictures are not supported: the page draws the network itself.")
        if child.type == "text" and before is not None and (said := _SAID.match(child.content)):
            if said[1] in KINDS:
                before.meta = {"kind": said[1]}
                child.content = child.content[said.end() :]
            else:
                reading.wrong(line, "name", f"“{said[1]}” is no kind of thing. Known are: {', '.join(KINDS)}.")
        before = None
        if child.type == "code_inline":
            before = child
            child.meta = {"kind": reading.kind(child.content)}


def _parser(refused: dict[str, None] | None = None) -> MarkdownIt:
    """`refused` is told the addresses of links that are none here."""
    md = MarkdownIt("commonmark", {"html": True, "typographer": False, "linkify": False}).enable("table").disable("code")
    container_plugin(md, "directive", validate=lambda params, markup: True)

    def valid(url: str) -> bool:
        if _LINK.match(url):
            return True
        if refused is not None:
            refused[url] = None
        return False

    md.validateLink = valid  # type: ignore[method-assign]
    md.add_render_rule("fence", _render_fence)
    md.add_render_rule("code_inline", _render_code)
    md.add_render_rule("container_directive_open", _render_directive)
    md.add_render_rule("container_directive_close", _render_directive_end)
    md.add_render_rule("quiz", _render_quiz)
    for raw in ("html_block", "html_inline", "image"):  # of a picture, the words that stand for it
        md.add_render_rule(raw, lambda self, tokens, index, options, env: escape(tokens[index].content))
    return md


def _render_fence(self, tokens, index, options, env) -> str:
    said, text = tokens[index].meta["fence"], tokens[index].content
    if said.kind == "run":
        return render_to_string("lessons/_run.html", tokens[index].meta["block"].context())
    code = escape(text) if said.language == "text" else highlight(text, get_lexer_by_name(said.language), _COLOURS)
    if said.kind == "expect":
        label = escape(gettext("Output, for example"))
        return f'<pre class="listing expect" tabindex="0" role="region" aria-label="{label}"><code>{code}</code></pre>\n'
    listing = f'<pre class="listing" tabindex="0"><code class="language-{escape(said.language)}">{code}</code></pre>\n'
    return f'<div class="copies">{listing}</div>\n' if said.kind == "copy" else listing


def _render_code(self, tokens, index, options, env) -> str:
    kind = tokens[index].meta.get("kind")
    opening = f'<code class="n {kind}">' if kind else "<code>"
    return f"{opening}{escape(tokens[index].content)}</code>"


def _render_directive(self, tokens, index, options, env) -> str:
    meta = tokens[index].meta
    name, title = meta["name"], escape(meta["title"] or gettext(DIRECTIVES.get(meta["name"]) or "Note"))
    if name == "hint":
        return f'<details class="callout callout-hint"><summary>{title}</summary>\n'
    return f'<aside class="callout callout-{name}" role="note"><p class="callout-title">{title}</p>\n'


def _render_directive_end(self, tokens, index, options, env) -> str:
    opening = next(t for t in reversed(tokens[:index]) if t.type == "container_directive_open" and t.level == tokens[index].level)
    return "</details>\n" if opening.meta["name"] == "hint" else "</aside>\n"


def _render_quiz(self, tokens, index, options, env) -> str:
    quiz = tokens[index].meta["quiz"]
    return render_to_string("lessons/_quiz.html", {"number": quiz.number, "question": quiz.question, "options": quiz.options})


_WRITER = _parser()
