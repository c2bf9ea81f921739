// The terminals: one per shell, opened again after every connection, named and closed. Must not know of Run blocks or of the lab's clock.
import { INPUT_PIECE } from "./limits.js";
import { t } from "./translate.js";
import { crisp, FOUND, Terminal } from "./terminal.js";
import { Tabs } from "./tabs.js";

const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window */ } };
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

const COPIED = { selection: t("Copied the selection."), output: t("Copied the output of the last command."), all: t("Copied the whole terminal.") };

export class Shells {
  /** `hosts`: their names; a host's first terminal has its name. `on`: send(message) → bool, opened(shell), selected(shell), gone(),
   *  named(), refused(), say(text), link(address), running(shell) → the program that runs or "", interrupted(shell), past(shell) → its commands */
  constructor(root, hosts, on) {
    this.root = root;
    this.hosts = hosts;
    this.on = on;
    this.all = new Map(); // shell → {shell, host, terminal, pid, open, ended, closing}
    this.known = new Map(); // shell → {host, name}, of every shell that the server spoke of
    this.current = null;
    this.stale = false;
    this.fontSize = Number(kept("terminal-size")) || 13;
    this.reader = kept("terminal-reader") === "yes";
    this.tabs = new Tabs(root, {
      select: (shell, byKey) => { this.select(shell); if (!byKey) this.terminal.focus(); },
      rename: (shell, name) => { if (!this.on.send({ type: "shell.name", shell, name })) this.on.refused(); },
      close: (shell) => this.close(shell),
    });
    this.screens = root.querySelector("[data-screens]");
    this.#tools();
    addEventListener("themechange", () => requestAnimationFrame(() => { for (const { terminal } of this.all.values()) terminal.paint(); }));
  }

  get terminal() { return this.all.get(this.current)?.terminal; }
  since() { return Object.fromEntries([...this.all.values()].filter((s) => s.terminal.next !== null).map((s) => [s.shell, s.terminal.next])); }
  isOpen(shell) { return Boolean(this.all.get(shell)?.open); }
  hasEnded(shell) { return Boolean(this.all.get(shell)?.ended); }
  isPast(shell) { return (this.all.get(shell)?.terminal.next ?? 0) < (this.known.get(shell)?.end ?? 0); } // the log is being read again, and goes on
  nameOf(shell) { return this.tabs.nameOf(shell); }
  #extra(shell) { return !this.hosts.includes(shell); }
  text(shell = this.current) { return this.all.get(shell)?.terminal.text() ?? ""; }

