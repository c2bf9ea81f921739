"""In Chromium: the pages in Chinese say nothing in English that is ours, and who chooses a language keeps it."""
import re

import pytest

from labsite import translations

from .browsing import at_prompt, axe, do, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# What is not ours to say: lessons, what a host is called or prints, commands, names of keys and languages.
NOT_OURS = ".read > :not(header, .run, .predict), .read h1, .predict :is(.q, .opt), .told, #steps ol, .lt, .sum, .mod h3, .mod header p:not(.of), .go h1, .crumb, [data-check] :is(b, .opt, .why, .hints), .solution, .screens, .term :is(.p, .c, .o), code, kbd, .keys, .tongue, .at, .cmd :is(.what, .printed, .copy .vh), [data-at] code, .mistakes, .live"
NAMES = re.compile(r"(?<![A-Za-z])(Patchbay|Linux|Docker|docker|docker0|dockerd|tomcat9?|veth|root|shell|sh|systemd|Aa|lab|client|Cookie|Ctrl-C|Ctrl|Control|F6|Enter|Delete|Tab|Esc|MiB|UTC|JavaScript|English|ip|addr|run|brctl|show|iptables|ping|macvlan|NAT|SVG|PNG)(?![A-Za-z])")
TEXTS = """notOurs => {
  const said = [], seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const at = node.parentElement;
    if (at.closest("script, style, noscript, svg, textarea") || at.closest(notOurs)) continue;
    const text = node.data.replace(/\\s+/g, " ").trim();
    if (text) said.push(text);
  }
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
    if (node.closest("svg, .screens, .tongue, .printed, code")) continue;
    for (const name of ["aria-label", "title", "placeholder"]) if (node.getAttribute(name)) said.push(node.getAttribute(name));
  }
  return [...new Set(said)];
}"""


def patterns() -> list[re.Pattern[str]]:
    """What the code says in English, with anything in the place of its placeholders."""
    ids = {text for file in translations.files() for entry in translations.read(file) for text in (entry.id, entry.plural) if re.search("[A-Za-z]{3}", re.sub(r"%\(\w+\)s|\{\w+\}", "", text))}
    return [re.compile(re.sub(r"%\\\(\w+\\\)[sd]|\\\{\w+\\\}", ".+", re.escape(text))) for text in sorted(ids)]


def assert_chinese(page) -> None:
    texts = page.evaluate(TEXTS, NOT_OURS)
    assert len(texts) > 8
    english = [text for text in texts if any(pattern.fullmatch(text) for pattern in patterns())]
    assert english == [], "in the catalogue, and yet in English"
    foreign = [text for text in texts if re.search(r"[A-Za-z]{2,}", NAMES.sub("", text))]
    assert foreign == [], "in English, and not marked for translation"


chinese = pytest.mark.parametrize("page", ["zh-CN"], indirect=True)


@chinese
def test_nothing_of_ours_is_english(page):
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    assert_chinese(page)
    page.get_by_role("button", name="开始").first.click()
    page.wait_for_url("**/lessons/**")
    until(page, lambda: at_prompt(page), what="a prompt")
    assert_chinese(page)
    block = page.locator(".run[data-block]").first
    block.locator("[data-run]").click()
    until(page, lambda: block.get_attribute("data-state") == "done", what="the end of the block")
    assert "退出码 0" in block.inner_text()
    do(page, "sh -c 'exit 3'")
    until(page, lambda: "退出码 3" in page.locator("[data-strip]").inner_text(), what="the outcome in the strip")
    page.get_by_role("button", name="终端的显示方式").click()
    assert_chinese(page)
    page.keyboard.press("Escape")
    page.goto(page.locator("#steps a").last.get_attribute("href"))
    until(page, lambda: page.locator("[data-end=open]").is_visible(), what="the last step, with others open")
    assert_chinese(page)
    page.get_by_role("link", name="保存进度").click()
    page.get_by_role("button", name="保存我的进度").click()
    page.locator(".wrong").first.wait_for()
    assert_chinese(page)
    page.get_by_role("link", name="历史记录").click()
    page.locator(".cmd").first.wait_for()
    assert_chinese(page)
    page.goto("/no-such-page")
    assert "没有页面" in page.inner_text("main")


def test_a_choice_stays(page):
    def language() -> str | None:
        return page.locator("html").get_attribute("lang")

    page.goto("/lab/history")
    assert language() == "en"
    page.get_by_role("button", name="简体中文").click()
    until(page, lambda: language() == "zh-hans", what="the other language")
    assert page.url.endswith("/lab/history"), "still the same page"
    page.reload()
    page.goto("/")
    page.get_by_text("在自己的主机上学容器网络").wait_for()
    other = page.context.new_page()
    other.goto("/lessons/meet-docker0/1/")
    assert other.locator("html").get_attribute("lang") == "zh-hans"
    other.close()
    page.get_by_role("button", name="English").click()
    until(page, lambda: language() == "en", what="English")
    page.get_by_role("heading", name="Container networking, on a host of your own").wait_for()


@chinese
def test_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/lessons/meet-docker0/1/")
    page.get_by_role("button", name="更多").click()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="English").click()
    until(page, lambda: page.locator("html").get_attribute("lang") == "en", what="English")
    assert page.url.endswith("/lessons/meet-docker0/1/")
