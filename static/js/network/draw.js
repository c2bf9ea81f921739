// One SVG group per item of a scene, drawn in the vocabulary of the look. Must not know what stays, moves or is new, nor what a thing means.
const NS = "http://www.w3.org/2000/svg";

/** An SVG element; text is never parsed. */
export function s(tag, attributes = {}, ...children) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) node.setAttribute(name, typeof value === "number" ? round(value) : value);
  node.append(...children);
  return node;
}
const round = (value) => Math.round(value * 100) / 100;
const text = (x, y, className, { text: words }, more = {}) => s("text", { x, y, class: className, ...more }, words);
const rect = (x, y, width, height, className, rx) => s("rect", { x, y, width, height, class: className, rx });
const sign = (kind, x, y, size = 14) => s("svg", { class: "sym", x, y, width: size, height: size, viewBox: "0 0 16 16" }, ...glyphs(kind));
const mono = (line, plain = "ad") => (line.ours ? "s" : plain);

/** The shapes of templates/_symbols.html, drawn in place: a picture that is saved has no page around it. */
function glyphs(kind) {
  const symbol = document.getElementById(kind);
  return symbol ? [...symbol.children].map((child) => child.cloneNode(true)) : [];
}

const curve = ([[x1, y1], [x2, y2]]) => `M${round(x1)} ${round(y1)}C${round(x1)} ${round(y1 + (y2 - y1) * 0.55)} ${round(x2)} ${round(y2 - (y2 - y1) * 0.55)} ${round(x2)} ${round(y2)}`;
const arc = ([[x1, y1], [x2]], rise) => { const r = Math.min(rise, (x2 - x1) / 2); return `M${round(x1)} ${round(y1)}V${round(y1 - rise + r)}Q${round(x1)} ${round(y1 - rise)} ${round(x1 + r)} ${round(y1 - rise)}H${round(x2 - r)}Q${round(x2)} ${round(y1 - rise)} ${round(x2)} ${round(y1 - rise + r)}V${round(y1)}`; };
const straight = (points) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}`;
const bent = (points) => { // straight lines with rounded corners
  let path = `M${points[0].map(round).join(" ")}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [[ax, ay], [bx, by], [cx, cy]] = points.slice(i - 1, i + 2), r = Math.min(6, Math.hypot(bx - ax, by - ay) / 2, Math.hypot(cx - bx, cy - by) / 2);
    const near = (px, py) => { const d = Math.hypot(px - bx, py - by) || 1; return [round(bx + ((px - bx) / d) * r), round(by + ((py - by) / d) * r)]; };
    path += `L${near(ax, ay).join(" ")}Q${round(bx)} ${round(by)} ${near(cx, cy).join(" ")}`;
  }
  return `${path}L${points.at(-1).map(round).join(" ")}`;
};
const fork = ([[x1, y1], [x2, y2]]) => bent([[x1, y1], [x1, y1 + 10], [x2, y1 + 10 + Math.min(40, Math.max(18, Math.abs(x2 - x1) * 0.35))], [x2, y2]]);

/** The path along which a cable, branch or trunk runs. */
export function pathOf(item) {
  if (item.shape === "cable") return curve(item.points);
  if (item.shape === "pair") return arc(item.points, item.rise);
  if (item.shape === "branch") return fork(item.points);
  if (item.shape === "trunk") return bent(item.points);
  return "";
}

const newTag = (x, y, { text: label, w }) => [rect(x, y, w + 9, 16, "ntag", 2), s("text", { x: x + (w + 9) / 2, y: y + 12, class: "nt", "text-anchor": "middle" }, label)];
const pen = (x, y, w, h) => rect(x, y, w, h, "halo-b", 2);

