// The picture as a file that needs nothing else: its own styles, colours and fonts. Must not know what the picture shows.
import { s } from "./draw.js";

const RULES = /\.net\b|\.host\b|\.bridge\b|\.veth\b|\.container\b|\.namespace\b|\.macvlan\b|\.wire\b/;
const NEVER = /animation|transition|cursor|:hover|focus|touch-action/;
const MARGIN = 4, MOST = 12000; // px of a PNG's longer side

/** → text of an SVG file. `svg`: the live one; `size`: of the whole picture. */
export async function toSVG(svg, { width, height }, title) {
  const copy = svg.cloneNode(true), world = copy.querySelector(".world");
  for (const away of copy.querySelectorAll(".focus, .hit, .gone, .follows")) away.remove();
  for (const node of copy.querySelectorAll("*")) for (const { name } of [...node.attributes]) if (/^(tabindex|role|aria-|data-)/.test(name)) node.removeAttribute(name);
  for (const node of copy.querySelectorAll(".lit, .grows, .flat")) node.classList.remove("lit", "grows", "flat");
  world.removeAttribute("style");
  const paper = getComputedStyle(svg.closest(".diagram")).backgroundColor, style = `${await fonts()}\n${variables()}\n${rules()}`;
  for (const { name: attribute } of [...copy.attributes]) copy.removeAttribute(attribute);
  const box = [-MARGIN, -MARGIN, Math.ceil(width) + 2 * MARGIN, Math.ceil(height) + 2 * MARGIN];
  for (const [key, value] of Object.entries({ class: "net", viewBox: box.join(" "), width: box[2], height: box[3], role: "img" })) copy.setAttribute(key, value);
  copy.prepend(s("title", {}, title), s("style", {}, style), s("rect", { x: box[0], y: box[1], width: box[2], height: box[3], fill: paper }));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}`;
}

/** → a PNG, twice as fine as the screen's pixels. */
export async function toPNG(text) {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await picture.decode();
  const scale = Math.min(2, MOST / Math.max(picture.width, picture.height)), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.drawImage(picture, 0, 0, picture.width, picture.height);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function* sheets(list = document.styleSheets) {
  for (const sheet of list) { try { yield* sheet.cssRules; } catch { /* not ours */ } }
}

/** The tokens as they are now, in this theme. */
function variables() {
  const names = new Set(), probe = document.createElement("span");
  for (const rule of sheets()) if (rule.selectorText === ":root") for (const name of rule.style) if (name.startsWith("--")) names.add(name);
  document.body.append(probe);
  const lines = [...names].map((name) => {
    const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    if (!/light-dark|#|rgb|color/.test(value)) return /mono|sans/.test(name) ? `${name}: ${value};` : "";
    probe.style.color = `var(${name})`;
    return `${name}: ${getComputedStyle(probe).color};`;
  });
  probe.remove();
  return `svg { ${lines.join(" ")} }`;
}

function rules() {
  const kept = [];
  for (const rule of sheets()) {
    if (!rule.selectorText || !RULES.test(rule.selectorText) || /\.gone|\.grows|:is|\.diagram/.test(rule.selectorText)) continue;
    const facts = rule.style.cssText.split(";").map((fact) => fact.trim()).filter((fact) => fact && !NEVER.test(fact.split(":")[0]));
    if (facts.length && !/^\.n\./.test(rule.selectorText)) kept.push(`${rule.selectorText} { ${facts.join("; ")} }`);
  }
  return kept.join("\n");
}

/** The two faces that the picture speaks with, within the file. */
async function fonts() {
  const wanted = [];
  for (const rule of sheets()) {
    if (rule.constructor.name !== "CSSFontFaceRule") continue;
    const family = rule.style.getPropertyValue("font-family").replace(/["']/g, ""), range = rule.style.getPropertyValue("unicode-range");
    if (/JetBrains Mono|Inter/.test(family) && !/italic/.test(rule.style.getPropertyValue("font-style")) && (!range || /U\+0?-?0?0?FF|U\+0+-0*FF/i.test(range))) wanted.push({ rule, family });
  }
  const faces = await Promise.all(wanted.map(async ({ rule, family }) => {
    const address = /url\(["']?([^"')]+)/.exec(rule.style.getPropertyValue("src"))?.[1];
    if (!address) return "";
    try {
      const data = await (await fetch(new URL(address, rule.parentStyleSheet.href ?? location.href))).arrayBuffer();
      const text = btoa(Array.from(new Uint8Array(data), (byte) => String.fromCharCode(byte)).join(""));
      return `@font-face { font-family: "${family}"; font-weight: ${rule.style.getPropertyValue("font-weight") || "100 900"}; src: url(data:font/woff2;base64,${text}) format("woff2"); }`;
    } catch { return ""; } // the picture then speaks with the reader's own fonts
  }));
  return faces.join("\n");
}
