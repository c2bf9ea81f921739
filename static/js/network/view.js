// Which part of the picture is in sight, and how large: wheel, drag, pinch, keys. Must not know what the picture shows.
const LEAST = 11 / 12, MOST = 3; // lettering of 12 px is never smaller than 11 on the screen: then one pans instead
const FIT = 1.3, EDGE = 10, STEP = 1.25, SLACK = 4;

export class View {
  /** `moved()` after every change, `resized()` when the box that it is seen through has another size. */
  constructor(root, svg, world, { moved = () => {}, resized = () => {} } = {}) {
    Object.assign(this, { root, svg, world, moved, resized, k: 1, x: 0, y: 0, size: { width: 1, height: 1 }, own: false, fingers: new Map() });
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) svg.addEventListener(name, (event) => this.#pointer(event));
    new ResizeObserver(() => this.#resized()).observe(root);
  }

  get pane() { return { w: this.root.clientWidth, h: this.root.clientHeight }; } // `root`: the box that the picture is seen through
  get fitting() { const { w, h } = this.pane; return Math.min(FIT, Math.max(LEAST, Math.min((w - 2 * SLACK) / this.size.width, (h - 2 * SLACK) / this.size.height))); }
  /** Is all of it in sight? */
  get whole() { const { w, h } = this.pane; return this.size.width * this.k <= w + 1 && this.size.height * this.k <= h + 1; }
  get smallest() { return this.k <= LEAST + 0.001; }
  get largest() { return this.k >= MOST - 0.001; }

  /** The picture is as large as this now. It stays where it is as long as it can be seen like that; who has not chosen a place themselves then sees it fitted. */
  resize(size) {
    const first = this.size.width <= 1, before = this.whole;
    this.size = size;
    if (!first && (this.own || (before && this.whole && this.x + size.width * this.k <= this.pane.w && this.y + size.height * this.k <= this.pane.h) || (!before && this.k <= this.fitting))) return this.#put();
    if (!first) this.#glide(true);
    this.fit();
  }
  #resized() {
    const { w, h } = this.pane;
    if (!w || !h) return;
    this.own ? this.#put() : this.fit(false);
    this.resized();
  }

  fit(own = false) {
    this.own = own;
    this.k = this.fitting;
    this.x = Math.max(0, (this.pane.w - this.size.width * this.k) / 2);
    this.y = 0;
    this.#put();
  }

  zoom(factor, cx = this.pane.w / 2, cy = this.pane.h / 2) {
    const k = Math.min(MOST, Math.max(LEAST, this.k * factor));
    this.x = cx - ((cx - this.x) * k) / this.k;
    this.y = cy - ((cy - this.y) * k) / this.k;
    this.k = k;
    this.own = true;
    this.#put();
  }

  pan(dx, dy) {
    const { x, y } = this;
    this.x += dx;
    this.y += dy;
    this.#put();
    const any = x !== this.x || y !== this.y;
    if (any) this.own = true;
    return any;
  }

  /** Bring a box into sight, with as little way as possible; or into the middle. */
  show({ x, y, w, h }, { middle = false, smooth = true } = {}) {
    const { w: pw, h: ph } = this.pane, k = this.k, [left, top, right, bottom] = [x * k + this.x, y * k + this.y, (x + w) * k + this.x, (y + h) * k + this.y], rim = Math.min(28, pw / 8);
    let dx = 0, dy = 0;
    if (middle) { dx = pw / 2 - (left + right) / 2; dy = ph / 2 - (top + bottom) / 2; } else {
      if (left < rim) dx = rim - left; else if (right > pw - rim) dx = Math.max(pw - rim - right, rim - left);
      if (top < rim) dy = rim - top; else if (bottom > ph - rim) dy = Math.max(ph - rim - bottom, rim - top);
    }
    if (!dx && !dy) return;
    this.#glide(smooth);
    const own = this.own;
    this.pan(dx, dy);
    if (middle) this.own = own;
  }

  #glide(smooth) {
    this.world.classList.toggle("glides", smooth);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.world.classList.remove("glides"), 300);
  }

  #put() {
    const { w, h } = this.pane, { width, height } = this.size;
    this.x = bounded(this.x, w, width * this.k);
    this.y = bounded(this.y, h, height * this.k);
    this.world.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.k})`;
    this.moved();
  }

  #wheel(event) {
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const { left, top } = this.root.getBoundingClientRect();
      return this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY * unit)) / 140), event.clientX - left, event.clientY - top);
    }
    const [dx, dy] = event.shiftKey && !event.deltaX ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    if (this.pan(-dx * unit, -dy * unit)) event.preventDefault(); // at its end the page may go on
  }

  #pointer(event) {
    const { type, pointerId, clientX, clientY } = event, fingers = this.fingers;
    if (type === "pointerdown") {
      if (event.button) return;
      fingers.set(pointerId, [clientX, clientY]);
      if (fingers.size === 1) this.dragged = 0;
      return;
    }
    const before = fingers.get(pointerId);
    if (!before) return;
    if (type !== "pointermove") { fingers.delete(pointerId); this.root.classList.remove("held"); return; }
    if (fingers.size === 1) {
      if (event.pointerType === "mouse" && !event.buttons) return fingers.delete(pointerId);
      const dx = clientX - before[0], dy = clientY - before[1];
      if (!this.dragged && Math.hypot(dx, dy) < 4) return; // a click may shake
      if (!this.dragged) { this.svg.setPointerCapture(pointerId); this.root.classList.add("held"); }
      this.dragged = true;
      this.pan(dx, dy);
    } else if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== pointerId).map(([, at]) => at), { left, top } = this.root.getBoundingClientRect();
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]), is = Math.hypot(clientX - other[0], clientY - other[1]);
      this.dragged = true;
      if (was > 8 && is > 8) this.zoom(is / was, (clientX + other[0]) / 2 - left, (clientY + other[1]) / 2 - top);
      this.pan((clientX - before[0]) / 2, (clientY - before[1]) / 2);
    }
    fingers.set(pointerId, [clientX, clientY]);
  }

  /** Keys that move the view. True when it was one. */
  key({ key, shiftKey, ctrlKey, metaKey, altKey }) {
    if (ctrlKey || metaKey || altKey) return false;
    if (key === "+" || key === "=") this.zoom(STEP);
    else if (key === "-" || key === "_") this.zoom(1 / STEP);
    else if (key === "0") this.fit();
    else if (shiftKey && key.startsWith("Arrow")) { const [dx, dy] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key]; this.#glide(true); this.pan(dx * 80, dy * 80); } else return false;
    return true;
  }

  step(inwards) { this.#glide(true); this.zoom(inwards ? STEP : 1 / STEP); }
}

/** What is smaller than its pane stays within; what is larger can be moved until its edge is in sight. */
function bounded(at, pane, size) {
  if (size + 2 * SLACK <= pane) return Math.min(pane - size, Math.max(0, at));
  return Math.min(EDGE, Math.max(pane - size - EDGE, at));
}
