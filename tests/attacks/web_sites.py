"""Act through a student's browser from another site.

Bob is signed in, and a page of somebody else's is open in the same real Chromium: on another site, or by another program on the lab's own host.
Must not know how a request is told apart: Bob's rows and his sandbox say what was done.
"""
import json

import pytest
from django.conf import settings

from lessons.models import QuizAnswer
from netcontrol.models import Sandbox

from .catalogue import control, session, stranger
from .other_site import apart, as_guest
from .web_others import LESSON, STEP, URLS, Victim, victim

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.usefixtures("beside_the_driver")]
CSRF, ORIGIN, PAGE = "labsite/settings.py:CsrfViewMiddleware", "labsite/origin.py:SameOrigin", "labsite/settings.py:X_FRAME_OPTIONS"
POSTS = [rule.path for rule in URLS.values() if rule.method == "POST"]
BODY = {"quiz": 1, "option": 1, "adopt": True, "answers": {}, "check": "x", "language": "zh-hans"}
WHERE = ["elsewhere", "same_host"]
__all__ = ["victim"]

# In the page of the other site. Each tries, and says what it got to know.
TRIES = """async ({ lab, paths, body, token }) => {
  const frame = (name) => { const made = document.createElement('iframe'); made.name = name; document.body.append(made); return made; };
  const form = (path, fields, kind) => new Promise((done) => {
    const name = 'f' + Math.random(), target = frame(name), made = document.createElement('form');
    Object.assign(made, { method: 'post', action: lab + path, target: name, enctype: kind });
    for (const [field, value] of Object.entries(fields)) { const input = document.createElement('input'); Object.assign(input, { name: field, value: typeof value === 'string' ? value : JSON.stringify(value) }); made.append(input); }
    document.body.append(made);
    target.onload = () => done();
    setTimeout(done, 3000);
    made.submit();
  });
  const got = [];
  const send = async (path, how) => { try { const answer = await fetch(lab + path, { method: 'POST', credentials: 'include', ...how }); got.push(path + ' ' + answer.status + ' ' + (answer.type === 'opaque' ? '' : await answer.text())); } catch { /* refused */ } };
  for (const path of paths) {
    await form(path, { ...body, csrfmiddlewaretoken: token }, 'application/x-www-form-urlencoded');
    await send(path, { mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(body) });
    await send(path, { headers: { 'Content-Type': 'application/json', 'X-CSRFToken': token }, body: JSON.stringify(body) });
    navigator.sendBeacon(lab + path, new URLSearchParams({ csrfmiddlewaretoken: token }));
  }
  await form(paths[0], { '{"quiz": 1, "option": 1, "x": "': '"}' }, 'text/plain');
  return got;
}"""
SOCKET = """({ url, words }) => new Promise((done) => {
  const heard = [], socket = new WebSocket(url);
  socket.onopen = () => { heard.push('open'); words.forEach((word) => socket.send(word)); };
  socket.onmessage = ({ data }) => { heard.push(typeof data === 'string' ? data : 'bytes'); if (heard.length > 3) done(heard); };
  socket.onclose = ({ code }) => { heard.push(code); done(heard); };
  setTimeout(() => done(heard), 5000);
})"""


@pytest.fixture
def bobs(chromium, bob, database):
    """A page of Bob's browser."""
    page = as_guest(chromium, bob.guest)
    yield page
    page.context.close()


def lab_of(victim: Victim) -> str:
    return victim.student.guest.base


def open_evil(page, evil, where: str) -> None:
    page.goto(getattr(evil, where) + "/")


@control("the same from a page of the lab's own")
def the_lab_s_own_page(victim, bobs):
    QuizAnswer.objects.filter(student=victim.names["pk"]).delete()
    bobs.goto(lab_of(victim) + STEP)
    told = bobs.evaluate("""async (path) => (await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRFToken': document.cookie.match(/csrftoken=([^;]+)/)[1] }, body: JSON.stringify({ quiz: 1, option: 1 }) })).status""", f"{STEP}quiz")
    assert told == 200 and QuizAnswer.objects.filter(student=victim.names["pk"]).exists()
    heard = bobs.evaluate(SOCKET, {"url": lab_of(victim).replace("http", "ws") + "/ws/lab/", "words": ['{"type":"hello","since":{}}']})
    assert heard[0] == "open" and victim.names["sandbox"] in heard[1]
    QuizAnswer.objects.filter(student=victim.names["pk"]).delete()


