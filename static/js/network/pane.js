// The network's pane: which of its views is in sight, whether what it shows is so now, and who hears what. Must not know how a view draws.
import { listed, row, t } from "../translate.js";
import { counter, clock, el, glyph, setText, toClipboard } from "../words.js";
import { Changes } from "./changes.js";
import { Describe } from "./describe.js";
import { Facts } from "./facts.js";
import { Lights } from "./lights.js";
import { Network } from "./model.js";
import { Names } from "./names.js";
import { Outputs } from "./output.js";
import { Parts } from "./parts.js";
import { plain, plainly } from "./text.js";
import { Tip } from "./tip.js";
import { Twin } from "./twin.js";

const HIDDEN = 10000; // ms after which a page that nobody sees is told nothing more
const SOON = 600; // ms in which a picture that is read again is not yet said to be old
const LATE = 15000; // ms until a question is given up
const PHONE = matchMedia("(max-width: 760px)"), WIDE = matchMedia("(min-width: 1181px)");
const VIEWS = ["picture", "text", "changes", "follow", "reach"];

export class Pane {
  /** `on`: send(message) → bool, run(host, command) → "" or why not, text(command id), running() → the id of the newest command that runs, say(text), terminals() → [{terminal, host}], terminal() → the one in sight,
   *  drawer(open, tab), now() → {state, up, lost, down, elsewhere, skew} */
  constructor(root, on) {
    Object.assign(this, { root, on, node: root.querySelector("#netpane"), view: "picture", watched: false, diagram: null, asked: new Map(), views: {}, wish: {} });
    const $ = (name) => this.node.querySelector(`[data-net-${name}]`);
    this.$ = $;
    this.network = new Network();
    this.describe = new Describe(this.network);
    this.lights = new Lights(root, { light: (ids, kept) => { this.diagram?.light(kept); this.outputs?.light(ids); } });
    this.parts = new Parts(this.network, this.describe, this.lights, { run: on.run, select: (id) => this.select(id, true) });
    this.tip = new Tip(this.parts, { select: (id) => this.select(id, true) });
    this.names = new Names(root, this.network, this.lights, this.tip, { select: (id) => this.select(id), small: () => PHONE.matches });
    this.facts = new Facts($("facts"), this.parts, { close: () => this.#closeFacts() });
    this.twin = new Twin($("twin"), this.parts);
    const count = root.querySelector("[data-net-count]"), said = document.querySelector("[data-net-said]");
    this.changes = new Changes($("changes"), this.parts, { text: on.text, running: on.running, counted: (words) => setText(count, words), say: (words) => { said.textContent = words; } });
    this.outputs = new Outputs(root, this.parts, { all: on.terminals, current: on.terminal, live: () => this.#known(), light: (ids) => this.lights.light(ids), select: (id) => this.select(id, true), show: (ids, at) => this.tip.show(ids, at), hide: () => this.tip.hide() });
    this.network.on((what) => this.#heard(what));
    this.#buttons();
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.leaving);
      this.leaving = document.hidden && setTimeout(() => { this.leaving = null; this.settle(); }, HIDDEN);
      this.settle();
    });
    for (const media of [PHONE, WIDE]) media.addEventListener("change", () => { this.show(this.view); this.#watch(); });
    setInterval(() => this.#age(), 1000);
    this.step();
  }

  // What comes

  message(message) {
    switch (message.type) {
      case "network.snapshot":
        this.fresh = true;
        this.network.snapshot(message);
        this.changes.load(message.past ?? []);
        break;
      case "network.change":
        this.#change(message);
        break;
      case "network.away": this.network.lost(message); break;
      default: this.#answer(message);
    }
    this.settle();
  }

  #change(message) {
    const { newest } = this.network;
    if (!this.network.change(message)) return this.#again();
    if (this.changes.add(message)) this.network.newest = new Set([...newest, ...this.network.newest].filter((id) => this.network.things.has(id)));
  }

  /** The picture comes with the first snapshot: until then there is nothing to draw. */
  async #picture() {
    if (this.drawing) return;
    this.drawing = true;
    const { Diagram } = await import("./diagram.js"), box = this.$("drawing");
    this.diagram = new Diagram(box, this.network, { worker: box.dataset.worker, select: (id) => this.select(id, false, true), light: (ids) => this.lights.light(ids) });
    this.diagram.light(this.lights.kept);
    this.#pause();
  }

  /** What nobody sees is not drawn. */
  #pause() {
    const paused = !this.visible || ["text", "changes"].includes(this.view) || (PHONE.matches && this.root.dataset.drawerTab !== "network");
    if (!this.diagram || paused === this.paused) return; // it draws anew when it goes on
    this.paused = paused;
    this.diagram.pause(paused);
  }

  #heard(what) {
    if (what === "snapshot" && this.network.version !== null) {
      this.#picture();
      if (this.view in VIEW_CODE) this.views[this.view]?.show(this.wish[this.view]); // a wish can name things only now
    }
    if (what === "faded") return;
    if (this.facts.id) this.facts.show(this.facts.id);
    if (what === "change" || what === "snapshot") this.#lightStep();
  }

  /** What came cannot be followed: begin anew. */
  #again() { this.on.send({ type: "network.watch", on: false }); this.watched = false; this.#watch(); }

  /** The list of commands has come: what a change came after has words now. */
  commands() { this.changes.draw(); }

  /** A fresh sandbox: nothing that is known is true. */
  forget() {
    this.network.snapshot({ graph: {}, version: null, read_at: null });
    this.network.newest = new Set();
    this.select(null);
    this.changes.forget();
    for (const { answer } of [...this.asked.values()]) answer({ failed: t("Your lab has ended.") });
    for (const view of Object.values(this.views)) view.forget();
    this.watched = false;
    this.settle();
  }

  // What is so

  /** Could somebody see it? */
  get visible() { return !document.hidden && !this.root.classList.contains("full") && (!PHONE.matches || this.root.classList.contains("drawer-open")); }

  /** The connection is new: nobody there knows that we look. */
  connected() {
    this.watched = false;
    this.#watch();
    for (const { message } of this.asked.values()) this.on.send(message); // its answer went to the connection that is gone
  }

  #watch() {
    const { state, up, elsewhere } = this.on.now(), wanted = up && state === "claimed" && !elsewhere && (this.visible || Boolean(this.leaving && this.watched));
    if (wanted === this.watched) return;
    this.watched = this.on.send({ type: "network.watch", on: wanted }) && wanted;
    this.fresh = false; // until its first snapshot
    this.since = Date.now();
    if (this.watched) setTimeout(() => this.settle(), SOON);
  }

