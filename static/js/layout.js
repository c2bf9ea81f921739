// The splitters, the full windows, and on a phone the drawer with its tabs and keys. Must not know what the panes hold.
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window */ } };
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

const AXES = {
  across: { keep: "terminal-height", property: "--term-h", usual: 41, least: 15, most: 85, less: "ArrowUp", more: "ArrowDown", at: ({ clientY }, { top, height }) => (clientY - top) / height },
  along: { keep: "text-width", property: "--text", usual: 37, least: 20, most: 70, less: "ArrowLeft", more: "ArrowRight", at: ({ clientX }) => clientX / innerWidth },
};

/** Both splitters: between text and lab, and between terminal and network. Each keeps its place. */
export function splitters(root) { for (const bar of root.querySelectorAll(".splitter")) splitter(root, bar, bar.matches(".across") ? AXES.across : AXES.along); }

function splitter(root, bar, axis) {
  const set = (percent) => {
    const size = Math.min(axis.most, Math.max(axis.least, percent));
    root.style.setProperty(axis.property, `${size}%`);
    bar.setAttribute("aria-valuenow", Math.round(size));
    return size;
  };
  const before = Number(kept(axis.keep));
  let size = before ? set(before) : axis.usual;
  const to = (percent) => { size = set(percent); keep(axis.keep, size.toFixed(1)); };
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    bar.classList.add("held");
    document.documentElement.classList.add("held-split");
    const pane = bar.parentElement.parentElement.getBoundingClientRect(); // the lab's, for the one across it
    const move = (event) => to(axis.at(event, pane) * 100);
    const end = () => { bar.classList.remove("held"); document.documentElement.classList.remove("held-split"); bar.removeEventListener("pointermove", move); };
    bar.addEventListener("pointermove", move);
    bar.addEventListener("lostpointercapture", end, { once: true });
    event.preventDefault();
    bar.focus();
  });
  bar.addEventListener("keydown", (event) => {
    const { key, shiftKey } = event, step = shiftKey ? 10 : 2;
    const where = { [axis.less]: size - step, [axis.more]: size + step, Home: axis.least, End: axis.most }[key];
    if (where === undefined) return;
    event.preventDefault();
    to(where);
  });
  bar.addEventListener("dblclick", () => to(axis.usual));
}

/** The terminal, or the network, alone in the window. `after()` when it has changed. */
export function fullWindow(root, after) {
  const buttons = { full: root.querySelector("[data-full]"), "full-net": root.querySelector("[data-full-net]") };
  for (const [name, button] of Object.entries(buttons)) {
    button.onclick = () => {
      const on = root.classList.toggle(name);
      for (const [other, its] of Object.entries(buttons)) { if (other !== name) root.classList.remove(other); its.setAttribute("aria-pressed", other === name && on); }
      after();
    };
  }
}

/** On a phone the lab is a drawer of three tabs. `after(open, tab)` when it was opened, closed or another tab was chosen.
 *  Returns `show(open, tab)`, for whoever wants the terminal or the network in sight. */
export function drawer(root, after) {
  const head = root.querySelector("[data-drawer]"), tabs = [...root.querySelectorAll("[data-open]")];
  root.dataset.drawerTab = "terminal";
  const show = (open, tab = root.dataset.drawerTab) => {
    root.classList.toggle("drawer-open", open);
    root.dataset.drawerTab = tab;
    head.setAttribute("aria-expanded", open);
    for (const button of tabs) button.setAttribute("aria-pressed", open && button.dataset.open === tab);
    after(open, tab);
  };
  const isOpen = () => root.classList.contains("drawer-open");
  head.onclick = () => show(!isOpen());
  for (const button of tabs) button.onclick = () => show(!isOpen() || button.dataset.open !== root.dataset.drawerTab, button.dataset.open);
  root.querySelector("[data-last]").onclick = () => show(true, "terminal"); // a larger aim than the arrow
  const port = window.visualViewport; // the on-screen keyboard: stay above it
  port?.addEventListener("resize", () => {
    const covered = Math.max(0, innerHeight - port.height - port.offsetTop);
    root.style.setProperty("--kb", `${covered}px`);
    root.style.setProperty("--drawer", port.height < 520 ? `${Math.round(port.height - 48)}px` : "66dvh");
  });
  return show;
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
