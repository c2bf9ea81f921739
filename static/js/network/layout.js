// Where everything of a plan stands. Pure: the same plan and the same memory give the same picture. Must not know what the things are, nor how they are drawn.
//
// From top to bottom: wire, hosts, their upper row (rails), cables, their lower row (columns: regions over plates). What stays keeps its order and, as far as
// it has room, its place; what is new goes behind the last one on its rail, or into a gap there. Gaps are closed only once they are a third of a host.
const EDGE = 14, GAP = 16, PAD = 18, WIRE = 34, HOST = 70;
const RAIL = 42, LINE = 15, CABLE = 102, REGION = 60, PLATE = 44, COLUMN = 16, PORT = 100, LEAN = 26, RULE = 17, VIEW = 720;
const TAG = 19, GAPS = 0.75;
const pick = (list, key) => new Map(list.map((one) => [key(one), one]));

/** `memory` is what the layout before returned as `memory`; `keep`: no gap may be closed now. */
export function layout(plan, memory = null, { keep = false } = {}) {
  const items = [], hosts = [], remembered = { hosts: {} };
  let left = EDGE, bottom = HOST + 60;
  for (const host of plan.hosts) {
    const before = memory?.hosts[host.id], fresh = inside(host, null, before), old = before && inside(host, before, before);
    const placed = old && (keep || (fresh.w > old.w * GAPS && fresh.h > old.h * GAPS)) ? old : fresh;
    const x = Math.max(left, keep || (before && before.x - left < 60) ? before?.x ?? 0 : 0), w = placed.w;
    hosts.push({ host, placed, x, w, h: placed.h });
    left = x + w + GAP;
    bottom = Math.max(bottom, HOST + placed.h);
    remembered.hosts[host.id] = { ...placed.memory, x };
  }
  const end = Math.max(left - GAP, EDGE + 320);
  if (plan.wire) items.push({ key: plan.wire.id, shape: "wire", kind: "wire", x: EDGE, y: WIRE, w: end - EDGE, h: 5, name: plan.wire.name, sub: plan.wire.sub, note: plan.wire.note });
  for (const { host, placed, x, w, h } of hosts) {
    items.push({ key: host.id, shape: "host", kind: "host", x, y: HOST, w, h, name: host.name, note: host.note, dashed: host.dashed });
    for (const item of placed.items) items.push({ ...moved(item, x, HOST, plan.wire), ...(host.stale ? { stale: true } : {}) });
  }
  const size = { width: end + EDGE, height: bottom + 8, foot: 0 };
  placeLegend(items, plan, hosts, size, end);
  return { ...size, items, memory: remembered };
}

function moved(item, dx, dy, wire) {
  const at = { ...item, x: item.points ? 0 : item.x + dx, y: item.points ? 0 : item.y + dy };
  if (item.points) at.points = item.points.map(([x, y]) => [x + dx, y + dy]);
  if (item.tag) at.tag = { ...item.tag, x: item.tag.x + dx, y: item.tag.y + dy };
  if (item.shape === "jack") at.up = wire ? WIRE + 2.5 - dy - item.y : 0; // from the jack up to the wire
  return at;
}

