// The list "What changed": the newest command first, each line with its why, and what came earlier. Must not know where changes come from.
import { listed, n, t } from "../translate.js";
import { clock, el, firstLine } from "../words.js";
import { plain } from "./text.js";

const SIGN = { "+": t("new"), "-": t("gone"), "~": t("changed") };
const KEPT = 50; // entries
const SOON = 60000; // ms after a command in which what changes by itself is said to be a moment later

const count = (entry) => entry.parts.reduce((sum, part) => sum + part.lines.length, 0);

/** What a change touched of the firewalls of the hosts themselves: a container's own rules are its own. */
const touches = ({ added = {}, gone = [], changed = {} } = {}, things) => {
  const ids = [...Object.keys(added), ...gone, ...Object.keys(changed)].filter((id) => /^(rule|chain):/.test(id)).map((id) => id.slice(id.indexOf(":") + 1).split("/"));
  const own = ids.filter(([host, space]) => things.get(`ns:${host}/${space}`)?.root ?? true), nat = own.filter(([, , , table]) => table === "nat").length;
  return { nat: nat > 0, firewall: own.length > nat };
};

export class Changes {
  /** `on`: text(command) → its line or "", running() → the id of the command that runs now or null, counted(words): how many there are, say(text).
   *  An entry: {command, parts: [{version, at, lines, later}], touched}; later: what happened by itself afterwards. */
  constructor(node, parts, on) { Object.assign(this, { node, parts, on, entries: [], open: false }); }

  get shown() { return this.entries.findLast((entry) => count(entry)); }

  /** What was before: the server's list, oldest first. */
  load(past) {
    this.entries = [];
    for (const one of past.slice(-KEPT)) this.#take(one, null);
    for (const entry of this.entries) entry.touched = null;
    this.draw();
  }

  /** True when this change goes on with what the list shows: then what was new before stays new. */
  add(message) {
    for (const id of message.also_after ?? []) this.#entry(id);
    const goesOn = this.#take(message, this.on.running());
    this.entries.splice(0, this.entries.length - KEPT);
    this.draw();
    const { length } = message.lines ?? [];
    if (length) this.on.say(n("{n} change in the network", "{n} changes in the network", length));
    return goesOn;
  }

