// The names in a terminal's output: what each is in this sandbox. Looks at what is in sight, when the output is idle, so that a flood stays fast. Must not know the shells.
import { t } from "../translate.js";
import { el } from "../words.js";
import { bare } from "./model.js";
import { plain } from "./text.js";

const IDLE = 250; // ms without output before anything is drawn on it
const MOST = 160; // names that are marked in one window
const TOKEN = /[\p{L}\p{N}][\p{L}\p{N}_.:/-]*/gu, IPV4 = /\d{1,3}(?:\.\d{1,3}){3}/g;
const COMMON = new Set(["bridge", "host", "none", "default"]); // names of networks that are words of every listing, too: there only beside the network's id
const NOTE = 148, LEAD = 24; // px of a note's words, and of the dots before it

/** The names in one line of output: [{x, text, ids}], `ids` the likeliest first. `host`: whose terminal it is. */
function namesIn(line, host, network) {
  const found = [];
  const look = (x, text) => {
    if (text.length < 2 || found.length >= 20) return false;
    const own = network.named(text, host);
    if (/^[0-9a-f]{1,11}$/.test(text) && !own.some((id) => network.things.get(id).name === text)) return false; // a number, or a word of hex letters
    const ids = likely(own.length ? own : network.named(text), line, host, network);
    if (!ids.length) return false;
    const first = network.things.get(ids[0]);
    if (COMMON.has(text) && !ids.map((id) => network.things.get(id)).some((thing) => thing.name === text && (thing.kind !== "network" || line.includes(thing.id.split("/").pop().slice(0, 12))))) return false;
    if (first.kind === "host" && new RegExp(`@${text}[:\\s]`).test(line.slice(Math.max(0, x - 1)))) return false; // the prompt's own
    found.push({ x, text, ids });
    return true;
  };
  for (const { 0: token, index } of line.slice(0, 500).matchAll(TOKEN)) {
    const word = token.replace(/[.:/-]+$/, "");
    if (look(index, word)) continue;
    for (const { 0: address, index: at } of word.matchAll(IPV4)) look(index + at, address);
  }
  return found;
}

/** Which of several things of one name a line means: the one whose address or hardware address stands in it, else the host's own. */
function likely(ids, line, host, network) {
  if (ids.length < 2) return ids;
  const things = ids.map((id) => network.things.get(id));
  const said = things.filter((thing) => [thing.mac, ...(thing.addresses ?? [])].some((word) => word && word !== thing.name && line.includes(bare(word))));
  const own = things.filter((thing) => network.things.get(thing.space)?.root && thing.host === host);
  const first = said.length ? said : own;
  return [...first, ...things.filter((thing) => !first.includes(thing))].map((thing) => thing.id);
}