/** One host, from its own left upper corner. `want`: where things stood. */
function inside(host, want, order) {
  const items = [], head = Math.max(host.name.w + 37, host.note.w + 37) + 14;
  const tops = order ? ordered(host.tops, order.tops, ({ id }) => id) : untangled(host), columns = arranged(sorted(host, tops, order), tops, order);
  const at = (id, set) => want?.[set]?.[id];

  // The jacks stand right of the host's name, with their addresses; rules and routes beneath the first one.
  let jackX = Math.max(head + 26, want?.jack ?? 0), widest = 0;
  const firstJack = jackX, jacks = host.jacks.map((jack) => {
    const block = Math.max(...jack.lines.map(({ w }, i) => w + (i ? 0 : jack.name.w + 8)), jack.lines.length ? 0 : jack.name.w), x = jackX;
    jackX += block + 62;
    return { jack, x, block };
  });
  const deepest = Math.max(0, ...host.jacks.map(({ lines }) => lines.length)), hasTops = tops.length > 0;
  const beside = Math.max(0, ...host.lines.map(({ w }) => w));
  // Where little is decided and little hangs, the address stands under the name: a quiet host stays narrow.
  const small = jacks.length === 1 && !host.lines.length && !host.ways.length && !host.trunks.length && tops.reduce((sum, { min }) => sum + min + COLUMN, 0) < jackX - 62 && host.columns.length < 2;
  const linesTop = 20 + Math.max(1, deepest) * LINE + 13 + (small ? 36 : 0);
  widest = small ? Math.max(firstJack + 27, jacks[0].block + 28) : Math.max(head + 8, jackX - 62 + 20 + 18, host.lines.length ? firstJack + 20 + beside + 18 : 0);

  // The upper row.
  const zone = Math.max(hasTops && host.decides ? 2 : 0, host.lines.length, want?.rules ?? 0), junction = linesTop + zone * RULE - 3;
  const trunks = host.trunks.length > 0, captions = tops.some(({ caption, uplinks }) => caption?.w || uplinks?.length), uplinked = tops.some(({ uplinks }) => uplinks?.some(({ jack }) => !jack));
  const railTop = hasTops ? Math.max(junction + (zone ? 32 : small ? 8 : 18) + (captions ? 8 : 0) + (uplinked ? 10 : 0) + (trunks ? 8 : 0), want?.railTop ?? 0) : linesTop + host.lines.length * RULE;
  const railLines = Math.max(1, ...tops.map(({ lines }) => lines?.length ?? 1)), railH = RAIL + (railLines - 1) * LINE, railBottom = railTop + railH;

  // The lower row. Columns belong under the first rail that they hang on.
  const sizes = pick(columns.map((column) => ({ column, ...sizeOf(column) })), ({ column }) => column.key);
  const rank = new Map(tops.map(({ id }, i) => [id, i])), home = (column) => { const kept = order?.homes?.[column.key]; return kept && column.rails.includes(kept) ? kept : column.rails.slice().sort((a, b) => rank.get(a) - rank.get(b))[0] ?? null; };
  const homes = {}, places = new Map();
  for (const column of columns) homes[column.key] = home(column);
  let cursor = PAD, railEnd = PAD - COLUMN;
  const floor = new Map(); // rail → the least that its left end can be
  for (const top of tops) { floor.set(top.id, railEnd + COLUMN); railEnd = Math.max(railEnd + COLUMN + top.min, 0); }
  let pushed = 0;
  const started = new Set();
  for (const column of columns) {
    const rail = homes[column.key], size = sizes.get(column.key);
    let x = cursor;
    if (rail !== null) {
      if (!started.has(rail)) {
        // Rails before this one need their room first; a rail whose own columns begin late moves those behind it.
        const least = floor.get(rail) + pushed;
        if (x < least) x = least; else pushed += Math.max(0, straddled(rail, columns, sizes, places, homes) ? 0 : x - least);
        started.add(rail);
      }
    }
    x = Math.max(x, at(column.key, "columns") ?? 0);
    places.set(column.key, { x, w: size.w });
    cursor = x + size.w + COLUMN;
  }

  // What hangs on which rail, from left to right.
  const hangs = new Map(tops.map(({ id }) => [id, []])), spots = new Map();
  for (const column of columns) {
    const { x } = places.get(column.key), size = sizes.get(column.key);
    column.ifaces.forEach((iface, i) => {
      const own = x + size.slots[i], last = i === column.ifaces.length - 1;
      const spot = { x: own, iface, column, left: i ? own - iface.w / 2 : x, right: last ? x + size.w : own + iface.w / 2 };
      spots.set(iface.id, spot);
      if (iface.top && hangs.has(iface.top)) hangs.get(iface.top).push(spot);
    });
  }
  const rails = new Map();
  let end = PAD - COLUMN;
  tops.forEach((top, i) => {
    const hung = hangs.get(top.id).sort((a, b) => a.x - b.x);
    const need = Math.max(top.min, hung.length ? 44 + gaps(hung) : 0), middle = hung.reduce((sum, spot) => sum + spot.x, 0) / (hung.length || 1);
    const stood = at(top.id, "rails")?.x, wished = top.type === "fork" && hung.length ? middle - 12 : hung.length ? (stood <= hung[0].x - 22 ? stood : hung[0].left) : stood ?? end + COLUMN;
    const x = Math.max(end + COLUMN, wished);
    const next = tops.slice(i + 1).map(({ id }) => hangs.get(id).filter(({ column }) => homes[column.key] === id)).find((list) => list.length);
    const limit = next ? Math.min(...next.map(({ left }) => left)) - COLUMN : Infinity;
    const w = top.type === "fork" ? top.min : Math.max(need, hung.length ? Math.min(hung.at(-1).x + 22, limit) - x : 0, Math.min(hung.length ? hung.at(-1).right - x : top.min, limit - x));
    rails.set(top.id, { x, w });
    end = x + w;
  });

  // Ports: on the lower edge of their rail, as near above their interface as the others leave room for.
  const ports = new Map();
  for (const top of tops) {
    const hung = hangs.get(top.id), { x, w } = rails.get(top.id), lows = [];
    hung.forEach((spot, i) => lows.push(i ? lows[i - 1] + gap(hung[i - 1], spot) : x + 22));
    let high = x + w - 22;
    for (let i = hung.length - 1; i >= 0; i--) {
      const px = Math.max(lows[i], Math.min(high, spotPort(hung[i], x, w)));
      ports.set(hung[i].iface.id, px);
      high = px - (i ? gap(hung[i - 1], hung[i]) : 0);
    }
    for (let i = 1; i < hung.length; i++) { // the pass from the right may have pressed some together
      const least = ports.get(hung[i - 1].iface.id) + gap(hung[i - 1], hung[i]);
      if (ports.get(hung[i].iface.id) < least) ports.set(hung[i].iface.id, least);
    }
  }

  const cabled = [...spots.values()].some(({ iface }) => iface.link), lanes = cabled ? lanesFor(spots, ports) : null;
  const cableH = cabled ? CABLE + lanes.more : hasTops && columns.length ? 40 : 0;
  const rowTop = columns.length ? railBottom + Math.max(cableH, want?.cableH ?? 0) : railBottom;
  const depth = Math.max(0, ...columns.map((column) => sizes.get(column.key).body));
  const anyRegion = columns.some(({ region }) => region);
  const drop = Math.max(anyRegion || cabled ? depth - 8 : 0, want?.drop ?? 0); // from a region's upper edge to its plates
  const bottom = columns.length ? rowTop + drop + PLATE : hasTops ? railBottom : railTop;

  draw();
  const w = Math.max(widest, (columns.length ? cursor - COLUMN : 0) + PAD, hasTops ? end + PAD : 0, want?.w && (!host.dashed || host.stale) ? Math.min(want.w, 1e5) : 0, 136);
  const h = Math.max(bottom + (hasTops || columns.length ? PAD - 4 : 12), want?.h ?? 0);
  return { items, w, h, memory: { w, h, jack: want?.jack ?? firstJack, rules: zone, railTop: hasTops ? railTop : 0, cableH: columns.length ? cableH : 0, drop: columns.length ? drop : 0, tops: tops.map(({ id }) => id), order: columns.map(({ key }) => key), ifaces: columns.flatMap(({ ifaces }) => ifaces.map(({ id }) => id)), homes,
    columns: Object.fromEntries([...places].map(([key, { x }]) => [key, x])), rails: Object.fromEntries(rails) } };

  function draw() {
    for (const { jack, x } of jacks) items.push({ key: jack.id, shape: "jack", kind: "wire", x: x - 13, y: -7, w: 26, h: 14, name: jack.name, lines: jack.lines, down: jack.down, ...(small ? { low: [14 - x + 13, 75], block: jacks[0].block } : {}) });
    host.lines.forEach((line, i) => items.push({ key: line.id, shape: "line", kind: "decision", shows: line.shows, ids: line.ids, x: firstJack + 18, y: linesTop + i * RULE - 11, w: line.w, h: RULE, line }));
    drawWays();
    for (const top of tops) {
      const { x, w } = rails.get(top.id), mine = hangs.get(top.id).map(({ iface }) => ({ id: iface.id, x: ports.get(iface.id) - x, link: iface.link, bundle: iface.bundle }));
      const type = top.type === "bridge" ? "rail" : top.type, ups = [];
      let right = w - 8;
      for (const up of (top.uplinks ?? []).slice().reverse()) {
        if (up.jack) { ups.push({ ...up, x: w - 24 }); continue; }
        ups.push({ ...up, x: right - up.name.w - 10 });
        right -= up.name.w + 34;
      }
      items.push({ key: top.id, shape: type, kind: top.kind, shows: top.shows, x, y: railTop, w, h: railH, name: top.name, sub: top.sub, lines: top.lines, caption: top.caption, down: top.down, ports: mine });
      for (const up of ups.filter(({ jack }) => !jack)) items.push({ key: up.id, shape: "uplink", kind: up.kind, x: x + up.x - 9, y: railTop - 12, w: 18, h: 12, name: up.name });
    }
    drawTrunks();
    for (const column of columns) drawColumn(column);
    for (const spot of spots.values()) drawLink(spot);
  }

  function drawWays() {
    if (!host.ways.length || !jacks.length) return;
    const x = firstJack, ends = host.ways.map(({ id }) => { const top = tops.find((one) => one.id === id), rail = rails.get(id); return Math.min(rail.x + rail.w - 12, Math.max(rail.x + rail.w / 2, rail.x + (top.caption?.w ?? 0) + 12)); });
    items.push({ key: `way ${host.id}`, shape: "way", kind: "decision", deaf: true, x, y: 7, w: 0, h: 0, trunk: [[0, 0], [0, junction - 7]], drops: ends.map((end) => [[0, junction - 7], [end - x, junction - 7], [end - x, railTop - 7]]), stands: host.ways.map(({ ids }) => ids), down: junction - 7, blocked: host.blocked });
    if (host.leaves) items.push({ key: host.leaves.id, shape: "leaves", kind: "decision", ids: host.leaves.ids, x: x - 16 - host.leaves.w, y: junction - 19, w: host.leaves.w, h: 15, line: host.leaves });
    if (host.blocked) items.push({ key: `blocked ${host.id}`, shape: "blocked", kind: "decision", shows: host.id, x: x + 14, y: junction + 4, w: host.blocked.w, h: 15, line: host.blocked });
  }

  function drawTrunks() {
    const level = railTop - 24;
    for (const trunk of host.trunks) {
      const jack = jacks.find((one) => one.jack.id === trunk.from), rail = rails.get(trunk.to), top = tops.find(({ id }) => id === trunk.to);
      if (!jack || !rail) continue;
      const x = trunk.kind === "wire" ? rail.x + rail.w - 24 : top.type === "fork" ? rail.x + 12 : rail.x + Math.min(rail.w - 16, (top.caption?.w ?? 0) + 20);
      items.push({ key: trunk.key, shape: "trunk", kind: trunk.kind, deaf: true, x: 0, y: 0, w: 0, h: 0, points: [[jack.x + 10, 7], [jack.x + 10, level], [x, level], [x, top.type === "fork" ? railBottom : railTop]], plug: trunk.kind === "wire" });
    }
  }

  function drawColumn(column) {
    const { x, w } = places.get(column.key), size = sizes.get(column.key), low = rowTop + drop;
    if (column.region) items.push({ key: column.id, shape: "region", kind: "namespace", x, y: rowTop, w, h: column.plates.length ? drop + 8 : drop + PLATE, name: column.name, right: column.right, notes: column.notes, named: low - rowTop, from: size.notes });
    column.ifaces.forEach((iface, i) => {
      if (column.fold) return;
      const sx = x + size.slots[i], h = 12 + 12 + LINE * Math.max(1, iface.lines.length) + 6;
      items.push({ key: iface.blind ? `end ${iface.id}` : iface.id, shows: iface.blind ? iface.id : undefined, shape: "iface", kind: iface.kind, x: sx - iface.w / 2 + 2, y: rowTop - 6, w: iface.w - 4, h, name: iface.name, lines: iface.lines, down: iface.down, blind: iface.blind });
    });
    for (const strip of column.strips ?? []) {
      const own = strip.members.map((id) => spots.get(id)?.x).filter((px) => px !== undefined), sw = Math.max(strip.name.w + 34, own.length ? own.at(-1) - own[0] + 60 : 0, 90);
      const sx = Math.min(x + w - sw - 8, Math.max(x + 8, own.length ? own[0] - 30 : x + 8));
      items.push({ key: strip.id, shape: "strip", kind: "bridge", x: sx, y: low - 30, w: sw, h: 20, name: strip.name, ports: own.map((px) => px - sx) });
    }
    let px = x;
    column.plates.forEach((plate, i) => {
      const pw = size.plates[i];
      items.push({ key: plate.id, shape: plate.fold ? "fold" : "plate", kind: "container", ids: column.fold ? column.ids : undefined, x: px, y: low, w: pw, h: PLATE, name: plate.name, sub: plate.sub, right: plate.right, still: plate.still, count: column.count });
      px += pw + 14;
    });
  }

  function drawLink({ x, iface, column }) {
    const end = column.fold ? rowTop + drop - 12 : rowTop, kind = iface.kind;
    if (iface.link === "cable" || iface.link === "fork") {
      const top = tops.find(({ id }) => id === iface.top), from = ports.get(iface.id), joint = top.type === "fork" ? rails.get(top.id).x + 12 : from, start = railBottom;
      if (iface.link === "fork") { items.push({ key: `fork ${iface.id}`, shape: "branch", kind: "macvlan", shows: iface.id, deaf: true, x: 0, y: 0, w: 0, h: 0, points: [[joint, start], [x, end]] }); return; }
      const tag = iface.tag && lanes.tags.get(iface.id), t = tag?.t ?? 0.5;
      const own = top.type === "loose"; // its own box bears the name of that end
      items.push({ key: own ? `cable ${iface.id}` : iface.cable, shape: "cable", kind: "veth", ids: iface.bundle ? column.ids : [iface.id], shows: iface.bundle ? iface.fold : own ? top.id : undefined, x: 0, y: 0, w: 0, h: 0, points: [[from, start], [x, end]], tag: iface.tag && { ...centre(from, start, x, end, t), text: iface.tag, w: iface.tag.w + 12, h: TAG }, bundle: iface.bundle, blind: iface.blind });
      tagged(items.at(-1));
    }
    if (iface.link === "pair") {
      const other = spots.get(iface.cable);
      if (!other || iface.id > iface.cable) return;
      const rise = Math.min(CABLE - 30, 56 + (lanes.tags.get(iface.id)?.lane ?? 0) * 24), [a, b] = [Math.min(x, other.x), Math.max(x, other.x)];
      items.push({ key: `pair ${iface.pair}`, shape: "pair", kind: "veth", shows: iface.id, ids: [iface.id, iface.cable], x: 0, y: 0, w: 0, h: 0, points: [[a, rowTop], [b, rowTop]], rise, tag: { x: (a + b) / 2, y: rowTop - rise, text: iface.tag, w: iface.tag.w + 12, h: TAG } });
      tagged(items.at(-1));
    }
  }

  /** Tags lie above every cable. */
  function tagged({ key, kind, tag, ids, shows, bundle, shape }) {
    if (tag) items.push({ key: `tag ${key}`, shape: "tag", kind, silent: true, of: key, ids, shows, x: tag.x - tag.w / 2, y: tag.y - TAG / 2, w: tag.w, h: TAG, text: tag.text, ours: bundle || shape === "pair" });
  }
}

