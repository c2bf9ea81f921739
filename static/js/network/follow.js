// Follow the packet: asks for the way of one real packet (`follow`, answered by `follow.done`), tells it step by step, and has it played on the picture. Must not know how it is found.
import { n, t } from "../translate.js";
import { copyButton, disable, el, glyph, iconButton, setGlyph, setText } from "../words.js";
import { isPort } from "./model.js";
import { plain, plainly } from "./text.js";

const OTHER = "other"; // of “To”: what is written
const MOST_THINGS = 200; // in a list to choose from
const PROTOCOLS = { icmp: t("ping (ICMP)"), tcp: t("TCP"), udp: t("UDP") };
const ENDS = {
  answered: t("answered"), delivered: t("delivered"), refused: t("refused"), rejected: t("rejected"), dropped: t("dropped"), no_route: t("no route"), no_name: t("no such name"),
  no_neighbour: t("nobody there"), not_forwarded: t("not passed on"), rp_filter: t("dropped"), too_big: t("too big"), ttl: t("too many routers"), lost: t("lost"), unknown: t("not known"),
};
const GOOD = ["answered", "delivered"];

export class FollowView {
  /** `on`: network, diagram(), ask(message), ready(), light(ids), sentence(text, how), say(text) */
  constructor(root, on) {
    Object.assign(this, { root, on, answer: null, index: -1, playing: false, busy: false, wish: "", unmet: null });
    this.#form();
    this.status = el("p", "follow-status");
    this.status.setAttribute("aria-live", "polite");
    this.result = el("div", "follow-result");
    root.classList.add("follow");
    root.append(this.form, this.status, this.result);
    root.addEventListener("keydown", (event) => this.#key(event));
    this.changed();
  }

  // What is asked

  #form() {
    const form = (this.form = el("form", "follow-form"));
    const field = (label, control, extra = "") => { const node = el("label", `field-s ${extra}`, el("span", "", label), control); form.append(node); return node; };
    this.from = el("select");
    this.to = el("select");
    this.other = el("input", "m");
    this.protocol = el("select", "", ...Object.entries(PROTOCOLS).map(([value, words]) => new Option(words, value)));
    this.port = el("input", "m");
    Object.assign(this.other, { type: "text", maxLength: 253, autocomplete: "off", autocapitalize: "none", spellcheck: false, placeholder: t("web or 10.73.0.3") });
    Object.assign(this.port, { type: "text", inputMode: "numeric", maxLength: 5, autocomplete: "off", placeholder: "80", size: 5 });
    field(t("From"), this.from, "wide");
    field(t("To"), this.to, "wide");
    this.otherField = field(t("Name or address"), this.other, "wide");
    field(t("Protocol"), this.protocol);
    this.portField = field(t("Port"), this.port, "narrow");
    this.button = el("button", "b solid s", t("Follow"));
    form.append(this.button);
    form.noValidate = true;
    form.onsubmit = (event) => { event.preventDefault(); this.ask(); };
    form.oninput = () => { this.unmet = null; this.#settle(); };
  }

  #settle() {
    this.otherField.hidden = this.to.value !== OTHER;
    this.portField.hidden = this.protocol.value === "icmp";
    const why = this.busy ? t("A packet is on its way.") : this.on.ready();
    disable(this.button, Boolean(why), why);
    if (!this.busy && !this.answer) setText(this.status, why || t("One real packet is sent, and followed through every interface and rule, there and back. Nothing in your lab is changed."));
  }

