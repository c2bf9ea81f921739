"""A site of somebody else's, and a browser that finds it: for the attacks that need one. Must not know any attack.

The site is a server of the test's on the loopback; the browser resolves its name there by itself, so that nothing leaves the machine.
"""
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from labsite.client import Guest
from tests.browsing import CHROMIUM, WITHOUT_GPU

NAME = "evil.test"
BODIES = {  # by the end of the path
    ".js": ("text/javascript", "self.pwned = 1"),
    ".mjs": ("text/javascript", "self.pwned = 1; export default 1"),
    ".css": ("text/css", "body { --pwned: 1 }"),
    ".svg": ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
}


@dataclass
class Site:
    server: ThreadingHTTPServer
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # method, path, headers

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def elsewhere(self) -> str:
        return f"http://{NAME}:{self.port}"

    @property
    def same_host(self) -> str:
        """Another program's pages on the lab's own host: cookies do not tell ports apart."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            this.asked.append((self.command, self.path, dict(self.headers)))
            path = self.path.partition("?")[0]
            kind, body = next((said for end, said in BODIES.items() if path.endswith(end)), ("text/html", "<!doctype html><title>evil</title><body>evil"))
            self.send_response(200)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_POST = do_HEAD = do_OPTIONS = answer

        def log_message(self, *_: object) -> None:
            pass

    this = Site(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=this.server.serve_forever, daemon=True).start()
    try:
        yield this
    finally:
        this.server.shutdown()
        this.server.server_close()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*WITHOUT_GPU, f"--host-resolver-rules=MAP *.test 127.0.0.1, MAP {NAME} 127.0.0.1"])
        try:
            yield chromium
        finally:
            chromium.close()


def apart(call: Callable[..., Any], *arguments: Any) -> Any:
    """The driver has an event loop in the thread of the test: what has one of its own runs beside it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result(60)


def as_guest(chromium: Browser, guest: Guest | None, **how) -> Page:
    """A page of this student's browser."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, **how)
    if guest:
        context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": guest.base, "sameSite": "Lax", "httpOnly": cookie.name == "patchbay"} for cookie in guest.http.cookies])
    page = context.new_page()
    page.set_default_timeout(15_000)
    return page
