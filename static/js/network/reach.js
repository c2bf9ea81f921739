// Who reaches whom: the student chooses who and how, predicts, has it tried, and sees what was otherwise and why. Must not know how it is tried.
import { n, row, t } from "../translate.js";
import { disable, el, glyph, setText } from "../words.js";
import { Matrix, finding } from "./matrix.js";
import { isPort, kindOf } from "./model.js";
import { plain, plainly } from "./text.js";

const MOST = 8, BEGIN_WITH = 5;
const MOST_CHIPS = 60; // to choose from, beside those that are chosen
const TRIED = 3; // seconds that it usually takes

export class ReachView {
  /** `on`: see pane.js. */
  constructor(root, on) {
    Object.assign(this, { root, on, who: [], way: "ping", port: 80, answer: null, waits: null, preset: "", unmet: null });
    this.#frame();
  }

  show(preset) {
    const words = JSON.stringify(preset ?? null);
    if (preset && words !== this.preset && this.on.network.version !== null) { this.preset = words; this.unmet = preset; this.#begin(preset); }
    if (!this.who.length) this.who = this.#those().slice(0, BEGIN_WITH).map(({ id }) => id);
    this.drawn = "";
    this.changed();
  }

  hide() { this.on.light([]); }

  /** A fresh sandbox: nobody is chosen, nothing has been tried. */
  forget() { Object.assign(this, { who: [], preset: "", unmet: null, matrix: null }); this.changed(); }

  /** The network or what may be asked of it is another. */
  changed() {
    if (this.unmet && !this.answer && !this.waits) this.#begin(this.unmet);
    const those = this.#those(), there = new Set(those.map(({ id }) => id)), gone = this.who.some((id) => !there.has(id));
    if (gone && !this.waits) { this.who = this.who.filter((id) => there.has(id)); this.#again(); }
    const words = JSON.stringify([those.map(({ id, name, state }) => [id, name, state]), this.who, this.on.ready(), Boolean(this.waits)]);
    if (words === this.drawn) return;
    this.drawn = words;
    this.#chips(those);
    if (!this.matrix || this.matrix.who !== this.who.join(" ")) this.#again();
    this.#draw();
  }

  // Who may be chosen

  #those() {
    const { network } = this.on, all = [...network.things.values()];
    const order = ["host", "container", "namespace"];
    const those = all.filter((thing) => order.includes(thing.kind) && (thing.kind !== "namespace" || (thing.name && !thing.root && !thing.containers?.length)))
      .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || runs(b) - runs(a) || network.hosts.indexOf(a.host) - network.hosts.indexOf(b.host) || a.name.localeCompare(b.name));
    const names = new Set();
    this.twice = new Set(those.map(({ name }) => name).filter((name) => names.size === names.add(name).size)); // names that need their host's
    return those;
  }

  /** What a step wishes, as far as it is there; the rest of it when that has come, unless somebody has chosen otherwise. */
  #begin({ who = [], how = "ping" }) {
    const ids = new Set(this.#those().map(({ id }) => id));
    const named = who.map((name) => this.on.network.find(name).find((id) => ids.has(id)));
    if (named.some(Boolean)) this.who = [...new Set(named.filter(Boolean))].slice(0, MOST);
    if (named.every(Boolean)) this.unmet = null;
    const [way, port] = String(how).split(":");
    this.way = way;
    if (port) this.port = Number(port) || this.port;
    for (const button of this.ways) button.setAttribute("aria-pressed", button.dataset.way === this.way);
    this.portField.value = this.port;
  }

