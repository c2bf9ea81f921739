// The names in the lesson's text and in what its checks ask for: what each is in this sandbox, now. Must not know the terminal, nor what a step teaches.
import { t } from "../translate.js";

const PROSE = ":is(.read code:not(pre code, .run code, a code, button code, summary code, label code), .checks .t code)"; // where a press means something else already

export class Names {
  /** `on`: select(id), small(): is the network out of sight, so that the tip leads there */
  constructor(root, network, lights, tip, on) {
    Object.assign(this, { root, network, lights, tip, on });
    root.addEventListener("pointerover", ({ target, pointerType }) => { const node = this.#node(target); if (node && pointerType !== "touch") this.#tell(node, false); });
    root.addEventListener("pointerout", ({ target, relatedTarget }) => { const node = this.#node(target); if (node && !node.contains(relatedTarget)) tip.hide(); });
    root.addEventListener("focusin", ({ target }) => { const node = this.#node(target); if (node?.matches(":focus-visible")) this.#tell(node, true); });
    root.addEventListener("focusout", ({ target }) => { if (this.#node(target)) tip.hide(); });
    root.addEventListener("click", ({ target }) => { const node = this.#node(target); if (node) this.#press(node); });
    root.addEventListener("keydown", (event) => {
      const node = ["Enter", " "].includes(event.key) && this.#node(event.target);
      if (node) { event.preventDefault(); this.#press(node); }
    });
  }

  /** Bring every name in line with what is there. `known`: the network has been read and is not a thing of the past. */
  draw(known) {
    this.known = known;
    for (const node of this.root.querySelectorAll(PROSE)) {
      const text = node.textContent.trim(), chip = node.classList.contains("n"), ids = known ? this.network.find(text) : [];
      if (ids.length || (chip && known)) this.#live(node, ids, chip); else this.#plain(node);
    }
  }

  #live(node, ids, chip) {
    if (node.getAttribute("role") !== "button") { node.setAttribute("role", "button"); node.tabIndex = 0; node.setAttribute("aria-describedby", "tip"); }
    node.classList.toggle("gone", !ids.length);
    if (!chip) {
      const kind = this.tip.parts.describe.kind(this.network.things.get(ids[0]));
      node.className = `known ${kind}`;
    }
    this.lights.live(node, ids);
  }

  #plain(node) {
    if (node.getAttribute("role") !== "button") return;
    for (const name of ["role", "tabindex", "aria-describedby"]) node.removeAttribute(name);
    if (node.classList.contains("known")) node.className = "";
    node.classList.remove("gone");
    this.lights.dead(node);
  }

  #node(target) { return target.closest?.('code[data-live][role="button"]') ?? null; }

  #tell(node, now, buttons = false) { this.tip.show(this.lights.of(node), node.getBoundingClientRect(), { now, buttons, absent: t("{name} is not there now.", { name: node.textContent.trim() }) }); }

  #press(node) {
    const ids = this.lights.of(node);
    if (!ids.length || this.on.small()) return this.#tell(node, true, true);
    this.tip.hide(true);
    this.on.select(ids[0]);
  }
}