export class Output {
  /** `on`: show(ids, box), hide(), light(ids), select(id), live(): is the network known and of now */
  constructor(xterm, host, parts, on) {
    Object.assign(this, { xterm, host, parts, on, marks: new Map(), lit: [], timer: 0 });
    xterm.registerLinkProvider({ provideLinks: (y, done) => done(this.#links(y)) });
    for (const event of ["onWriteParsed", "onScroll", "onResize"]) xterm[event](() => this.soon());
    this.soon();
  }

  /** Look again when it is quiet. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (window.requestIdleCallback ?? setTimeout)(() => this.#draw()), IDLE);
  }

  light(ids) {
    this.lit = ids;
    for (const mark of this.marks.values()) mark.node?.classList.toggle("lit", this.#isLit(mark));
  }
  #isLit(mark) { return mark.ids.some((id) => this.lit.includes(id)); }

  #names(line) { return this.on.live() ? namesIn(line, this.host, this.parts.network) : []; }

  /** What is called by name in the window now: [{text, ids}], each once. */
  inSight() {
    const buffer = this.xterm.buffer.active, seen = new Map();
    for (let y = buffer.viewportY; y < buffer.viewportY + this.xterm.rows; y++) for (const { text, ids } of this.#names(buffer.getLine(y)?.translateToString(true) ?? "")) seen.set(text, { text, ids });
    return [...seen.values()];
  }

  #links(y) {
    const line = this.xterm.buffer.active.getLine(y - 1)?.translateToString(true) ?? "";
    const links = this.#names(line).map(({ x, text, ids }) => ({
      range: { start: { x: x + 1, y }, end: { x: x + text.length, y } }, text, decorations: { underline: true, pointerCursor: true },
      hover: ({ clientX, clientY }) => { this.on.light(this.#pointed(ids)); this.on.show(ids, { left: clientX - 8, right: clientX + 8, top: clientY - 10, bottom: clientY + 12 }); },
      leave: () => { this.on.light([]); this.on.hide(); },
      activate: () => this.on.select(ids[0]),
    }));
    return links.length ? links : undefined;
  }

  /** A network and its bridge are one thing to the eye. */
  #pointed(ids) { const [first] = ids.map((id) => this.parts.network.things.get(id)); return ids.filter((id) => id === first.id || id === first.bridge); }

  #draw() {
    const { xterm } = this, buffer = xterm.buffer.active, wanted = new Map();
    if (buffer.type === "normal" && xterm.element?.offsetParent) {
      for (let y = buffer.viewportY; y < buffer.viewportY + xterm.rows && wanted.size < MOST; y++) {
        const line = buffer.getLine(y)?.translateToString(true) ?? "";
        if (!line || [...line].length !== line.length) continue; // wide characters: columns are not letters
        const names = this.#names(line);
        for (const { x, text, ids } of names) wanted.set(`${y} ${x} ${text} ${ids[0]}`, { y, x, width: text.length, ids: this.#pointed(ids), note: "" });
        const note = this.#note(line, names);
        if (note) wanted.set(`${y} note ${note.words}`, { y, ...note });
      }
    }
    for (const [key, mark] of this.marks) {
      const now = mark.marker.isDisposed ? "" : key.replace(/^\d+/, mark.marker.line);
      if (wanted.has(now) && now === key) wanted.delete(key);
      else this.#drop(key, mark);
    }
    for (const [key, mark] of wanted) this.#mark(key, mark, buffer);
  }

  #drop(key, { decoration, marker }) {
    decoration?.dispose();
    marker.dispose();
    this.marks.delete(key);
  }

  /** Every name anew: the theme is another. */
  anew() {
    for (const [key, mark] of this.marks) this.#drop(key, mark);
    this.soon();
  }

  #mark(key, mark, buffer) {
    const marker = this.xterm.registerMarker(mark.y - buffer.baseY - buffer.cursorY);
    if (!marker) return;
    const kind = this.parts.describe.kind(this.parts.network.things.get(mark.ids[0]));
    const decoration = this.xterm.registerDecoration(mark.words ? { marker, x: mark.x, width: mark.width, layer: "top" } : { marker, x: mark.x, width: mark.width, layer: "top", foregroundColor: colour(kind) });
    const kept = { ...mark, marker, decoration, node: null };
    this.marks.set(key, kept);
    decoration?.onRender((node) => {
      if (kept.node === node) return;
      kept.node = node;
      node.className = `xterm-decoration ${kind} ${mark.words ? "term-note" : "term-name"}`;
      if (mark.words) node.replaceChildren(el("span", "row", el("span", "", mark.words)));
      else node.classList.toggle("lit", this.#isLit(kept));
    });
  }

  /** Beside a line that begins with an interface and has room: what that is to its neighbours. */
  #note(line, [first]) {
    const head = first && line.slice(0, first.x);
    if (!first || !/^(\d+: )?$/.test(head) || !/\b(UP|DOWN|UNKNOWN|mtu)\b/.test(line)) return null;
    const thing = this.parts.network.things.get(first.ids[0]);
    const sure = first.ids.length === 1 || (thing.addresses ?? []).some((address) => line.includes(address)) || line.includes(String(thing.mac));
    if (thing.kind !== "interface" || thing.type === "loopback" || !sure) return null;
    const cell = this.xterm.element.querySelector(".xterm-screen").clientWidth / this.xterm.cols, room = this.xterm.cols - line.length - 2;
    const words = plain(this.parts.describe.note(thing));
    return room * cell >= NOTE + LEAD && words ? { x: line.length + 1, width: room, ids: first.ids, words } : null;
  }
}

/** The hue of a kind as xterm wants it. */
const hues = new Map();
function colour(kind) {
  const key = `${kind} ${getComputedStyle(document.documentElement).colorScheme} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
  if (!hues.has(key)) {
    const probe = el("i", kind);
    probe.style.color = "var(--k)";
    document.body.append(probe);
    hues.set(key, `#${getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`);
    probe.remove();
  }
  return hues.get(key);
}

/** The names in the output of every terminal, and for whoever does not point: as a list. */
export class Outputs {
  /** `on`: as Output's, and current() → {terminal, host} in sight, all() → [{terminal, host}] */
  constructor(root, parts, on) {
    Object.assign(this, { parts, on, of: new Map() });
    addEventListener("themechange", () => requestAnimationFrame(() => { for (const output of this.of.values()) output.anew(); }));
    for (const button of root.querySelectorAll("[data-names]")) button.onclick = () => this.#list(button);
  }

  /** Every terminal that there is. */
  draw() {
    for (const { terminal, host } of this.on.all()) {
      if (!this.of.has(terminal)) this.of.set(terminal, new Output(terminal.xterm, host, this.parts, this.on));
      this.of.get(terminal).soon();
    }
    for (const terminal of this.of.keys()) if (!terminal.screen.isConnected) this.of.delete(terminal);
  }

  light(ids) { for (const output of this.of.values()) output.light(ids); }

  #list(button) {
    const current = this.on.current(), names = current ? this.of.get(current.terminal)?.inSight() ?? [] : [], { describe, network, lights } = this.parts;
    button.closest("[popover]")?.hidePopover();
    const box = el("div", "pop names-list");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", t("Names in this output"));
    for (const { text, ids } of names) {
      const thing = network.things.get(ids[0]), kind = describe.kind(thing), row = el("button", kind, this.parts.glyph(kind), el("b", "", plain(text)), el("span", "is", [plain(describe.is(thing)), plain(describe.note(thing))].filter(Boolean).join(": ")));
      row.type = "button";
      row.onclick = () => { box.hidePopover(); this.on.select(ids[0]); };
      box.append(lights.live(row, [ids[0]]));
    }
    if (!names.length) { const none = el("p", "", t("Nothing in the terminal’s window is a name of your network.")); none.tabIndex = -1; box.append(none); }
    box.popover = "auto";
    box.ontoggle = ({ newState }) => { if (newState === "closed") { box.remove(); lights.light([]); } };
    document.querySelector(".right").append(box);
    box.showPopover();
    (box.querySelector("button") ?? box.firstChild).focus();
  }
}
