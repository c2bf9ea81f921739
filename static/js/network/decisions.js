// What a host decides about packets, as far as it is drawn: published ports, the address under which they leave, rules and routes that somebody made. Must not know where any of it stands.
import { n, t } from "../translate.js";
import { bare } from "./model.js";
import { fit, plain, say } from "./text.js";

const LINES = 6; // rules and routes that stand beside the way

/** What the host decides about packets: published ports, the address under which they leave, rules and routes that somebody made. */
export function decisions(result, root, jacks, know) {
  const { things, rules, routes, addressed, network, chains } = know, own = rules.get(root) ?? [], lines = [];
  const at = (address) => addressed.get(`${result.id.slice(5)} ${address}`), target = (to) => { const [address, port] = splitPort(to), there = at(address), home = there && things.get(there.space), owner = home && things.get((home.containers ?? [])[0]); return `${owner ? plain(owner.name) : address}${port ? `:${port}` : ""}`; };
  const seen = new Set();
  for (const rule of own.filter(({ action }) => action === "DNAT")) {
    const from = `:${rule.match?.dport ?? "?"}${rule.match?.proto === "udp" ? "/udp" : ""}`, text = `${from} → ${target(rule.to ?? "")}`;
    if (seen.has(`${rule.family} ${text}`) || (rule.family === "ip6" && seen.has(`ip ${text}`))) continue;
    seen.add(`${rule.family} ${text}`);
    lines.push({ id: rule.id, ...fit(text, 290), order: Number(rule.match?.dport) || 0 });
  }
  lines.sort((a, b) => a.order - b.order);
  const owners = new Map((chains.get(root) ?? []).map((chain) => [`${chain.family} ${chain.table} ${chain.name}`, chain.owner]));
  const bridges = new Set(know.all.filter(({ kind, bridge }) => kind === "network" && bridge).map(({ bridge }) => things.get(bridge)?.name));
  const made = own.filter((rule) => rule.action !== "DNAT" && (rule.chain === "DOCKER-USER" ? rule.action !== "RETURN" || Object.keys(rule.match ?? {}).length : studentsOwn(rule, owners, bridges)));
  for (const rule of made) lines.push({ id: rule.id, ...ruleText(rule), bad: ["DROP", "REJECT"].includes(rule.action) });
  for (const route of (routes.get(root) ?? []).filter((one) => one.via && one.to !== "default")) lines.push({ id: route.id, ...fit(`${plain(route.to)} → ${plain(route.via)}`, 290) });
  const fresh = lines.filter(({ id }) => network.newest.has(id)), old = lines.filter(({ id }) => !network.newest.has(id));
  const shown = lines.length > LINES ? new Set([...fresh.slice(0, LINES - 1), ...old].slice(0, LINES - 1)) : new Set(lines);
  result.lines = lines.filter((line) => shown.has(line));
  const hidden = lines.filter((line) => !shown.has(line));
  if (hidden.length) result.lines.push({ id: `rules ${result.id}`, shows: result.id, ids: hidden.map(({ id }) => id), ...say(n("{n} more rule", "{n} more rules", hidden.length)), ours: true });
  const masks = own.filter(({ action, chain }) => action === "MASQUERADE" && chain === "POSTROUTING"), jack = jacks[0];
  const asked = new Set(own.filter(({ action }) => action === "DNAT").map(({ to }) => at(splitPort(to ?? "")[0])?.id).filter(Boolean));
  result.ways = result.tops.filter((top) => top.type === "bridge" && !top.down).map((top) => {
    const bridge = things.get(top.id), nets = (things.get(bridge.network)?.subnets ?? []).map(({ subnet }) => subnet);
    const mine = masks.filter(({ match = {} }) => nets.includes(match.src) || match.out === bridge.name || match.in === bridge.name || sameNet(match.src, bridge.addresses));
    const published = result.columns.some((column) => column.ifaces.some((iface) => iface.top === top.id && asked.has(iface.id)));
    return (mine.length || published) && { id: top.id, ids: mine.map(({ id }) => id) };
  }).filter(Boolean);
  const address = jack && bare((things.get(jack.id)?.addresses ?? [])[0]);
  const mask = masks[0];
  result.leaves = mask && result.ways.length && address ? { id: mask.id, ids: masks.map(({ id }) => id), ...say(t("leaves as {address}", { address: plain(address) })) } : null;
  result.blocked = things.get(root)?.forward !== false ? null : say(t("does not forward"), 12, 560);
}

/** As iptables says it, without what says nothing; where it is too long the middle goes, never what it does. */
function ruleText({ text }) {
  const short = plain(text).replace(/^-A /, "").replace(/ -m (tcp|udp|icmp|comment)\b/g, "").replace(/ --comment ("[^"]*"|\S+)/g, "").replace(/ --reject-with \S+/, ""), at = short.lastIndexOf(" -j ");
  if (at < 0) return fit(short, 380);
  const does = fit(short.slice(at), 140), head = fit(short.slice(0, at), 400 - does.w);
  return { text: `${head.text}${does.text.startsWith(" ") ? "" : " "}${does.text}`, w: head.w + does.w + (does.text.startsWith(" ") ? 0 : 7.2) };
}

/** Who made a rule is said by the rule, else by its chain; in the kernel's own chains Docker's are told by where they lead. */
function studentsOwn(rule, owners, bridges) {
  if (rule.owner) return rule.owner === "student";
  const owner = owners.get(`${rule.family} ${rule.table} ${rule.chain}`);
  if (owner === "student" || owner === "docker" || owner === "podman") return owner === "student";
  const { in: from, out } = rule.match ?? {};
  return rule.action !== "MASQUERADE" && !/^(DOCKER|NETAVARK|CNI)/.test(rule.target ?? "") && !bridges.has(String(from).replace(/^! ?/, "")) && !bridges.has(String(out).replace(/^! ?/, ""));
}
const splitPort = (to) => { const found = /^\[?(.*?)\]?:(\d+)$/.exec(String(to)); return found ? [found[1], found[2]] : [String(to), ""]; };
const sameNet = (src, addresses = []) => addresses.some((address) => src && masked(address) && masked(address) === masked(src));
function masked(address) {
  const found = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(String(address));
  if (!found) return null;
  const [, a, b, c, d, bits] = found.map(Number), mask = bits ? (~0 << (32 - bits)) >>> 0 : 0;
  return `${((((a << 24) | (b << 16) | (c << 8) | d) >>> 0) & mask) >>> 0}/${bits}`;
}
