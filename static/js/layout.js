// The splitter, the full window, and on a phone the drawer and its keys. Must not know what the panes hold.
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window */ } };
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

export function splitter(root) {
  const bar = root.querySelector(".splitter");
  const set = (percent) => {
    const width = Math.min(70, Math.max(20, percent));
    root.style.setProperty("--text", `${width}%`);
    bar.setAttribute("aria-valuenow", Math.round(width));
    return width;
  };
  let width = kept("text-width") ? set(Number(kept("text-width"))) : 37;
  const to = (percent) => { width = set(percent); keep("text-width", width.toFixed(1)); };
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    bar.classList.add("held");
    document.documentElement.classList.add("held-split");
    const move = ({ clientX }) => to((clientX / innerWidth) * 100);
    const end = () => { bar.classList.remove("held"); document.documentElement.classList.remove("held-split"); bar.removeEventListener("pointermove", move); };
    bar.addEventListener("pointermove", move);
    bar.addEventListener("lostpointercapture", end, { once: true });
    event.preventDefault();
    bar.focus();
  });
  bar.addEventListener("keydown", ({ key, shiftKey }) => {
    const step = shiftKey ? 10 : 2;
    if (key === "ArrowLeft") to(width - step);
    if (key === "ArrowRight") to(width + step);
    if (key === "Home") to(20);
    if (key === "End") to(70);
  });
  bar.addEventListener("dblclick", () => to(37));
}

export function fullWindow(root, after) {
  const button = root.querySelector("[data-full]");
  button.onclick = () => { button.setAttribute("aria-pressed", root.classList.toggle("full")); after(); };
}

/** Returns `open()`, for whoever wants the terminal in sight. */
export function drawer(root, after) {
  const head = root.querySelector("[data-drawer]"), toggle = (open) => {
    root.classList.toggle("drawer-open", open);
    head.setAttribute("aria-expanded", open);
    after(open);
  };
  head.onclick = () => toggle(!root.classList.contains("drawer-open"));
  const port = window.visualViewport; // the on-screen keyboard: stay above it
  port?.addEventListener("resize", () => {
    const covered = Math.max(0, innerHeight - port.height - port.offsetTop);
    root.style.setProperty("--kb", `${covered}px`);
    root.style.setProperty("--drawer", port.height < 520 ? `${Math.round(port.height - 48)}px` : "66dvh");
  });
  return toggle;
}

const KEYS = { esc: "\x1b", up: "\x1b[A", down: "\x1b[B" };

/** Keys that a phone lacks, and Paste (`paste(text)`), which its own menu does not offer here. Returns a filter for typed text, because Ctrl waits for the next key. */
export function keyRow(root, press, paste) {
  const ctrl = root.querySelector('[data-key="ctrl"]');
  const hold = (on) => ctrl.setAttribute("aria-pressed", on);
  const filter = (text) => {
    if (ctrl.getAttribute("aria-pressed") !== "true" || text.length !== 1) return text;
    hold(false);
    const code = text.toUpperCase().charCodeAt(0);
    return code >= 64 && code <= 95 ? String.fromCharCode(code - 64) : text;
  };
  const paster = root.querySelector("[data-paste]");
  paster.hidden = !navigator.clipboard?.readText;
  paster.onpointerdown = (event) => event.preventDefault();
  paster.onclick = async () => { try { paste(await navigator.clipboard.readText()); } catch { /* the student said no */ } };
  for (const button of root.querySelectorAll("[data-key]")) {
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // the terminal keeps its keyboard
    button.addEventListener("click", () => {
      if (button === ctrl) return hold(ctrl.getAttribute("aria-pressed") !== "true");
      press(filter(KEYS[button.dataset.key] ?? button.dataset.key));
    });
  }
  return filter;
}
