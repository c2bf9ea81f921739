// What a host says, made fit for a picture: one line, nothing invisible, cut to a width. Must not know what the words mean.
const SEGMENTS = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const LONGEST = 300; // characters that are looked at; more is never drawn
const UNSEEN = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u00ad\u061c\u115f\u1160\u180e\u200b-\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]/gu;
const STACKED = /(\p{M}{2})\p{M}+/gu; // letters under a tower of marks

/** One line in which everything can be seen: a character that hides, turns or breaks shows as “�”. */
export function plain(text) {
  const line = String(text ?? "").slice(0, LONGEST).normalize("NFC").replace(/[\t\n\r]+/g, " ").replace(UNSEEN, "�").replace(STACKED, "$1").trim();
  return line.replace(/^\u200d+|\u200d+$/g, "") || "�";
}

/** Text of a host within a sentence of ours: whatever its direction is, it stays within. */
export const isolated = (text) => `\u2068${text}\u2069`;

/** A sentence of the server, without the marks that stand around machine words. */
export const plainly = (sentence) => String(sentence ?? "").replaceAll("`", "");

let canvas;
const kept = new Map();
export const forgetWidths = () => kept.clear(); // the fonts have come

/** The width of a text in px. `family`: "mono" or "sans". Letters that the machine speaks are reckoned, so that a layout is the same everywhere. */
export function width(text, size = 12, family = "mono", weight = family === "mono" ? 640 : 400) {
  if (family === "mono" && /^[\x20-\x7e→–…↔−·]*$/.test(text)) return text.length * size * 0.6;
  const key = `${family} ${weight} ${size} ${text}`;
  let found = kept.get(key);
  if (found === undefined) {
    if (kept.size > 4000) kept.clear();
    kept.set(key, (found = measured(text, size, family, weight)));
  }
  return found;
}

/** Words of ours, with their width. */
export const say = (text, size = 12, weight = 400) => ({ text, w: width(text, size, "sans", weight) });

function measured(text, size, family, weight) {
  if (typeof document === "undefined") return [...text].reduce((sum, c) => sum + (c > "\u02ff" ? 1.1 : family === "mono" ? 0.6 : 0.56), 0) * size;
  canvas ??= document.createElement("canvas").getContext("2d");
  canvas.font = `${weight} ${size}px ${getComputedStyle(document.documentElement).getPropertyValue(`--${family}`)}`;
  return Math.ceil(canvas.measureText(text).width * 10) / 10;
}

/** → {text, w}: as much of it as fits into `most` px, with an ellipsis where it was cut. */
export function fit(text, most, size = 12, family = "mono", weight = undefined) {
  const whole = plain(text), full = width(whole, size, family, weight);
  if (full <= most && String(text ?? "").length <= LONGEST) return { text: whole, w: full };
  const letters = [...SEGMENTS.segment(whole)].map(({ segment }) => segment);
  let low = 0, high = letters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    width(`${letters.slice(0, middle).join("")}…`, size, family, weight) <= most ? (low = middle) : (high = middle - 1);
  }
  const shown = `${letters.slice(0, low).join("").trimEnd()}…`;
  return { text: shown, w: width(shown, size, family, weight) };
}
