// The network as nested lists: the same graph as the picture, for reading, for screen readers and for copying. Must not know the picture.
import { listed, n, t } from "../translate.js";
import { el, toClipboard } from "../words.js";
import { list } from "./describe.js";
import { plain } from "./text.js";

const MOST = 60; // rows of one kind in one place; more are counted

export class Twin {
  constructor(node, parts) {
    const copy = el("button", "b s", t("Copy as text"));
    copy.type = "button";
    copy.onclick = async () => { await toClipboard(this.text()); copy.textContent = t("Copied"); };
    Object.assign(this, { node, parts, key: null, copy, list: el("ul") });
    node.replaceChildren(el("p", "act", copy), this.list);
  }

  /** Draw, if somebody looks and something is different. */
  draw() {
    const { network } = this.parts, newest = [...network.newest].join();
    if (this.key === `${network.version} ${newest}`) return;
    this.key = `${network.version} ${newest}`;
    const { scrollTop } = this.node, had = this.list.contains(document.activeElement), focused = had && this.parts.lights.of(document.activeElement)[0], list = this.#nodes(this.#tree());
    this.copy.textContent = t("Copy as text");
    this.list.replaceWith(list);
    this.list = list;
    this.node.scrollTop = scrollTop;
    if (had) ([...list.querySelectorAll("[data-live]")].find((node) => this.parts.lights.of(node)[0] === focused) ?? this.node).focus({ preventScroll: true });
  }

