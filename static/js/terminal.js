// One shell drawn by xterm.js: size, keys, bytes by offset, copy and find. Must not know of tabs, lessons or the socket.
import { Terminal as Xterm } from "@xterm/xterm";
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { ACK_EVERY, MAX_UNDRAWN, SCROLLBACK } from "./limits.js";
import { n, t } from "./translate.js";
import { duration, el, glyph, toClipboard } from "./words.js";

const FONT = '"JetBrains Mono Variable", "Noto Sans Mono CJK SC", ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
const CURSOR = "\x1b[?47h\x1b[?47l"; // makes xterm draw its cursor before the first focus: a prompt without one looks dead
export const FOUND = "#e6a800";
const ANSWERS = 32; // a second
const PLAIN = "\x1b7\x1b[?1049l\x1b[r\x1b8\x1b[?1000;1002;1003;1006l\x1b[0m"; // whatever a program left on
const ANSWER = /^\x1b(\[[?>=]?[\d;]*[cnRuxty]|[\]P_].*)/s; // what a terminal answers by itself when it is asked

/** The nearest size at which a column is a whole number of device pixels: WebGL would cut the rest off and squeeze the letters. */
export const crisp = (size) => { const ratio = 0.6 * devicePixelRatio; return Math.round(size * ratio) / ratio + 0.02; };

/** How many columns a text takes in the terminal: Chinese is twice as wide. */
const cells = (text) => [...text].reduce((sum, c) => sum + (c >= "\u2e80" ? 2 : 1), 0);

/** xterm's colours from the page's tokens, as they are now. */
export function colours(stale, finding = false) {
  const probe = el("i");
  document.body.append(probe);
  const read = (token) => { probe.style.color = `var(--${token})`; return getComputedStyle(probe).color; };
  const [red, green, yellow, blue, magenta, cyan] = ["red", "green", "yellow", "blue", "magenta", "cyan"].map((hue) => read(`t-${hue}`));
  const ink = read("ink"), ink2 = read("ink-2"), ink3 = read("ink-3"), term = read("term");
  const theme = {
    background: term, foreground: stale ? ink3 : ink, cursor: stale ? term : ink, cursorAccent: stale ? ink3 : term, // a terminal without a cursor does not look alive
    selectionBackground: read("select"), selectionInactiveBackground: read("select"),
    ...(finding && { selectionInactiveBackground: FOUND, selectionForeground: read("on-new") }), // the match one is at is selected
    black: ink3, brightBlack: ink3, white: ink2, brightWhite: ink,
    red, green, yellow, blue, magenta, cyan,
    brightRed: red, brightGreen: green, brightYellow: yellow, brightBlue: blue, brightMagenta: magenta, brightCyan: cyan,
    scrollbarSliderBackground: read("line"), scrollbarSliderHoverBackground: read("edge"), scrollbarSliderActiveBackground: read("edge"),
  };
  probe.remove();
  return theme;
}

export class Terminal {
  /** `on`: input(text), resize(cols, rows), drawn(offset), refused(), revive(): a key for a new shell, took(): the keyboard is here,
   *  leave(), find(), copied(what), link(address), past() → commands, oldest first */
  constructor(name, on, { fontSize = 13, reader = false } = {}) {
    this.name = name;
    this.on = on;
    this.next = null; // offset of the next byte to draw; null before the first
    this.drawn = this.acked = 0;
    this.marked = new Set(); // ids of commands whose line has its marks
    this.recallAt = null; // offset at which the past is drawn and can be marked
    this.old = 0; // writes under way that repeat the past
    this.liveFrom = 0; // output before this offset is the past: what it asks is not answered
    this.stale = false; // nobody takes keys: no connection, no worker
    this.dead = false; // its shell has ended
    this.answers = { left: ANSWERS, at: 0 };
    this.fit = el("div", "fit");
    this.screen = el("div", "screen", this.fit);
    this.xterm = new Xterm({
      allowProposedApi: true, fontFamily: FONT, fontSize: crisp(fontSize), fontWeight: 450, fontWeightBold: 700, screenReaderMode: reader, theme: colours(false),
      cursorBlink: false, cursorInactiveStyle: "outline", scrollback: SCROLLBACK, minimumContrastRatio: 4.5, macOptionIsMeta: true, scrollOnUserInput: true,
      drawBoldTextInBrightColors: false, logLevel: "off", smoothScrollDuration: 0, tabStopWidth: 8,
    });
  }

