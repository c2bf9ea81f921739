// What is known of the selected thing, and the command that shows it. Must not know how it came to be selected.
import { t } from "../translate.js";
import { el, glyph } from "../words.js";
import { plain } from "./text.js";

export class Facts {
  /** `on`: close() */
  constructor(node, parts, on) { Object.assign(this, { node, parts, on, id: null, key: "" }); }

  /** Show this thing's facts; null: none. */
  show(id, focus = false) {
    const { network, describe } = this.parts, thing = network.things.get(id), gone = thing ? null : network.gone.get(id) ?? (id && id === this.id ? this.thing : null);
    this.id = thing || gone ? id : null;
    this.node.hidden = !this.id;
    if (!this.id) { this.node.replaceChildren(); this.key = ""; return; }
    const subject = (this.thing = thing ?? gone), kind = describe.kind(subject), title = el("h2", kind, plain(describe.name(subject)));
    const rows = thing ? describe.facts(thing) : [], says = thing ? describe.says(thing) : t("It is gone.");
    const shows = thing ? describe.commands(thing) : [], is = plain(describe.is(subject));
    const key = JSON.stringify([id, Boolean(thing), rows, says, shows, is]);
    if (key === this.key) return focus && this.node.querySelector("h2").focus();
    this.key = key;
    title.tabIndex = -1;
    const close = el("button", "icon s", glyph("badg"));
    Object.assign(close, { type: "button", onclick: () => this.on.close() });
    close.setAttribute("aria-label", t("Close the facts"));
    const mark = this.parts.glyph(kind), head = el("div", `head ${kind}`, mark, title, close, el("p", "is", is));
    const had = this.node.contains(document.activeElement);
    this.node.replaceChildren(head, ...(says ? [el("p", "says", says)] : []), ...this.#table(rows), ...this.#commands(shows));
    if (focus || had) this.node.querySelector("h2").focus();
  }

  #table(rows) {
    if (!rows.length) return [];
    const dl = el("dl");
    for (const [label, values] of rows) {
      const shown = values.map((value) => (value.id ? this.parts.name(value.id, { withGlyph: true }) : value.say ? el("span", "", value.say) : el("code", "", plain(value))));
      const many = shown.length > 1 ? el("ul", "", ...shown.map((node) => el("li", "", node))) : shown[0];
      dl.append(el("div", "", el("dt", "", label), el("dd", "", many)));
    }
    return [dl];
  }

  #commands(shows) {
    if (!shows.length) return [];
    return [el("div", "shows", el("h3", "", t("You see it with")), ...shows.map(([host, command]) => this.parts.command(host, command)))];
  }
}