const reach = (spot) => Math.max(spot.iface.tag ? spot.iface.tag.w + 22 : 60, 60);
const gap = (a, b) => Math.min(PORT + 40, (reach(a) + reach(b)) / 2);
const gaps = (hung) => hung.slice(1).reduce((sum, spot, i) => sum + gap(hung[i], spot), 0);
const spotPort = (spot, x, w) => (spot.iface.link === "fork" ? spot.x : Math.min(Math.max(spot.x - LEAN, x + 22), x + w - 22));

function straddled(rail, columns, sizes, places, homes) {
  return columns.some((column) => places.has(column.key) && homes[column.key] !== rail && column.rails.includes(rail));
}

/** A point of the cable from port to interface: an S, upright at both ends. */
function centre(x1, y1, x2, y2, t) {
  const u = 1 - t, bend = (y2 - y1) * 0.55, a = u * u * u, b = 3 * u * u * t, c = 3 * u * t * t, d = t * t * t;
  return { x: a * x1 + b * x1 + c * x2 + d * x2, y: a * y1 + b * (y1 + bend) + c * (y2 - bend) + d * y2 };
}

const DOTS = Array.from({ length: 25 }, (_, i) => centre(0, 0, 1, 1, i / 24)).map(({ x, y }) => [x, y]); // along any cable, in parts of its width and height