  /** Into the page. Its box must be laid out: the size must be right before the shell is asked for. */
  open(parent) {
    parent.append(this.screen);
    const { xterm } = this;
    this.fitter = new FitAddon();
    xterm.loadAddon(this.fitter);
    xterm.loadAddon(new Unicode11Addon());
    xterm.unicode.activeVersion = "11";
    const link = (event, address) => { event.preventDefault(); this.on.link(address); };
    const hover = (_, address) => { this.screen.title = address; }, leave = () => { this.screen.title = ""; };
    xterm.loadAddon(new WebLinksAddon(link, { hover, leave }));
    xterm.options.linkHandler = { activate: link, hover, leave, allowNonHttpProtocols: false }; // OSC 8: the text may say one address and mean another
    xterm.open(this.fit);
    xterm.write(CURSOR);
    xterm.textarea.setAttribute("aria-label", t("Terminal {name}. Leave with Control F6.", { name: this.name }));
    this.#keys();
    this.resize();
    xterm.onResize(({ cols, rows }) => {
      clearTimeout(this.sized);
      this.sized = setTimeout(() => { if (this.told !== `${cols}×${rows}`) this.on.resize(cols, rows); this.told = `${cols}×${rows}`; }, 60);
    });
    xterm.onData((data) => { if (!this.stale && (!ANSWER.test(data) || this.#mayAnswer())) this.on.input(data); });
    xterm.textarea.addEventListener("focus", () => this.on.took());
    xterm.onBinary((data) => { if (!this.stale) this.on.input(data); });
    xterm.onCursorMove(() => { // at most once a frame: it makes the browser lay the page out
      if (this.pans && !this.following) this.following = requestAnimationFrame(() => { this.following = null; this.#follow(); });
    });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.screen);
    this.#sharpen();
    document.fonts.load(`13px "JetBrains Mono Variable"`).then(() => this.#measure());
  }

  get cols() { return this.xterm.cols; }
  get rows() { return this.xterm.rows; }

  /** Bytes of this shell from `offset` on. A byte that is drawn already is dropped. */
  output(offset, bytes) {
    if (this.next === null) this.next = this.drawn = this.acked = offset;
    if (offset > this.next) this.gap(this.next, offset);
    const fresh = bytes.subarray(this.next - offset);
    if (!fresh.length) return;
    const end = (this.next += fresh.length);
    if (document.hidden && end - this.drawn < MAX_UNDRAWN && end - this.acked >= ACK_EVERY) { // a browser hardly draws there: the program must not wait for it
      this.acked = end;
      this.on.drawn(end);
    }
    const past = end <= this.liveFrom;
    this.old += past;
    this.xterm.write(fresh, () => {
      this.old -= past;
      this.drawn = end;
      this.#recall();
      if (this.drawn - this.acked >= ACK_EVERY) { this.acked = this.drawn; this.on.drawn(this.drawn); }
    });
  }

  gap(from, to) {
    if (this.next === null || to <= this.next) { this.next ??= to; return; }
    const size = to - Math.max(from, this.next);
    const said = size > 1e6 ? `${(size / 1e6).toFixed(1)} MB` : size > 1e3 ? `${Math.round(size / 1e3)} kB` : n("{n} byte", "{n} bytes", size);
    this.next = to;
    this.xterm.write(`\x1b[0m\r\n\x1b[2m— ${t("{size} were printed while nobody looked", { size: said })} —\x1b[0m\r\n`);
  }

  /** The shell is there, and what it printed goes to `end`. */
  opened(end) {
    this.recallAt = end;
    this.xterm.write("", () => this.#recall());
  }

  /** Another bash under the same name: nothing of the old one counts. */
  restart() {
    this.xterm.write(`\x1bc${CURSOR}`); // not reset(): what is still to be drawn comes before it
    this.next = null;
    this.marked.clear();
    this.last = null;
  }

  setStale(stale) {
    if (stale === this.stale) return;
    this.stale = stale;
    this.#shown();
  }

  /** Its shell has ended: what it printed stays, and it looks like it. */
  setDead(dead) {
    if (dead === this.dead) return;
    this.dead = dead;
    this.#shown();
  }

  ended(says) { this.xterm.write(`${PLAIN}\r\n\x1b[2m${says}\x1b[0m\r\n\x1b[?25l`); }

  #shown() {
    this.screen.classList.toggle("stale", this.stale || this.dead);
    this.xterm.options.disableStdin = this.stale;
    this.paint();
  }

  paint() { this.xterm.options.theme = colours(this.stale || this.dead, this.finding); }

  /** What programs ask the terminal is answered by whoever is in front of it, once, and not without end: a flood of questions is no use to anybody. */
  #mayAnswer() {
    if (this.old || !document.hasFocus()) return false;
    const now = Date.now();
    this.answers.left = Math.min(ANSWERS, this.answers.left + ((now - this.answers.at) / 1000) * ANSWERS);
    this.answers.at = now;
    if (this.answers.left < 1) return false;
    this.answers.left -= 1;
    return true;
  }

  setFontSize(size) { this.xterm.options.fontSize = crisp(size); this.resize(); }
  setReader(on) { this.xterm.options.screenReaderMode = on; }
  setFinding(on) { this.finding = on; this.paint(); }
  paste(text) { this.stale || this.dead ? this.on.refused() : this.xterm.paste(text); }
  focus() { this.xterm.focus(); }
  clearSelection() { this.xterm.clearSelection(); }

  resize() {
    if (!this.screen.offsetParent || !this.fitter) return;
    const cell = this.#cell();
    // On a phone a table of `ip` or `brctl` would wrap: keep 80 columns there and pan.
    this.pans = innerWidth <= 760;
    if (cell) this.screen.style.setProperty("--wide", this.pans ? `${Math.ceil(cell * 80) + 16}px` : "0");
    const size = this.fitter.proposeDimensions();
    if (!size || !(size.cols > 1 && size.rows > 1)) return;
    const { viewportY, baseY } = this.xterm.buffer.active;
    this.xterm.resize(Math.min(500, size.cols), Math.min(200, size.rows));
    if (viewportY !== baseY) return;
    const once = this.xterm.onRender(() => { // who was at the end stays there; xterm scrolls back to the old place with its next frame
      once.dispose();
      setTimeout(() => this.xterm.scrollToBottom());
    });
  }

  /** In sight again. xterm does not measure what it draws while nobody sees it, and only a change of size makes it. */
  wake() {
    const { cols, rows } = this.xterm;
    this.xterm.resize(cols, rows + 1);
    this.xterm.resize(cols, rows);
    requestAnimationFrame(() => requestAnimationFrame(() => this.xterm.scrollToBottom()));
  }

  /** The whole buffer as text, wrapped lines joined. */
  text(from = 0, to = Infinity) {
    const buffer = this.xterm.buffer.active;
    const lines = [];
    for (let y = from; y < Math.min(buffer.length, to); y++) {
      const line = buffer.getLine(y);
      const text = line.translateToString(!buffer.getLine(y + 1)?.isWrapped);
      if (line.isWrapped && lines.length) lines[lines.length - 1] += text; else lines.push(text);
    }
    return lines.join("\n").trimEnd();
  }

  /** What is selected; else what the last command printed; else everything. */
  async copy() {
    const { xterm } = this;
    if (xterm.hasSelection()) { await toClipboard(xterm.getSelection()); return "selection"; }
    const last = this.last;
    if (last?.from && !last.from.isDisposed && last.from.line >= 0) {
      const to = last.to && !last.to.isDisposed ? last.to.line : Infinity;
      await toClipboard(this.text(last.from.line, to));
      return "output";
    }
    await toClipboard(this.text());
    return "all";
  }

  async search() {
    if (!this.searcher) {
      const { SearchAddon } = await import("@xterm/addon-search");
      this.searcher = new SearchAddon();
      this.xterm.loadAddon(this.searcher);
    }
    return this.searcher;
  }

  // The agent reports commands in order with the output: when what came before is drawn, the cursor is at the place.

  /** A command begins to print. Its line, or its first one, is above the cursor. */
  started(text, id) {
    this.xterm.write("", () => {
      const buffer = this.xterm.buffer.active;
      const here = buffer.baseY + buffer.cursorY;
      let line = here - 1;
      for (let more = text.split("\n").length; more > 0 && line > 0; more--) {
        while (line > 0 && buffer.getLine(line)?.isWrapped) line--;
        if (more > 1) line--;
      }
      const [first] = text.split("\n");
      for (let up = line; first && up >= 0 && up > line - 8; up--) if (!buffer.getLine(up).isWrapped && this.#whole(buffer, up).endsWith(first.trimEnd())) { line = up; break; } // keys typed ahead are echoed below it
      this.marked.add(id);
      this.last = { from: this.xterm.registerMarker(0), prompt: buffer.type === "normal" && line >= 0 ? this.xterm.registerMarker(line - here) : null };
    });
  }

  /** It ended. The gutter says how (`good`: as it should), the right end of its line how long it took, if there is room. */
  finished(ms, code, good, stopped) {
    this.xterm.write("", () => {
      const { last } = this;
      if (!last || last.to) return;
      last.to = this.xterm.registerMarker(0);
      if (last.prompt && !last.prompt.isDisposed && this.xterm.buffer.active.type === "normal") this.#outcome(last.prompt, ms, code, good, stopped);
    });
  }

  /** After a reload the log is only text: give the commands before it their marks, by their lines, newest first, up to the first that is not found. */
  #recall() {
    if (this.recallAt === null || (this.next !== null && this.drawn < this.recallAt)) return;
    this.recallAt = null;
    const buffer = this.xterm.buffer.active, here = buffer.baseY + buffer.cursorY;
    if (buffer.type !== "normal") return;
    let y = here;
    for (const { id, text, over, exit_code: code, duration_ms: ms, good, stopped } of this.on.past().reverse()) {
      const [first] = text.split("\n");
      if (this.marked.has(id) || !first) continue;
      let found = -1;
      for (; y >= 0 && found < 0; y--) {
        if (buffer.getLine(y).isWrapped) continue;
        const line = this.#whole(buffer, y);
        if (line.endsWith(first.trimEnd()) && /[#$] $/.test(line.slice(0, -first.trimEnd().length))) found = y;
      }
      if (found < 0) return;
      this.marked.add(id);
      const prompt = this.xterm.registerMarker(found - here);
      if (!over) this.last = { from: null, prompt };
      else if (prompt) this.#outcome(prompt, ms, code, good, stopped);
    }
  }

  /** A line with what wrapped. */
  #whole(buffer, y) {
    let line = buffer.getLine(y).translateToString(!buffer.getLine(y + 1)?.isWrapped);
    for (let more = y + 1; more < y + 500 && buffer.getLine(more)?.isWrapped; more++) line += buffer.getLine(more).translateToString(!buffer.getLine(more + 1)?.isWrapped);
    return line.trimEnd();
  }

  #outcome(marker, ms, code, good, stopped) {
    const [tone, name] = good ? ["ok", "okg"] : code === null || code === 130 || stopped ? ["ter", "stop"] : ["bad", "badg"];
    this.xterm.registerDecoration({ marker, x: 0, width: 1, layer: "top" })?.onRender((node) => {
      if (node.firstChild) return;
      node.className = `xterm-decoration gut-mark ${tone}`;
      node.append(glyph(name));
    });
    if (ms == null) return;
    const text = code ? t("exit {code}, {duration}", { code, duration: duration(ms) }) : duration(ms), width = cells(text);
    this.xterm.registerDecoration({ marker, x: 1, anchor: "right", width: width + 1, layer: "top" })?.onRender((node) => {
      const line = this.xterm.buffer.active.getLine(marker.line); // looked at anew: a narrower window wraps it
      node.className = "xterm-decoration dur-mark";
      node.textContent = line && line.translateToString(true).length <= this.cols - width - 3 ? text : "";
    });
  }

  dispose() {
    this.watcher?.disconnect();
    clearTimeout(this.sized);
    this.screen.remove();
    setTimeout(() => this.xterm.dispose(), 2000); // what xterm has still planned (a frame, a scroll) fails in one that is disposed of
  }

  #keys() {
    this.xterm.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown") return true;
      const { ctrlKey: ctrl, shiftKey: shift, altKey: alt, code, key } = event;
      const done = (act) => { event.preventDefault(); act(); return false; };
      if (ctrl && key === "F6") return done(() => this.on.leave());
      if (ctrl && shift && code === "KeyF") return done(() => this.on.find());
      if ((ctrl && shift && code === "KeyC") || (ctrl && !shift && key === "Insert")) return done(() => this.xterm.hasSelection() && this.#take());
      if (ctrl && !shift && !alt && code === "KeyC" && this.xterm.hasSelection() && this.atPrompt?.()) return done(() => { this.#take(); this.clearSelection(); });
      if ((ctrl && shift && code === "KeyV") || (shift && !ctrl && key === "Insert")) return false; // the browser pastes
      if (this.dead && !this.stale && key === "Enter") return done(() => this.on.revive());
      if ((this.stale || this.dead) && !ctrl && !event.metaKey && (key.length === 1 || ["Enter", "Tab", "Backspace"].includes(key))) {
        if (key === "Tab") return false;
        return done(() => this.on.refused());
      }
      return true;
    });
  }

  async #take() { await this.copy(); this.on.copied("selection"); }

  /** WebGL draws faster; where it is missing or lost, and on a phone, the DOM draws. */
  async #sharpen() {
    if (matchMedia("(pointer: coarse)").matches) return;
    try {
      const { WebglAddon } = await import("@xterm/addon-webgl");
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.xterm.loadAddon(webgl);
      this.resize();
    } catch { /* no WebGL here */ }
  }

  /** The font has come: measure again. */
  #measure() {
    this.xterm.options.fontFamily = `${FONT}, monospace`; // a changed value is what makes xterm measure
    this.xterm.clearTextureAtlas();
    this.resize();
  }

  #cell() { return this.fit.querySelector(".xterm-screen").clientWidth / this.cols; }

  /** Where the terminal is wider than its window (phone), keep the cursor in sight. */
  #follow() {
    const spare = this.screen.scrollWidth - this.screen.clientWidth;
    if (spare <= 0) return;
    const cell = this.#cell();
    const x = this.xterm.buffer.active.cursorX * cell;
    const { scrollLeft, clientWidth } = this.screen;
    if (x < scrollLeft) this.screen.scrollLeft = Math.max(0, x - clientWidth / 2);
    else if (x > scrollLeft + clientWidth - 40) this.screen.scrollLeft = x - clientWidth + 80;
  }
}