  /** Everything that a packet can begin at, or go to, as the network is now. */
  changed() {
    const { things, hosts } = this.on.network, groups = new Map(hosts.map((host) => [host, []]));
    for (const thing of things.values()) {
      const named = thing.kind === "namespace" && !thing.root && thing.name;
      if (!(thing.kind === "host" || thing.kind === "container" || named) || !groups.has(thing.host)) continue;
      groups.get(thing.host).push(thing);
    }
    for (const [select, extra] of [[this.from, []], [this.to, [new Option(t("A name or an address …"), OTHER)]]]) {
      const before = select.value, rank = (thing) => ["host", "container", "namespace"].indexOf(thing.kind);
      const made = [...groups].map(([host, list]) => {
        const group = el("optgroup");
        group.label = plain(host);
        const sorted = list.sort((a, b) => rank(a) - rank(b) || String(a.name).localeCompare(String(b.name))).slice(0, MOST_THINGS);
        group.append(...sorted.map((thing) => {
          const option = new Option(this.#option(thing), thing.id);
          option.disabled = thing.kind === "container" && !thing.space;
          return option;
        }));
        return group;
      });
      const key = made.map((group) => group.label + [...group.children].map((option) => `${option.value} ${option.text} ${option.disabled}`).join()).join();
      if (select.known === key) continue; // an open list stays as it is
      select.known = key;
      select.replaceChildren(...made, ...extra);
      const kept = [...select.options].some((option) => option.value === before && !option.disabled);
      if (before && kept) select.value = before; else this.#choose(select);
    }
    if (this.unmet) this.#fill(this.unmet);
    this.#settle();
  }

  #option(thing) {
    const name = plain(thing.name || thing.id);
    if (thing.kind === "container") return thing.space ? t("{name} (container)", { name }) : t("{name} (container, not running)", { name });
    return thing.kind === "host" ? t("{name} (host)", { name }) : t("{name} (namespace)", { name });
  }

