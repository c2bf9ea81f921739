// The tabs above the terminals: what each shows, its name and its ×, and the question before a running command is closed.
// Must not know of terminals, the socket, or which shells there should be.
import { MAX_NAME } from "./limits.js";
import { parts, t } from "./translate.js";
import { el, glyph } from "./words.js";

export class Tabs {
  /** `on`: select(shell), rename(shell, name), close(shell): somebody asked for it */
  constructor(root, on) {
    this.on = on;
    this.list = root.querySelector("[data-tabs]");
    this.bar = this.list.closest(".pane-h");
    this.of = new Map(); // shell → {box, button, label, name, closable}
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("dblclick", ({ target }) => { const shell = this.#shell(target); if (shell && !target.closest(".tab-x")) this.rename(shell); });
  }

  add(shell, host, closable) {
    const label = el("span", "m", shell);
    const button = el("button", "tab", glyph("host"), label);
    Object.assign(button, { type: "button", id: `tab-${shell}`, tabIndex: -1, onclick: () => this.on.select(shell) });
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", `screen-${shell}`);
    button.setAttribute("aria-describedby", closable ? "tab-keys" : "tab-keys-first");
    const box = el("span", "tab-box", button);
    box.setAttribute("role", "presentation");
    box.dataset.tab = shell;
    if (closable) { // for the pointer; a tab list may hold nothing but tabs for whoever does not see it, and Delete does the same
      const x = el("button", "tab-x", glyph("badg"));
      Object.assign(x, { type: "button", tabIndex: -1, title: t("Close {shell}", { shell }), onclick: () => this.on.close(shell), onpointerdown: (event) => event.preventDefault() });
      x.setAttribute("aria-hidden", "true");
      box.append(x);
    }
    this.list.append(box);
    this.of.set(shell, { box, button, label, host, closable, name: "" });
    this.setName(shell, "");
  }

  remove(shell) {
    this.of.get(shell)?.box.remove();
    this.of.delete(shell);
    if (this.asking?.dataset.of === shell) this.asking.hidePopover();
  }

  select(shell) {
    for (const [name, { box, button }] of this.of) {
      box.classList.toggle("here", name === shell);
      button.setAttribute("aria-selected", name === shell);
      button.tabIndex = name === shell ? 0 : -1;
    }
    this.#inSight();
  }

  /** The selected tab, whole, × and all: it grows with its name and when something runs. */
  #inSight() { this.list.querySelector(".tab-box.here")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }

  nameOf(shell) { return this.of.get(shell)?.name || shell; }

  setName(shell, name) {
    const tab = this.of.get(shell);
    if (!tab) return;
    tab.name = name;
    tab.label.textContent = name || shell;
    tab.button.title = name ? t("{name}: {shell} on {host}", { name, shell, host: tab.host }) : "";
    this.#inSight();
  }

  /** `state`: "" | "ended" | "closing" */
  setState(shell, state) { const tab = this.of.get(shell); if (tab) tab.box.dataset.state = state; }

  markBusy(isBusy) {
    for (const [shell, { button }] of this.of) {
      const dot = button.querySelector(".busy-dot");
      if (isBusy(shell) && !dot) { const mark = el("span", "busy-dot"); mark.setAttribute("role", "img"); mark.setAttribute("aria-label", t("a command is running")); button.append(mark); this.#inSight(); }
      else if (!isBusy(shell)) dot?.remove();
    }
  }

  focus(shell) { this.of.get(shell)?.button.focus(); }
  holdsFocus(shell) { return Boolean(this.of.get(shell)?.box.contains(document.activeElement)); }

  /** A field over the tab. Enter and leaving it keep the name, Escape does not. */
  rename(shell) {
    const tab = this.of.get(shell);
    if (!tab || this.field) return;
    const at = tab.button.getBoundingClientRect(), bar = this.bar.getBoundingClientRect();
    const field = (this.field = el("input", "tab-name"));
    Object.assign(field, { type: "text", maxLength: MAX_NAME, value: tab.name || shell, autocomplete: "off", spellcheck: false });
    field.setAttribute("aria-label", t("Name of the terminal {shell}", { shell }));
    const width = Math.min(Math.max(at.width, 224), bar.width);
    field.style.cssText = `left:${Math.max(0, Math.min(at.left - bar.left, bar.width - width))}px;width:${width}px`;
    const done = (keep, back) => {
      if (this.field !== field) return;
      this.field = null;
      const name = field.value.replace(/[^\P{C}]/gu, "").trim();
      field.remove();
      if (keep && (name === shell ? "" : name) !== tab.name) this.on.rename(shell, name === shell ? "" : name);
      if (back) tab.button.focus();
    };
    field.onkeydown = (event) => {
      event.stopPropagation();
      if (event.isComposing) return;
      if (["Enter", "Escape"].includes(event.key)) event.preventDefault(); // or the tab, which is focused next, takes it for a click
      if (event.key === "Enter") done(true, true);
      if (event.key === "Escape") done(false, true);
    };
    field.onblur = () => done(true, false);
    this.bar.append(field);
    field.focus();
    field.select();
  }

  /** Something runs in it: ask in words, below the tab. `yes()` when it is to be closed all the same. */
  ask(shell, running, yes) {
    const tab = this.of.get(shell);
    if (!tab) return;
    const close = el("button", "b s solid", t("Close it")), keep = el("button", "b s", t("Keep it"));
    const says = el("p", "", ...parts("{program} still runs in {terminal}. Closing the terminal ends it.", { program: el("code", "", running), terminal: this.nameOf(shell) }));
    const box = (this.asking = el("div", "pop ask", says, el("div", "act", close, keep)));
    Object.assign(says, { id: "ask-close" });
    Object.assign(box, { popover: "auto" });
    box.dataset.of = shell;
    box.setAttribute("role", "alertdialog");
    box.setAttribute("aria-labelledby", "ask-close");
    close.type = keep.type = "button";
    const before = document.activeElement;
    keep.onclick = () => { box.hidePopover(); };
    close.onclick = () => { box.hidePopover(); yes(); };
    box.ontoggle = ({ newState }) => {
      if (newState !== "closed") return;
      if (box.contains(document.activeElement) || document.activeElement === document.body) before?.focus();
      box.remove();
      if (this.asking === box) this.asking = null;
    };
    document.querySelector(".lab").append(box);
    const at = tab.box.getBoundingClientRect();
    box.style.cssText = `left:${Math.max(8, Math.min(at.left, innerWidth - 308))}px;top:${at.bottom + 4}px`;
    box.showPopover();
    keep.focus();
  }

  #shell(node) { return node.closest("[data-tab]")?.dataset.tab; }

  #key(event) {
    const names = [...this.of.keys()], shell = this.#shell(event.target), at = names.indexOf(shell);
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined && !["F2", "Delete"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "F2") this.rename(shell);
    else if (event.key === "Delete") this.on.close(shell);
    else { const next = names.at(to % names.length); this.on.select(next, true); this.focus(next); }
  }
}