  /** Bring the pane in line with the lab and the connection. */
  settle() {
    this.#watch();
    const mode = this.#mode(), live = mode === "live";
    this.node.dataset.mode = mode;
    const all = mode === "away" && this.network.hosts.every((host) => this.network.away.hosts.includes(host));
    this.node.dataset.fresh = live || mode === "soon" || (mode === "away" && !all) ? "yes" : "no";
    setText(this.$("title"), this.network.version === null || mode === "soon" ? t("Network") : live || (mode === "away" && !all) ? t("Network, live") : t("Network, as it was"));
    this.$("blank").hidden = this.network.version !== null;
    if (this.network.version === null) this.#blank(mode);
    this.#says(mode);
    this.#pause();
    this.names.draw(this.#known());
    this.outputs.draw();
    if (this.visible) { this.views[this.view]?.changed(); if (this.view === "text") this.twin.draw(); }
    this.#age();
  }

  #known() { return this.network.version !== null && ["live", "away", "soon"].includes(this.node.dataset.mode); }

  #mode() {
    const { state, up, lost, down, elsewhere } = this.on.now();
    if (state !== "claimed") return state;
    if (elsewhere) return "elsewhere";
    if (lost || !up) return this.network.version === null && !lost ? "reading" : "lost";
    if (down) return "down";
    if (this.network.away) return "away";
    if (this.fresh) return "live";
    return this.network.version !== null && Date.now() - this.since < SOON ? "soon" : "reading";
  }

