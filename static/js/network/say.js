// A thing of the network in one line, for whoever does not see the picture. Must not know where or how it is drawn.
import { t, n } from "../translate.js";
import { isolated, plain } from "./text.js";

const SHOWN = 4; // addresses, members and the like that are said
const name = (thing) => isolated(plain(thing?.name ?? ""));
const list = (words) => words.filter(Boolean).join(", ");
const some = (values) => { const all = values ?? []; return all.length > SHOWN ? [...all.slice(0, SHOWN).map(plain), t("{n} more", { n: all.length - SHOWN })] : all.map(plain); };
const STATES = { up: t("up"), down: t("down"), "no-carrier": t("down: no carrier") };
const KINDS = { veth: t("Veth"), macvlan: t("Macvlan"), ipvlan: t("Ipvlan"), vlan: t("VLAN"), vxlan: t("VXLAN"), dummy: t("Dummy"), loopback: t("Loopback"), tun: t("Tunnel"), bridge: t("Bridge") };

/** Where a namespace is: “container web”, “namespace red”, “host lab”. */
function where(space, things) {
  const thing = things.get(space);
  if (!thing) return "";
  if (thing.root) return t("host {name}", { name: isolated(plain(thing.host)) });
  const inside = (thing.containers ?? []).map((id) => things.get(id)).filter(Boolean);
  if (inside.length) return t("container {name}", { name: inside.map(name).join(", ") });
  return thing.name ? t("namespace {name}", { name: name(thing) }) : t("a namespace without a name");
}

function interfaceSays(thing, things) {
  const peer = things.get(thing.peer), at = where(thing.space, things);
  const what = KINDS[thing.type] ?? t("Interface");
  const facts = [...some(thing.addresses), STATES[thing.state] ?? ""];
  if (thing.type === "bridge") {
    const ports = [...things.values()].filter(({ kind, master }) => kind === "interface" && master === thing.id).length;
    facts.push(ports ? n("{n} port", "{n} ports", ports) : t("no cables"));
  }
  if (thing.master && things.get(thing.master)) facts.push(t("port of {name}", { name: name(things.get(thing.master)) }));
  if (peer) facts.push(t("its other end is {name} in {where}", { name: name(peer), where: where(peer.space, things) }));
  if (thing.parent && things.get(thing.parent)) facts.push(t("on {name}", { name: name(things.get(thing.parent)) }));
  if (thing.type === "macvlan" || thing.type === "ipvlan") facts.push(plain(thing.mac ?? ""));
  if (thing.vlan) facts.push(t("VLAN {id}", { id: thing.vlan }));
  return list([`${what} ${name(thing)}`, at && t("in {where}", { where: at }), ...facts]);
}

function containerSays(thing, things) {
  const state = thing.state === "exited" ? t("exited with code {code}", { code: Number.isInteger(thing.exit_code) ? thing.exit_code : "?" }) : thing.state === "running" ? "" : plain(thing.state ?? "");
  const networks = Object.values(thing.networks ?? {}).map(({ address }) => address).filter(Boolean);
  const published = (thing.published ?? []).map(({ host_port: from, port }) => t("port {from} of the host leads to its {port}", { from, port }));
  const mode = { host: t("in the host's own namespace"), none: t("without a network") }[thing.mode] ?? (String(thing.mode).startsWith("container:") ? t("in the namespace of {name}", { name: name(things.get(thing.mode.slice(10))) }) : "");
  return list([t("Container {name}", { name: name(thing) }), thing.image && t("image {name}", { name: isolated(plain(thing.image)) }), state, mode, ...some(networks), ...published.slice(0, SHOWN)]);
}

/** Everything that a sighted reader sees of it, in one line. */
export function label(thing, { things }) {
  switch (thing.kind) {
    case "wire": return list([t("The wire {name}", { name: plain(thing.subnet ?? "") }), n("{n} interface on it", "{n} interfaces on it", (thing.interfaces ?? []).length)]);
    case "host": return list([t("Host {name}", { name: name(thing) }), plain(thing.address ?? ""), thing.system && plain(thing.system), thing.docker && `Docker ${plain(thing.docker)}`].filter((said) => said !== "�"));
    case "namespace": return list([thing.name ? t("Network namespace {name}", { name: name(thing) }) : t("Network namespace of {where}", { where: where(thing.id, things) }), (thing.containers ?? []).length > 1 && t("shared"), thing.forward && t("forwards packets")]);
    case "interface": return interfaceSays(thing, things);
    case "container": return containerSays(thing, things);
    case "network": return list([t("Network {name}", { name: name(thing) }), plain(thing.driver ?? ""), ...some((thing.subnets ?? []).map(({ subnet }) => subnet)), thing.internal && t("internal")]);
    case "route": return list([t("Route to {to} in {where}", { to: plain(thing.to), where: where(thing.space, things) }), thing.via && t("by {address}", { address: plain(thing.via) }), thing.dev && things.get(thing.dev) && t("out of {name}", { name: name(things.get(thing.dev)) })]);
    case "rule": return t("Rule in {where}, table {table}: {text}", { where: where(thing.space, things), table: plain(thing.table), text: isolated(plain(thing.text)) });
    case "chain": return t("Chain {name} of table {table} in {where}", { name: name(thing), table: plain(thing.table), where: where(thing.space, things) });
    case "listener": return t("{program} listens on {address} in {where}", { program: isolated(plain(thing.program || t("A program"))), address: plain(`${thing.address}:${thing.port}`), where: where(thing.space, things) });
    default: return plain(thing.name);
  }
}