/** Tags slide along their cables until none covers another; when that is not enough the cables grow. */
function lanesFor(spots, ports) {
  const ways = [...spots.values()].filter(({ iface }) => iface.link === "cable").map(({ x, iface }) => ({ iface, from: ports.get(iface.id), to: x }));
  const cables = [...spots.values()].filter(({ iface }) => iface.link === "cable" && iface.tag).sort((a, b) => ports.get(a.iface.id) + a.x - ports.get(b.iface.id) - b.x);
  for (let more = 0; ; more += 30) {
    const taken = [], tags = new Map();
    let clash = false;
    const length = CABLE + more;
    const free = (box) => taken.every((one) => Math.abs(one.x - box.x) >= (one.w + box.w) / 2 + 6 || Math.abs(one.y - box.y) >= TAG + 5);
    const crossed = (box, own) => ways.some(({ iface, from, to }) => {
      const half = box.w / 2 + 2;
      if (iface === own || Math.max(from, to) < box.x - half || Math.min(from, to) > box.x + half) return false;
      return DOTS.some(([across, down]) => Math.abs(down * length - box.y) < TAG / 2 + 2 && Math.abs(from + (to - from) * across - box.x) < half);
    });
    for (const { x, iface } of cables) {
      const from = ports.get(iface.id), steps = more ? [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78, 0.15, 0.85] : [0.5, 0.36, 0.64, 0.25, 0.75];
      const tries = steps.map((t) => ({ ...centre(from, 0, x, length, t), w: iface.tag.w + 12 + 6, t })).filter(({ y }) => y > 26 && y < length - 26);
      const box = tries.find((one) => free(one) && !crossed(one, iface)) ?? tries.find(free) ?? tries[0];
      if (!free(box)) clash = true;
      taken.push(box);
      tags.set(iface.id, box);
    }
    for (const { x, iface } of spots.values()) {
      const other = iface.link === "pair" && iface.id < iface.cable && spots.get(iface.cable);
      if (!other) continue;
      const tries = [0, 1, 2, 3].map((lane) => ({ x: (x + other.x) / 2, y: length - Math.min(CABLE - 30, 56 + lane * 24), w: iface.tag.w + 18, lane }));
      const box = tries.find((one) => free(one) && !crossed(one, iface)) ?? tries.find(free) ?? tries[0];
      if (!free(box)) clash = true;
      taken.push(box);
      tags.set(iface.id, box);
    }
    if (!clash || more >= 150) return { tags, more };
  }
}