  /** `quiet`: only seen in the log. It may have ended long ago: nobody asks for it until somebody looks at it. */
  ensure(shell, host, quiet = false) {
    const known = this.all.get(shell);
    if (known) { if (!quiet && known.quiet) { known.quiet = false; this.#ask(known); } return known; }
    const terminal = new Terminal(shell, {
      input: (text) => this.input(shell, text),
      resize: (cols, rows) => { if (this.isOpen(shell)) this.on.send({ type: "shell.resize", shell, cols, rows }); },
      drawn: (offset) => this.on.send({ type: "shell.ack", shell, offset }),
      refused: () => this.on.refused(),
      leave: () => this.tabs.focus(this.current),
      revive: () => this.revive(shell),
      took: () => this.#claimSize(shell),
      link: (address) => this.on.link(address),
      find: () => this.#find(true),
      past: () => this.on.past(shell),
      copied: (what) => this.on.say(COPIED[what]),
    }, this);
    terminal.atPrompt = () => !this.on.running(shell);
    this.tabs.add(shell, host, this.#extra(shell));
    this.tabs.setName(shell, this.known.get(shell)?.name ?? "");
    this.markBusy(this.on.running);
    terminal.liveFrom = this.known.get(shell)?.end ?? 0;
    Object.assign(terminal.screen, { id: `screen-${shell}` });
    terminal.screen.setAttribute("role", "tabpanel");
    terminal.screen.setAttribute("aria-labelledby", `tab-${shell}`);
    terminal.screen.dataset.terminal = shell;
    const entry = { shell, host, terminal, pid: null, open: false, ended: false, closing: false, quiet };
    this.all.set(shell, entry);
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
    this.tabs.select(shell);
    for (const entry of this.all.values()) {
      const here = entry.shell === shell;
      entry.terminal.screen.hidden = !here;
      if (here) {
        const before = entry.terminal.rows;
        entry.quiet = false;
        this.#ask(entry);
        entry.terminal.resize();
        if (entry.terminal.rows !== before) setTimeout(() => entry.terminal.wake(), 50);
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
  forget() {
    this.known.clear();
    for (const entry of [...this.all.values()]) {
      if (this.#extra(entry.shell)) this.#remove(entry);
      else { entry.terminal.restart(); Object.assign(entry, { pid: null, open: false, asked: false }); this.#ended(entry, false); this.tabs.setName(entry.shell, ""); }
    }
  }

  input(shell, text) {
    const entry = this.all.get(shell);
    if (!entry || entry.ended) return /^[\r\n]+$/.test(text) ? this.revive(shell) : this.on.refused();
    if (text.includes("\x03")) this.on.interrupted(shell);
    for (let at = 0, end; at < text.length; at = end) {
      end = Math.min(text.length, at + INPUT_PIECE);
      if (/[\ud800-\udbff]/.test(text[end - 1])) end -= 1; // both halves of a character go in one message
      if (!this.on.send({ type: "shell.input", shell, data: text.slice(at, end) })) return this.on.refused();
    }
  }

  /** A new bash where one ended. */
  revive(shell) { const entry = this.all.get(shell); if (entry?.ended) this.#ask(entry, true); }

  /** The server says where a shell runs before anything comes from it. */
  knows({ shell, host, name, end }) {
    this.known.set(shell, { host, name, end });
    if (this.all.has(shell)) this.all.get(shell).terminal.liveFrom = end;
    this.tabs.setName(shell, name);
    this.on.named();
  }

  named({ shell, name }) {
    const known = this.known.get(shell);
    if (known) known.name = name;
    this.tabs.setName(shell, name);
    this.on.named();
  }

  output(shell, offset, bytes) { this.#seen(shell)?.terminal.output(offset, bytes); }
  gap({ shell, from, to }) { this.#seen(shell)?.terminal.gap(from, to); }
  #seen(shell) { return this.all.get(shell) ?? (this.known.has(shell) ? this.ensure(shell, this.known.get(shell).host, true) : null); }

  opened({ shell, host, pid, end }) {
    const entry = this.ensure(shell, host, true);
    if (end < (entry.terminal.next ?? 0) && entry.pid !== pid) entry.terminal.restart(); // another agent's: it counts from the start. Else it goes on below what the one before printed
    Object.assign(entry, { pid, open: true });
    this.#ended(entry, false);
    entry.terminal.opened(end);
    entry.terminal.setStale(this.stale);
    this.on.opened(shell);
  }

  closed({ shell, exit_code: code, asked }) {
    this.named({ shell, name: "" }); // a name lasts as long as its bash
    const entry = this.all.get(shell);
    if (!entry) return;
    if (this.#extra(shell) && (asked || code === 0)) return this.#remove(entry);
    if (entry.ended) return;
    Object.assign(entry, { open: false, asked: false, closing: false });
    this.#ended(entry, true);
    entry.terminal.ended(code ? t("This shell ended with exit {code}. Press Enter for a new one.", { code }) : t("This shell ended. Press Enter for a new one."));
  }

  /** Somebody wants this terminal gone. A host's first one stays; where a command runs, they are asked first. */
  close(shell) {
    const entry = this.all.get(shell);
    if (!entry || !this.#extra(shell) || entry.closing) return;
    const running = this.on.running(shell);
    if (running && !entry.ended) this.tabs.ask(shell, running, () => this.#close(entry)); else this.#close(entry);
  }

  /** The agent has no such shell (it was started anew since): then there is nothing to wait for. */
  unknown(shell) { const entry = this.all.get(shell); if (entry?.closing) this.#remove(entry); }

  #close(entry) {
    if (!this.on.send({ type: "shell.close", shell: entry.shell })) return this.on.refused();
    entry.closing = true;
    this.tabs.setState(entry.shell, "closing");
  }

  #ended(entry, yes) {
    entry.ended = yes;
    this.tabs.setState(entry.shell, yes ? "ended" : "");
    entry.terminal.setDead(yes);
  }

  setStale(stale) {
    this.stale = stale;
    for (const { terminal } of this.all.values()) terminal.setStale(stale);
  }

  markBusy(isBusy) { this.tabs.markBusy(isBusy); }

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
    const inTerminal = entry.terminal.screen.contains(document.activeElement), inTab = this.tabs.holdsFocus(entry.shell);
    const names = [...this.all.keys()], before = names[names.indexOf(entry.shell) - 1];
    this.tabs.remove(entry.shell);
    entry.terminal.dispose();
    this.all.delete(entry.shell);
    if (this.current === entry.shell) { this.current = null; const next = before ?? [...this.all.keys()][0]; if (next) this.select(next); }
    if (inTerminal) this.terminal?.focus();
    if (inTab) this.tabs.focus(this.current);
    this.on.gone();
  }

  /** Two pages may look at one shell with windows of different sizes: it has the size of the one that is being used. */
  #claimSize(shell) {
    const entry = this.all.get(shell);
    if (entry?.open) this.on.send({ type: "shell.resize", shell, cols: entry.terminal.cols, rows: entry.terminal.rows });
  }

  #tools() {
    const $ = (name) => this.root.querySelector(`[data-${name}]`);
    const view = this.root.querySelector("#view"), rename = $("rename"), close = $("close-terminal");
    view.addEventListener("beforetoggle", () => { close.hidden = !this.current || !this.#extra(this.current); });
    rename.onclick = () => { view.hidePopover(); this.tabs.rename(this.current); };
    close.onclick = () => { view.hidePopover(); this.close(this.current); };
    $("copy").onclick = async () => {
      if (!this.terminal) return;
      try { this.on.say(COPIED[await this.terminal.copy()]); this.#flash($("copy"), t("Copied")); } catch { this.#flash($("copy"), t("Not allowed")); }
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
      const decorations = { matchOverviewRuler: "#7d878c", activeMatchColorOverviewRuler: "#7d878c", matchBackground: "#faea68", activeMatchBackground: FOUND };
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
    for (const { terminal } of this.all.values()) terminal.setFinding(open);
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