  /** What stands in the picture's place while there is none. */
  #blank(mode) {
    const { away } = this.network, hosts = listed(this.root.dataset.hostNames.split(" ")), seconds = Math.floor((Date.now() - (this.since ?? Date.now())) / 1000);
    const [lead, why] = {
      waiting: [t("Your network is drawn here."), t("As soon as it is your turn.")],
      booting: [t("Your network is drawn here."), t("As soon as your lab is up: every interface, bridge and container, as the kernel reports it.")],
      reading: [t("Reading the network of {hosts} …", { hosts }), seconds > 1 ? t("{s} s so far. Usually it takes less than one.", { s: seconds }) : ""],
      away: [t("The network of {hosts} cannot be read.", { hosts: listed((away?.hosts ?? []).map(plain)) }), plainly(away?.why)],
      lost: [t("The connection is lost."), t("The network is read when it is back.")],
      down: [t("The lab’s worker has stopped."), t("The network is read when a new one has taken over, usually within 10 s.")],
      ended: [t("Your lab has ended."), t("The network of a fresh one is drawn here.")],
      failed: [t("Your lab did not start."), t("The network of another one is drawn here.")],
      elsewhere: [t("Your lab belongs to another lesson."), t("Its network is drawn when you have chosen.")],
    }[mode] ?? [t("Your network is drawn here."), t("As soon as your lab runs: every interface, bridge and container, as the kernel reports it. Nothing is drawn by hand.")];
    setText(this.$("lead"), lead);
    setText(this.$("why"), why);
  }

  /** What is wrong with the picture that is shown: it must never look as if it were of now when it is not. */
  #says(mode) {
    const { version, away, readAt } = this.network, node = this.$("says"), at = readAt ? clock(new Date(Date.parse(readAt) + (this.on.now().skew ?? 0))) : "";
    const said = version === null || mode === "live" ? "" : {
      away: row(t("The network of {hosts} cannot be read now.", { hosts: listed((away?.hosts ?? []).map(plain)) }), plainly(away?.why), t("What was known of it stays in the picture.")),
      ended: t("Your lab has ended. This is its network as it was read last, at {time}.", { time: at }),
      failed: t("Your lab has ended. This is its network as it was read last, at {time}.", { time: at }),
      lost: t("The connection is lost. This is the network as it was read at {time}; it is read again when the connection is back.", { time: at }),
      down: t("The lab’s worker has stopped. This is the network as it was read at {time}.", { time: at }),
      reading: t("Reading again. This is the network as it was at {time}.", { time: at }),
    }[mode] ?? "";
    if (node.dataset.said === said) return;
    node.dataset.said = said;
    node.hidden = !said;
    if (said && mode === "away") document.querySelector("[data-net-said]").textContent = said;
    node.replaceChildren(...(said ? [glyph("waitg"), el("span", "", said)] : []));
  }

  /** How old the picture is: for the eye only, nobody needs to hear it. */
  #age() {
    const { readAt, version } = this.network, node = this.$("age"), mode = this.node.dataset.mode;
    if (mode === "reading" && version === null) this.#blank("reading");
    if (!readAt || !["live", "away"].includes(mode)) return setText(node, "");
    const ms = Math.max(0, Date.now() - (Date.parse(readAt) + (this.on.now().skew ?? 0)));
    setText(node, ms < 10000 ? t("read from the kernel {s} s ago", { s: (ms / 1000).toFixed(1) }) : t("read from the kernel {time} ago", { time: counter(ms) }));
  }

  // Views

  #buttons() {
    for (const button of this.node.querySelectorAll("[data-show]")) button.onclick = () => this.show(button.dataset.show);
    const does = { fit: () => this.diagram?.fit(), svg: () => this.diagram?.saveSVG(), png: () => this.diagram?.savePNG(), copy: async () => { await toClipboard(this.twin.text()); this.on.say(t("Copied the network as text.")); } };
    const menu = this.node.querySelector("#net-more");
    for (const button of menu.querySelectorAll("[data-net-do]")) button.onclick = () => { menu.hidePopover(); does[button.dataset.netDo](); };
    menu.addEventListener("beforetoggle", () => { for (const button of menu.querySelectorAll("button")) button.disabled = this.network.version === null || (button.dataset.netDo !== "copy" && !this.diagram); });
  }

  /** Bring a view into sight. `question`: what it is to ask at once. */
  async show(view, question) {
    if (!VIEWS.includes(view) || (view === "changes" && WIDE.matches)) view = "picture";
    const before = this.view;
    this.view = view;
    this.node.dataset.view = view;
    for (const button of this.node.querySelectorAll("[data-show]")) button.setAttribute("aria-pressed", button.dataset.show === view);
    if (before !== view) this.views[before]?.hide?.();
    if (view === "text") this.twin.draw();
    this.#pause();
    const under = (one) => one === "follow" || one === "reach"; // its panel takes room from the picture
    if (under(view)) {
      const opened = await this.#open(view);
      if (this.view !== view) return; // another has been chosen while its code came
      opened.show(this.wish[view], question);
    }
    if (before !== view && (under(before) || under(view))) requestAnimationFrame(() => this.diagram?.fit());
  }

  /** A view that comes when it is wanted first. */
  async #open(view) {
    const make = await VIEW_CODE[view]();
    return (this.views[view] ??= new make(this.node.querySelector(`[data-net-panel="${view}"]`), {
      network: this.network, diagram: () => this.diagram, ask: (message) => this.#ask(message), ready: () => this.#ready(), light: (ids) => this.lights.light(ids),
      follow: (question) => this.show("follow", question), sentence: (text, how) => this.parts.sentence(text, how), say: this.on.say,
    }));
  }

  /** Why nothing can be asked of the network now. */
  #ready() {
    const mode = this.#mode();
    return mode === "live" ? "" : { lost: t("The connection is lost. It comes back by itself."), down: t("The lab’s worker has stopped. A new one takes over, usually within 10 s."), away: plainly(this.network.away?.why), reading: t("The network is being read.") }[mode] ?? t("This needs a lab that runs.");
  }

  #ask(message) {
    const why = this.#ready(), id = `${message.type}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
    if (why) return Promise.resolve({ failed: why });
    return new Promise((resolve) => {
      if (!this.on.send({ ...message, id })) return resolve({ failed: t("The connection is lost. It comes back by itself.") });
      const timer = setTimeout(() => this.#answer({ id, failed: t("The lab did not answer within {s} s.", { s: LATE / 1000 }) }), LATE);
      this.asked.set(id, { message: { ...message, id }, answer: (answer) => { clearTimeout(timer); this.asked.delete(id); resolve(answer); } });
    });
  }

  #answer(message) { this.asked.get(message.id)?.answer(message); }

  /** Is this error about something that a view asked? */
  refused({ id, message, what_to_do: what }) { if (!this.asked.has(id)) return false; this.#answer({ id, failed: row(message, what) }); return true; }

  /** A thing is chosen: its facts, and its place in the picture. `seen`: bring the network into sight; `there`: it was chosen in the picture. */
  select(id, seen = false, there = false) {
    this.facts.show(id);
    this.node.classList.toggle("has-facts", Boolean(this.facts.id));
    if (id && seen && PHONE.matches) { this.on.drawer(true, "network"); this.show("picture"); }
    if (id && this.view === "changes") this.show("picture");
    if (id && seen && this.root.classList.contains("full")) this.root.querySelector("[data-full]").click();
    if (!there) this.diagram?.select(id, { go: true });
    if (id) this.$("side").scrollTop = 0;
  }

  /** The focus goes back to where things are chosen. */
  #closeFacts() {
    this.select(null);
    if (this.view === "text") this.$("twin").focus({ preventScroll: true }); else this.diagram?.focus();
  }

  // The step

  /** Another step is on the page: what it shows of the network. */
  step() {
    let wish = {};
    try { wish = JSON.parse(document.getElementById("show")?.textContent || "{}") ?? {}; } catch { /* a step without a sound wish shows nothing */ }
    const before = this.wish.view;
    this.wish = wish;
    if (wish.view) this.show(wish.view); else if (before === this.view) this.show("picture"); // the view was the other step's
    else if (wish[this.view]) this.show(this.view);
    this.#lightStep();
    this.names.draw(this.#known());
  }

  #lightStep() {
    const ids = [...new Set((this.wish.things ?? []).flatMap((name) => this.network.find(name)))];
    if (String(ids) !== String(this.lights.always)) this.lights.keep(ids); // what is pointed at, or followed, stays lit
  }
}

const VIEW_CODE = { // view → its class, when it is wanted
  follow: async () => (await import("./follow.js")).FollowView,
  reach: async () => (await import("./reach.js")).ReachView,
};