/** How large a column is, where in it its interfaces stand, and how wide its plates are. */
function sizeOf(column) {
  const { ifaces, plates, notes, strips = [] } = column, gapIn = 6;
  const ifacesW = (ifaces.length ? 4 : 0) + ifaces.reduce((sum, { w }) => sum + w, 0) + Math.max(0, ifaces.length - 1) * gapIn, notesW = notes.length ? Math.max(...notes.map(({ w }) => w)) + 20 : 0;
  const platesW = plates.reduce((sum, { w }) => sum + w, 0) + Math.max(0, plates.length - 1) * 14;
  const nameW = column.name ? 39 + column.name.w + (column.right ? column.right.w + 14 : 0) + 12 : 0, stripW = Math.max(0, ...strips.map(({ name }) => name.w + 50));
  const w = Math.max(ifacesW + notesW, platesW, nameW, stripW, 124);
  const spread = 2 + (notesW ? 0 : (w - ifacesW) / 2);
  const slots = [];
  let at = spread;
  // With plates wider than the interfaces need, those share the room.
  const extra = !notesW && ifaces.length > 1 ? (w - ifacesW) / (ifaces.length * 2) : 0;
  if (extra) at = 2 + extra;
  for (const iface of ifaces) { slots.push(at + iface.w / 2); at += iface.w + gapIn + extra * 2; }
  const rest = w - platesW, widths = plates.map((plate) => plate.w + (plates.length ? rest / plates.length : 0));
  const lines = Math.max(1, ...ifaces.map((iface) => iface.lines.length), notes.length - 1);
  const body = column.region || ifaces.length ? REGION + (lines - 1) * LINE + (strips.length ? 30 : 0) : REGION;
  return { w, slots, plates: widths, body, notes: w - notesW + 8 };
}