  text() { const lines = []; const walk = (rows, depth) => { for (const row of rows) { lines.push(`${"  ".repeat(depth)}${this.#said(row)}`); walk(row.rows ?? [], depth + 1); } }; walk(this.#tree(), 0); return lines.join("\n"); }

  #said({ id, words, rest }) { const thing = this.parts.network.things.get(id); return [words ?? (thing && `${this.parts.describe.word(thing)} ${plain(this.parts.describe.name(thing))}`), rest].filter(Boolean).join(", "); }

  #nodes(rows) {
    const box = el("ul");
    for (const { id, words, rest, rows: inner } of rows) {
      const item = el("li"), thing = this.parts.network.things.get(id);
      if (thing) {
        const { describe, network } = this.parts;
        item.append(this.parts.name(id, { words, tinted: true, withGlyph: true, mark: network.newest.has(id) }));
        if (describe.word(thing) !== describe.name(thing)) item.append(el("span", "net-word", ` ${describe.word(thing)}`));
        if (network.newest.has(id)) item.append(el("span", "net-word", `, ${t("new")}`));
        if (rest) item.append(el("span", "rest", `, ${rest}`));
      } else item.append(el("span", "rest", [words, rest].filter(Boolean).join(", ")));
      if (inner?.length) item.append(this.#nodes(inner));
      box.append(item);
    }
    return box;
  }

  /** [{id, words, rest, rows}]: wires, then hosts with all that is in them. */
  #tree() {
    const { describe, network } = this.parts;
    const wires = describe.all("wire").map((wire) => ({ id: wire.id, rest: [wire.subnet, t("joins {hosts}", { hosts: listed(network.hosts.map(plain)) })].filter(Boolean).join(", ") }));
    const hosts = describe.all("host").map((host) => ({ id: host.id, rest: [host.address, host.system, host.docker && `Docker ${host.docker}`].filter(Boolean).map(plain).join(", "), rows: this.#host(host) }));
    const unseen = network.unseen.map((host) => ({ words: plain(host), rest: t("its network is not known") }));
    return [...wires, ...hosts, ...unseen, ...this.#left()];
  }

  #left() { const left = Object.values(this.parts.network.leftOut ?? {}).reduce((sum, count) => sum + count, 0); return left ? [{ words: n("{n} more is not shown: there is a limit.", "{n} more are not shown: there is a limit.", left) }] : []; }

  #host(host) {
    const { describe } = this.parts, root = host.space;
    const links = describe.interfaces(root), bridges = links.filter((link) => link.type === "bridge");
    const rows = bridges.map((bridge) => () => ({ id: bridge.id, rest: this.#link(bridge), rows: this.#cut(describe.ports(bridge).map((port) => () => this.#cable(port))) })); // made only when shown: there may be thousands
    for (const link of links) if (link.type !== "bridge" && link.type !== "loopback" && !describe.thing(link.master)) rows.push(() => this.#cable(link));
    for (const parent of describe.all("interface", host.host)) if (parent.space !== root && describe.thing(parent.parent)?.space === root) rows.push(() => this.#cable(parent));
    const spaces = describe.all("namespace", host.host).filter((space) => !space.root);
    for (const space of spaces) rows.push(() => this.#space(space));
    for (const container of describe.all("container", host.host)) if (!spaces.some((space) => space.id === container.space)) rows.push(() => ({ id: container.id, rest: this.#container(container) }));
    return [...this.#cut(rows), ...this.#stack(root)];
  }

  /** A cable, from its end here to its end there. */
  #cable(port) {
    const { describe } = this.parts, peer = describe.thing(port.peer), owner = peer && describe.ownerOf(peer.space);
    if (!peer) return { id: port.id, rest: [this.#link(port), port.parent && describe.thing(port.parent) ? t("on {parent}", { parent: plain(describe.name(describe.thing(port.parent))) }) : "", port.space !== describe.thing(`host:${port.host}`)?.space ? t("in {place}", { place: plain(describe.name(describe.ownerOf(port.space) ?? port)) }) : ""].filter(Boolean).join(", ") };
    return { id: port.id, rest: [t("to {end} of {place}", { end: plain(describe.name(peer)), place: plain(owner ? describe.name(owner) : "?") }), this.#link(peer)].filter(Boolean).join(", ") };
  }

  #link(link) { return [list(link.addresses).map(plain).join(" "), this.parts.describe.state(link), ["bridge", "wire"].includes(link.type) ? plain(this.parts.describe.note(link)) : ""].filter(Boolean).join(", "); }

  #container(container) {
    const { describe } = this.parts, mode = String(container.mode ?? "");
    const ports = list(container.published).map((port) => t("{port} of the host leads to {inner}", { port: plain(port.host_port), inner: plain(port.port) }));
    return [plain(container.image), describe.state(container), mode === "host" ? t("in the host’s namespace") : mode === "none" ? t("without a network") : "", ...ports].filter(Boolean).join(", ");
  }

  #space(space) {
    const { describe } = this.parts, containers = describe.containersIn(space.id);
    const links = describe.interfaces(space.id), inner = [...links.filter((link) => link.type !== "loopback" || links.length === 1).map((link) => ({ id: link.id, rest: this.#link(link) })), ...this.#stack(space.id)];
    if (containers.length === 1 && !space.name) return { id: containers[0].id, rest: this.#container(containers[0]), rows: inner };
    return { id: space.id, rest: containers.length ? t("shared") : "", rows: [...containers.map((container) => ({ id: container.id, rest: this.#container(container) })), ...inner] };
  }

  /** What a space does with packets: routes, rules, who listens. */
  #stack(space) {
    const { describe } = this.parts, of = (kind) => describe.all(kind).filter((thing) => thing.space === space), rows = [];
    const listeners = of("listener");
    if (listeners.length) rows.push({ words: t("listens"), rows: this.#cut(listeners.map((listener) => ({ id: listener.id, rest: [listener.proto, listener.program].filter(Boolean).map(plain).join(", ") }))) });
    const routes = of("route");
    if (routes.length) rows.push({ words: t("routes"), rows: this.#cut(routes.map((route) => ({ id: route.id, rest: [route.via && t("by way of {via}", { via: plain(route.via) }), describe.thing(route.dev) && t("out of {dev}", { dev: plain(describe.name(describe.thing(route.dev))) })].filter(Boolean).join(", ") }))) });
    const chains = of("chain").filter((chain) => list(chain.rules).length);
    if (chains.length) rows.push({ words: t("rules"), rows: this.#cut(chains.map((chain) => ({ id: chain.id, words: `${plain(chain.table)} ${plain(chain.name)}`, rest: chain.policy ? t("else {policy}", { policy: plain(chain.policy) }) : "", rows: this.#cut(list(chain.rules).map((id) => ({ id, words: plain(describe.thing(id)?.text ?? id) }))) }))) });
    return rows;
  }

  #cut(rows) {
    const shown = rows.slice(0, MOST).map((row) => (typeof row === "function" ? row() : row));
    return rows.length > MOST ? [...shown, { words: n("and {n} more", "and {n} more", rows.length - MOST) }] : shown;
  }
}
