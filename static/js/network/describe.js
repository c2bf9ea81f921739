// What a thing of the network is, in plain words, how it is tied to others, and the commands that show it. Must not know how the page shows any of that.
import { kindOf } from "./model.js";
import { n, t } from "../translate.js";

const WORD = {
  wire: t("wire"), host: t("host"), bridge: t("bridge"), veth: t("veth pair"), container: t("container"), namespace: t("namespace"), macvlan: "macvlan",
  network: t("network"), route: t("route"), rule: t("rule"), chain: t("chain"), listener: t("listening program"), loopback: t("loopback interface"), interface: t("interface"),
};
const STATE = { up: t("up"), down: t("down"), "no-carrier": t("no carrier") };
const LIFE = { running: t("running"), exited: t("exited"), created: t("created, never started"), paused: t("paused"), restarting: t("restarting"), dead: t("dead") };

/** As a shell reads it back: one word. Null for what no command line should hold. */
const quoted = (text) => (/^[\w.:/@%+=][\w.:/@%+=-]*$/.test(text) ? text : /[\0-\x1f\x7f]/.test(text) ? null : `'${text.replaceAll("'", "'\\''")}'`);

/** A list of addresses, networks, … of whatever shape came. */
export const list = (value) => (Array.isArray(value) ? value : []);
const table = (value) => (value && typeof value === "object" ? value : {});

export class Describe {
  constructor(network) { this.network = network; }

  thing(id) { return this.network.things.get(id); }
  all(kind, host) { return this.network.all(kind, host); }

  /** The interfaces of a space, in the kernel's order. */
  interfaces(space) { return this.all("interface").filter((link) => link.space === space).sort((a, b) => (a.index ?? 0) - (b.index ?? 0)); }
  ports(bridge) { return this.all("interface", bridge.host).filter((link) => link.master === bridge.id); }
  containersIn(space) { return this.all("container").filter((container) => container.space === space); }
  listenersIn(space) { return this.all("listener").filter((listener) => listener.space === space); }

  /** Whose a space is: a host's (its root), a container's or a namespace's own. */
  ownerOf(space) {
    const place = this.thing(space);
    if (!place) return null;
    if (place.root) return this.thing(`host:${place.host}`) ?? place;
    return this.thing(list(place.containers)[0]) ?? this.containersIn(space)[0] ?? place;
  }

  /** What people call it; a namespace without a name is called by its number. */
  name(thing) {
    if (thing.kind === "namespace") {
      const own = this.containersIn(thing.id)[0];
      return thing.name || (thing.root ? thing.host : own ? t("namespace of {name}", { name: own.name }) : t("namespace {id}", { id: thing.id.split("/").pop() }));
    }
    if (thing.kind === "route") return thing.to ?? thing.name ?? "";
    if (thing.kind === "listener") return `${thing.address ?? ""}:${thing.port ?? ""}`;
    return String(thing.name || thing.id);
  }

  /** A name, and its host where another host has the same. */
  full(thing) {
    const name = this.name(thing);
    return thing.kind !== "host" && this.network.hosts?.length > 1 && this.network.named(name).some((id) => this.thing(id)?.host !== thing.host) ? `${thing.host}/${name}` : name;
  }

  kind(thing) { return kindOf(thing); }

  word(thing) {
    if (thing.kind === "interface") return thing.type === "loopback" ? WORD.loopback : thing.type === "wire" ? WORD.interface : ["bridge", "veth", "macvlan"].includes(thing.type) ? WORD[thing.type] : ["dummy", "tun", "vlan", "vxlan", "ipvlan"].includes(thing.type) ? t("{type} interface", { type: thing.type }) : WORD.interface;
    if (thing.kind === "network") return thing.engine === "podman" ? t("podman network") : t("Docker network");
    return WORD[thing.kind] ?? String(thing.kind);
  }

  state(thing) { return thing.kind === "container" ? LIFE[thing.state] ?? thing.state ?? "" : STATE[thing.state] ?? thing.state ?? ""; }

  /** What it is and where, without its name: "bridge on lab". */
  is(thing) {
    const word = this.word(thing), owner = this.ownerOf(thing.space);
    if (thing.kind === "host" || thing.kind === "wire" || (thing.kind === "namespace" && thing.root)) return word;
    const where = owner && owner.id !== thing.id && owner.kind !== "host" ? this.name(owner) : thing.host;
    return thing.kind === "interface" && owner?.kind === "container" ? t("{kind}, in {place}", { kind: word, place: where }) : t("{kind} on {place}", { kind: word, place: where });
  }