const SHAPES = {
  wire: ({ w, name, sub, note }) => [
    s("path", { class: "wl", d: `M0 -2.5H${w}M0 2.5H${w}M0 -7v14M${w} -7v14` }), rect(0, -6, w, 12, "hit"),
    sign("wire", 0, -27), text(21, -15, "nm", name), text(21 + name.w + 8, -15, "ad", sub), text(w, -15, "s", note, { "text-anchor": "end" })],
  host: ({ w, h, name, note }) => [
    rect(0, 0, w, h, "enc", 6), rect(8, 8, Math.max(name.w, note.w) + 36, 42, "hit"),
    sign("host", 14, 14, 15), text(37, 27, "nm big", name), text(37, 43, "s", note)],
  jack: ({ w, h, name, lines, up, fresh, low: [lx, ly] = [w + 5, 30] }) => [
    ...(up ? [s("path", { class: "wl", d: `M${w / 2 - 2.5} ${up}V0M${w / 2 + 2.5} ${up}V0` })] : []),
    rect(0, 0, w, h, "eth", 2), s("path", { class: "wl pins", d: `M${w / 2 - 6} 4v6M${w / 2} 4v6M${w / 2 + 6} 4v6` }),
    rect(lx - 5, ly - 14, 12 + name.w + (lines[0]?.w ?? 0), 18, "hit"),
    ...(fresh ? [pen(lx - 4, ly - 12, name.w + 16 + (lines[0]?.w ?? 0), 15)] : []),
    text(lx, ly, fresh ? "ad strong on-new" : "ad strong", name), ...lines.map((line, i) => (i ? text(lx, ly + i * 15, mono(line), line) : text(lx + name.w + 8, ly, fresh ? `${mono(line)} on-new` : mono(line), line)))],
  line: ({ w, line, fresh }) => [...(fresh ? [pen(-3, -2, w + 6, 16)] : []), rect(0, -2, w, 16, "hit"), text(0, 11, `${line.ours ? "s" : line.bad ? "rule bad" : "rule"}${fresh ? " on-new" : ""}`, line)],
  leaves: ({ w, line, fresh }) => [...(fresh ? [pen(-3, -1, w + 6, 16)] : []), rect(0, -2, w, 16, "hit"), text(0, 11, fresh ? "s on-new" : "s", line)],
  blocked: ({ line }) => [text(0, 11, "s bad", line)],
  way: ({ trunk, drops, down, blocked, marked }) => [
    ...drops.filter((_, i) => marked?.[i]).map((line) => s("path", { class: "halo thin", d: straight(line) })),
    s("path", { class: "way", d: [trunk, ...drops].map(straight).join("") }),
    s("path", { class: "gate", d: `M0 ${down - 7}l7 7-7 7-7-7z` }), ...(blocked ? [s("path", { class: "cross", d: `M-4 ${down - 4}l8 8M4 ${down - 4}l-8 8` })] : [])],
  rail: ({ w, h, name, lines, caption, ports, fresh }, words) => [
    ...(caption?.w ? [text(1, -6, "s", caption)] : []),
    rect(0, 0, w, h, "rail", 3), rect(0, h - 5, w, 5, "rail-e"), ...(fresh ? [pen(34, 4, name.w + 8, 17)] : []), sign("bridge", 10, 7),
    text(38, 17, fresh ? "nm on-new" : "nm", name), ...lines.map((line, i) => text(38, 32 + i * 15, mono(line), line)),
    ...(fresh && w > name.w + words.w + 66 ? newTag(w - words.w - 17, 6, words) : []),
    ...ports.map(({ x, link, bundle }) => (link === "fork" ? s("circle", { class: "joint", cx: x, cy: h, r: 6 }) : s("circle", { class: "port", cx: x, cy: h, r: bundle ? 9 : 7 })))],
  loose: ({ w, h, kind, name, lines, caption, ports, fresh }, words) => [
    ...(caption?.w ? [text(1, -6, "s", caption)] : []),
    rect(0, 0, w, h, "lone", 3), ...(fresh ? [pen(34, 4, name.w + 8, 17)] : []), sign(kind, 10, 7),
    text(38, 17, fresh ? "nm on-new" : "nm", name), ...lines.map((line, i) => text(38, 32 + i * 15, mono(line), line)),
    ...(fresh && w > name.w + words.w + 66 ? newTag(w - words.w - 17, 6, words) : []),
    ...ports.map(({ x, link }) => s("circle", { class: link === "fork" ? "joint" : "port", cx: x, cy: h, r: 6 }))],
  fork: ({ name, sub, w, h, fresh }) => [rect(0, 0, w, h, "hit"), s("circle", { class: "joint", cx: 12, cy: h, r: 6 }), ...(fresh ? [pen(22, 1, name.w * (14 / 12) + 8, 17)] : []), text(26, 14, fresh ? "nm on-new" : "nm", name), text(26, 29, "s", sub)],
  uplink: ({ name, fresh }) => [rect(0, 0, 18, 12, "eth", 2), ...(fresh ? [pen(21, -4, name.w + 4, 15)] : []), text(23, 8, fresh ? "if on-new" : "if", name)],
  trunk: (item) => [s("path", { class: "branch", d: pathOf(item) }), ...(item.plug ? [s("circle", { class: "port", cx: item.points.at(-1)[0], cy: item.points.at(-1)[1], r: 6 })] : [])],
  branch: (item) => [s("path", { class: "branch", d: pathOf(item), pathLength: 1 })],
  region: ({ w, h, name, right, notes, named, from, fresh }, words) => [
    rect(0.5, 0, w - 1, h, "ns", 8),
    ...notes.map((note, i) => text(from, 24 + i * 15, note.ours ? "s" : "rule", note)),
    ...(name ? [...(fresh ? [pen(34, named + 6, name.w + 8, 19)] : []), sign("namespace", 11, named + 9), text(39, named + 21, `${name.ours ? "s" : "nm big"}${fresh ? " on-new" : ""}`, name)] : []),
    ...(name && fresh && w > name.w + words.w + 70 ? newTag(w - words.w - 19, named + 24, words) : []),
    ...(right ? [text(w - 11, named + 21, "ad", right, { "text-anchor": "end" })] : [])],
  strip: ({ w, h, name, ports, fresh }) => [rect(0, 0, w, h, "rail", 2), rect(0, 0, w, 4, "rail-e"), ...(fresh ? [pen(24, 4, name.w + 8, 15)] : []), sign("bridge", 8, 5, 12), text(28, 15, fresh ? "if on-new" : "if", name), ...ports.map((x) => s("circle", { class: "port", cx: x, cy: 0, r: 5 }))],
  iface: ({ w, h, name, lines, fresh, blind }) => [
    ...(fresh ? [pen((w - Math.max(name.w, ...lines.map((line) => line.w)) - 12) / 2, 17, Math.max(name.w, ...lines.map((line) => line.w)) + 12, 20 + Math.max(1, lines.length) * 15)] : []),
    rect(0, 12, w, h - 12, "hit"), ...(blind ? [s("circle", { class: "lost", cx: w / 2, cy: 6, r: 7 })] : [rect(w / 2 - 10, 0, 20, 12, "eth", 2)]),
    ...(blind ? [] : [text(w / 2, 30, fresh ? "if on-new" : "if", name, { "text-anchor": "middle" })]),
    ...lines.map((line, i) => text(w / 2, 45 + (i - (blind ? 1 : 0)) * 15, `${mono(line)}${fresh ? " on-new" : ""}`, line, { "text-anchor": "middle" }))],
  plate: ({ w, h, name, sub, right, still, fresh }) => [
    rect(0, 0, w, h, "box", 2), ...(fresh ? [pen(35, 3, name.w + 8, 19)] : []), sign("container", 11, 11), text(39, 18, fresh ? "nm big on-new" : "nm big", name), text(39, 34, sub.ours ? "s sub" : "", sub),
    ...(right && !still ? [text(w - 11, 18, right.ours ? "s" : "ad", right, { "text-anchor": "end" })] : [])],
  fold: ({ w, h, name, sub, count }) => [
    ...(count ? [rect(8, -8, w - 16, h, "box back", 2), rect(4, -4, w - 8, h, "box back", 2)] : []), rect(0, 0, w, h, "box", 2),
    sign("container", 11, 11), text(39, 18, "more", name), text(39, 34, "s sub", sub)],
  cable: (item) => [
    s("path", { class: "hit", d: pathOf(item) }), s("path", { class: "case", d: pathOf(item) }), s("path", { class: "cable", d: pathOf(item), pathLength: 1 }),
    rect(item.points[0][0] - 4.5, item.points[0][1] - 4, 9, 15, "plug", 2), ...(item.blind ? [] : [rect(item.points[1][0] - 4.5, item.points[1][1] - (item.bundle ? 16 : 13), 9, 15, "plug", 2)]),],
  pair: (item) => [
    s("path", { class: "hit", d: pathOf(item) }), s("path", { class: "case", d: pathOf(item) }), s("path", { class: "cable", d: pathOf(item), pathLength: 1 }),
    ...item.points.map(([x, y]) => rect(x - 4.5, y - 13, 9, 15, "plug", 2))],
  tag: ({ w, h, text: label, ours, fresh, side }, words) => [rect(0, 0, w, h, "ctag", 2), text(w / 2, h / 2 + 4, ours ? "ct sans" : "ct", label, { "text-anchor": "middle" }), ...(fresh ? newTag(...{ left: [-words.w - 14, h / 2 - 8], below: [(w - words.w - 9) / 2, h + 3] }[side] ?? [w + 5, h / 2 - 8], words) : [])],
  legend: ({ rows, title, flat }, words) => [
    text(0, flat ? 12 : 8, "s title", title),
    ...rows.map(({ kind, x, y, ...word }) => {
      const glyph = kind === "new" ? newTag(x, y, words) : kind === "way" ? [s("path", { class: "gate", d: `M${x + 7} ${y}l7 7-7 7-7-7z` })] : [s("g", { class: kind }, sign(kind, x, y + 1))];
      return s("g", { transform: flat ? "translate(0 -1)" : null }, ...glyph, text(x + (kind === "new" ? words.w + 19 : flat ? 20 : 26), y + 12.5, "s sub", word));
    })],
};

