// Pointing at a thing in one place lights it up in all of them: picture, list, text, terminal. Must not know what a thing is.
const shown = new WeakMap(); // node → ids of what it names

export class Lights {
  /** `on`: light(ids, kept) for whoever shows things that are no nodes of the page (`kept`: with what the step is about while nobody points) */
  constructor(root, on) {
    Object.assign(this, { root, on, always: [], ids: [] });
    for (const [kind, lit] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
      root.addEventListener(kind, ({ target, relatedTarget }) => {
        const node = target.closest?.("[data-live]");
        if (lit && !node && this.by && !this.by.isConnected) this.light([]); // what was pointed at has been drawn anew, without a word
        this.by = lit ? node : null;
        if (!node || (kind.startsWith("pointer") && node.contains(relatedTarget))) return;
        this.light(lit ? shown.get(node) ?? [] : []);
      });
    }
  }

  /** This node names these things. */
  live(node, ids) {
    node.dataset.live = "";
    shown.set(node, ids);
    node.classList.toggle("lit", ids.some((id) => this.ids.includes(id)));
    return node;
  }
  of(node) { return shown.get(node) ?? []; }
  dead(node) { delete node.dataset.live; node.classList.remove("lit"); shown.delete(node); }

  /** What is lit in the picture: where somebody points, else what the step is about. */
  get kept() { return this.ids.length ? this.ids : this.always; }

  /** What is lit in the picture while nobody points at anything: what the step is about. */
  keep(ids) { this.always = ids; this.light([]); }

  /** Somebody points at these. */
  light(ids) {
    if (String(ids) === String(this.ids) && this.told === this.always) return;
    this.ids = ids;
    this.told = this.always;
    for (const node of this.root.querySelectorAll("[data-live]")) node.classList.toggle("lit", (shown.get(node) ?? []).some((id) => ids.includes(id)));
    this.on.light(ids, this.kept);
  }
}