  /** In a few words what this very thing is to its neighbours: the note beside it. */
  note(thing) {
    if (thing.kind === "interface") {
      const peer = this.thing(thing.peer), parent = this.thing(thing.parent), master = this.thing(thing.master);
      if (thing.type === "wire") return t("{host}’s end of the wire", { host: thing.host });
      if (thing.type === "loopback") return t("only itself");
      if (thing.type === "bridge") { const ports = this.ports(thing).length; return ports ? n("{n} cable", "{n} cables", ports) : t("no cable yet"); }
      if (peer) { const owner = this.ownerOf(peer.space); return owner && owner.kind !== "host" ? t("{end} of {place}", { end: this.name(peer), place: this.name(owner) }) : this.thing(peer.master) ? t("cable to {bridge}", { bridge: this.name(this.thing(peer.master)) }) : t("other end: {end}", { end: this.name(peer) }); }
      if (parent) return t("on {parent}", { parent: this.name(parent) });
      if (master) return t("port of {bridge}", { bridge: this.name(master) });
      return this.word(thing);
    }
    if (thing.kind === "container") return [thing.image, this.state(thing)].filter(Boolean).join(", ");
    if (thing.kind === "network") return [thing.driver, list(thing.subnets)[0]?.subnet].filter(Boolean).join(", ");
    if (thing.kind === "namespace") return n("{n} interface", "{n} interfaces", this.interfaces(thing.id).length);
    if (thing.kind === "host") return [thing.address, thing.system].filter(Boolean).join(", ");
    if (thing.kind === "wire") return thing.subnet ?? "";
    if (thing.kind === "listener") return thing.program ?? "";
    return String(thing.text ?? "");
  }

  /** One sentence, for a beginner. */
  says(thing) {
    switch (thing.kind) {
      case "host": return t("A Linux host of your own. Its interfaces, routes and rules are its kernel’s.");
      case "wire": return t("Joins your hosts, and nobody else: what one sends to another’s address goes over it.");
      case "network": return thing.driver === "bridge" ? t("What Docker keeps of this network. In the kernel it is a bridge.") : thing.driver === "macvlan" ? t("Its containers sit on the parent interface itself, each with its own hardware address. No bridge is in between.") : thing.driver === "host" ? t("Containers on it use the host’s own namespace: they have no interface of their own.") : thing.driver === "null" ? t("Containers on it have the loopback interface and nothing else.") : "";
      case "container": return this.#ofContainer(thing);
      case "namespace": return thing.root ? t("The namespace in which the host itself lives.") : list(thing.containers).length > 1 ? t("Several containers share it: they have the same interfaces, addresses and ports.") : t("A network stack of its own: interfaces, routes and rules that others do not see.");
      case "route": return t("Where packets to these addresses are sent.");
      case "rule": return thing.action === "DNAT" ? t("Rewrites where a packet goes, before it is routed. This is how a published port reaches a container.") : thing.action === "MASQUERADE" ? t("Packets that leave here get the host’s own address as their source, so that answers come back.") : ["DROP", "REJECT"].includes(thing.action) ? t("Packets that match go no further.") : thing.action === "ACCEPT" ? t("Packets that match are let through.") : "";
      case "listener": return ["0.0.0.0", "::", "*"].includes(thing.address) ? t("Takes connections on every address of its namespace.") : /^127\.|^::1$/.test(thing.address) ? t("Takes connections from its own namespace only: it listens on loopback.") : t("Takes connections at this one address.");
      case "interface": return this.#ofInterface(thing);
      default: return "";
    }
  }