  #entry(command) {
    const entry = { command, parts: [], touched: { nat: false, firewall: false } };
    this.entries.push(entry);
    return entry;
  }

  /** A command takes its time, and the network is looked at meanwhile: what changed while it ran is its own; what changes after it, until another command changes something, came later. */
  #take({ lines = [], after_command: command, instead_of: instead = [], version, at, change }, running) {
    const whose = command ?? running, before = (whose && this.entries.findLast((entry) => entry.command === whose)) || (whose ? null : this.shown);
    if (!whose && !lines.length) return true; // nothing that a person wants to read
    const entry = before ?? this.#entry(whose), goesOn = instead.length > 0 || count(entry) > 0;
    for (const other of this.entries) other.parts = other.parts.filter((part) => !instead.includes(part.version));
    if (lines.length) entry.parts.push({ version, at, lines, later: !whose && count(entry) > 0 });
    this.entries = this.entries.filter((one) => one.command || one.parts.length);
    const touched = touches(change, this.parts.network.things);
    if (entry.touched) entry.touched = { nat: entry.touched.nat || touched.nat, firewall: entry.touched.firewall || touched.firewall };
    return goesOn;
  }

  forget() { this.entries = []; this.draw(); }

  draw() {
    const newest = this.entries.at(-1), { shown } = this;
    this.on.counted(shown ? n("{n} change", "{n} changes", count(shown)) : t("Changes"));
    const nodes = [el("h2", "", t("What changed"))];
    if (!newest) nodes.push(el("p", "cmd", t("After each command it stands here.")));
    if (newest && newest !== shown) nodes.push(this.#cause(newest), el("p", "nothing", t("Nothing in the network.")));
    if (shown) nodes.push(this.#cause(shown), ...this.#lists(shown, true), ...this.#same(shown));
    const earlier = this.entries.filter((entry) => entry !== newest && entry !== shown).reverse();
    if (earlier.length) nodes.push(this.#earlier(earlier));
    const before = document.activeElement, had = this.node.contains(before), line = before.closest?.(".chg > li")?.line;
    this.node.replaceChildren(...nodes);
    if (!had) return;
    const same = line && before.matches(".ask-why") && [...this.node.querySelectorAll(".chg > li")].find((item) => item.line === line);
    (same?.querySelector(".ask-why") ?? this.node.parentElement).focus({ preventScroll: true });
  }

  #text(entry) { return entry.command ? plain(firstLine(this.on.text(entry.command) || t("A command"))) : ""; }

  /** What brought it about. */
  #cause(entry) {
    const text = this.#text(entry);
    return el("p", "cmd", text ? el("code", "", text) : t("By itself, without a command"));
  }

  /** A command's own lines, and below them what came later. */
  #lists(entry, mark) {
    const own = entry.parts.filter((part) => !part.later), later = entry.parts.filter((part) => part.later), nodes = [];
    if (own.length) nodes.push(this.#list(own.flatMap((part) => part.lines), mark));
    if (!later.length) return nodes;
    const soon = Date.parse(later[0].at) - Date.parse(own.at(-1)?.at ?? later[0].at) < SOON;
    nodes.push(el("p", "later", soon ? t("a moment later") : t("later, at {time}", { time: clock(new Date(later[0].at)) })), this.#list(later.flatMap((part) => part.lines), mark));
    return nodes;
  }

  #list(lines, mark) {
    const list = el("ul", "chg");
    for (const line of lines) list.append(this.#line(line, mark));
    return list;
  }

  #line(line, mark) {
    const kind = String(line.kind ?? "wire"), ids = line.ids ?? [], sign = el("b", "", line.sign === "-" ? "−" : line.sign);
    sign.setAttribute("aria-hidden", "true");
    const words = el("span", `line ${/^\w+$/.test(kind) ? kind : "wire"}`, this.parts.glyph(kind), el("span", "vh", `${SIGN[line.sign] ?? ""}: `), ...this.parts.sentence(line.text, { ids, mark: mark && line.sign === "+" }));
    const item = this.parts.lights.live(el("li", "", sign, words), ids.filter((id) => this.parts.network.things.has(id)));
    item.line = line;
    if (line.why || line.show?.length) {
      const why = el("button", "ask-why", t("why")), because = el("div", "because");
      why.type = "button";
      why.onclick = () => { line.open = !line.open; tell(); };
      const tell = () => { // what is open stays open when the list is drawn anew
        because.hidden = !line.open;
        why.setAttribute("aria-expanded", Boolean(line.open));
        if (line.open && !because.firstChild) because.append(...(line.why ? [el("p", "", ...this.parts.sentence(line.why))] : []), ...(line.show ?? []).map(([host, command]) => this.parts.command(host, command)));
      };
      tell();
      words.append(why);
      item.append(because);
    }
    return item;
  }

  /** What did not change, where that is known: the whole change was there to look at. */
  #same(entry) {
    if (!entry.touched) return [];
    const { nat, firewall } = entry.touched, hosts = listed(this.parts.network.hosts.map(plain));
    const said = !nat && !firewall ? t("Firewall, NAT on {hosts}: no change", { hosts }) : !firewall ? t("Firewall on {hosts}: no change", { hosts }) : !nat ? t("NAT on {hosts}: no change", { hosts }) : "";
    return said ? [el("p", "same", said)] : [];
  }

  #earlier(entries) {
    const list = el("ol");
    for (const entry of entries) {
      const text = el("code", "", this.#text(entry) || t("by itself")), tally = el("span", "num", count(entry) ? n("{n} change", "{n} changes", count(entry)) : t("nothing"));
      text.title = text.textContent;
      if (!count(entry)) { list.append(el("li", "", el("span", "row", text, tally))); continue; }
      const row = el("details", "row", el("summary", "", text, tally));
      row.ontoggle = () => { entry.open = row.open; if (row.open && row.children.length === 1) row.append(...this.#lists(entry, false)); };
      row.open = Boolean(entry.open);
      list.append(el("li", "", row));
    }
    const details = el("details", "before", el("summary", "", t("Earlier")), list);
    details.open = this.open;
    details.ontoggle = () => { this.open = details.open; };
    return details;
  }
}
