// The page's one WebSocket: opens, comes back, sends and hands on. Must not know what a message means.
const WAITS = [200, 500, 1000, 2000, 5000]; // ms before each attempt; the last one repeats
const SILENCE = 4000; // keys without any answer for so long: ask whether the web is still there

export class Socket {
  /** `on`: hello() → first message; message(json), output(shell, offset, bytes), open(), lost({since, next}), refused() */
  constructor(path, on) {
    this.url = new URL(path, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.on = on;
    this.attempt = 0;
    this.lostAt = null;
    this.unanswered = null;
    addEventListener("online", () => this.tryNow());
    addEventListener("offline", () => this.#drop());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.tryNow(); });
    addEventListener("pageshow", (event) => { if (event.persisted) this.tryNow(); });
    setInterval(() => this.#listen(), 1000);
  }

  get up() { return this.ws?.readyState === WebSocket.OPEN; }

  connect() {
    if (this.ws) return;
    clearTimeout(this.timer);
    const ws = new WebSocket(this.url);
    ws.binaryType = "arraybuffer";
    this.ws = ws;
    ws.onopen = () => {
      ws.send(JSON.stringify({ type: "hello", ...this.on.hello() }));
      this.lostAt = this.unanswered = null;
      this.on.open();
    };
    ws.onmessage = ({ data }) => {
      this.attempt = 0; // only a connection that says something counts
      this.unanswered = null;
      if (typeof data === "string") return this.on.message(JSON.parse(data));
      const view = new DataView(data);
      const length = view.getUint8(1);
      if (view.getUint8(0) !== 1) return;
      const shell = new TextDecoder().decode(new Uint8Array(data, 2, length));
      this.on.output(shell, Number(view.getBigUint64(2 + length)), new Uint8Array(data, 10 + length));
    };
    ws.onclose = ({ code }) => {
      if (this.ws !== ws) return;
      this.ws = null;
      if (code === 4401) return this.on.refused();
      if (code === 4429) this.attempt = WAITS.length - 1; // too many pages are open
      this.#again();
    };
  }

  /** True if it went out. What cannot go out is refused, never kept: a key must not arrive a minute late. */
  send(message) {
    if (!this.up) return false;
    this.ws.send(JSON.stringify(message));
    if (message.type === "shell.input") this.unanswered ??= Date.now();
    return true;
  }

  tryNow() {
    if (this.ws || this.lostAt === null) return;
    this.attempt = 0;
    this.connect();
  }

  /** Close and open at once: what was said in `hello` no longer holds. */
  again() {
    const ws = this.ws;
    this.ws = null;
    if (ws) { ws.onclose = ws.onmessage = null; ws.close(); }
    this.connect();
  }

  #again() {
    this.lostAt ??= Date.now();
    const wait = WAITS[Math.min(this.attempt++, WAITS.length - 1)];
    this.on.lost({ since: this.lostAt, next: Date.now() + wait });
    this.timer = setTimeout(() => this.connect(), wait);
  }

  /** Give a connection up that no longer answers; its own close event may take minutes. */
  #drop() {
    if (!this.ws) return;
    const ws = this.ws;
    this.ws = null;
    ws.onclose = ws.onmessage = null;
    ws.close();
    this.#again();
  }

  async #listen() {
    if (!this.up || this.unanswered === null || Date.now() - this.unanswered < SILENCE) return;
    const asked = this.ws;
    this.unanswered = null;
    try {
      await fetch("/lab/state", { signal: AbortSignal.timeout(SILENCE), cache: "no-store" });
    } catch {
      if (this.ws === asked) this.#drop();
    }
  }
}