  #ofContainer(thing) {
    if (thing.state !== "running") return thing.state === "exited" && thing.exit_code != null ? t("It ended with exit {code}. Without a process it has no namespace, and no interfaces.", { code: thing.exit_code }) : t("It does not run: it has no namespace, and no interfaces.");
    if (thing.mode === "host") return t("It lives in the host’s namespace: it has the host’s interfaces and ports.");
    if (thing.mode === "none") return t("It has the loopback interface and nothing else.");
    if (String(thing.mode).startsWith("container:")) { const other = this.thing(String(thing.mode).slice(10)); return other ? t("It shares the namespace of {name}.", { name: this.name(other) }) : t("It shares the namespace of another container."); }
    return "";
  }

  #ofInterface(thing) {
    const peer = this.thing(thing.peer);
    switch (thing.type) {
      case "bridge": return this.ports(thing).length ? t("A switch in the kernel: what is plugged into it is one segment. Its address is the host’s own in that segment.") : t("A switch in the kernel, with nothing plugged in. Without a cable it has no carrier.");
      case "veth": return peer ? t("One end of a cable: what goes in here comes out of {other}.", { other: this.#end(peer) }) : t("One end of a cable. Its other end is not to be seen from here.");
      case "macvlan": return t("Shares its parent’s wire under a hardware address of its own. The host itself cannot reach it.");
      case "loopback": return t("Reaches only its own namespace.");
      case "wire": return t("The host’s plug in the wire that your hosts share.");
      case "dummy": return t("An interface without anything behind it.");
      default: return "";
    }
  }

  #end(link) { const owner = this.ownerOf(link.space); return owner && owner.kind !== "host" ? t("{end} of {place}", { end: this.name(link), place: this.name(owner) }) : this.name(link); }

  /** What is known of it: [label, values], a value being text of the machine, {say} in our words, or {id} of another thing. */
  facts(thing) {
    const rows = [], row = (label, ...values) => { const known = values.flat().filter((value) => value !== null && value !== undefined && value !== "" && (value.id === undefined || this.thing(value.id))); if (known.length) rows.push([label, known]); };
    const own = (say) => (say ? { say } : null), ref = (id) => (id ? { id } : null), refs = (things) => things.map((thing) => ({ id: thing.id }));
    switch (thing.kind) {
      case "host":
        row(t("Address"), thing.address); row(t("System"), thing.system);
        row("Docker", thing.docker_state === "down" ? own(t("does not run")) : thing.docker_state === "silent" ? own(t("does not answer")) : thing.docker); row("podman", thing.podman);
        row(t("Bridges"), refs(this.interfaces(thing.space).filter((link) => link.type === "bridge")));
        row(t("Containers"), refs(this.all("container", thing.host)));
        this.#forwards(this.thing(thing.space), row); this.#stack(thing.space, row, refs);
        break;
      case "wire": row(t("Subnet"), thing.subnet); row(t("Plugs"), refs(list(thing.interfaces).map((id) => this.thing(id)).filter(Boolean))); break;
      case "network":
        row(t("Driver"), thing.driver); for (const { subnet, gateway } of list(thing.subnets)) { row(t("Subnet"), subnet); row(t("Gateway"), gateway); }
        row(t("Bridge"), ref(thing.bridge)); row(t("Parent"), ref(thing.parent)); row(t("Internal"), own(thing.internal && t("yes: nothing gets out of it")));
        row(t("Containers"), refs(this.all("container", thing.host).filter((container) => table(container.networks)[thing.id])));
        break;
      case "container":
        row(t("Image"), thing.image); row(t("State"), own(this.state(thing)));
        for (const [id, at] of Object.entries(table(thing.networks))) { row(t("Network"), ref(id)); row(t("Address"), at?.address, at?.address6); row(t("Names there"), this.thing(id)?.driver === "bridge" ? list(at?.names).map(String).filter((name) => name !== thing.name).slice(0, 6).join(", ") : ""); }
        row(t("Published"), list(thing.published).map((port) => `${port.host_address && port.host_address !== "0.0.0.0" ? port.host_address : ""}:${port.host_port} → ${port.port}${port.proto === "udp" ? "/udp" : ""}`));
        row(t("Namespace"), thing.mode === "host" ? ref(`host:${thing.host}`) : ref(thing.space)); if (thing.mode !== "host") { row(t("Interfaces"), refs(thing.space ? this.interfaces(thing.space) : [])); this.#stack(thing.space, row, refs); }
        row(t("Privileged"), own(thing.privileged && t("yes"))); row(t("Command"), thing.command);
        break;
      case "namespace": row(t("Containers"), refs(this.containersIn(thing.id))); row(t("Interfaces"), refs(this.interfaces(thing.id))); this.#forwards(thing, row); this.#stack(thing.id, row, refs); break;
      case "interface": {
        row(t("State"), own(this.state(thing))); row(t("Address"), list(thing.addresses)); row(t("Hardware address"), thing.mac);
        row(t("Other end"), ref(thing.peer)); row(t("Port of"), ref(thing.master)); row(t("Parent"), ref(thing.parent)); row("VLAN", thing.vlan); row(t("Mode"), thing.mode);
        if (thing.type === "bridge") row(t("Plugged in"), refs(this.ports(thing)));
        row(t("Network"), ref(thing.network)); row(t("In"), ref(this.ownerOf(thing.space)?.id)); row("MTU", thing.mtu); row(t("Index"), thing.index); row(t("Link-local"), list(thing.linklocal));
        break;
      }
      case "route": row(t("To"), thing.to); row(t("Next hop"), thing.via); row(t("Out of"), ref(thing.dev)); row(t("Source"), thing.source); row(t("Metric"), thing.metric); row(t("Table"), thing.table === "main" ? "" : thing.table); row(t("In"), ref(this.ownerOf(thing.space)?.id)); break;
      case "rule": row(t("Rule"), thing.text); row(t("Table"), thing.table); row(t("Does"), thing.action); row(t("In"), ref(this.ownerOf(thing.space)?.id)); break;
      case "chain": row(t("Table"), thing.table); row(t("Hook"), thing.hook); row(t("Policy"), thing.policy); row(t("Rules"), list(thing.rules).length); row(t("In"), ref(this.ownerOf(thing.space)?.id)); break;
      case "listener": row(t("Program"), thing.program); row(t("Protocol"), thing.proto); row(t("Address"), thing.address); row(t("Port"), thing.port); row(t("In"), ref(this.ownerOf(thing.space)?.id)); break;
      default:
    }
    return rows;
  }

  #forwards(space, row) { if (space && space.forward !== undefined && space.forward !== null) row(t("Forwards"), { say: space.forward ? t("yes, packets of others too") : t("no") }); }
  #stack(space, row, refs) {
    if (!space) return;
    row(t("Listens"), refs(this.listenersIn(space)).slice(0, 12));
    row(t("Routes"), this.all("route").filter((route) => route.space === space && route.family !== "ip6" && (route.table ?? "main") === "main").map((route) => ({ id: route.id })).slice(0, 12));
  }

  /** Commands that show it, with the host to type each on: [[host, command]]. None where its name fits no command line. */
  commands(thing) {
    const { host } = thing, name = quoted(String(thing.name ?? "")), engine = thing.engine === "podman" ? "podman" : "docker";
    const on = (...commands) => commands.filter(Boolean).map((command) => [host, command]);
    switch (thing.kind) {
      case "host": return on("ip -br addr", "ip route");
      case "wire": { const plug = this.thing(list(thing.interfaces)[0]); return plug ? [[plug.host, this.inside(plug.space, `ip -d link show ${quoted(plug.name)}`)]] : []; }
      case "network": return on(name && `${engine} network inspect ${name}`);
      case "container": return on(name && `${engine} inspect ${name}`, thing.state === "running" && thing.mode !== "host" && this.inside(thing.space, "ip -br addr"));
      case "namespace": return on(this.inside(thing.id, "ip -br addr"), this.inside(thing.id, "ip route"));
      case "interface": return name ? on(this.inside(thing.space, `ip -d addr show dev ${name}`), thing.type === "bridge" && this.inside(thing.space, `bridge link show master ${name}`)).slice(0, 2) : [];
      case "route": return on(this.inside(thing.space, `ip ${thing.family === "ip6" ? "-6 " : ""}route show${thing.table && thing.table !== "main" ? ` table ${quoted(String(thing.table))}` : ""}`));
      case "rule": case "chain": return on(this.inside(thing.space, ["ip", "ip6"].includes(thing.family) && thing.table ? `${thing.family === "ip6" ? "ip6tables" : "iptables"} -t ${quoted(String(thing.table))} -S` : "nft list ruleset"));
      case "listener": return on(this.inside(thing.space, thing.proto === "udp" ? "ss -lunp" : "ss -ltnp"));
      default: return [];
    }
  }

  /** A command line that runs in a space. Null where there is no way to name it. */
  inside(space, command) {
    const place = this.thing(space);
    if (!place || /null/.test(command)) return null;
    if (place.root) return command;
    const [netns] = [place.name].filter(Boolean).map(quoted);
    if (netns) return command.startsWith("ip ") ? `ip -n ${netns} ${command.slice(3)}` : `ip netns exec ${netns} ${command}`;
    const container = this.containersIn(space).find((container) => container.state === "running" && quoted(String(container.name)));
    return container ? `nsenter -t $(${container.engine === "podman" ? "podman" : "docker"} inspect -f '{{.State.Pid}}' ${quoted(container.name)}) -n ${command}` : null;
  }
}
