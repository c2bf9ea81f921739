// What is drawn of a network, with its words, cut to size: hosts, what stands in their upper row, the columns of their lower row. Must not know where anything is drawn.
import { n, t } from "../translate.js";
import { decisions } from "./decisions.js";
import { bare, kindOf } from "./model.js";
import { fit, isolated, plain, say } from "./text.js";

const MOST = 8; // containers on a rail before the quiet ones are folded
const MOST_STILL = 3; // the same for containers that do not run
const MOST_NEW = 4; // of the new ones, beside those that stay
const FALLBACK = /^(tunl|gre|gretap|erspan|ip_vti|ip6_vti|sit|ip6tnl|ip6gre)0$/; // the kernel puts these into every namespace

const by = (key) => (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.id < b.id ? -1 : 1);
const index = (thing) => thing.index ?? 1e9;
const small = (text, most = 220) => fit(text, most);
const shortImage = (image) => String(image ?? "").replace(/^sha256:([0-9a-f]{12}).*/, "$1").replace(/^(docker\.io|localhost|registry-1\.docker\.io)\//, "").replace(/^library\//, "").replace(/@sha256:.*/, "");

/** `network`: {things, hosts, unseen, newest}; `open`: keys of folds that are unfolded; `kept`: ids that must not be folded. */
export function plan(network, { open = new Set(), kept = new Set() } = {}) {
  const { things } = network, all = [...things.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const spaces = new Map(), members = new Map(), children = new Map(), rules = new Map(), routes = new Map(), listens = new Map(), chains = new Map(), addressed = new Map();
  const put = (map, key, thing) => (map.get(key) ?? map.set(key, []).get(key)).push(thing);
  for (const thing of all) {
    if (thing.kind === "interface") {
      put(spaces, thing.space, thing);
      if (thing.master) put(members, thing.master, thing);
      if (thing.parent) put(children, thing.parent, thing);
      for (const address of thing.addresses ?? []) addressed.set(`${thing.host} ${bare(address)}`, thing); // every host may have a 172.17.0.2
    }
    if (thing.kind === "rule") put(rules, thing.space, thing);
    if (thing.kind === "chain") put(chains, thing.space, thing);
    if (thing.kind === "route") put(routes, thing.space, thing);
    if (thing.kind === "listener") put(listens, thing.space, thing);
  }
  for (const map of [spaces, members, children]) for (const [key, list] of map) map.set(key, list.sort(by(index)));
  const know = { network, things, all, spaces, members, children, rules, routes, listens, chains, addressed, open, kept };
  const wire = all.find(({ kind }) => kind === "wire");
  const hosts = network.hosts.map((host) => hostPlan(host, know));
  return {
    wire: wire && { id: wire.id, name: fit(wire.name || "wire", 120, 14), sub: small(wire.subnet ?? ""), note: say(hosts.length > 1 ? n("private to your {n} host", "private to your {n} hosts", hosts.length) : t("private to you")) },
    hosts,
    words: { new: say(t("new"), 12, 640), legend: legend(hosts, wire, network), what: say(t("What is what"), 12, 640) },
  };
}

function hostPlan(host, know) {
  const { things, spaces, network, all } = know, thing = things.get(`host:${host}`), root = thing?.space, away = Boolean(network.away?.hosts.includes(host)), seen = Boolean(thing) && (away || !network.unseen?.includes(host));
  const own = (spaces.get(root) ?? []).filter((one) => one.type !== "loopback" && !idle(one));
  const note = !seen ? t("not seen yet") : away ? t("cannot be seen now") : [thing.system, thing.docker && `Docker ${String(thing.docker).split(".").slice(0, 2).join(".")}`].filter(Boolean).map(plain).join(", ");
  const jacks = own.filter(({ type }) => type === "wire");
  const result = { id: `host:${host}`, name: fit(host, 200, 16), note: fit(note, 240, 12, "sans"), dashed: !seen || away, stale: away, jacks: jacks.map((jack) => ({ id: jack.id, name: small(jack.name, 110), lines: addressLines(jack, 3), down: jack.state !== "up" })), tops: [], columns: [], trunks: [] };
  if (!seen) return Object.assign(result, { lines: [], leaves: null, ways: [] });
  topRow(result, own, jacks, know);
  lowerRow(result, host, root, own, know);
  decisions(result, root, jacks, know);
  result.decides = Boolean(thing.docker) || result.ways.length > 0; // then rules are to be expected: they find room without moving anything
  return result;
}

const idle = (one) => FALLBACK.test(one.name) && !(one.addresses ?? []).length && one.state !== "up";

function addressLines(one, most, none = "") {
  const all = one.type === "loopback" ? (one.addresses ?? []).slice(0, 1) : one.addresses ?? [], shown = all.slice(0, all.length > most ? most - 1 : most).map((address) => small(address, 290));
  if (all.length > most) shown.push({ ...say(t("{n} more", { n: all.length - shown.length })), ours: true });
  if (!shown.length && none) shown.push({ ...say(none), ours: true });
  return shown;
}

/** Bridges, what of the host's own interfaces hangs on no bridge, and forks of its jacks. */
function topRow(result, own, jacks, { things, members, children, all, network }) {
  const jackIds = new Set(jacks.map(({ id }) => id)), second = new Set();
  for (const one of own) {
    if (jackIds.has(one.id)) {
      if (one.master && things.has(one.master)) result.trunks.push({ from: one.id, to: one.master, kind: "wire", key: `plug ${one.id}` });
      const forks = (children.get(one.id) ?? []).filter((child) => child.space !== one.space);
      if (forks.length) {
        const net = all.find((thing) => thing.kind === "network" && thing.parent === one.id && thing.host === one.host), mode = forks[0].type;
        const name = net ? small(net.name, 160) : small(forks[0].type, 160), sub = say(t("{kind} on {name}", { kind: mode, name: isolated(plain(one.name)) }));
        result.tops.push({ id: `fork ${one.id}`, shows: net?.id ?? one.id, type: "fork", kind: "macvlan", name, sub, min: Math.max(name.w * (14 / 12), sub.w) + 44, index: index(one), top: one.id });
        result.trunks.push({ from: one.id, to: `fork ${one.id}`, kind: "macvlan", key: `trunk ${one.id}` });
      }
      continue;
    }
    if (one.type === "bridge") { result.tops.push(bridgePlan(one, members.get(one.id) ?? [], things, network)); continue; }
    if (one.master && things.get(one.master)?.type === "bridge") continue; // plugged in: the bridge shows it
    if (second.has(one.id)) continue;
    const peer = things.get(one.peer);
    if (one.type === "veth" && peer && peer.space === one.space) {
      if (peer.master) continue; // the far end of a cable of this host's bridge: stands in the lower row
      second.add(peer.id);
    }
    const from = one.parent && jackIds.has(one.parent) ? one.parent : null;
    const name = fit(one.name, 170, 14), lines = addressLines(one, 2, one.state === "down" ? t("down") : t("no address"));
    const kind = kindOf(one), what = one.type === "vlan" && one.vlan ? t("VLAN {id}", { id: one.vlan }) : ["dummy", "tun", "vxlan", "macvlan", "ipvlan", "veth"].includes(one.type) ? one.type : "";
    const parent = one.parent && !from ? things.get(one.parent) : null;
    const caption = say([what, parent && t("on {name}", { name: isolated(plain(parent.name)) })].filter(Boolean).join(" "));
    result.tops.push({ id: one.id, type: "loose", kind, name, lines, caption, down: one.state === "down", min: Math.max(name.w + 50, ...lines.map(({ w }) => w + 50), caption.w + 8), index: index(one), top: one.id });
    if (from) result.trunks.push({ from, to: one.id, kind: "macvlan", key: `trunk ${one.id}` });
  }
  result.tops.sort((a, b) => (a.type === "fork") - (b.type === "fork") || a.index - b.index);
}

function bridgePlan(bridge, ports, things, network) {
  const name = fit(bridge.name, 220, 14), lines = addressLines(bridge, 2, ports.length ? t("no address") : t("no cables"));
  const net = things.get(bridge.network), words = [net && t("network {name}", { name: isolated(plain(net.name)) }), !ports.length && (bridge.addresses ?? []).length ? t("no cables") : ""].filter(Boolean).join(", ");
  const caption = fitSans(words, 240);
  // What is plugged in and leads to no namespace of this host: on the upper edge.
  const uplinks = ports.filter((port) => !leadsDown(port, things)).map((port) => {
    const what = port.type === "vlan" && port.vlan ? ` ${t("VLAN {id}", { id: port.vlan })}` : port.type === "vxlan" ? " vxlan" : "";
    return { id: port.id, kind: kindOf(port), name: small(`${plain(port.name)}${what}`, 150), jack: port.type === "wire" };
  });
  const min = Math.max(name.w + 50, ...lines.map(({ w }) => w + 50), caption.w + 8);
  const up = uplinks.filter(({ jack }) => !jack).reduce((sum, { name: word }) => sum + word.w + 34, 0);
  return { id: bridge.id, type: "bridge", kind: "bridge", name, lines, caption, uplinks, down: bridge.state !== "up", min: Math.max(min, caption.w + 16 + up), index: index(bridge), top: bridge.id };
}

function fitSans(text, most) {
  const whole = say(text);
  return whole.w <= most ? whole : fit(text.replace(/[\u2068\u2069]/g, ""), most, 12, "sans");
}

function leadsDown(port, things) {
  const peer = things.get(port.peer);
  if (port.type !== "veth") return false;
  return !peer || peer.space !== port.space || !peer.master; // a cable whose far end is not known hangs down too
}

/** Namespaces with their plates; plates of the host's own namespace; far ends of cables that stay in the host. */
function lowerRow(result, host, root, own, know) {
  const { things, spaces, all, members } = know, tops = new Map(result.tops.map((top) => [top.top, top])), columns = [];
  const containers = all.filter((one) => one.kind === "container" && one.host === host);
  const homes = all.filter((one) => one.kind === "namespace" && one.host === host && one.id !== root && !one.root);
  for (const home of homes) {
    const inside = containers.filter(({ space }) => space === home.id).sort(by((one) => String(one.mode).startsWith("container:") ? 1 : 0));
    columns.push(columnOf(home, inside, tops, know));
  }
  for (const one of containers) if (!one.space || !things.has(one.space) || one.space === root) columns.push(bareColumn(one, root, know));
  for (const one of own) {
    const peer = things.get(one.peer);
    if (one.type !== "veth" || one.master || !peer || peer.space !== one.space) continue;
    const top = peer.master ? tops.get(peer.master) : tops.get(peer.id);
    if (top) columns.push({ key: one.id, id: null, region: false, ifaces: [ifaceOf(one, { tops, things, peer, top: top.id })], plates: [], notes: [], rails: [top.id], index: index(one) });
  }
  // A bridge port whose far end is in nobody's sight still hangs there.
  for (const top of result.tops) for (const port of members.get(top.top) ?? []) if (port.type === "veth" && !things.has(port.peer)) columns.push({ key: `end ${port.id}`, id: null, region: false, ifaces: [{ id: port.id, kind: "veth", name: small("?", 20), lines: [{ ...say(t("not in sight")), ours: true }], top: top.id, link: "cable", cable: port.id, tag: small(port.name, 120), w: 96, blind: true }], plates: [], notes: [], rails: [top.id], index: index(port) });
  columns.sort((a, b) => a.index - b.index || (a.key < b.key ? -1 : 1));
  result.columns = folded(columns, result.tops, host, know);
}

function ifaceOf(one, { tops, things, peer = things.get(one.peer), top }) {
  const lines = addressLines(one, 2, one.state === "down" ? t("down") : t("no address")), kind = kindOf(one);
  if (one.type === "macvlan") lines.push(small(one.mac ?? "", 140));
  if (one.type === "vlan" && one.vlan) lines.push({ ...say(t("VLAN {id}", { id: one.vlan })), ours: true });
  const name = small(one.name, 130);
  const iface = { id: one.id, kind, name, lines, top: null, link: null, down: one.state === "down", master: one.master ?? null };
  if (top) Object.assign(iface, { top, link: "cable", cable: peer.id, tag: tops.get(peer.id) ? null : small(peer.name, 120) });
  else if (one.type === "veth" && peer) {
    const rail = peer.master ? tops.get(peer.master) : tops.get(peer.id);
    if (rail) Object.assign(iface, { top: rail.id, link: "cable", cable: peer.id, tag: rail.type === "bridge" ? small(peer.name, 120) : null });
    else if (peer.space !== one.space) Object.assign(iface, { link: "pair", cable: peer.id, pair: [one.id, peer.id].sort().join(" "), tag: say(t("veth pair")) });
  } else if (one.parent && things.has(one.parent)) {
    const rail = tops.get(one.parent);
    if (rail) Object.assign(iface, { top: rail.id, link: "fork" });
  }
  iface.w = Math.max(94, name.w, ...lines.map(({ w }) => w), iface.tag?.w ?? 0) + 26;
  return iface;
}

function columnOf(home, inside, tops, know) {
  const { things, spaces, listens, rules, routes } = know;
  const every = (spaces.get(home.id) ?? []).filter((one) => !idle(one)), some = every.filter(({ type }) => type !== "loopback");
  const shown = (some.length ? some : every).filter(({ type }) => type !== "bridge"), bridges = some.filter(({ type }) => type === "bridge");
  const ifaces = shown.map((one) => ifaceOf(one, { tops, things }));
  const own = home.name || (!inside.length ? t("without a name") : "");
  const notes = [], ports = listening(listens.get(home.id));
  const mine = (rules.get(home.id) ?? []).filter(({ owner }) => owner !== "docker" && owner !== "podman"), ruled = mine.length, sent = (routes.get(home.id) ?? []).filter((route) => route.via && (!inside.length || route.to !== "default")).sort(by((route) => (route.to === "default" ? "" : String(route.to))));
  for (const route of sent.slice(0, 2)) notes.push({ ...small(`${plain(route.to)} → ${plain(route.via)}`, 210), id: route.id });
  if (sent.length > 2) notes.push({ ...say(n("{n} more route", "{n} more routes", sent.length - 2)), ours: true });
  if (ruled) notes.push({ ...say(n("{n} rule of its own", "{n} rules of its own", ruled)), ours: true, id: mine[0].id, ids: mine.map(({ id }) => id) });
  if (inside.length > 1) notes.push({ ...say(t("one namespace, shared")), ours: true });
  const strips = bridges.map((one) => ({ id: one.id, kind: "bridge", name: fit(`${plain(one.name)} ${(one.addresses ?? []).slice(0, 1).join("")}`, 260), members: ifaces.filter(({ master }) => master === one.id).map(({ id }) => id) }));
  const plates = inside.map((one, at) => plateOf(one, at ? [] : ports));
  const owner = inside[0], rails = [...new Set(ifaces.map(({ top }) => top).filter(Boolean))];
  return { key: owner?.id ?? home.id, id: home.id, region: true, ifaces, plates, notes, strips, rails, index: Math.min(...shown.map((one) => index(things.get(one.peer) ?? one)), 1e9), running: true,
    name: own ? { ...fit(own, 200, 16), ours: !home.name } : null, right: inside.length ? null : portsText(ports), quiet: quiet([home.id, ...ifaces.map(({ id }) => id), ...inside.map(({ id }) => id)], know) };
}

function bareColumn(one, root, know) {
  const inHost = one.space === root && root, plate = plateOf(one, []);
  return { key: one.id, id: null, region: false, ifaces: [], plates: [plate], late: !inHost, notes: [], strips: [], rails: [], index: inHost ? 2e9 : 3e9, running: Boolean(inHost), quiet: quiet([one.id], know) };
}

const quiet = (ids, { network, kept }) => !ids.some((id) => network.newest.has(id) || kept.has(id));

function listening(listens = []) {
  const ports = listens.filter(({ address }) => !/^(127\.|::1$)/.test(String(address))).map(({ port, proto }) => `:${port}${proto === "udp" ? "/udp" : ""}`);
  return [...new Set(ports)].sort((a, b) => parseInt(a.slice(1)) - parseInt(b.slice(1)));
}
const portsText = (ports) => (ports.length ? small(ports.length > 2 ? `${ports.slice(0, 2).join(" ")} …` : ports.join(" "), 110) : null);

function plateOf(one, ports) {
  const still = !["running", "paused", "restarting"].includes(one.state), name = fit(one.name, 150, 16);
  const state = { exited: t("exited, code {code}", { code: Number.isInteger(one.exit_code) ? one.exit_code : "?" }), created: t("created, not started"), paused: t("paused"), restarting: t("restarting"), dead: t("dead") }[one.state];
  const joined = String(one.mode ?? "").startsWith("container:");
  const sub = state ? { ...say(state), ours: true } : small(shortImage(one.image), 170);
  const right = one.mode === "host" && !still ? { ...say(t("host network")), ours: true } : one.engine === "podman" && !ports.length ? { ...say("podman"), ours: true } : joined && !ports.length ? { ...say(t("joined")), ours: true } : portsText(ports);
  return { id: one.id, name, sub, right, still, w: Math.max(39 + name.w + (right ? right.w + 14 : 0) + 11, 39 + sub.w + 11, 124) };
}

/** More than MOST on a rail: the first ones stay, the quiet rest becomes one plate; what is new stands behind it. */
function folded(columns, tops, host, { open }) {
  const order = new Map(tops.map(({ id }, at) => [id, at])), groups = new Map();
  for (const column of columns) {
    const rail = column.rails.slice().sort((a, b) => (order.get(a) ?? 99) - (order.get(b) ?? 99))[0];
    const key = column.plates.length ? rail ?? (column.region ? "none" : column.running ? "host" : "still") : null;
    column.group = key;
    if (key) (groups.get(key) ?? groups.set(key, []).get(key)).push(column);
  }
  const away = new Map();
  for (const [key, group] of groups) {
    const most = key === "still" ? MOST_STILL : MOST, fold = `fold ${host} ${key}`;
    if (group.length <= most) continue;
    if (open.has(fold)) { away.set(group.at(-1).key, { fold, hidden: [], key }); continue; }
    // Those that have more than one cable tell the most; among the others the oldest stay.
    const stay = new Set(group.filter(({ rails }) => rails.length > 1).slice(0, most - 1));
    for (const column of group) if (stay.size < most - 1) stay.add(column);
    const fresh = group.filter((column) => !stay.has(column) && !column.quiet), seen = new Set(fresh.slice(-MOST_NEW));
    const hidden = group.filter((column) => !stay.has(column) && !seen.has(column));
    if (hidden.length > 1) away.set(hidden[0].key, { fold, hidden, key });
  }
  const gone = new Set([...away.values()].flatMap(({ hidden }) => hidden)), result = [];
  for (const column of columns) {
    const at = away.get(column.key);
    if (!gone.has(column)) result.push(column);
    if (at) result.push(foldOf(at, column));
  }
  // In a group the fold stands behind those that stay, and what is new behind the fold.
  return result;
}

function foldOf({ fold, hidden, key }, column) {
  const ids = hidden.flatMap((one) => [one.id, ...one.ifaces.flatMap(({ id, cable }) => [id, cable]), ...one.plates.map(({ id }) => id)]).filter(Boolean);
  const rail = column.rails.includes(key) ? key : null, count = hidden.length;
  const name = count ? fit(t("+ {n} more", { n: count }), 140, 14, "sans", 640) : fit(t("Fold"), 120, 14, "sans", 640), sub = say(count ? t("unfold") : t("all are shown"));
  return { key: fold, id: null, region: false, fold: true, ids, count, ifaces: rail && count ? [{ id: `${fold} cable`, kind: "veth", name: { text: "", w: 0 }, lines: [], top: rail, link: "cable", cable: `${fold} cable`, bundle: true, tag: say(n("{n} cable", "{n} cables", count)), w: 110, fold }] : [],
    plates: [{ id: fold, name, sub: { ...sub, ours: true }, right: null, fold: true, still: key === "still", w: Math.max(39 + name.w + 16, 39 + sub.w + 16, 124) }], notes: [], strips: [], rails: rail ? [rail] : [], late: column.late, index: column.index, quiet: true };
}

function legend(hosts, wire, { newest }) {
  const kinds = new Set(["host"]);
  for (const host of hosts) {
    for (const top of host.tops) kinds.add(top.kind);
    for (const column of host.columns) {
      if (column.region) kinds.add("namespace");
      if (column.plates.some(({ fold }) => !fold)) kinds.add("container");
      for (const iface of column.ifaces) { kinds.add(iface.kind); if (iface.link === "cable") kinds.add("veth"); }
    }
    if (host.ways.length || host.lines.length) kinds.add("way");
  }
  if (wire) kinds.add("wire");
  const words = { host: t("host"), bridge: t("bridge"), veth: t("veth pair"), container: t("container"), namespace: t("namespace"), macvlan: "macvlan", wire: t("wire, outside"), way: t("route or rule") };
  const rows = Object.keys(words).filter((kind) => kinds.has(kind)).map((kind) => ({ kind, ...say(words[kind]) }));
  if (newest.size) rows.push({ kind: "new", ...say(t("last change")) });
  return rows;
}
