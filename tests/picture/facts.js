// What must be true of every picture, read off the page as it is drawn. Returns sentences, one for each thing that is not true.
(() => {
  const { diagram } = window.picture, { scene } = diagram, wrong = [], K = diagram.view.k;
  const world = document.querySelector(".net .world"), at = world.getScreenCTM();
  const box = (node) => { const r = node.getBoundingClientRect(); return { x: (r.x - at.e) / at.a, y: (r.y - at.f) / at.d, w: r.width / at.a, h: r.height / at.d }; };
  const apart = (a, b, slack = 0) => a.x + a.w <= b.x + slack || b.x + b.w <= a.x + slack || a.y + a.h <= b.y + slack || b.y + b.h <= a.y + slack;
  const inside = (a, b, slack = 0.75) => a.x >= b.x - slack && a.y >= b.y - slack && a.x + a.w <= b.x + b.w + slack && a.y + a.h <= b.y + b.h + slack;
  const of = (...shapes) => scene.items.filter(({ shape }) => shapes.includes(shape));
  const say = (...words) => wrong.push(words.join(" "));

  // Boxes of one row, and hosts, stand beside each other.
  for (const row of [["host"], ["rail", "loose", "fork"], ["plate", "fold"], ["region"], ["iface"], ["tag", "rail", "loose", "region"], ["jack"]]) {
    const boxes = of(...row);
    boxes.forEach((a, i) => boxes.slice(0, i).forEach((b) => { if (!apart(a, b, row[0] === "plate" ? 0.1 : 0) && !(a.shape === "plate" && b.shape === "region")) say("overlap:", a.key, b.key); }));
  }
  // Everything of a host is within it; everything is within the picture.
  for (const item of scene.items) {
    const whole = { x: 0, y: 0, w: scene.width, h: scene.height };
    if (!item.points && !item.flat && !inside(item, whole, 1)) say("outside the picture:", item.key);
    const host = of("host").find((one) => item.x >= one.x - 1 && item.x <= one.x + one.w);
    if (["rail", "loose", "fork", "region", "plate", "fold", "iface", "line", "tag"].includes(item.shape) && !(host && inside(item, host))) say("outside its host:", item.key);
  }
  // Lettering: as wide as was reckoned, within its box, and never over other lettering.
  const groups = [...document.querySelectorAll(".net .it:not(.gone, .flat)")], texts = [];
  for (const g of groups) {
    const item = scene.items.find(({ key, of: owner }) => (g.classList.contains("is-tag") ? owner === g.dataset.id && key.startsWith("tag") : key === g.dataset.id)), frame = g.querySelector(":scope > .rail, :scope > .box:not(.back), :scope > .lone, :scope > .ctag, :scope > .ns");
    for (const text of g.querySelectorAll("text")) {
      const b = box(text);
      texts.push({ b, words: text.textContent, key: item?.key, text });
      if (parseFloat(getComputedStyle(text).fontSize) * K < 10.99) say("too small:", text.textContent, getComputedStyle(text).fontSize, K);
      if (!frame || text.classList.contains("nt") || (g.matches(".is-rail, .is-loose") && text === g.querySelector("text.s") && item.caption?.w)) continue;
      const f = box(frame);
      if (b.x < f.x - 1 || b.x + b.w > f.x + f.w + 1) say("wider than its box:", JSON.stringify(text.textContent.slice(0, 60)), "in", item?.key, Math.round(b.w), Math.round(f.w));
    }
  }
  const shrunk = ({ x, y, w, h }) => ({ x: x + 1, y: y + h * 0.22, w: w - 2, h: h * 0.56 }); // the letters themselves, without the line's room
  texts.forEach((one, i) => texts.slice(0, i).forEach((other) => { if (!apart(shrunk(one.b), shrunk(other.b))) say("lettering over lettering:", JSON.stringify(one.words.slice(0, 40)), JSON.stringify(other.words.slice(0, 40))); }));
  // A cable ends at its port and in its interface.
  for (const cable of of("cable")) {
    const [from, to] = cable.points, rail = of("rail", "loose").find(({ x, y, w, h }) => Math.abs(y + h - from[1]) < 1 && from[0] >= x + 5 && from[0] <= x + w - 5);
    if (!rail) { say("no rail above", cable.key); continue; }
    if (!rail.ports.some(({ x }) => Math.abs(rail.x + x - from[0]) < 0.6)) say("no port for", cable.key);
    if (!cable.bundle && !of("iface").some(({ x, y, w }) => Math.abs(x + w / 2 - to[0]) < 0.6 && Math.abs(y + 6 - to[1]) < 0.6)) say("no interface under", cable.key);
  }
  for (const pair of of("pair")) for (const [x, y] of pair.points) if (!of("iface").some((one) => Math.abs(one.x + one.w / 2 - x) < 0.6 && Math.abs(one.y + 6 - y) < 0.6)) say("no interface under", pair.key);
  for (const branch of of("branch")) { const [x, y] = branch.points[1]; if (!of("iface").some((one) => Math.abs(one.x + one.w / 2 - x) < 0.6 && Math.abs(one.y + 6 - y) < 0.6)) say("no interface under", branch.key); }
  // From top to bottom: wire, host, rails, cables, regions, plates.
  for (const host of of("host")) {
    const mine = (shape) => of(shape).filter(({ x }) => x >= host.x && x <= host.x + host.w), low = (shape) => Math.max(-Infinity, ...mine(shape).map(({ y, h }) => y + h)), high = (shape) => Math.min(Infinity, ...mine(shape).map(({ y }) => y));
    if (low("rail") > high("region")) say("a rail under a region in", host.key);
    if (high("region") > high("plate") && mine("region").length && mine("plate").length) say("a plate over a region in", host.key);
    if (of("wire").some(({ y }) => y >= host.y)) say("the wire under", host.key);
  }
  // Every thing can be reached and says what it is; one of them is the tab stop.
  for (const g of document.querySelectorAll(".net .it:not(.deaf):not(.gone):not(.is-tag)")) if (!g.getAttribute("aria-label")?.trim() || g.getAttribute("role") !== "button") say("says nothing:", g.dataset.id);
  const stops = document.querySelectorAll('.net .it[tabindex="0"]').length;
  if (stops !== 1) say(stops, "tab stops");
  return wrong;
})()
