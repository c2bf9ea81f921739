// What a name stands for in this sandbox, said beside it: while it is pointed at or has the focus. Must not know where names come from.
import { n, t } from "../translate.js";
import { el } from "../words.js";
import { plain } from "./text.js";

const MOST = 4; // things of one name that are told apart
const WAIT = 180, LINGER = 220; // ms until it comes, and goes: the pointer may go over to it

export class Tip {
  /** `on`: select(id) */
  constructor(parts, on) {
    Object.assign(this, { parts, on, timer: 0 });
    this.node = el("div", "tip");
    this.node.id = "tip";
    this.node.popover = "manual";
    this.node.setAttribute("role", "tooltip");
    this.node.addEventListener("pointerenter", () => clearTimeout(this.timer));
    this.node.addEventListener("pointerleave", () => this.hide());
    document.querySelector(".right").append(this.node);
    addEventListener("keydown", (event) => { if (event.key === "Escape" && this.open) this.hide(true); }, { capture: true });
    addEventListener("scroll", () => { if (this.open) this.hide(true); }, { capture: true, passive: true });
  }

  get open() { return this.node.matches(":popover-open"); }

  /** `at`: a box of the page ({left, right, top, bottom}). `absent`: what to say where nothing of the name is there. */
  show(ids, at, { now = false, absent = "", buttons = false } = {}) {
    clearTimeout(this.timer);
    const put = () => {
      const known = ids.map((id) => this.parts.network.things.get(id)).filter(Boolean), nodes = known.slice(0, MOST).map((thing) => this.#about(thing));
      if (known.length > MOST) nodes.push(el("div", "", el("p", "", n("and {n} more of this name", "and {n} more of this name", known.length - MOST))));
      if (!known.length) nodes.push(el("div", "", el("p", "", absent)));
      if (buttons && known.length) { const go = el("button", "b s quiet", t("Show it in the network")); go.type = "button"; go.onclick = () => { this.hide(true); this.on.select(known[0].id); }; nodes.push(el("div", "act", go)); }
      this.node.replaceChildren(...nodes);
      this.node.showPopover();
      const { width, height } = this.node.getBoundingClientRect(), below = at.bottom + 6 + height < innerHeight;
      this.node.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
      this.node.style.top = `${Math.max(8, below ? at.bottom + 6 : at.top - height - 6)}px`;
    };
    if (now || this.open) put(); else this.timer = setTimeout(put, WAIT);
  }

  hide(now = false) {
    clearTimeout(this.timer);
    const go = () => { if (this.open) this.node.hidePopover(); };
    if (now) go(); else this.timer = setTimeout(go, LINGER);
  }

  #about(thing) {
    const { describe } = this.parts, kind = describe.kind(thing), said = [];
    if (thing.kind === "interface") said.push((thing.addresses ?? []).slice(0, 2).map(plain).join(", "), describe.state(thing));
    said.push(plain(describe.note(thing)));
    const words = said.filter(Boolean).join(" · ");
    return el("div", kind, this.parts.glyph(kind), el("b", "", plain(describe.full(thing))), el("span", "is", plain(describe.is(thing))), ...(words ? [el("p", "", words)] : []));
  }
}