  /** What most want first: from one thing to another. */
  #choose(select) {
    const options = [...select.options].filter((option) => !option.disabled && option.value !== OTHER);
    const first = options.find((option) => option.value.startsWith("ctr:")) ?? options[0];
    const second = options.find((option) => option.value !== this.from.value && option.value.startsWith("ctr:")) ?? options.find((option) => option.value !== this.from.value);
    select.value = (select === this.from ? first : second ?? options[0])?.value ?? (select === this.to ? OTHER : "");
  }

  /** `wish`: the step's, with names: it fills the form, again and again until all of them are there or somebody has chosen otherwise.
   *  `question`: with ids, from elsewhere on the page: it is asked. */
  show(wish, question = null) {
    this.shown = true;
    this.changed();
    if (this.on.network.version === null) return; // what they name is not known yet: this is called again then
    const words = JSON.stringify(wish ?? null);
    if (wish && words !== this.wish) { this.wish = words; this.unmet = wish; this.changed(); }
    if (!question) return;
    this.#fill(question);
    this.button.focus({ preventScroll: true }); // what had the focus is out of sight now
    this.ask();
  }

  #fill({ from, to, protocol, port }) {
    const end = (name) => (this.#known(name) ? name : this.on.network.find(name).find((id) => ["host", "container", "namespace"].includes(this.on.network.things.get(id)?.kind)));
    const begin = end(from), goal = end(to);
    if (begin) this.from.value = begin;
    if (goal) this.to.value = goal; else if (to) { this.to.value = OTHER; this.other.value = String(to); }
    if (protocol in PROTOCOLS) this.protocol.value = protocol;
    if (port) this.port.value = String(port);
    if (begin && (goal || !to)) this.unmet = null;
    this.#settle();
  }

  #known(id) { return this.on.network.things.has(id); }

  hide() { this.shown = false; this.#stop(); this.on.light([]); this.on.diagram()?.stop(); }

  /** A fresh sandbox: no packet has been through it. */
  forget() {
    this.#stop();
    this.on.diagram()?.stop();
    Object.assign(this, { answer: null, wish: "", unmet: null });
    this.status.className = "follow-status";
    this.result.replaceChildren();
    this.changed();
  }

  async ask() {
    if (this.busy || this.on.ready()) return this.#settle();
    const icmp = this.protocol.value === "icmp", to = this.to.value === OTHER ? this.other.value.trim() : this.to.value, port = icmp ? null : Number(this.port.value);
    if (!to) return this.#fault(t("Write a name or an address."), this.other);
    if (!icmp && !isPort(port)) return this.#fault(t("A port is a number from 1 to 65535."), this.port);
    this.#stop();
    this.on.diagram()?.stop();
    this.unmet = null;
    this.busy = true;
    this.answer = null;
    this.result.replaceChildren();
    this.status.className = "follow-status";
    setText(this.status, t("Every namespace is watched, and a packet is sent from {from} …", { from: this.from.selectedOptions[0]?.text ?? "" }));
    this.#settle();
    const answer = await this.on.ask({ type: "follow", from: this.from.value, to, protocol: this.protocol.value, port });
    this.busy = false;
    if (answer.failed || !answer.end) this.#failed(answer.failed ?? t("The answer cannot be understood.")); else this.#draw(answer);
    this.#settle();
  }

  #fault(words, control) {
    this.status.className = "follow-status bad";
    setText(this.status, words);
    control.focus();
  }

  #failed(words) {
    this.answer = {};
    this.status.className = "follow-status bad";
    this.status.replaceChildren(glyph("badg"), ...this.on.sentence(String(words)));
  }

  // What came

  #draw(answer) {
    const { end, steps = [] } = (this.answer = answer), good = GOOD.includes(end.what), known = end.what !== "unknown";
    this.index = -1;
    this.status.className = `follow-status ${good ? "ok" : known ? "bad" : ""}`;
    this.status.replaceChildren(glyph(good ? "okg" : known ? "badg" : "waitg"), ...this.on.sentence(end.why, { ids: [end.where, end.place] }));
    const notes = [
      answer.late?.length ? t("{hosts} was not ready in time: what happened there is not shown. Follow again to see it.", { hosts: answer.late.map(plain).join(", ") }) : "",
      answer.unseen?.length ? n("{n} namespace could not be watched.", "{n} namespaces could not be watched.", answer.unseen.length) : "",
      answer.left_out ? n("{n} thing that was seen is left out.", "{n} things that were seen are left out.", answer.left_out) : "",
    ];
    const rules = steps.filter((step) => step.what === "rule").length;
    this.bar = el("div", "follow-bar");
    this.previous = iconButton("left", t("Previous"), () => this.#go(this.#next(-1)));
    this.player = iconButton("playo", t("Play"), () => (this.playing ? this.#stop(true) : this.#play()));
    this.next = iconButton("right", t("Next"), () => this.#go(this.#next(1)));
    this.place = el("span", "num ter");
    this.bar.append(this.previous, this.player, this.next, this.place, el("span", "grow"));
    if (rules) {
      const toggle = el("button", "b s quiet", n("{n} rule", "{n} rules", rules));
      toggle.type = "button";
      toggle.setAttribute("aria-pressed", "true");
      toggle.onclick = () => { const hidden = this.list.classList.toggle("no-rules"); toggle.setAttribute("aria-pressed", !hidden); };
      this.bar.append(toggle);
    }
    this.bar.append(copyButton(() => this.text()));
    this.list = el("ol", "follow-steps");
    this.list.append(...steps.map((step, i) => this.#step(step, i, steps[i - 1])));
    this.result.replaceChildren(...(steps.length ? [this.bar, this.list] : []), ...notes.filter(Boolean).map((words) => el("p", "sec", words)));
    this.#mark();
    if (steps.length && this.shown && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.#play();
  }

  #step(step, i, before) {
    const item = el("li", step.what === "rule" ? "rule" : step.what), back = step.direction === "back";
    if (back && before?.direction !== "back") item.classList.add("turn");
    const at = el("button", "at num", micro(step.at));
    at.type = "button";
    at.setAttribute("aria-label", t("Show step {n} in the picture, {time} after it was sent", { n: i + 1, time: micro(step.at) }));
    at.onclick = () => this.#go(i);
    const way = el("span", "way");
    way.setAttribute("aria-hidden", "true");
    way.textContent = back ? "←" : "→";
    item.append(at, way, el("span", "says", back && before?.direction !== "back" ? el("span", "vh", t("On the way back:") + " ") : "", ...this.on.sentence(step.text, { ids: [step.thing, ...(step.also ?? [])] })));
    return item;
  }

  // Step by step

  #next(by) {
    const { steps } = this.answer, hidden = (step) => step.what === "rule" && this.list.classList.contains("no-rules");
    let i = this.index + by;
    while (steps[i] && hidden(steps[i])) i += by;
    return steps[i] ? i : this.index;
  }

  #go(index) {
    this.#stop();
    const step = this.answer.steps[index];
    if (!step) return;
    if (index !== this.index) this.on.say(plainly(step.text));
    this.index = index;
    if (this.list.contains(document.activeElement)) this.list.children[index].querySelector(".at").focus({ preventScroll: true });
    this.#mark(true);
    this.on.diagram()?.at(this.#drawn(), index);
    this.on.light([step.thing, ...(step.also ?? [])].filter(Boolean));
  }

  async #play() {
    const diagram = this.on.diagram(), { end } = this.answer, drawn = this.#drawn(), turn = (this.turn = {});
    if (!diagram) return this.#go(Math.max(0, this.index));
    this.playing = true;
    this.#mark();
    const from = this.index >= drawn.length - 1 || this.index < 0 ? 0 : this.index;
    await diagram.play(drawn, {
      from, where: end.place ?? end.where, failed: !GOOD.includes(end.what), words: ENDS[end.what] ?? "",
      step: (i) => { if (this.turn === turn) { this.index = i; this.#mark(true); } },
    });
    if (this.turn !== turn) return;
    this.playing = false;
    this.#mark();
  }

  #stop(still = false) {
    const was = this.playing;
    this.playing = false;
    this.turn = null;
    if (was && still) { this.on.diagram()?.stop(); this.#go(Math.max(0, this.index)); }
    if (was && this.bar) this.#mark();
  }

  /** The steps as the picture can show them: a rule is nowhere in it, so it is shown where the packet was. */
  #drawn() {
    const diagram = this.on.diagram(), is = (id) => id && (!diagram?.item || diagram.item(id));
    let last = null;
    return this.answer.steps.map((step) => {
      const thing = step.rule || step.what === "nat" ? last : [step.thing, ...(step.also ?? [])].find(is) ?? last;
      return { ...step, thing: (last = thing ?? last) };
    });
  }

  #mark(scroll = false) {
    const { steps } = this.answer;
    for (const [i, item] of [...this.list.children].entries()) {
      const now = i === this.index;
      if (now !== item.hasAttribute("aria-current")) now ? item.setAttribute("aria-current", "step") : item.removeAttribute("aria-current");
      if (now && scroll && !item.matches(":hover")) this.#reveal(item);
    }
    setText(this.place, this.index < 0 ? n("{n} step", "{n} steps", steps.length) : t("Step {at} of {n}", { at: this.index + 1, n: steps.length }));
    disable(this.previous, this.index <= 0);
    disable(this.next, this.index >= steps.length - 1);
    setGlyph(this.player.firstElementChild, this.playing ? "stop" : "playo");
    const label = this.playing ? t("Stop") : t("Play");
    this.player.title = label;
    this.player.setAttribute("aria-label", label);
  }

  /** Within the panel only: the page does not move. */
  #reveal(item) {
    const box = item.getBoundingClientRect(), outer = this.root.getBoundingClientRect(), head = this.bar.offsetHeight;
    if (box.bottom > outer.bottom - 8) this.root.scrollTop += box.bottom - outer.bottom + 24;
    else if (box.top < outer.top + head) this.root.scrollTop -= outer.top + head - box.top + 8;
  }

  #key(event) {
    if (!this.answer?.steps?.length || event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (by) { event.preventDefault(); this.#go(this.#next(by)); }
    else if (event.key === "Home") { event.preventDefault(); this.#go(0); }
    else if (event.key === "End") { event.preventDefault(); this.#go(this.answer.steps.length - 1); }
  }

  /** All of it as plain text. */
  text() {
    const { steps, end } = this.answer;
    const lines = steps.map((step, i) => `${String(i + 1).padStart(2)}. ${micro(step.at).padStart(8)} ${step.direction === "back" ? "←" : "→"} ${plainly(step.text)}`);
    return `${[...lines, plainly(end.why)].join("\n")}\n`;
  }
}

/** 0 µs, 154 µs, 4.5 ms, 0.31 s */
function micro(us) {
  if (us < 1000) return t("{us} µs", { us });
  return us < 100000 ? t("{ms} ms", { ms: (us / 1000).toFixed(1) }) : t("{s} s", { s: (us / 1e6).toFixed(2) });
}