/** What was there keeps its order; the rest comes behind. */
function ordered(list, kept, key) {
  const place = new Map((kept ?? []).map((id, i) => [id, i]));
  return list.map((one, i) => [place.get(key(one)) ?? 1e6 + i, one]).sort((a, b) => a[0] - b[0]).map(([, one]) => one);
}

/** Columns in the order in which they stand. At first: so that few cables cross; afterwards: as they stood, what is new behind the last one on its rail. */
function sorted(host, tops, order) {
  const rank = new Map(tops.map(({ id }, i) => [id, i]));
  const place = (column) => (column.rails.length ? column.rails.reduce((sum, id) => sum + rank.get(id), 0) / column.rails.length : column.region ? tops.length : tops.length + (column.late ? 2 : 1));
  const first = (column) => (column.rails.length ? Math.min(...column.rails.map((id) => rank.get(id))) : place(column));
  if (!order) return paired(host.columns.map((column, i) => ({ column, i, at: place(column) })).sort((a, b) => a.at - b.at || a.i - b.i).map(({ column }) => column));
  const stood = new Map(order.order.map((key, i) => [key, i])), result = host.columns.filter(({ key }) => stood.has(key)).sort((a, b) => stood.get(a.key) - stood.get(b.key));
  for (const column of host.columns.filter(({ key }) => !stood.has(key))) {
    const mine = first(column);
    let at = result.length;
    while (at > 0 && first(result[at - 1]) > mine) at--;
    result.splice(at, 0, column);
  }
  return result;
}

