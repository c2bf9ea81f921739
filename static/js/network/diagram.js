// The live picture of the network: keeps what is drawn in step with what is known, and answers pointer and keys. Must not know where snapshots come from, nor what else the page shows.
import { n, t } from "../translate.js";
import { disable, el, glyph, iconButton } from "../words.js";
import { around, inOrder, nearest, overlaps } from "./boxes.js";
import { LAYER_COUNT, boxOf, haloOf, layerOf, morphAll, s, shapeOf } from "./draw.js";
import { save, toPNG, toSVG } from "./export.js";
import { layout } from "./layout.js";
import { plan } from "./plan.js";
import { Play } from "./play.js";
import { label } from "./say.js";
import { forgetWidths, isolated, plain } from "./text.js";
import { View } from "./view.js";

const GROWTH = 900; // ms until whatever grew stands
const HALF = 200; // ms that what came without a command's end is waited for
const SETTLED = 1000; // ms that a thing must have stood to be missed
const FADED = 6200; // ms until what is gone is away
const LATE = 10000; // ms that a layout may take, on the slowest machine

export class Diagram {
  #nodes = new Map(); // key → {g, halo, item, look}
  #ghosts = new Map(); // what is gone and still fades: its group → its item
  #places = new Map(); // id of a thing → key of what shows it
  #open = new Set(); // folds that are unfolded
  #lit = []; #selected = null; #current = null;
  #scene = null; #memory = null; #asked = 0; #busy = false; #dirty = false; #paused = false; #first = true;

