import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons import markdown

HOSTS, NAMES = ["lab", "client"], {"tomcat9": "container"}


def read(source: str):
    mistakes: list = []
    text = markdown.read(source, file="s.md", first_line=1, block_prefix="x-1", hosts=HOSTS, names=NAMES, mistakes=mistakes)
    return text, mistakes


def html(source: str) -> str:
    text, mistakes = read(source)
    assert not mistakes
    return text.html()


def block(source: str):
    return read(source)[0].blocks[0]


def test_run():
    made = block("```bash {run}\nip -br addr\n```")
    assert made.context() == {"block": "x-1-1", "host": "lab", "shell": "lab", "command": "ip -br addr", "expect": 0, "background": False}


@pytest.mark.parametrize(
    ("words", "host", "shell", "expect", "background"),
    [
        ("run host=client", "client", "client", 0, False),
        ("run background", "lab", "lab-2", 0, True),
        ("run host=client background", "client", "client-2", 0, True),
        ("run exit=28", "lab", "lab", 28, False),
    ],
)
def test_run_attributes(words, host, shell, expect, background):
    made = block(f"```bash {{{words}}}\nls\n```")
    assert (made.host, made.shell, made.expect, made.background) == (host, shell, expect, background)


@pytest.mark.parametrize("line", ["ping -c 3 x", "ping -qc3 x", "ping -w 2 x", "tcpdump -c 5 -ni eth0", "docker rm -f x", "docker logs x", "top -bn1", "tail -n 3 f", "timeout 3 ping x", "ping x | head -3", "sleep 1 && ls"])
def test_a_line_that_ends_is_no_mistake(line):
    assert block(f"```bash {{run}}\n{line}\n```").command == line and not read(f"```bash {{run}}\n{line}\n```")[1]


@pytest.mark.parametrize("line", ["ping x", "ls && ping -I eth0 x", "watch brctl show", "tail -f /var/log/syslog", "docker logs -f x", "journalctl -fu docker", "sudo tcpdump -ni any"])
def test_a_line_that_does_not_end_belongs_into_the_background(line):
    assert "does not end by itself" in str(read(f"```bash {{run}}\n{line}\n```")[1])
    assert not read(f"```bash {{run background}}\n{line}\n```")[1]


def test_run_renders_the_template_with_the_command_escaped():
    out = html("```bash {run}\necho '<script>' && echo \"a\"\n```")
    assert "<script>" not in out
    assert "&lt;script&gt;" in out and 'data-block="x-1-1"' in out


def test_blocks_are_numbered_in_their_step():
    text, _ = read("```bash {run}\na\n```\n\n```text\nno\n```\n\n1. one\n\n   ```bash {run}\n   b\n   ```\n")
    assert [(made.id, made.command) for made in text.blocks] == [("x-1-1", "a"), ("x-1-2", "b")]


def test_copy_expect_and_listing():
    assert html("```yaml {copy}\na: 1\n```").startswith('<div class="copies"><pre class="listing" tabindex="0">')
    assert '<pre class="listing expect"' in html("```text {expect}\nlo <UP>\n```")
    assert "lo &lt;UP&gt;" in html("```text {expect}\nlo <UP>\n```")
    out = html('```json\n{"a": "</code><script>"}\n```')
    assert '<span class="nt">' in out and "<script>" not in out
    assert html("```\n<b>\n```") == '<pre class="listing" tabindex="0"><code class="language-text">&lt;b&gt;\n</code></pre>\n'


@pytest.mark.parametrize(
    ("source", "name", "title"),
    [
        (":::note\nA\n:::", "note", "Note"),
        (":::warning\nA\n:::", "warning", "Warning"),
        (":::note Where <b>?\nA\n:::", "note", "Where &lt;b&gt;?"),
    ],
)
def test_directives(source, name, title):
    assert html(source) == f'<aside class="callout callout-{name}" role="note"><p class="callout-title">{title}</p>\n<p>A</p>\n</aside>\n'


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("docker0", "bridge"),
        ("br-net_test", "bridge"),
        ("br-…", "bridge"),
        ("eth0", "wire"),
        ("veth0991058", "veth"),
        ("tomcat9", "container"),
        ("lab", "host"),
        ("client", "host"),
    ],
)
def test_names_of_network_things_have_a_kind(name, kind):
    assert html(f"See `{name}`.") == f'<p>See <code class="n {kind}">{name}</code>.</p>\n'