@stranger("has a student's browser press buttons of the lab from another page: forms, fetch, beacons, JSON as plain text", holds="a token, and the page's Origin, for every POST; cookies are not sent along from another site", at=CSRF, seen="the database: not a row of the student's has changed")
@pytest.mark.parametrize("where", WHERE)
def buttons_of_the_lab(victim, bobs, evil, where):
    before = victim.rows()
    open_evil(bobs, evil, where)
    got = bobs.evaluate(TRIES, {"lab": lab_of(victim), "paths": [f"{STEP}quiz", *POSTS], "body": BODY, "token": "A" * 32})
    assert not [line for line in got if not line.endswith(" 0 ")], got
    assert victim.rows() == before and Sandbox.objects.get(pk=victim.names["sandbox"]).state == "claimed"


@stranger("sets the lab's own cookie of the token from another program's page on the same host, and sends the same token", holds="the Origin is compared too, port included", at=CSRF, seen="the database: not a row of the student's has changed")
def a_token_of_their_own(victim, bobs, evil):
    before = victim.rows()
    open_evil(bobs, evil, "same_host")
    bobs.evaluate("document.cookie = 'csrftoken=' + 'A'.repeat(32) + '; path=/lessons'; document.cookie = 'csrftoken=' + 'A'.repeat(32) + '; path=/'")
    bobs.evaluate(TRIES, {"lab": lab_of(victim), "paths": [f"{STEP}quiz", "/lab/end", f"{STEP}rewind"], "body": BODY, "token": "A" * 32})
    assert victim.rows() == before and Sandbox.objects.get(pk=victim.names["sandbox"]).state == "claimed"


@session("presses any button without a token, or with one and the Origin of another page", holds="every POST needs the token and the page's own Origin", at=CSRF, seen="the answers: 403, for every address that takes a POST; and the database")
@pytest.mark.parametrize("how", ["no token", "another origin", "no origin and another referer", "null"])
def every_post_needs_a_token(victim, how):
    before, guest = victim.rows(), victim.student.guest
    wrong = {"no token": {"X-CSRFToken": "", "Referer": guest.base + "/"}, "another origin": {"Origin": "http://evil.test"}, "null": {"Origin": "null"}}.get(how, {"Referer": "http://evil.test/"})
    token = guest.http.cookies["csrftoken"]
    for name, rule in URLS.items():
        if rule.method != "POST":
            continue
        kind = {"data": {"language": "zh-hans"}} if name.startswith("account:") else {"json": rule.body}
        said = guest.http.post(guest.base + rule.path, headers={"X-CSRFToken": token, "Accept": "application/json", **wrong}, allow_redirects=False, timeout=20, **kind)
        if how == "no origin and another referer":
            assert said.status_code == 403 or not settings.SESSION_COOKIE_SECURE, name  # the Referer counts over HTTPS, where there must be one
            break
        assert said.status_code == 403, name
    assert how == "no origin and another referer" or victim.rows() == before


@stranger("opens the lab's WebSocket from another page, and types into a student's terminal", holds="Origin is compared with Host, port included", at=ORIGIN, seen="the student's sandbox: nothing was said to it; the browser: it never opened")
@pytest.mark.parametrize("where", WHERE)
def a_socket_from_another_page(victim, bobs, evil, where):
    inputs = victim.inputs()
    open_evil(bobs, evil, where)
    words = [json.dumps({"type": "hello", "since": {}}), json.dumps({"type": "shell.open", "shell": "lab", "host": "lab", "cols": 80, "rows": 24}), json.dumps({"type": "run", "shell": "lab", "block": "evil", "text": "touch /root/from-another-page"})]
    heard = bobs.evaluate(SOCKET, {"url": lab_of(victim).replace("http", "ws") + "/ws/lab/", "words": words})
    assert heard == [1006]
    assert victim.inputs() == inputs and apart(victim.student.tries, "test -e /root/from-another-page").code == 1


READS = """async ({ lab, paths, port }) => {
  const got = [];
  for (const path of paths) {
    try { got.push(await (await fetch(lab + path, { credentials: 'include' })).text()); } catch { /* refused */ }
    const script = document.createElement('script');
    script.src = lab + path;
    await new Promise((done) => { script.onload = () => { got.push('ran ' + path); done(); }; script.onerror = done; document.body.append(script); });
    const frame = document.createElement('iframe');
    frame.src = lab + path;
    await new Promise((done) => { frame.onload = done; setTimeout(done, 2000); document.body.append(frame); });
    try { got.push(frame.contentDocument.body.innerText); } catch { /* not ours */ }
    const sheet = document.createElement('link');
    Object.assign(sheet, { rel: 'stylesheet', href: lab + path });
    await new Promise((done) => { sheet.onload = () => { try { got.push([...sheet.sheet.cssRules].join()); } catch { /* not ours */ } done(); }; sheet.onerror = done; document.body.append(sheet); });
  }
  return got.filter(Boolean);
}"""


