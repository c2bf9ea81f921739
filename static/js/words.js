// How times and names are said, and small helpers for the page. Must not know where anything comes from.
const two = (n) => String(n).padStart(2, "0");

/** 3 ms, 40 ms, 0.3 s, 12 s, 1 min 5 s */
export function duration(ms) {
  if (ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  return counter(ms);
}

/** Whole seconds, for what still runs: 7 s, 2 min 5 s */
export function counter(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

/** 1 h 42 min, 9 min, 40 s */
export function span(ms) {
  const minutes = Math.ceil(ms / 60000);
  if (ms < 60000) return `${Math.max(0, Math.ceil(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** 4:12 */
export const countdown = (ms) => `${Math.floor(Math.max(0, ms) / 60000)}:${two(Math.floor(Math.max(0, ms) / 1000) % 60)}`;

export const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

const ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
export const ordinal = (n) => ORDINALS[n] ?? `number ${n}`;

const KEYWORDS = new Set(["for", "while", "until", "if", "case", "select", "time", "function"]);

/** The program of a command line: "sudo ping -c3 x" is ping. */
export function program(text) {
  const words = text.trim().split(/\s+/).filter((word) => !/^\w+=/.test(word) && word !== "sudo");
  const name = (words[0] ?? "").split("/").pop();
  return /^[\w.+-]+$/.test(name) && !KEYWORDS.has(name) ? name : "A command";
}

export const firstLine = (text) => { const [line, ...more] = text.trim().split("\n"); return more.length ? `${line} …` : line; };

/** An element from a tag, a class and children; text is never parsed as HTML. */
export function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function glyph(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "g");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  setGlyph(svg, name);
  return svg;
}
export const setGlyph = (svg, name) => svg.firstElementChild.setAttribute("href", `#${name}`);

export async function toClipboard(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
  const before = document.activeElement; // plain http on another machine: the old way
  const area = el("textarea", "vh");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  before?.focus();
}
