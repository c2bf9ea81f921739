// The figure of hosts that start: bars as they were measured, dashed for what is awaited. Must not know what happens after.
import { t } from "./translate.js";

const NS = "http://www.w3.org/2000/svg";
const PARTS = [["container", "host", t("container started")], ["systemd", "host", t("systemd running")], ["docker0", "bridge", t("docker0 is up")]];
const WAITS = { container: t("waiting for its container"), systemd: t("waiting for systemd"), docker0: t("waiting for dockerd") };

const make = (tag, attributes, ...children) => {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

/** `boot` as in sandbox.state; `now` in seconds since the start. */
export function bootFigure(boot, now) {
  const rows = Object.entries(boot).flatMap(([host, times]) => PARTS.map(([part, kind, done], i) => {
    const before = i ? times[PARTS[i - 1][0]] : 0;
    return { host, kind, part, done, from: before, to: times[part] };
  }));
  const left = 100, right = 640, top = 20, each = 27, bottom = top + rows.length * each;
  const longest = Math.max(1, now * 1.25, ...rows.map((row) => (row.to ?? 0) * 1.25));
  const step = longest <= 1.5 ? 0.2 : longest <= 4 ? 0.5 : longest <= 10 ? 2 : 5;
  const x = (seconds) => left + (seconds / longest) * (right - left);
  const svg = make("svg", { class: "boot", viewBox: `0 0 640 ${bottom + 20}`, role: "img", "aria-label": t("Starting, {s} seconds so far", { s: now.toFixed(1) }) });
  for (let tick = 0; x(tick) < right - 20; tick = Math.round((tick + step) * 10) / 10) {
    svg.append(make("path", { d: `M${x(tick)} ${top}V${bottom}`, stroke: "var(--line)" }), make("text", { class: "ax", x: x(tick), y: 12, "text-anchor": "middle" }, tick.toFixed(1)));
  }
  svg.append(make("path", { d: `M${x(now)} ${top - 4}V${bottom + 4}`, stroke: "var(--ink)", "stroke-width": 1.5 }));
  rows.forEach((row, i) => {
    const y = top + i * each + 6, open = row.to === undefined && row.from !== undefined;
    const g = make("g", { class: `${row.kind}${open ? " open" : ""}` },
      make("svg", { class: "sym", x: 0, y, width: 13, height: 13 }, make("use", { href: `#${row.kind}` })),
      make("text", { class: "nm", x: 21, y: y + 11 }, row.part === "docker0" ? "docker0" : row.host));
    if (row.from !== undefined) {
      const end = x(row.to ?? now);
      g.append(make("rect", { x: x(row.from), y, width: Math.max(1, end - x(row.from)), height: 13 }),
        make("text", { x: end + 7, y: y + 11 }, open ? WAITS[row.part] : t("{part}, {s} s", { part: row.done, s: row.to.toFixed(2) })));
    }
    svg.append(g);
  });
  svg.append(make("text", { class: "now", x: x(now), y: bottom + 17, "text-anchor": "middle" }, t("now, {s} s", { s: now.toFixed(1) })));
  return svg;
}
