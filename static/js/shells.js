// Tabs and terminals: one per shell, opened again after every connection. Must not know of Run blocks or of the lab's clock.
import { crisp, Terminal } from "./terminal.js";
import { el, glyph } from "./words.js";

const CHUNK = 16 * 1024; // characters in one shell.input
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window */ } };
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

export class Shells {
  /** `on`: send(message) → bool, opened(shell), selected(shell), refused(), say(text), busy(shell), past(shell) → its commands */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.all = new Map(); // shell → {shell, host, terminal, tab, pid, open, ended}
    this.current = null;
    this.stale = false;
    this.fontSize = Number(kept("terminal-size")) || 13;
    this.reader = kept("terminal-reader") === "yes";
    this.tabs = root.querySelector("[data-tabs]");
    this.screens = root.querySelector("[data-screens]");
    this.#tools();
    addEventListener("themechange", () => requestAnimationFrame(() => { for (const { terminal } of this.all.values()) terminal.paint(); }));
  }

  get terminal() { return this.all.get(this.current)?.terminal; }
  since() { return Object.fromEntries([...this.all.values()].filter((s) => s.terminal.next !== null).map((s) => [s.shell, s.terminal.next])); }
  isOpen(shell) { return Boolean(this.all.get(shell)?.open); }
  text(shell = this.current) { return this.all.get(shell)?.terminal.text() ?? ""; }

  /** `quiet`: only seen in the log. It may have ended long ago: nobody asks for it until somebody looks at it. */
  ensure(shell, host = shell.replace(/-\d+$/, ""), quiet = false) {
    const known = this.all.get(shell);
    if (known) { if (!quiet && known.quiet) { known.quiet = false; this.#ask(known); } return known; }
    const terminal = new Terminal(shell, {
      input: (text) => this.input(shell, text),
      resize: (cols, rows) => { if (this.isOpen(shell)) this.on.send({ type: "shell.resize", shell, cols, rows }); },
      drawn: (offset) => this.on.send({ type: "shell.ack", shell, offset }),
      refused: () => this.on.refused(),
      leave: () => this.all.get(this.current)?.tab.focus(),
      find: () => this.#find(true),
      past: () => this.on.past(shell),
      copied: (what) => this.on.say(`Copied the ${what}.`),
    }, this);
    terminal.atPrompt = () => !this.on.busy(shell);
    const tab = el("button", "tab", glyph("host"), el("span", "m", shell));
    Object.assign(tab, { type: "button", id: `tab-${shell}`, tabIndex: -1 });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `screen-${shell}`);
    tab.onclick = () => { this.select(shell); terminal.focus(); };
    Object.assign(terminal.screen, { id: `screen-${shell}` });
    terminal.screen.setAttribute("role", "tabpanel");
    terminal.screen.setAttribute("aria-labelledby", tab.id);
    terminal.screen.dataset.terminal = shell;
    const entry = { shell, host, terminal, tab, pid: null, open: false, ended: false, quiet };
    this.all.set(shell, entry);
    this.tabs.append(tab);
    const hidden = this.current !== null;
    terminal.open(this.screens);
    if (hidden) terminal.screen.hidden = true; // after open(): it has been measured
    terminal.setStale(this.stale);
    if (!this.current) this.select(shell);
    this.#ask(entry);
    return entry;
  }

  select(shell) {
    if (!this.all.has(shell)) return;
    this.current = shell;
    for (const entry of this.all.values()) {
      const here = entry.shell === shell;
      entry.tab.setAttribute("aria-selected", here);
      entry.tab.tabIndex = here ? 0 : -1;
      entry.terminal.screen.hidden = !here;
      if (here) {
        const before = entry.terminal.rows;
        entry.quiet = false;
        this.#ask(entry);
        entry.terminal.resize();
        if (entry.terminal.rows !== before) setTimeout(() => entry.terminal.wake(), 50);
        entry.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    }
    this.on.selected(shell);
  }

  /** May shells be opened? Asked again with every connection, and when the lab is ready. */
  allow(yes, again = false) {
    this.allowed = yes;
    for (const entry of this.all.values()) {
      if (again || !yes) { entry.asked = false; entry.open &&= yes && entry.quiet; }
      this.#ask(entry);
    }
  }

  /** A fresh sandbox: forget every shell and offset. */
  forget(hosts) {
    for (const entry of [...this.all.values()]) {
      if (!hosts.includes(entry.shell)) this.#remove(entry);
      else { entry.terminal.restart(); Object.assign(entry, { pid: null, open: false, asked: false, ended: false }); }
    }
  }

  input(shell, text) {
    const entry = this.all.get(shell);
    if (entry?.ended) { if (/[\r\n]/.test(text)) this.#ask(entry, true); return; }
    for (let at = 0; at < text.length; at += CHUNK) {
      if (!this.on.send({ type: "shell.input", shell, data: text.slice(at, at + CHUNK) })) return this.on.refused();
    }
  }

  output(shell, offset, bytes) { this.ensure(shell, undefined, true).terminal.output(offset, bytes); }
  gap({ shell, from, to }) { this.ensure(shell, undefined, true).terminal.gap(from, to); }

  opened({ shell, host, pid, end }) {
    const entry = this.ensure(shell, host, true);
    if ((entry.pid !== null && entry.pid !== pid) || entry.ended) entry.terminal.restart();
    Object.assign(entry, { pid, open: true, ended: false });
    entry.terminal.opened(end);
    entry.terminal.setStale(this.stale);
    this.on.opened(shell);
  }

  closed({ shell, exit_code: code }, hosts) {
    const entry = this.all.get(shell);
    if (!entry) return;
    const extra = !hosts.includes(shell);
    if (extra && code === 0) {
      const held = entry.terminal.screen.contains(document.activeElement);
      this.#remove(entry);
      if (held) this.terminal?.focus();
      return;
    }
    Object.assign(entry, { open: false, asked: false, ended: true });
    entry.terminal.xterm.write(`\x1b[0m\r\n\x1b[2mThis shell ended${code ? ` with exit ${code}` : ""}. Press Enter for a new one.\x1b[0m\r\n`);
  }

  setStale(stale) {
    this.stale = stale;
    for (const { terminal } of this.all.values()) terminal.setStale(stale);
  }

  markBusy(isBusy) {
    for (const { shell, tab } of this.all.values()) {
      const dot = tab.querySelector(".busy-dot");
      if (isBusy(shell) && !dot) { const mark = el("span", "busy-dot"); mark.setAttribute("role", "img"); mark.setAttribute("aria-label", "a command is running"); tab.append(mark); }
      else if (!isBusy(shell)) dot?.remove();
    }
  }

  /** The first free name for a further terminal of a host: lab-2, lab-3, … */
  another(host) {
    let n = 2;
    while (this.all.has(`${host}-${n}`)) n++;
    const { shell, terminal } = this.ensure(`${host}-${n}`, host);
    this.select(shell);
    terminal.focus();
  }

  refit() { this.terminal?.resize(); }
  wake() { this.terminal?.wake(); }

  #ask(entry, again = false) {
    if (!this.allowed || entry.quiet || (entry.ended && !again) || entry.asked) return;
    const { cols, rows } = this.terminal ?? entry.terminal; // a hidden terminal has no box: the one in sight has the right size
    if (entry.terminal.screen.hidden) entry.terminal.xterm.resize(cols, rows);
    entry.asked = this.on.send({ type: "shell.open", host: entry.host, shell: entry.shell, cols, rows });
  }

  #remove(entry) {
    entry.tab.remove();
    entry.terminal.dispose();
    this.all.delete(entry.shell);
    if (this.current === entry.shell) { this.current = null; const [next] = this.all.keys(); if (next) this.select(next); }
  }

  #tools() {
    const $ = (name) => this.root.querySelector(`[data-${name}]`);
    this.tabs.addEventListener("keydown", (event) => {
      const names = [...this.all.keys()], at = names.indexOf(this.current);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.select(names.at(to % names.length));
      this.all.get(this.current).tab.focus();
    });
    $("copy").onclick = async () => {
      if (!this.terminal) return;
      try { this.on.say(`Copied the ${await this.terminal.copy()}.`); this.#flash($("copy"), "Copied"); } catch { this.#flash($("copy"), "Not allowed"); }
    };
    const size = (px) => {
      const way = Math.sign(px - this.fontSize), before = crisp(this.fontSize);
      while (crisp(px) === before && px > 10 && px < 24) px += way; // a step must be seen
      this.fontSize = Math.min(24, Math.max(10, px));
      keep("terminal-size", this.fontSize);
      $("size-now").textContent = this.fontSize;
      for (const { terminal } of this.all.values()) terminal.setFontSize(this.fontSize);
    };
    $("size-now").textContent = this.fontSize;
    for (const button of this.root.querySelectorAll("[data-size]")) button.onclick = () => size(this.fontSize + Number(button.dataset.size));
    $("reader").checked = this.reader;
    $("reader").onchange = ({ target }) => {
      this.reader = target.checked;
      keep("terminal-reader", this.reader ? "yes" : "no");
      for (const { terminal } of this.all.values()) terminal.setReader(this.reader);
    };
    $("find").onclick = () => this.#find(true);
    $("find-close").onclick = () => this.#find(false);
    const field = $("finder").querySelector("input");
    const step = async (way) => {
      const search = await this.terminal.search();
      if (this.searched !== search) { this.searched = search; search.onDidChangeResults(({ resultIndex, resultCount }) => { $("found").textContent = field.value ? `${resultIndex + 1}/${resultCount}` : ""; }); }
      const decorations = { matchOverviewRuler: "#7d878c", activeMatchColorOverviewRuler: "#7d878c", matchBackground: "#faea68", activeMatchBackground: "#e6a800" };
      way < 0 ? search.findPrevious(field.value, { decorations }) : search.findNext(field.value, { decorations, incremental: way === 0 });
    };
    field.oninput = () => step(0);
    field.onkeydown = (event) => {
      if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.#find(false);
    };
    for (const button of this.root.querySelectorAll("[data-find-step]")) button.onclick = () => step(Number(button.dataset.findStep));
  }

  async #find(open) {
    const finder = this.root.querySelector("[data-finder]");
    finder.hidden = !open;
    if (open) { const field = finder.querySelector("input"); field.focus(); field.select(); }
    else { (await this.terminal?.search())?.clearDecorations(); this.terminal?.clearSelection(); this.terminal?.focus(); }
  }

  #flash(button, text) {
    const before = (button.label ??= [...button.childNodes]);
    button.replaceChildren(text);
    clearTimeout(button.timer);
    button.timer = setTimeout(() => button.replaceChildren(...before), 1500);
  }
}