  #label(thing) {
    return plain(this.twice.has(thing.name) && thing.kind !== "host" ? `${thing.host}/${thing.name}` : thing.name);
  }

  // The frame: made once, so that nobody loses their place

  #frame() {
    this.chips = el("div", "chips");
    this.chips.setAttribute("role", "group");
    this.chips.setAttribute("aria-label", t("Who"));
    this.ways = [["ping", t("Ping")], ["tcp", t("TCP port")], ["name", t("Name")]].map(([way, words]) => {
      const button = el("button", "", words);
      button.type = "button";
      button.dataset.way = way;
      button.setAttribute("aria-pressed", way === this.way);
      button.onclick = () => this.#how(way);
      return button;
    });
    this.portField = el("input", "field m");
    Object.assign(this.portField, { type: "number", min: 1, max: 65535, value: this.port, oninput: () => { this.unmet = null; this.port = Number(this.portField.value); this.#again(); this.#draw(); } });
    this.portField.setAttribute("aria-label", t("TCP port"));
    const seg = el("div", "seg", ...this.ways);
    seg.setAttribute("role", "group");
    seg.setAttribute("aria-label", t("How"));
    this.place = el("div");
    this.tip = el("p", "sec tip-line");
    this.probe = el("button", "b solid", t("Probe"));
    this.probe.type = "button";
    this.probe.onclick = () => { if (!this.probe.hasAttribute("aria-disabled")) this.#ask(); };
    this.anew = el("button", "b s quiet", t("Predict again"));
    this.anew.type = "button";
    this.anew.onclick = () => { this.#again(); this.#draw(); this.matrix.table.querySelector("[tabindex='0']")?.focus(); };
    this.count = el("span", "sec num");
    this.results = el("div", "findings");
    this.root.classList.add("reach");
    this.root.replaceChildren(
      el("div", "reach-who", el("h3", "", t("Who")), this.chips),
      el("div", "reach-how", el("h3", "", t("How")), seg, this.portField),
      this.tip, this.place, el("div", "act", this.probe, this.anew, this.count), this.results,
    );
  }

  #how(way) {
    this.unmet = null;
    this.way = way;
    for (const button of this.ways) button.setAttribute("aria-pressed", button.dataset.way === way);
    this.#again();
    this.#draw();
  }

  #chips(those) {
    const focused = this.chips.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const shown = those.filter(({ id }, at) => at < MOST_CHIPS || this.who.includes(id));
    this.chips.replaceChildren(...shown.map((thing) => {
      const chosen = this.who.includes(thing.id), button = el("button", `chip ${kindOf(thing)}`, glyph(kindOf(thing)), el("span", "m", this.#label(thing)));
      button.type = "button";
      button.dataset.id = thing.id;
      button.setAttribute("aria-pressed", chosen);
      if (!runs(thing)) button.append(el("span", "ter", t("stopped")));
      disable(button, !chosen && this.who.length >= MOST, !chosen && this.who.length >= MOST ? t("Eight at most: take another one out first.") : "");
      button.onclick = () => this.#choose(thing.id);
      return button;
    }));
    if (shown.length < those.length) this.chips.append(el("span", "sec", n("and {n} more", "and {n} more", those.length - shown.length)));
    if (focused) this.chips.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  #choose(id) {
    const chosen = this.who.includes(id);
    if (!chosen && this.who.length >= MOST) return;
    const order = this.#those().map((thing) => thing.id);
    this.unmet = null;
    this.who = (chosen ? this.who.filter((other) => other !== id) : [...this.who, id]).sort((a, b) => order.indexOf(a) - order.indexOf(b));
    this.changed();
  }

  /** An empty table, what was said of those who are still in it kept. */
  #again() {
    const before = this.matrix, names = this.who.map((id) => { const thing = this.on.network.things.get(id); return { id, text: this.#label(thing), kind: kindOf(thing) }; });
    this.answer = null;
    this.on.light([]);
    this.matrix = new Matrix(names, this.#about(), { changed: () => this.#draw(), chosen: (a, b) => this.#chosen(a, b) });
    this.matrix.who = this.who.join(" ");
    const kept = new Map(before?.names.map(({ id }, at) => [id, at]));
    for (const [a, one] of names.entries()) for (const [b, other] of names.entries()) if (kept.has(one.id) && kept.has(other.id)) this.matrix.said[a][b] = before.said[kept.get(one.id)][kept.get(other.id)];
    this.matrix.draw();
    const had = this.place.contains(document.activeElement);
    this.place.replaceChildren(this.matrix.node);
    if (had) this.matrix.table.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
    this.results.replaceChildren();
  }

  #about() {
    return { ping: t("Who reaches whom with a ping"), name: t("Who knows whose name") }[this.way] ?? t("Who reaches whom on TCP port {port}", { port: this.port });
  }

  get #how_() { return this.way === "tcp" ? `tcp:${this.port}` : this.way; }

  #draw() {
    const few = this.who.length < 2, odd = this.way === "tcp" && !isPort(this.port), why = this.on.ready();
    this.portField.hidden = this.way !== "tcp";
    this.place.hidden = few;
    const { all, open } = this.matrix;
    setText(this.tip, few ? t("Choose at least two.") : this.answer ? "" : t("Say yes or no where you can tell, then have it tried. A cell changes with a press; with the keys: y, n, and the arrows."));
    this.tip.hidden = !this.tip.textContent;
    setText(this.probe, this.waits ? t("Trying …") : this.answer ? t("Probe again") : t("Probe"));
    disable(this.probe, few || odd || Boolean(why) || Boolean(this.waits), few ? t("Choose at least two.") : odd ? t("A port is a number from 1 to 65535.") : why);
    this.anew.hidden = !this.answer;
    setText(this.count, this.waits ? t("usually {s} s", { s: TRIED }) : odd ? t("A port is a number from 1 to 65535.") : why || (few || this.answer ? "" : n("{n} of {all} said", "{n} of {all} said", all - open, { all })));
  }

  // Trying: `reach` is asked, and answered with `reach.done`

  async #ask() {
    const asked = { who: [...this.who], how: this.#how_, predicted: this.matrix.said.map((line) => [...line]) };
    this.waits = asked;
    this.#draw();
    const answer = await this.on.ask({ type: "reach", ...asked });
    this.waits = null;
    if (asked.who.join() !== this.who.join() || asked.how !== this.#how_) return this.changed(); // something else has been chosen meanwhile
    if (!fits(answer, asked.who.length)) {
      this.results.replaceChildren(el("p", "bad-line", glyph("badg"), " ", ticked(answer?.failed ?? t("What came as an answer cannot be understood."))));
      this.on.say(plainly(answer?.failed));
    } else {
      this.answer = answer;
      this.matrix.show(answer.cells);
      this.#findings();
    }
    this.#draw();
  }

  #findings() {
    const cells = this.answer.cells.flatMap((line, a) => line.map((cell, b) => ({ ...cell, a, b })).filter(({ a, b }) => a !== b));
    const otherwise = cells.filter(({ reached, predicted }) => typeof predicted === "boolean" && typeof reached === "boolean" && predicted !== reached);
    const right = cells.filter(({ reached, predicted }) => typeof predicted === "boolean" && predicted === reached), said = otherwise.length + right.length;
    const rest = cells.filter((cell) => !otherwise.includes(cell) && !right.includes(cell));
    const lead = !said ? "" : otherwise.length ? n("{n} of {said} is otherwise than you said.", "{n} of {said} are otherwise than you said.", otherwise.length, { said }) : n("All {n} are as you said.", "All {n} are as you said.", said);
    this.results.replaceChildren(...[
      lead && el("h3", "", glyph(otherwise.length ? "badg" : "okg"), " ", lead),
      otherwise.length && this.#list(otherwise),
      this.#folded(t("As you said, and why"), right),
      said ? this.#folded(t("Not said before, and why"), rest) : this.#list(rest),
    ].filter(Boolean));
    this.results.querySelector("h3")?.classList.add(otherwise.length ? "bad" : "ok");
    this.on.say(row(lead || t("Tried: {reached} of {all} are reached.", { reached: cells.filter(({ reached }) => reached).length, all: cells.length }), otherwise.length ? this.#words(otherwise[0]) : ""));
  }

  #folded(words, cells) {
    return cells.length ? el("details", "", el("summary", "", words, " ", el("span", "num ter", `${cells.length}`)), this.#list(cells)) : null;
  }

  #list(cells) { return el("ol", "pairs", ...cells.map((cell) => this.#finding(cell))); }

  #words({ a, b, reached }) {
    return finding({ a: this.matrix.names[a].text, b: this.matrix.names[b].text }, reached);
  }

  #finding(cell) {
    const { a, b, reached, predicted, why, path } = cell, node = el("li", "");
    const name = (at) => el("span", `m kind ${this.matrix.names[at].kind}`, this.matrix.names[at].text);
    const is = reached === null ? t("not known") : this.way === "name" ? (reached ? t("known") : t("not known there")) : reached ? t("reached") : t("not reached");
    node.append(el("p", "pair", name(a), " → ", name(b), " ", el("b", "", is), ...(typeof predicted === "boolean" && predicted !== reached ? [" ", el("span", "ter", predicted ? t("you said yes") : t("you said no"))] : [])));
    node.append(el("p", "why", ...(this.on.sentence?.(String(why ?? "")) ?? [ticked(why)])));
    const acts = [];
    if (Array.isArray(path) && path.length > 1) {
      const light = el("button", "b s quiet", t("Show the way"));
      light.onclick = () => { this.#chosen(a, b); this.on.diagram()?.show?.(path[0]); };
      acts.push(light);
    }
    if (this.way !== "name") {
      const follow = el("button", "b s quiet", t("Follow this packet"));
      follow.onclick = () => this.on.follow({ from: this.answer.who[a], to: this.answer.who[b], protocol: this.way === "tcp" ? "tcp" : "icmp", port: this.way === "tcp" ? this.port : null });
      acts.push(follow);
    }
    for (const button of acts) button.type = "button";
    if (acts.length) node.append(el("p", "acts", ...acts));
    node.onmouseenter = () => this.#chosen(a, b);
    node.addEventListener("focusin", () => this.#chosen(a, b));
    return node;
  }

  /** This pair is looked at: its way lights up. */
  #chosen(a, b) {
    const cell = this.answer?.cells[a]?.[b];
    if (!cell) return;
    this.matrix.mark(a, b);
    const ids = Array.isArray(cell.path) && cell.path.length ? cell.path : [this.answer.who[a], this.answer.who[b]];
    this.on.light(ids.filter((id) => this.on.network.things.has(id)));
  }
}

const runs = (thing) => Number(thing.kind !== "container" || ["running", "paused", "restarting"].includes(thing.state));

function fits(answer, size) {
  return Array.isArray(answer?.cells) && answer.cells.length === size && answer.cells.every((line, a) => Array.isArray(line) && line.length === size && line.every((cell, b) => a === b || (cell && [true, false, null].includes(cell.reached))));
}

/** A sentence with `machine words` between backticks. */
function ticked(sentence) {
  return el("span", "", ...String(sentence ?? "").split("`").map((part, at) => (at % 2 ? el("code", "", plain(part)) : part)));
}
