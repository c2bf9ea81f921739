// A packet's way on the picture: ticks run from thing to thing, and a cross with words stands where it ended. Must not know how the way was found.
import { boxOf, pathOf, s } from "./draw.js";
import { fit } from "./text.js";

const PACE = 0.55, LEAST = 180, LONGEST = 620; // px per ms, ms for one leg
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Play {
  /** `diagram`: item(id) → item of the scene or null, items, light(ids), view. `layer`, `top`: SVG groups of its own, under and over the tags. */
  constructor(diagram, layer, top) { Object.assign(this, { diagram, layer, top, turn: 0, shown: null, running: false, moved: false }); }

  stop() {
    this.#clear(null);
    this.diagram.light([]);
  }

  #clear(shown) {
    this.turn++;
    Object.assign(this, { shown, running: false, moved: false });
    this.layer.replaceChildren();
    this.top.replaceChildren();
  }

  /** The picture has been drawn anew: the way is where its things are now. A packet that runs is let come to its next thing first. */
  redrawn() {
    if (this.running) { this.moved = true; return; }
    if (!this.shown) return;
    const { steps, first, index, end } = this.shown, last = this.#trails(steps, first, index);
    this.top.replaceChildren();
    if (end) this.#ended(end, last);
  }

  /** Runs the steps one after another; `step(i)` as each is reached. Ends early when something else is played. */
  async run(steps, { from = 0, to = steps.length - 1, where = null, failed = false, words = "", step = () => {} } = {}) {
    this.stop();
    const turn = this.turn, first = Math.max(0, from - 1);
    this.running = true;
    let last = from > 0 ? this.#place(steps, from - 1) : null;
    for (let i = from; i <= to && turn === this.turn; i++) {
      const item = this.#item(steps[i]);
      if (item) {
        const leg = last && last.item.key !== item.key ? this.#leg(last, item) : null;
        if (leg) { await this.#tick(leg, steps[i].direction === "back"); last = { item, at: leg.end }; } else last ??= { item, at: middle(item) };
        if (turn !== this.turn) return;
        if (this.moved) { this.moved = false; last = this.#trails(steps, first, i); }
        this.diagram.light([steps[i].thing]);
        if (!still()) this.diagram.view.show(boxOf(item));
      }
      step(i);
      if (!still()) await pause(item ? 90 : 30);
    }
    if (turn !== this.turn) return;
    this.running = false;
    this.shown = { steps, first, index: to, end: failed ? { where, words } : null };
    if (this.moved) last = this.#trails(steps, first, to);
    const at = failed && this.#ended(this.shown.end, last);
    if (at) this.diagram.view.show(at);
  }

  /** The way up to a step, without motion. */
  at(steps, index) {
    this.#clear({ steps, first: 0, index, end: null });
    this.#trails(steps, 0, index);
    const item = this.#item(steps[index]);
    if (item) { this.diagram.light([steps[index].thing]); this.diagram.view.show(boxOf(item)); }
  }

  /** What has been gone, from one step to another. Returns where that leads: {item, at}, or null. */
  #trails(steps, first, index) {
    let last = null;
    this.layer.replaceChildren();
    for (const step of steps.slice(first, index + 1)) {
      const item = this.#item(step);
      if (!item) continue;
      const leg = last && last.item.key !== item.key ? this.#leg(last, item) : null;
      if (leg) this.#trail(leg, step.direction === "back");
      last = leg ? { item, at: leg.end } : last ?? { item, at: middle(item) };
    }
    return last;
  }

  #item(step) { return this.diagram.item(step?.thing); }
  #place(steps, index) {
    for (let i = index; i >= 0; i--) { const item = this.#item(steps[i]); if (item) return { item, at: middle(item) }; }
    return null;
  }

  /** From one thing to the next: along the cable when one joins them, else upright and level. */
  #leg({ item: a, at }, b) {
    const joined = [a, b].find((one) => ["cable", "pair"].includes(one.shape)), other = joined === a ? b : a;
    const line = joined && joined.ids?.includes(other.key) ? joined : this.diagram.items.find((one) => one.shape === "branch" && (one.shows === a.key || one.shows === b.key));
    if (line?.points && (line === joined || line.shape === "branch")) {
      const [first, second] = [line.points[0], line.points.at(-1)], ends = distance(at, second) < distance(at, first) ? [second, first] : [first, second];
      return { d: pathOf(line), reverse: ends[0] === second, end: ends[1] };
    }
    const along = this.#along(a, at, b);
    if (along) return { d: `M${along.map((point) => point.join(" ")).join("L")}`, reverse: false, end: along.at(-1) };
    const end = towards(b, at), level = a.shape === "wire" || b.shape === "wire" ? null : (at[1] + end[1]) / 2;
    const path = Math.abs(at[0] - end[0]) < 1 || Math.abs(at[1] - end[1]) < 1 ? `M${at}L${end}` : level === null ? (a.shape === "wire" ? `M${at}H${end[0]}V${end[1]}` : `M${at}V${end[1]}H${end[0]}`) : `M${at}V${level}H${end[0]}V${end[1]}`;
    return { d: path, reverse: false, end };
  }

  /** Within a host: along a rail's lower edge to the port, and through the diamond between rails and jack. Null where none of these is. */
  #along(a, at, b) {
    const rails = [a, b].map((one) => (one.shape === "rail" ? this.#gate(one) : null));
    if (rails[0] && b.shape === "cable") return within(a, at, b.points[0]);
    if (rails[0] && rails[1] && rails[0].length && rails[1].length) return [...within(a, at, rails[0][0]), ...rails[0].slice(1), ...rails[1].toReversed()];
    if (rails[0]?.length && b.shape === "jack") return [...within(a, at, rails[0][0]), ...rails[0].slice(1), middle(b)];
    if (rails[1]?.length && a.shape === "jack") return [at, ...rails[1].toReversed()];
    return null;
  }

  /** From a rail's upper edge along its dotted way to the diamond. */
  #gate(rail) {
    for (const { shape, x, y, drops } of this.diagram.items) {
      const drop = shape === "way" && drops.find((points) => { const [px, py] = points.at(-1); return Math.abs(y + py - rail.y) < 1 && x + px > rail.x && x + px < rail.x + rail.w; });
      if (drop) return drop.map(([px, py]) => [x + px, y + py]).reverse();
    }
    return [];
  }

  #trail({ d }, back) {
    const path = s("path", { class: `trail${back ? " back" : ""}`, d });
    this.layer.append(path);
    return path;
  }

  async #tick(leg, back) {
    const trail = this.#trail(leg, back);
    if (still()) return;
    const length = trail.getTotalLength(), tick = s("path", { class: "pk", d: trail.getAttribute("d") }), ms = Math.min(LONGEST, Math.max(LEAST, length / PACE));
    tick.style.strokeDasharray = `3 4 3 4 3 ${length + 40}`;
    trail.style.opacity = 0;
    this.layer.append(tick);
    const frames = [{ strokeDashoffset: 17 }, { strokeDashoffset: -length }];
    await tick.animate(leg.reverse ? frames.reverse() : frames, { duration: ms, easing: "linear" }).finished.catch(() => {});
    tick.remove();
    trail.style.opacity = "";
  }

  /** The cross, and the words beside it. Returns the box that they take, or null. */
  #ended({ where, words }, last) {
    const item = this.diagram.item(where) ?? last?.item;
    if (!item) return null;
    const [x, y] = last?.at ?? middle(item), label = fit(words || "", 260, 12, "sans", 560);
    this.top.append(s("g", { class: "ended" }, s("path", { class: "cross", d: `M${x - 8} ${y - 8}l16 16M${x + 8} ${y - 8}l-16 16` }), ...(label.w ? [s("rect", { x: x + 14, y: y - 11, width: label.w + 12, height: 22, rx: 2 }), s("text", { x: x + 20, y: y + 4 }, label.text)] : [])));
    return { x: x - 10, y: y - 12, w: label.w + 40, h: 26 };
  }
}

/** On a rail everything runs along its lower edge. */
function within(rail, [x, y], [toX, toY]) {
  const level = rail.y + rail.h - 2.5;
  return [[x, y], [x, level], [toX, level], [toX, toY]];
}
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);
const middle = (item) => {
  if (item.shape === "iface") return [item.x + item.w / 2, item.y + 6];
  if (item.shape === "jack") return [item.x + item.w / 2, item.y + item.h / 2];
  if (item.shape === "cable") return item.points[0];
  if (item.shape === "rail" || item.shape === "loose") return [item.x + item.w / 2, item.y + item.h];
  if (item.shape === "wire") return [item.x + item.w / 2, item.y];
  const { x, y, w, h } = boxOf(item);
  return [x + w / 2, y + h / 2];
};
/** Where one comes in, from there: a rail and the wire are entered straight. */
function towards(item, [x, y]) {
  const [mx, my] = middle(item);
  if (item.shape === "rail" || item.shape === "loose") return [Math.min(item.x + item.w - 6, Math.max(item.x + 6, x)), y < item.y ? item.y : item.y + item.h];
  if (item.shape === "wire") return [Math.min(item.x + item.w, Math.max(item.x, x)), item.y];
  return [mx, my];
}
