// The network of the sandbox as this page knows it: snapshots and changes come in, whoever shows it listens. Must not know how it is shown.
const FADE = 6000; // ms for which what is gone is still remembered
const MARKED = ["addresses", "master", "vlan", "type"]; // a thing whose own facts changed like this is new to the eye too
const KINDS = { wire: "wire", host: "host", namespace: "namespace", container: "container", route: "route", chain: "rule", rule: "rule", listener: "container" };
const OF_TYPE = { bridge: "bridge", veth: "veth", macvlan: "macvlan", ipvlan: "macvlan", vlan: "macvlan" };
const OF_DRIVER = { bridge: "bridge", macvlan: "macvlan", ipvlan: "macvlan", host: "host", null: "namespace", none: "namespace" };

/** The word of the vocabulary for a thing: host, bridge, veth, container, namespace, macvlan, wire; route and rule are no things. */
export function kindOf(thing) {
  if (thing.kind === "interface") return OF_TYPE[thing.type] ?? "wire";
  if (thing.kind === "network") return OF_DRIVER[thing.driver] ?? "wire";
  if (thing.kind === "namespace" && thing.root) return "host";
  return KINDS[thing.kind] ?? "wire";
}

/** An address without the length of its prefix. */
export const bare = (address) => String(address ?? "").split("/")[0];

export const isPort = (number) => Number.isInteger(number) && number > 0 && number < 65536;

const LISTS = ["addresses", "containers", "interfaces", "published", "exposed", "rules", "subnets"], TABLES = ["networks", "match", "options", "labels"];

/** A thing as everybody may rely on it: what should be a list or a table is one. */
function shaped(thing) {
  const sound = { ...thing, name: String(thing.name ?? "") };
  for (const fact of LISTS) if (fact in sound && !Array.isArray(sound[fact])) sound[fact] = [];
  for (const fact of TABLES) if (fact in sound && (typeof sound[fact] !== "object" || !sound[fact] || Array.isArray(sound[fact]))) sound[fact] = {};
  return sound;
}

export class Network {
  things = new Map(); // id → thing
  hosts = [];
  unseen = []; // hosts whose network is not known
  leftOut = {};
  version = null;
  readAt = null;
  newest = new Set(); // ids that the last command which changed anything brought, and what came since
  gone = new Map(); // id → thing, for as long as it fades
  away = null; // {hosts, why} while some hosts cannot be seen; what was known of them stays
  #listeners = new Set();
  #since = new Set(); // ids that came without a command since the last one
  #index = null;
  #timer = 0;