@stranger("reads what the lab says to a student's browser: by fetch, as a script, as a style, in a frame", holds="no CORS; nosniff; frame-ancestors none", at=PAGE, seen="the other page: it got no word")
@pytest.mark.parametrize("where", WHERE)
def reads_from_another_page(victim, bobs, evil, where):
    open_evil(bobs, evil, where)
    paths = ["/lab/state", "/lab/history", "/lab/history.txt", f"{STEP}state", STEP, f"/lab/history/{victim.names['command']}", "/metrics"]
    got = bobs.evaluate(READS, {"lab": lab_of(victim), "paths": paths, "port": settings.PORT})
    assert not [said for said in got if any(secret in said for secret in victim.secrets())]
    assert [said for said in got if not said.startswith("ran ")] == [] and "ran /lab/state" not in got, got


@stranger("shows the lab in a frame of their own, below something to click on", holds="X-Frame-Options and frame-ancestors on every page, refusals and errors included", at="labsite/settings.py:frame-ancestors", seen="Chromium: none of the frames holds the lab")
@pytest.mark.parametrize("where", WHERE)
def in_a_frame(victim, bobs, evil, where):
    open_evil(bobs, evil, where)
    for path in (STEP, "/", "/account/sign-in", "/lab/history", "/nowhere", f"/lab/history/{victim.names['sandbox']}", "/static/nowhere"):
        for tag, name in (("iframe", "src"), ("object", "data"), ("embed", "src")):
            bobs.evaluate("([tag, name, url]) => new Promise((done) => { const made = document.createElement(tag); made.onload = made.onerror = () => done(); setTimeout(done, 1000); made[name] = url; document.body.append(made); })", [tag, name, lab_of(victim) + path])
    shown = [frame.evaluate("document.body?.innerText ?? ''") for frame in bobs.frames[1:]]
    assert not [text for text in shown if "Patchbay" in text or "lesson" in text.lower()], shown


@stranger("opens the lab in a window, and reads or steers it through the handle", holds="Cross-Origin-Opener-Policy: same-origin cuts the handle", at="labsite/settings.py:SecurityMiddleware", seen="the other page: its handle says that the window is closed; Chromium: the window is where it was")
@pytest.mark.parametrize("where", WHERE)
def through_a_window(victim, bobs, evil, where):
    open_evil(bobs, evil, where)
    with bobs.expect_popup() as opened:
        bobs.evaluate("(url) => { self.handle = window.open(url, 'lab'); }", lab_of(victim) + STEP)
    window = opened.value
    window.wait_for_load_state()
    assert bobs.evaluate("(() => { try { handle.location = 'http://evil.test/'; } catch {} return handle.closed; })()")
    assert window.url.startswith(lab_of(victim)) and window.evaluate("window.opener") is None


@stranger("signs a student's browser in to an account of the attacker's, to see what they do in it", holds="signing in needs a token too", at=CSRF, seen="the browser: its session is as it was")
@pytest.mark.parametrize("where", WHERE)
def signs_somebody_in(victim, bobs, evil, where):
    before = [cookie["value"] for cookie in bobs.context.cookies(lab_of(victim)) if cookie["name"] == "patchbay"]
    open_evil(bobs, evil, where)
    bobs.evaluate(TRIES, {"lab": lab_of(victim), "paths": ["/account/sign-in", "/account/keep", f"/lessons/{LESSON}/start"], "body": {"username": "mallory", "password": "correct horse 7", "password1": "correct horse 7", "password2": "correct horse 7"}, "token": "A" * 32})
    assert [cookie["value"] for cookie in bobs.context.cookies(lab_of(victim)) if cookie["name"] == "patchbay"] == before != []


@stranger("gives a name of their own the lab's address, so that a browser takes the lab for their site (DNS rebinding)", holds="a name that is not in PATCHBAY_HOSTS is refused, for pages and for the WebSocket", at="labsite/settings.py:ALLOWED_HOSTS", seen="the browser: 400, and a socket that never opens")
def another_name_for_the_lab(lab, bobs):
    rebound = f"http://rebind.test:{settings.PORT}"
    assert bobs.goto(f"{rebound}/").status == 400
    assert bobs.evaluate(SOCKET, {"url": f"{rebound.replace('http', 'ws')}/ws/lab/", "words": []}) == [1006]


@stranger("learns from the Referer which lesson or history a student comes from", holds="Referrer-Policy: same-origin", at="labsite/settings.py:SecurityMiddleware", seen="the other site: no Referer in what it was asked")
def where_somebody_came_from(victim, bobs, evil):
    bobs.goto(lab_of(victim) + STEP)
    evil.asked.clear()
    bobs.evaluate("(url) => { const link = document.createElement('a'); link.href = url; document.body.append(link); link.click(); }", evil.elsewhere + "/from")
    bobs.wait_for_url("**/from")
    assert [path for _, path, headers in evil.asked if path == "/from"] and not [headers for _, _, headers in evil.asked if str(settings.PORT) in headers.get("Referer", "")]