/** Interfaces of a namespace in the order of what they lead to; those that stood keep theirs. */
function arranged(columns, tops, order) {
  const rank = new Map(tops.map(({ id }, i) => [id, i])), at = new Map(columns.flatMap(({ ifaces }, i) => ifaces.map(({ id }) => [id, i])));
  return columns.map((column, i) => {
    const weight = ({ top, cable, link }) => (link === "pair" ? (at.get(cable) < i ? -1 : 1e4) : rank.get(top) ?? 1e3);
    const wished = column.ifaces.map((iface, place) => [weight(iface), place, iface]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , iface]) => iface);
    return { ...column, ifaces: ordered(wished, order?.ifaces, ({ id }) => id) };
  });
}

/** The first order of rails: each near the middle of what hangs on it, as long as that makes fewer cables cross. */
function untangled(host) {
  let best = host.tops, least = crossings(host, best), tops = best;
  for (let turn = 0; turn < 5 && least; turn++) {
    const columns = sorted(host, tops, null), rank = new Map(tops.map(({ id }, i) => [id, i]));
    const mean = ({ id }) => { const at = columns.map(({ rails }, i) => (rails.includes(id) ? i : -1)).filter((i) => i >= 0); return at.length ? at.reduce((a, b) => a + b, 0) / at.length : (rank.get(id) * columns.length) / tops.length; };
    tops = tops.map((top, i) => [mean(top), i, top]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , top]) => top);
    const count = crossings(host, tops);
    if (count < least) { best = tops; least = count; }
  }
  return best;
}

