// A table in which each cell says whether one reaches another: what the student thinks, and then what was found. Must not know how it is tried, nor where it stands.
import { t } from "../translate.js";
import { el, glyph, setGlyph, setText } from "../words.js";

const NEXT = new Map([[null, true], [true, false], [false, null]]);
const KEYS = { y: true, n: false, Delete: null, Backspace: null };
const SIGNS = new Map([[true, "y"], [false, "n"], [null, "?"]]);
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export class Matrix {
  /** `names`: [{text, kind}]; `on`: changed(), chosen(a, b) when a cell with a finding is gone to. `label` says what the table is about. */
  constructor(names, label, on = {}) {
    Object.assign(this, { names, on, found: null, size: names.length });
    this.said = names.map(() => names.map(() => null));
    this.wrong = new Set();
    this.cells = names.map((_, a) => names.map((_, b) => (a === b ? null : this.#cell(a, b))));
    const head = el("tr", "", el("td", "from", t("from ↓ to →")), ...names.map((name) => this.#name(name, "col")));
    const rows = names.map((name, a) => el("tr", "", this.#name(name, "row"), ...this.cells[a].map((cell) => el("td", cell ? "" : "self", cell ?? "–"))));
    this.table = el("table", "matrix", el("thead", "", head), el("tbody", "", ...rows));
    this.table.setAttribute("role", "grid");
    this.table.setAttribute("aria-label", label);
    for (const row of this.table.rows) row.setAttribute("role", "row");
    for (const cell of this.table.querySelectorAll("td")) cell.setAttribute("role", "gridcell");
    this.node = el("div", "matrix-box", this.table);
    this.table.addEventListener("keydown", (event) => this.#key(event));
    this.#only(this.size > 1 ? this.cells[0][1] : null);
    this.draw();
  }

  #name({ text, kind }, scope) {
    const node = el("th", kind ?? "", el("span", "m", text));
    node.scope = scope;
    node.setAttribute("role", scope === "col" ? "columnheader" : "rowheader");
    node.title = text;
    return node;
  }

  #cell(a, b) {
    const button = el("button", "cell", el("span", "is"), el("span", "of", glyph("openg"), el("span")));
    button.type = "button";
    Object.assign(button.dataset, { a, b });
    button.onclick = () => { this.#only(button); if (this.found) this.on.chosen?.(a, b); else this.say(a, b, NEXT.get(this.said[a][b])); };
    button.onfocus = () => { this.#only(button); if (this.found) this.on.chosen?.(a, b); };
    return button;
  }

  /** The one cell that Tab comes to: the arrows lead to the others. */
  #only(button) {
    for (const other of this.cells.flat()) if (other) other.tabIndex = other === button ? 0 : -1;
  }

  #key(event) {
    const button = event.target.closest(".cell");
    if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
    const a = Number(button.dataset.a), b = Number(button.dataset.b);
    const said = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (said !== undefined && !this.found) { event.preventDefault(); return this.say(a, b, said); }
    const [down, right] = MOVES[event.key] ?? [0, 0];
    if (!down && !right) return;
    event.preventDefault();
    let y = a + down, x = b + right;
    if (x === y) { y += down; x += right; } // over the cell of one and itself
    this.cells[y]?.[x]?.focus();
  }

  /** The student thinks so: true, false, or null for nothing. */
  say(a, b, reaches) {
    this.said[a][b] = reaches;
    this.wrong.delete(`${a} ${b}`);
    this.draw();
    this.on.changed?.();
  }

  /** `-yn y-n nn-`: what was said before, with the cells [[a, b]] that were not so. */
  load(text, wrong = []) {
    const rows = text.split(" ");
    if (rows.length !== this.size || rows.some((row) => row.length !== this.size)) return;
    this.said = rows.map((row) => [...row].map((sign) => ({ y: true, n: false })[sign] ?? null));
    this.wrong = new Set(wrong.map(([a, b]) => `${a} ${b}`));
    this.draw();
  }

  text() { return this.said.map((row, a) => row.map((cell, b) => (a === b ? "-" : SIGNS.get(cell))).join("")).join(" "); }

  get all() { return this.size * (this.size - 1); }
  get open() { return this.cells.flat().filter((cell) => cell && this.said[cell.dataset.a][cell.dataset.b] === null).length; }

  /** What was found: rows of {reached, predicted}, or null to predict anew. */
  show(found) {
    this.found = found;
    this.table.classList.toggle("found", Boolean(found));
    this.draw();
  }

  mark(a, b) { for (const cell of this.cells.flat()) cell?.classList.toggle("here", Number(cell.dataset.a) === a && Number(cell.dataset.b) === b); }

  draw() {
    for (const cell of this.cells.flat()) if (cell) this.#draw(cell);
  }

  #draw(button) {
    const { a, b } = button.dataset, said = this.said[a][b], found = this.found?.[a]?.[b], pair = { a: this.names[a].text, b: this.names[b].text };
    const [is, of] = button.children, wrong = found ? found.predicted !== null && found.reached !== null && found.predicted !== found.reached : this.wrong.has(`${a} ${b}`);
    const right = found && found.predicted !== null && found.reached !== null && !wrong;
    const value = found ? found.reached : said;
    button.className = `cell${value === true ? " yes" : value === false ? " no" : ""}${wrong ? " wrong" : ""}${right ? " right" : ""}${button.classList.contains("here") ? " here" : ""}`;
    setText(is, value === true ? t("yes") : value === false ? t("no") : found ? t("not known") : "·");
    of.hidden = !(wrong || right);
    if (wrong || right) setGlyph(of.firstElementChild, wrong ? "badg" : "okg");
    setText(of.lastElementChild, wrong ? (found ? (found.predicted ? t("you: yes") : t("you: no")) : t("not so")) : right ? t("right") : "");
    button.setAttribute("aria-label", found ? foundWords(pair, found, wrong, right) : saidWords(pair, said, wrong));
  }
}

function saidWords(pair, said, wrong) {
  if (wrong) return said ? t("{a} to {b}: you said yes, and it is not so", pair) : t("{a} to {b}: you said no, and it is not so", pair);
  return said === null ? t("{a} to {b}: not said", pair) : said ? t("{a} to {b}: yes", pair) : t("{a} to {b}: no", pair);
}

/** What was found of a pair, in words. */
export const finding = (pair, reached) => (reached === null ? t("{a} to {b}: not known", pair) : reached ? t("{a} to {b}: reached", pair) : t("{a} to {b}: not reached", pair));

function foundWords(pair, { reached }, wrong, right) {
  const words = finding(pair, reached);
  return wrong ? t("{finding}; you said otherwise", { finding: words }) : right ? t("{finding}, as you said", { finding: words }) : words;
}