const LAYERS = { wire: 0, host: 1, way: 2, trunk: 3, branch: 3, halo: 4, rail: 5, loose: 5, fork: 5, region: 6, plate: 7, fold: 7, iface: 8, strip: 8, cable: 9, pair: 9, tag: 10, uplink: 11, jack: 11, line: 11, leaves: 11, blocked: 11, legend: 11 };
export const LAYER_COUNT = 12;
export const layerOf = ({ shape }) => LAYERS[shape];

/** The children of an item's group. `words`: how “new” is written. */
export const shapeOf = (item, words) => SHAPES[item.shape](item, words);

/** Under a new cable: the pen's stroke. */
export const haloOf = (item) => s("path", { class: "halo", d: pathOf(item), pathLength: 1 });

/** What an item occupies, for focus, for going there, and for tests: the middle of a cable is its tag. */
export function boxOf(item) {
  if (item.tag) return { x: item.tag.x - item.tag.w / 2, y: item.tag.y - item.tag.h / 2, w: item.tag.w, h: item.tag.h };
  if (item.shape === "cable" || item.shape === "pair") { const [[x1, y1], [x2, y2]] = item.points; return { x: (x1 + x2) / 2 - 12, y: (y1 + y2) / 2 - 12, w: 24, h: 24 }; }
  if (item.shape === "host") return { x: item.x + 8, y: item.y + 8, w: Math.max(item.name.w, item.note.w) + 36, h: 42 };
  if (item.shape === "wire") return { x: item.x, y: item.y - 30, w: item.w, h: 40 };
  if (item.shape === "jack" && item.low) return { x: item.x + item.low[0] - 2, y: item.y, w: Math.max(item.block + 4, item.w - item.low[0] + 2), h: 84 };
  if (item.shape === "jack") return { x: item.x, y: item.y, w: item.w + item.name.w + 14 + (item.lines[0]?.w ?? 0), h: 38 };
  if (item.shape === "uplink") return { x: item.x, y: item.y - 3, w: 26 + item.name.w, h: 15 };
  return { x: item.x, y: item.y, w: item.w, h: item.h };
}

/** Make `old` like `fresh`, keeping elements that can stay: what stays can glide. */
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === 3) { if (old.data !== fresh.data) old.data = fresh.data; return; }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphAll(old, [...fresh.childNodes]);
}
export function morphAll(node, fresh) {
  const old = [...node.childNodes];
  fresh.forEach((child, i) => (old[i] ? morph(old[i], child) : node.append(child)));
  for (const rest of old.slice(fresh.length)) rest.remove();
}