  /** `listener(what, message)`: what is "snapshot", "change", "faded" or "away". */
  on(listener) { this.#listeners.add(listener); }
  #tell(what, message) { for (const listener of this.#listeners) listener(what, message); }

  snapshot(message) {
    const { graph } = message, known = this.version !== null;
    this.things = new Map(Object.entries(graph.things ?? {}).map(([id, thing]) => [id, shaped(thing)]));
    this.hosts = graph.hosts ?? [];
    this.unseen = graph.unseen ?? [];
    this.leftOut = graph.left_out ?? {};
    this.version = message.version;
    this.readAt = message.read_at;
    this.away = null;
    this.#index = null;
    // Marks outlive a lost connection, as far as their things do.
    const last = (message.past ?? []).findLast(({ lines }) => lines?.length)?.lines.filter(({ sign }) => sign === "+").flatMap(({ ids }) => ids);
    this.newest = new Set([...(known ? this.newest : last ?? [])].filter((id) => this.things.has(id)));
    this.#forget();
    this.#tell("snapshot", message);
  }

  /** False when this change does not follow what is known: then a snapshot must be asked for. */
  change(message) {
    if (this.version === null || message.from !== this.version) return false;
    const { added = {}, gone = [], changed = {} } = message.change ?? {};
    this.version = message.version;
    this.readAt = message.read_at ?? this.readAt;
    const any = Object.keys(added).length + gone.length + Object.keys(changed).length > 0;
    if (any) this.#apply(added, gone, changed, Boolean(message.after_command));
    if (message.after_command) this.#since.clear();
    const { hosts, unseen, left_out: leftOut } = message.change?.about ?? {};
    Object.assign(this, { ...(hosts && { hosts }), ...(unseen && { unseen }), ...(leftOut && { leftOut }) });
    this.#tell("change", message);
    return true;
  }

  #apply(added, gone, changed, command) {
    this.#index = null;
    this.gone = new Map(gone.filter((id) => this.things.has(id)).map((id) => [id, this.things.get(id)]));
    for (const id of gone) this.things.delete(id);
    for (const [id, thing] of Object.entries(added)) this.things.set(id, shaped(thing));
    for (const [id, facts] of Object.entries(changed)) {
      const thing = { ...this.things.get(id) };
      for (const [fact, [, now]] of Object.entries(facts)) thing[fact] = now;
      this.things.set(id, shaped(thing));
    }
    const fresh = [...Object.keys(added), ...Object.keys(changed).filter((id) => MARKED.some((fact) => fact in changed[id]))];
    // What happens while a command runs, and after it, belongs to it: its marks stay until the next command that changes something.
    this.newest = new Set([...(command ? this.#since : this.newest), ...fresh].filter((id) => this.things.has(id)));
    if (!command) for (const id of fresh) this.#since.add(id);
    clearTimeout(this.#timer);
    if (this.gone.size) this.#timer = setTimeout(() => { this.#forget(); this.#tell("faded", null); }, FADE);
  }

  #forget() { clearTimeout(this.#timer); this.gone = new Map(); }

  /** These hosts cannot be seen now ({hosts, why}); with no hosts: all can be seen again. */
  lost(message) { this.away = message.hosts?.length ? message : null; this.#tell("away", message); }

  /** Everything of one kind, such as "interface"; of one host when it is said. */
  all(kind, host) { return [...this.things.values()].filter((thing) => thing.kind === kind && (!host || thing.host === host)); }

  /** The ids of what is called so: a name, an address, the id of a container or a network. */
  named(text, host) {
    const word = String(text ?? "").trim();
    if (!word) return [];
    this.#index ??= this.#names();
    let ids = this.#index.get(word) ?? [];
    if (!ids.length && /^[0-9a-f]{4,64}$/.test(word)) {
      const starts = [...this.things.values()].filter(({ kind, id }) => (kind === "container" || kind === "network") && hexOf(id).startsWith(word.slice(0, 12)));
      if (starts.length === 1) ids = starts.map(({ id }) => id);
    }
    if (host) ids = ids.filter((id) => this.things.get(id).host === host || this.things.get(id).kind === "wire");
    return ids.flatMap((id) => { const thing = this.things.get(id); return thing.kind === "network" && thing.bridge && this.things.has(thing.bridge) ? [id, thing.bridge] : [id]; });
  }

  /** As named(); HOST/NAME is that name on that host. */
  find(text) {
    const [host, ...rest] = String(text ?? "").split("/");
    const there = rest.length && this.hosts.includes(host) ? this.named(rest.join("/"), host) : [];
    return there.length ? there : this.named(text);
  }

  #names() {
    const index = new Map(), add = (word, id) => { // the words of one thing come one after another
      const ids = index.get(word);
      if (word && !ids) index.set(word, [id]); else if (word && ids.at(-1) !== id) ids.push(id);
    };
    for (const thing of this.things.values()) {
      if (["route", "rule", "chain", "listener"].includes(thing.kind)) continue;
      if (thing.kind === "interface" && thing.type === "loopback") continue;
      add(thing.name, thing.id);
      if (thing.kind === "interface") for (const address of thing.addresses ?? []) { add(address, thing.id); add(bare(address), thing.id); }
      if (thing.kind === "interface") add(thing.mac, thing.id);
      if (thing.kind === "host") add(thing.address, thing.id);
      if (thing.kind === "wire") add(thing.subnet, thing.id);
      if (thing.kind === "network") for (const { subnet } of thing.subnets ?? []) add(subnet, thing.id);
    }
    return index;
  }
}

const hexOf = (id) => id.slice(id.lastIndexOf("/") + 1);
