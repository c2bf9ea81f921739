// Small nodes that several views of the network are made of: a name that lights up, a sentence with names in it, a command. Must not know the views.
import { t } from "../translate.js";
import { copyButton, el, glyph } from "../words.js";
import { plain } from "./text.js";

/** A command or a rule, word by word: it breaks between them. */
const words = (line) => (line.includes(" ") ? line.split(/( +)/).map((word) => (word.trim() ? el("span", "", word) : word)) : [line]);

/** What the views share. `on`: run(host, command) → "" or why not, select(id) */
export class Parts {
  constructor(network, describe, lights, on) { Object.assign(this, { network, describe, lights, on }); }

  glyph(kind) {
    const node = glyph(["host", "bridge", "veth", "container", "namespace", "macvlan", "wire"].includes(kind) ? kind : kind === "rule" || kind === "route" ? "way" : "wire");
    node.classList.add("kind");
    return node;
  }

  /** A thing's name as a button: it lights up, and opens its facts. `words`: other words for it. */
  name(id, { words, tinted = false, mark = false, withGlyph = false } = {}) {
    const thing = this.network.things.get(id), text = plain(words ?? (thing ? this.describe.name(thing) : id));
    if (!thing) return el("code", `m${mark ? " hl" : ""}`, text);
    const kind = this.describe.kind(thing), button = el("button", `live ${kind}${tinted ? " tinted" : ""}${mark ? " hl" : ""}`);
    if (withGlyph) button.append(this.glyph(kind));
    button.append(text);
    button.type = "button";
    button.onclick = () => this.on.select(id);
    return this.lights.live(button, [id]);
  }

  /** A sentence of the server, in which `machine words` stand between backticks. Those that name a thing of `host` are live. */
  sentence(text, { ids = [], mark = false } = {}) {
    let marked = false;
    const nodes = String(text ?? "").split("`").map((part, i) => {
      if (i % 2 === 0) return part;
      const found = this.network.named(part), id = found.find((id) => ids.includes(id)) ?? (found.length === 1 ? found[0] : null), own = mark && !marked && (ids.includes(id) || (!id && !ids.some((known) => this.network.things.has(known))));
      marked ||= own;
      return id ? this.name(id, { words: part, mark: own }) : el("code", `m${own ? " hl" : ""}`, ...words(plain(part)));
    });
    return nodes.flatMap((node, i) => (i % 2 ? this.#bound(node, nodes, i) : node)).filter((part) => part !== "");
  }

  /** A name never parts from its punctuation. */
  #bound(node, nodes, i) {
    const [after] = /^[,.:;)!?’”，。：；、）]*/u.exec(nodes[i + 1] ?? "");
    if (!after || node.textContent.length > 20) return node;
    nodes[i + 1] = nodes[i + 1]?.slice(after.length);
    return el("span", "nb", node, after);
  }

  /** A command line that shows something, with the host that it is for. */
  command(host, text) {
    const shown = plain(text), node = el("div", "shown", el("code", "", shown)), foot = [copyButton(() => text)];
    const at = el("span", "at", this.network.hosts.length > 1 ? plain(host) : "");
    if (shown === text) {
      const run = el("button", "b s quiet", t("Run"));
      run.type = "button";
      run.setAttribute("aria-label", t("Run {command} on {host}", { command: text, host }));
      run.onclick = () => { const why = this.on.run(host, text); if (why) { node.querySelector("p")?.remove(); node.append(el("p", "sec", why)); } };
      foot.push(run);
    }
    node.append(at, ...foot);
    return node;
  }
}