  /** `on`: worker (the address of layout-worker.js), select(id | null), light(ids). */
  constructor(root, network, on = {}) {
    Object.assign(this, { root, network, on, words: null });
    root.classList.add("diagram");
    this.svg = s("svg", { class: "net", role: "group", tabindex: "-1", "aria-label": t("Picture of the network. Arrow keys go from thing to thing, Enter shows what is known of one.") });
    this.world = s("g", { class: "world" });
    this.layers = Array.from({ length: LAYER_COUNT }, () => this.world.appendChild(s("g")));
    const [under, over] = [0, 1].map(() => s("g", { class: "follows", "aria-hidden": "true" }));
    this.world.insertBefore(under, this.layers[layerOf({ shape: "tag" })]);
    this.world.append(over);
    this.ring = this.world.appendChild(s("rect", { class: "focus", rx: 4 }));
    this.svg.append(this.world);
    this.waits = el("p", "waits", t("The network is being read…"));
    this.pane = el("div", "sheet", this.svg, this.waits);
    this.legend = el("ul", "legend");
    this.what = el("button", "what", t("What is what")); // where there is little room the list waits behind it
    this.what.type = "button";
    this.what.setAttribute("aria-expanded", "false");
    this.what.onclick = () => this.what.setAttribute("aria-expanded", root.classList.toggle("explained"));
    root.replaceChildren(this.pane, el("div", "foot", this.what, this.legend, el("span", "grow"), this.#tools()));
    this.view = new View(this.pane, this.svg, this.world, { moved: () => this.#viewMoved(), resized: () => this.#atHand() });
    this.player = new Play(this, under, over);
    this.#listen();
    this.#start();
    network.on((what, message) => this.#changed(what, message));
    document.fonts?.ready.then(() => { forgetWidths(); this.refresh(); });
    if (network.version !== null) this.refresh();
  }

  #tools() {
    this.out = iconButton("minus", t("Zoom out"), () => this.view.step(false), "");
    this.in = iconButton("plus", t("Zoom in"), () => this.view.step(true), "");
    const tools = el("div", "tools", this.out, this.in, iconButton("ext", t("Show all of it"), () => this.fit(), ""));
    tools.setAttribute("role", "group");
    tools.setAttribute("aria-label", t("Size of the picture"));
    return tools;
  }

  #viewMoved() {
    for (const [button, off] of [[this.out, this.view.smallest], [this.in, this.view.largest]]) disable(button, off);
  }

  /** Less room than the picture needs: what is pointed at or chosen is in sight, else what is new. */
  #atHand() {
    if (this.view.whole || !this.#scene) return;
    const ids = [this.#lit, [this.#selected].filter(Boolean), [...this.network.newest]].find((some) => some.length);
    if (ids) this.show(ids);
  }

  // ---- From what is known to a scene

  #start() {
    try {
      this.worker = this.on.worker ? new Worker(this.on.worker, { type: "module" }) : null;
    } catch { this.worker = null; }
    if (!this.worker) return;
    this.worker.onmessage = ({ data }) => this.#laidOut(data);
    this.worker.onerror = () => { clearTimeout(this.late); this.worker = null; this.#busy = false; this.refresh(); }; // it could not be loaded: the page lays out itself
  }

  #changed(what, message) {
    if (what === "change" || what === "snapshot") this.#forget((item) => !this.#isGone(item)); // one change's ghosts at a time
    clearTimeout(this.soon);
    // In the middle of a command there are half things: a cable before its container. A moment later most of them are whole.
    if (what === "change" && !message.after_command) this.soon = setTimeout(() => this.refresh(), HALF); else this.refresh();
  }

  /** Draw what is known now. Many calls are one drawing; while one is laid out the newest waits. */
  refresh() {
    if (this.#paused || this.network.version === null) return;
    if (this.#busy) { this.#dirty = true; return; }
    this.#busy = true;
    queueMicrotask(() => this.#ask());
  }

  #ask() {
    const id = ++this.#asked;
    try {
      const drawn = plan(this.network, { open: this.#open, kept: new Set([this.#selected, ...this.#lit].filter((id) => this.#nodes.has(id))) });
      const data = { id, plan: drawn, memory: this.#memory, options: { keep: this.network.gone.size > 0 } };
      this.words = drawn.words.new;
      if (!this.worker) return this.#laidOut({ id, scene: layout(drawn, this.#memory, data.options) });
      this.worker.postMessage(data);
      this.late = setTimeout(() => this.#startAnew(), LATE);
    } catch (error) { this.#laidOut({ id, failed: error }); }
  }

  #laidOut({ id, scene, failed }) {
    if (id !== this.#asked) return;
    clearTimeout(this.late);
    this.#busy = false;
    if (scene) { this.#memory = scene.memory; this.#draw(scene); } else {
      console.error(failed);
      this.#dirty ||= Boolean(this.#memory); // once more, from nothing
      this.#memory = null;
    }
    if (this.#dirty) { this.#dirty = false; this.refresh(); }
  }

  /** The layout's thread is dead, or has lost itself: another one lays out what comes next. */
  #startAnew() {
    this.worker?.terminate();
    this.#start();
    this.#laidOut({ id: this.#asked, failed: `no layout within ${LATE} ms` });
  }

  // ---- From a scene to the picture

  #draw(scene) {
    const { network } = this, first = this.#first, seen = new Set();
    this.#scene = scene;
    this.svg.classList.toggle("moves", !first);
    this.waits.hidden = true;
    this.#places = new Map();
    const order = this.layers.map(() => []);
    this.#sideNew(scene);
    for (const item of scene.items) {
      seen.add(item.key);
      this.#place(item);
      order[layerOf(item)].push(this.#item(item, first));
    }
    for (const [key, node] of this.#nodes) if (!seen.has(key)) this.#vanish(key, node);
    this.#uncover(scene);
    order.forEach((groups, i) => inOrder(this.layers[i], groups));
    this.#first = false;
    this.#legend();
    this.view.resize(scene);
    this.#light();
    this.#rove();
    this.player.redrawn();
    if (first && network.newest.size) this.show([...network.newest], false);
    else if (!first && !this.view.whole && !this.svg.matches(":hover, :focus-within")) this.#showNewest(seen);
    this.root.dispatchEvent(new CustomEvent("drawn", { detail: scene }));
  }

  /** “new” stands right of its tag; where another tag is in the way left of it, else below. */
  #sideNew(scene) {
    const tags = scene.items.filter(({ shape }) => shape === "tag"), room = this.words.w + 18;
    const free = (x, y, own) => tags.every((other) => other === own || other.x + other.w < x || other.x > x + room || Math.abs(other.y - y) > other.h);
    for (const tag of tags) if (this.#fresh(tag)) tag.side = free(tag.x + tag.w, tag.y, tag) ? "right" : free(tag.x - room, tag.y, tag) ? "left" : "below";
  }

  #place(item) {
    for (const id of [item.key, item.shows, ...(item.ids ?? [])]) if (id && !item.deaf && !item.silent && !this.#places.has(id)) this.#places.set(id, item.key);
    if (!item.deaf && !item.silent) this.#places.set(item.key, item.key);
  }

  #fresh(item) {
    const { newest } = this.network;
    if (item.shape === "leaves") return item.ids.every((id) => newest.has(id)); // else only the way that is new
    if (["fold", "legend", "host", "wire", "way", "trunk"].includes(item.shape) || item.bundle) return false;
    return [item.key, item.of, item.shows, ...(item.ids ?? [])].some((id) => newest.has(id));
  }

  #item(item, first) {
    const known = this.#nodes.get(item.key), born = known?.born ?? (first ? 0 : performance.now()), fresh = this.#fresh(item), marked = item.stands?.map((ids) => ids.length > 0 && ids.every((id) => this.network.newest.has(id))), drawn = { ...item, fresh, marked }, deep = item.points ? item : { ...item, x: 0, y: 0 };
    const look = JSON.stringify([deep, fresh, marked, this.words]);
    const g = known?.g ?? s("g", { "data-id": item.of ?? item.key });
    if (known?.look !== look) {
      const children = shapeOf(drawn, this.words);
      known ? morphAll(g, children) : g.append(...children);
      const classes = ["it", `is-${item.shape}`, item.kind];
      for (const word of ["down", "still", "dashed", "bundle", "deaf", "flat", "stale"]) if (item[word] === true || (word === "down" && item.down && item.shape !== "way")) classes.push(word);
      if (fresh) classes.push("new");
      if (!known && !first) { classes.push("grows"); setTimeout(() => g.classList.remove("grows"), GROWTH); }
      else if (known?.g.classList.contains("grows")) classes.push("grows");
      g.setAttribute("class", classes.join(" "));
    }
    if (item.silent) g.setAttribute("aria-hidden", "true");
    else if (!item.deaf) this.#speak(g, item, fresh);
    g.style.transform = item.x || item.y ? `translate(${Math.round(item.x * 100) / 100}px, ${Math.round(item.y * 100) / 100}px)` : "";
    const halo = this.#halo(known?.halo, drawn, !known && !first);
    this.#nodes.set(item.key, { g, halo, item, look, born });
    return g;
  }

  #halo(old, item, grows) {
    if (!item.fresh || !["cable", "pair", "branch"].includes(item.shape)) { old?.remove(); return null; }
    const path = haloOf(item);
    if (old) { old.setAttribute("d", path.getAttribute("d")); return old; }
    if (grows) { path.classList.add("grows"); setTimeout(() => path.classList.remove("grows"), GROWTH); }
    return this.layers[layerOf({ shape: "halo" })].appendChild(path);
  }

  #speak(g, item, fresh) {
    const words = this.#label(item), said = fresh ? t("{thing}, new", { thing: words }) : words;
    if (g.getAttribute("aria-label") !== said) g.setAttribute("aria-label", said);
    if (!g.hasAttribute("role")) { g.setAttribute("role", "button"); g.setAttribute("tabindex", "-1"); }
  }

  #label(item) {
    const { things } = this.network;
    if (item.shape === "fold") return item.count ? n("{n} more container, folded: {names}", "{n} more containers, folded: {names}", item.count, { names: item.ids.map((id) => things.get(id)).filter((thing) => thing?.kind === "container").slice(0, 12).map(({ name }) => isolated(plain(name))).join(", ") }) : t("Fold the containers again");
    const thing = things.get(item.key) ?? things.get(item.shows) ?? things.get(item.ids?.[0]);
    if (item.bundle) return item.tag.text.text;
    if (item.shape === "pair") return item.ids.map((id) => things.get(id)).filter(Boolean).map((one) => label(one, this.network)).join("; ");
    return thing ? label(thing, this.network) : plain(item.name?.text ?? item.line?.text ?? "");
  }

  /** What is gone stays for a while, struck out, unless something else stands there already. */
  #vanish(key, node) {
    const { g, item, halo, born } = node, had = document.activeElement === g;
    this.#nodes.delete(key);
    halo?.remove();
    if (this.#current === key) this.#current = null;
    if (!this.#isGone(item) || performance.now() - born < SETTLED) g.remove(); // what came and went at once was never there for the eye
    else {
      g.classList.remove("new", "lit", "grows");
      g.classList.add("gone", "deaf");
      for (const attribute of ["role", "tabindex", "aria-label", "aria-pressed"]) g.removeAttribute(attribute);
      g.setAttribute("aria-hidden", "true");
      for (const path of g.querySelectorAll("[pathLength]")) path.removeAttribute("pathLength");
      this.#ghosts.set(g, item);
      setTimeout(() => { g.remove(); this.#ghosts.delete(g); }, FADED);
    }
    if (had) queueMicrotask(() => this.focus());
  }

  #isGone(item) { return !["leaves", "way", "legend", "host"].includes(item.shape) && [item.key, item.of, item.shows, ...(item.ids ?? [])].some((id) => this.network.gone.has(id) && !this.network.things.has(id) && !this.#lives(this.network.gone.get(id))); }
  /** An interface that is in another namespace now is not gone. */
  #lives({ kind, mac, host, name }) { return kind === "interface" && [...this.network.things.values()].some((other) => other.kind === kind && other.host === host && other.mac === mac && (other.type !== "loopback" || other.name === name)); }
  #forget(which) { for (const [g, item] of this.#ghosts) if (which(item)) { g.remove(); this.#ghosts.delete(g); } }
  #uncover(scene) {
    const solid = scene.items.filter(({ deaf, shape }) => !deaf && shape !== "host" && shape !== "wire");
    const mine = (item, other) => other.shape === "region" && (this.network.gone.get(item.key)?.space ?? this.network.gone.get(item.key)?.id) === other.key; // an interface leaves its namespace behind
    this.#forget((item) => solid.some((other) => !mine(item, other) && overlaps(boxOf(other), boxOf(item))));
  }

  #showNewest(seen) {
    const box = around([...this.network.newest].map((id) => this.item(id)).filter((item) => item && seen.has(item.key) && !["host", "wire"].includes(item.shape)).map(boxOf));
    if (box) this.view.show(box);
  }

  /** “What is what”, where the picture has no room for it. */
  #legend() {
    const { rows = [], title, flat } = this.items.find(({ shape }) => shape === "legend") ?? {}, look = JSON.stringify([flat, rows]);
    if (this.legend.dataset.look === look) return;
    this.legend.dataset.look = look;
    this.legend.hidden = this.what.hidden = !flat;
    this.legend.setAttribute("aria-label", title?.text ?? "");
    this.legend.replaceChildren(...rows.map(({ kind, text }) => el("li", "", kind === "new" ? el("span", "ntag", this.words.text) : el("span", `kind ${kind}`, glyph(kind)), kind === "new" ? text : ` ${text}`)));
  }

  // ---- For the rest of the page

  get items() { return this.#scene?.items ?? []; }
  get scene() { return this.#scene; }

  /** The key of what shows this thing in the picture, or null: a route is shown by its namespace, a listener by its container… */
  find(id, depth = 0) {
    if (this.#places.has(id)) return this.#places.get(id);
    const thing = this.network.things.get(id);
    if (!thing || depth > 3) return null;
    const next = { network: [thing.bridge, thing.parent], interface: [thing.peer, thing.space], route: [thing.dev, thing.space], rule: [thing.space], chain: [thing.space], listener: [thing.space], container: [thing.space] }[thing.kind] ?? [];
    if (thing.kind === "namespace") next.push(...(thing.root ? [`host:${thing.host}`] : thing.containers ?? []));
    for (const other of next) { const key = other && this.find(other, depth + 1); if (key) return key; }
    return null;
  }
  item(id) { return this.#nodes.get(this.find(id))?.item ?? null; }

  light(ids) { this.#lit = [...ids]; this.#light(); }
  #light() {
    const lit = new Set([...this.#lit, this.#selected].filter(Boolean).map((id) => this.find(id)));
    const chosen = this.#selected && this.find(this.#selected);
    for (const [key, { g, item }] of this.#nodes) {
      g.classList.toggle("lit", lit.has(key) || Boolean(item.of ? lit.has(item.of) : item.deaf && lit.has(this.find(item.shows))));
      if (!item.deaf && !item.silent) g.setAttribute("aria-pressed", key === chosen);
    }
  }

  select(id, { go = true } = {}) {
    this.#selected = id;
    const key = id && this.find(id), item = key && this.#nodes.get(key)?.item;
    if (item?.shape === "fold" && item.count) { this.#open.add(key); this.refresh(); }
    this.#light();
    if (!item) return;
    this.#current = key;
    this.#rove();
    if (go) this.view.show(boxOf(item));
  }

  show(ids, smooth = true) { const box = around([ids].flat().map((id) => this.item(id)).filter(Boolean).map(boxOf)); if (box) this.view.show(box, { middle: !smooth, smooth }); }
  fit() { this.#memory = null; this.view.fit(); this.refresh(); } // a look at all of it: gaps close, too
  focus() { this.#nodes.get(this.#current)?.g.focus({ preventScroll: true }); }
  pause(on) { this.#paused = on; if (!on) this.refresh(); }

  play(steps, options) { return this.player.run(steps, options); }
  at(steps, index) { this.player.at(steps, index); }
  stop() { this.player.stop(); }

  pictureSVG() { return toSVG(this.svg, { ...this.#scene, height: this.#scene.height + this.#scene.foot }, t("The network of {hosts}", { hosts: this.network.hosts.join(", ") })); }
  async saveSVG(name = "network") { save(new Blob([await this.pictureSVG()], { type: "image/svg+xml" }), `${name}.svg`); }
  async savePNG(name = "network") { save(await toPNG(await this.pictureSVG()), `${name}.png`); }

  // ---- Pointer and keys

  #listen() {
    const keyOf = ({ target }) => target.closest?.(".it:not(.deaf)")?.dataset.id ?? null;
    let over = null;
    this.svg.addEventListener("pointerover", (event) => { const key = keyOf(event); if (key !== over) { over = key; this.#point(key); } });
    this.svg.addEventListener("pointerleave", () => { if (over) { over = null; this.#point(null); } });
    this.svg.addEventListener("click", (event) => {
      if (this.view.dragged) { this.view.dragged = false; return; }
      const key = keyOf(event);
      key ? this.#activate(key) : this.#leave();
    });
    this.svg.addEventListener("focusin", (event) => { const key = keyOf(event); if (key) { this.#current = key; this.#rove(); this.#point(key); const { item } = this.#nodes.get(key); if (event.target.matches(":focus-visible")) this.view.show(boxOf(item)); } });
    this.svg.addEventListener("focusout", () => { this.ring.classList.remove("on"); if (!over) this.#point(null); });
    this.svg.addEventListener("keydown", (event) => this.#key(event));
  }

  #ids(key) { const { item } = this.#nodes.get(key) ?? {}; return item ? [...new Set([item.shows ?? item.key, ...(item.ids ?? [])])].filter((id) => this.network.things.has(id)) : []; }
  #point(key) { const ids = key ? this.#ids(key) : []; this.on.light ? this.on.light(ids) : this.light(ids); }

  #activate(key) {
    const { item } = this.#nodes.get(key);
    this.#current = key;
    this.#rove();
    if (item.shape === "fold" || item.bundle) { const fold = item.bundle ? item.shows : key; this.#open.has(fold) ? this.#open.delete(fold) : this.#open.add(fold); return this.refresh(); }
    const id = [item.key, item.shows, ...(item.ids ?? [])].find((one) => this.network.things.has(one));
    if (!id) return;
    this.select(id, { go: false });
    this.on.select?.(id);
  }

  #leave() { if (this.#selected === null) return; this.select(null); this.on.select?.(null); }

  #key(event) {
    const { key } = event;
    if (this.view.key(event)) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Enter" || key === " ") { if (this.#current) this.#activate(this.#current); } else if (key === "Escape") this.#leave();
    else if (key === "Home" || key === "End") this.#go(this.#reading().at(key === "Home" ? 0 : -1)?.key);
    else if (key.startsWith("Arrow")) this.#go(nearest(this.#nodes, this.#current, key));
    else return;
    event.preventDefault();
  }

  #go(key) { if (key) this.#nodes.get(key).g.focus({ preventScroll: true }); }
  #reading() { return [...this.#nodes.values()].map(({ item }) => item).filter(({ deaf, silent }) => !deaf && !silent).sort((a, b) => boxOf(a).y - boxOf(b).y || boxOf(a).x - boxOf(b).x); }

  /** One tab stop; the ring stands around the thing that has it. */
  #rove() {
    if (!this.#nodes.has(this.#current) || this.#nodes.get(this.#current).item.deaf) this.#current = this.#reading()[0]?.key ?? null;
    for (const [key, { g, item }] of this.#nodes) if (!item.deaf && !item.silent) { const stop = key === this.#current ? "0" : "-1"; if (g.getAttribute("tabindex") !== stop) g.setAttribute("tabindex", stop); }
    const node = this.#nodes.get(this.#current), focused = node && document.activeElement === node.g && node.g.matches(":focus-visible");
    this.ring.classList.toggle("on", Boolean(focused));
    if (!focused) return;
    const { x, y, w, h } = boxOf(node.item);
    for (const [name, value] of Object.entries({ x: x - 4, y: y - 4, width: w + 8, height: h + 8 })) this.ring.setAttribute(name, value);
  }
}
