"""The text of a step: Markdown in, HTML and Run blocks out.

Reading finds every mistake and renders nothing; rendering cannot fail. What a lesson says never becomes HTML by itself:
raw HTML is shown as text, and links go to web addresses and to pages of this site only.
Must not know: files, lessons, students.
"""
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.container import container_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from lessons.errors import Mistake
from lessons.fences import Block, fence
from lessons.schema import KINDS

DIRECTIVES = {"note": "Note", "warning": "Warning"}
WELL_KNOWN = {"docker0": "bridge", "podman0": "bridge", "eth0": "wire"}
_PATTERNS = {"bridge": re.compile(r"br-\S+"), "veth": re.compile(r"veth\S+")}
_LINK = re.compile(r"(https?://|mailto:|/(?!/)|#)", re.IGNORECASE)
_SAID = re.compile(r"\{([a-z]+)\}")
_COLOURS = HtmlFormatter(nowrap=True)


@dataclass(frozen=True)
class Text:
    """One step's text, as read."""

    tokens: tuple[Token, ...]
    blocks: tuple[Block, ...]

    def html(self) -> SafeString:
        return mark_safe(_WRITER.renderer.render(self.tokens, _WRITER.options, {}))


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
        elif token.type == "inline":
            _inline(token, line, reading)
    return Text(tuple(tokens), tuple(reading.blocks))


def _fence(token: Token, line: int, reading: _Reading) -> None:
    assert token.map
    last = reading.lines[token.map[1] - 1].lstrip("> ")
    if token.map[1] - token.map[0] < 2 or not last.startswith(token.markup):
        reading.wrong(line, "fence", f"“{token.markup}” is never closed.")
    said, sentences = fence(token.info, token.content, reading.hosts)
    for sentence in sentences:
        reading.wrong(line, "fence", sentence)
    token.meta = {"fence": said}
    if said.kind == "run":
        number = len(reading.blocks) + 1
        block = Block(f"{reading.block_prefix}-{number}", said.host, token.content.strip(), said.exit, said.background)
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
    token.meta = {"name": name, "title": title.strip() or DIRECTIVES.get(name, "")}


def _inline(token: Token, line: int, reading: _Reading) -> None:
    """Says of each `name` in the prose which kind of thing it is: `eth0`{veth} when the author says so."""
    children: Iterable[Token] = token.children or []
    before: Token | None = None
    for child in children:
        if child.type in ("softbreak", "hardbreak"):
            line += 1
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


def _parser(refused: dict[str, None]) -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "typographer": False, "linkify": False}).enable("table").disable("code")
    container_plugin(md, "directive", validate=lambda params, markup: True)

    def valid(url: str) -> bool:
        if _LINK.match(url):
            return True
        refused[url] = None
        return False

    md.validateLink = valid  # type: ignore[method-assign]
    md.add_render_rule("fence", _render_fence)
    md.add_render_rule("code_inline", _render_code)
    md.add_render_rule("container_directive_open", _render_directive)
    md.add_render_rule("container_directive_close", lambda *_: "</aside>\n")
    return md


def _render_fence(self, tokens, index, options, env) -> str:
    said, text = tokens[index].meta["fence"], tokens[index].content
    if said.kind == "run":
        return render_to_string("lessons/_run.html", tokens[index].meta["block"].context())
    code = escape(text) if said.language == "text" else highlight(text, get_lexer_by_name(said.language), _COLOURS)
    if said.kind == "expect":
        return f'<pre class="listing expect" tabindex="0" role="region" aria-label="Output, for example"><code>{code}</code></pre>\n'
    listing = f'<pre class="listing" tabindex="0"><code class="language-{escape(said.language)}">{code}</code></pre>\n'
    return f'<div class="copies">{listing}</div>\n' if said.kind == "copy" else listing


def _render_code(self, tokens, index, options, env) -> str:
    kind = tokens[index].meta.get("kind")
    opening = f'<code class="n {kind}">' if kind else "<code>"
    return f"{opening}{escape(tokens[index].content)}</code>"


def _render_directive(self, tokens, index, options, env) -> str:
    meta = tokens[index].meta
    return f'<aside class="callout callout-{meta["name"]}" role="note"><p class="callout-title">{escape(meta["title"])}</p>\n'


_WRITER = _parser({})