function crossings(host, tops) {
  const rank = new Map(tops.map(({ id }, i) => [id, i])), ends = [];
  arranged(sorted(host, tops, null), tops, null).forEach(({ ifaces }, i) => ifaces.forEach(({ top }, at) => { if (rank.has(top)) ends.push([rank.get(top), i * 100 + at]); }));
  let count = 0;
  for (let i = 0; i < ends.length; i++) for (let j = 0; j < i; j++) if ((ends[i][0] - ends[j][0]) * (ends[i][1] - ends[j][1]) < 0) count++;
  return count;
}

/** Two namespaces with a cable between them stand side by side. */
function paired(columns) {
  const owner = new Map(columns.flatMap((column) => column.ifaces.map(({ id }) => [id, column]))), result = [], done = new Set();
  const take = (column) => {
    if (done.has(column)) return;
    done.add(column);
    result.push(column);
    for (const { link, cable } of column.ifaces) { const other = link === "pair" && owner.get(cable); if (other && !other.rails.length) take(other); }
  };
  columns.forEach(take);
  return result;
}

/** “What is what”: under a low last host, else beside a narrow picture, else as a line below. */
function placeLegend(items, plan, hosts, size, end) {
  const rows = plan.words.legend, last = hosts.at(-1), high = 16 + rows.length * 21, wide = Math.max(...rows.map(({ w }) => w), plan.words.what.w) + 44;
  const upright = (x, y) => items.push({ key: "legend", shape: "legend", kind: "key", deaf: true, x, y, w: wide, h: high, rows: rows.map((row, i) => ({ ...row, x: 0, y: 19 + i * 21 })), title: plan.words.what });
  const tallest = Math.max(...hosts.map(({ h }) => h), 0);
  if (hosts.length > 1 && tallest - last.h >= high + 14 && last.w >= wide) return upright(last.x + 14, HOST + last.h + 20);
  if (end + GAP + wide <= VIEW && size.height >= HOST + high) { upright(end + GAP + 4, HOST + 8); size.width = end + GAP + wide + EDGE; return; }
  const title = plan.words.what.w + 22, placed = [];
  let x = 0, y = 0;
  for (const row of rows) {
    const w = (row.kind === "new" ? 44 : 22) + row.w + 18;
    if (title + x + w > size.width - 2 * EDGE && x > 0) { x = 0; y += 24; }
    placed.push({ ...row, x: title + x, y });
    x += w;
  }
  items.push({ key: "legend", shape: "legend", kind: "key", deaf: true, x: EDGE, y: size.height + 8, w: end - EDGE, h: y + 20, rows: placed, title: plan.words.what, flat: true });
  size.foot = y + 36; // only a saved picture has it: the page shows these rows in a line of its own
}
