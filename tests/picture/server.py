"""Serves the picture's test page as the lab would: the front end's build, under the same policy. Must not know what is drawn."""
import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'"
BUILD = ["--bundle", "--format=esm", "--target=es2022", "--asset-names=fonts/[name]", "--loader:.woff2=file", "--log-level=warning", f"--outbase={ROOT}"]


def build(folder: Path) -> None:
    files = ["static/js/page.js", "static/js/network/layout-worker.js", "tests/picture/page.js"]
    subprocess.run([ROOT / "node_modules/.bin/esbuild", *files, f"--outdir={folder}", *BUILD], cwd=ROOT, check=True, timeout=60)
    symbols = (ROOT / "templates/_symbols.html").read_text()
    style = "html,body{height:100%;margin:0}.diagram{height:100%}"
    page = '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Picture</title><link rel="stylesheet" href="static/js/page.css">'
    page += f'<link rel="stylesheet" href="tests/picture/page.css"><style>{style}</style><script src="static/js/page.js" type="module"></script></head><body>{symbols}'
    page += '<main style="height:100%"><h1 class="vh">Picture</h1><div data-diagram data-worker="static/js/network/layout-worker.js"></div></main><script type="module" src="tests/picture/page.js"></script></body></html>'
    (folder / "index.html").write_text(page)


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
