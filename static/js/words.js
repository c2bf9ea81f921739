// How times and names are said, and small helpers for the page. Must not know where anything comes from.
import { t } from "./translate.js";

const two = (number) => String(number).padStart(2, "0");

/** 3 ms, 40 ms, 0.3 s, 12 s, 1 min 5 s */
export function duration(ms) {
  if (ms < 100) return t("{ms} ms", { ms: Math.round(ms) });
  if (ms < 9950) return t("{s} s", { s: (ms / 1000).toFixed(1) });
  return counter(ms);
}

/** Whole seconds, for what still runs: 7 s, 2 min 5 s */
export function counter(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return t("{s} s", { s });
  return s < 3600 ? t("{min} min {s} s", { min: Math.floor(s / 60), s: s % 60 }) : t("{h} h {min} min", { h: Math.floor(s / 3600), min: Math.floor(s / 60) % 60 });
}

/** 1 h 42 min, 9 min, 40 s */
export function span(ms) {
  const minutes = Math.ceil(ms / 60000);
  if (ms < 60000) return t("{s} s", { s: Math.max(0, Math.ceil(ms / 1000)) });
  if (minutes < 60) return t("{min} min", { min: minutes });
  return minutes % 60 ? t("{h} h {min} min", { h: Math.floor(minutes / 60), min: minutes % 60 }) : t("{h} h", { h: minutes / 60 });
}

/** 4:12 */
export const countdown = (ms) => `${Math.floor(Math.max(0, ms) / 60000)}:${two(Math.floor(Math.max(0, ms) / 1000) % 60)}`;

export const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

const ORDINALS = ["", t("first"), t("second"), t("third"), t("fourth"), t("fifth"), t("sixth"), t("seventh"), t("eighth"), t("ninth"), t("tenth")];
export const ordinal = (place) => ORDINALS[place] ?? t("number {place}", { place });

const KEYWORDS = new Set(["for", "while", "until", "if", "case", "select", "time", "function"]);

/** The program of a command line: "sudo ping -c3 x" is ping. */
export function program(text) {
  const words = text.trim().split(/\s+/).filter((word) => !/^\w+=/.test(word) && word !== "sudo");
  const name = (words[0] ?? "").split("/").pop();
  return /^[\w.+-]+$/.test(name) && !KEYWORDS.has(name) ? name : t("A command");
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
/** The same words again are left alone: a screen reader would say them anew, and a selection would go. */
export function setText(node, words) { if (node.textContent !== words) node.textContent = words; }

export const setGlyph = (svg, name) => svg.firstElementChild.setAttribute("href", `#${name}`);

export function disable(control, off, why) {
  off ? control.setAttribute("aria-disabled", "true") : control.removeAttribute("aria-disabled");
  if (why !== undefined && control.title !== why) control.title = why;
}

/** A button that copies what `words()` is when it is pressed. */
export function copyButton(words) {
  const button = el("button", "b s quiet", t("Copy"));
  button.type = "button";
  button.onclick = async () => { await toClipboard(words()); button.textContent = t("Copied"); };
  return button;
}

/** A button that is a glyph: its words are for whoever points at it, or hears it. */
export function iconButton(name, words, does, className = "icon s") {
  const button = el("button", className, glyph(name));
  Object.assign(button, { type: "button", title: words, onclick: does });
  button.setAttribute("aria-label", words);
  return button;
}

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