@pytest.mark.parametrize("name", ["lo", "veth", "docker ps", "veth pair", "tomcat"])
def test_other_code_has_none(name):
    assert html(f"`{name}`") == f"<p><code>{name}</code></p>\n"


def test_the_author_may_say_the_kind():
    assert html("`eth0`{veth} in it") == '<p><code class="n veth">eth0</code> in it</p>\n'
    assert html("| a |\n|---|\n| `x`{macvlan} |").count('class="n macvlan"') == 1


def test_raw_html_is_a_mistake_and_shown_as_text():
    for source, shown in (
        ("<img src=x onerror=alert(1)> <script>x</script>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("a <script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("<style>\n*{}\n</style>", "&lt;style&gt;"),
        (":::note\nA <i>b</i>\n:::", "&lt;i&gt;b&lt;/i&gt;"),
        (":::quiz\nUp <b>?\n\n- [ ] a\n- [x] b\n\nc\n:::", ""),
    ):
        text, mistakes = read(source)
        assert shown in text.html() and not re.search(r"<(img|script|style|b|i)\b", text.html())
        assert {mistake.key for mistake in mistakes} == {"HTML"}, source
    assert html("`<b>`") == "<p><code>&lt;b&gt;</code></p>\n"


def test_quiz():
    source = "A\n\n:::quiz\nUp `docker0`?\n\n- [ ] Yes, **up**\n- [x] No\n- [ ] Both\n\nBecause.\n\nOf that.\n:::\n\n:::quiz\nB?\n\n- [x] a\n- [ ] b\n\nc\n:::\n"
    text, mistakes = read(source)
    first, second = text.quizzes
    assert not mistakes
    assert (first.number, first.correct, second.number, second.correct) == (1, 2, 2, 1)
    assert first.question == '<p>Up <code class="n bridge">docker0</code>?</p>\n'
    assert first.options == ["Yes, <strong>up</strong>", "No", "Both"]
    assert first.explanation == "<p>Because.</p>\n<p>Of that.</p>\n"
    out = text.html()
    assert "Up" in out and "Both" in out and "Because" not in out, "the page gets no explanation before an answer"


def test_hint():
    assert html(":::hint Where?\nThere.\n:::") == '<details class="callout callout-hint"><summary>Where?</summary>\n<p>There.</p>\n</details>\n'


def test_a_line_of_prose():
    line = markdown.inline("`web` is on *blue* <b>", ["lab"], {"web": "container"})
    assert line == '<code class="n container">web</code> is on <em>blue</em> &lt;b&gt;'
    assert markdown.inline("") == "" and markdown.inline("![a<b](https://a.example/a.png)") == "a&lt;b", "no picture is ever drawn"



@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//a.example", "ftp://a.example"],
)
@pytest.mark.parametrize("form", ["[a]({})", "[a](<{}>)", "[a]\n\n[a]: {}", "[a](&#32;{})"])
def test_links_to_elsewhere_are_refused(url, form):
    text, mistakes = read(form.format(url))
    assert "<a " not in text.html()
    assert [mistake.key for mistake in mistakes] in (["link"], [])  # the last form is no link at all


def test_links_that_are_fine():
    assert '<a href="https://docs.docker.com/">' in html("[docs](https://docs.docker.com/)")
    assert '<a href="/lessons/x/1/">' in html("[x](/lessons/x/1/)")


def test_tables():
    assert html("| a |\n|---|\n| b |").startswith("<table>")


def test_typographer_is_off():
    assert html('"a" -- b...') == "<p>&quot;a&quot; -- b...</p>\n"


OURS = "p|em|strong|code|pre|a|ul|ol|li|h[1-6]|hr|br|blockquote|div|table|thead|tbody|tr|th|td|aside|span"
TAGS = re.compile(rf"<(?!/?(?:{OURS})\b)")


@given(st.text(alphabet=st.sampled_from("<>&\"'`[]()!:/ \n#-{}javscriptdl=|*:run\u2028\x0c\r\t"), max_size=120))
def test_whatever_is_written_only_our_own_tags_come_out(source):
    text, _ = read(source)
    out = re.sub(r'<div class="run.*?</div>\s*<p class="says" hidden></p>\s*</div>', "", text.html(), flags=re.S)
    assert not TAGS.search(out)
    assert not re.search(r"href=\"(?!https?:|mailto:|/|#)", out)
