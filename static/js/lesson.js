// The lesson page: puts the parts together and hands each message to the part it is for.
import "@xterm/xterm/css/xterm.css";
import "../css/lesson.css";
import { Commands } from "./commands.js";
import { Lab } from "./lab.js";
import { drawer, fullWindow, keyRow, splitter } from "./layout.js";
import { Runs } from "./runs.js";
import { Socket } from "./socket.js";
import { steps } from "./steps.js";
import { Strip } from "./strip.js";
import { el, program, toClipboard } from "./words.js";

const root = document.querySelector(".lab");
const hosts = root.dataset.hostNames.split(" ");
const asked = import("./shells.js"); // xterm comes while the socket opens
const commands = new Commands();
const early = []; // output that came before the terminal's code
let shells = null, lost = null, sandbox = null, said = null, wanted = false; // wanted: the student has just asked for a lab

const say = (text) => { document.querySelector("[data-said]").textContent = text; };

const socket = new Socket("/ws/lab/", {
  hello() {
    const since = shells?.since() ?? {};
    said = Object.keys(since).length > 0 && sandbox; // offsets of that sandbox were told
    return { since };
  },
  open() { lost = null; lab.draw("up"); settle(true); },
  lost(how) {
    lost = how;
    lab.draw("lost");
    settle();
  },
  refused() { lost = null; lab.apply({ state: "none" }); settle(); },
  output(shell, offset, bytes) { shells ? shells.output(shell, offset, bytes) : early.push(["output", shell, offset, bytes]); },
  message(message) {
    const handle = handlers[message.type];
    if (handle) handle(message);
  },
});

const handlers = {
  "sandbox.state"(state) {
    if (state.sandbox && sandbox && state.sandbox !== sandbox) {
      commands.forget();
      shells?.forget();
      runs.forget();
      if (said === sandbox && state.state === "claimed") { sandbox = state.sandbox; socket.again(); } // they mean nothing in this one: begin anew
    }
    if (state.state === "claimed") said = null;
    sandbox = state.sandbox ?? sandbox;
    lab.apply(state);
    settle();
  },
  "shell.known"(message) { shells ? shells.knows(message) : early.push(["knows", message]); },
  "shell.named"(message) { shells ? shells.named(message) : early.push(["named", message]); },
  "shell.opened"(message) { shells ? shells.opened(message) : early.push(["opened", message]); },
  "shell.closed"(message) {
    if (!shells) { early.push(["closed", message]); return; }
    const past = shells.isPast(message.shell);
    commands.closed(message.shell, message.asked, past);
    shells.closed(message);
    if (!past && !shells.all.has(message.shell)) commands.lastOf.delete(message.shell); // its name is free
    runs.draw();
    settle();
    changed();
  },
  "shell.gap"(message) { shells ? shells.gap(message) : early.push(["gap", message]); },
  "command.started"(message) { const command = commands.started(message); shells?.ensure(command.shell, command.host, true).terminal.started(command.text, command.id); runs.started(command); changed(); },
  "command.finished"(message) {
    const command = commands.finished(message);
    runs.finished(command);
    shells?.all.get(command.shell)?.terminal.finished(command.duration_ms, command.exit_code, runs.asItShould(command), command.stopped);
    changed();
  },
  commands({ commands: list }) {
    commands.skew = lab.skew;
    commands.load(list);
    for (const command of commands.running.values()) shells?.ensure(command.shell, command.host, true);
    runs.loaded();
    changed();
  },
  error({ code, message, what_to_do: what, block, shell }) {
    const text = `${message} ${what ?? ""}`.trim();
    if (code === "unknown_shell" && shell) shells?.unknown(shell);
    if (code === "busy" || block) return runs.refused(block, text);
    say(text);
    notice(text);
  },
};

const lab = new Lab(root, JSON.parse(document.getElementById("lab-state").textContent), {
  extend: () => socket.send({ type: "sandbox.extend" }),
  say,
  started(said) {
    wanted = true;
    if (said.type === "sandbox.state") handlers["sandbox.state"](said);
    if (said.state !== "none") socket.connect(); // if it is up already, the server says there what comes next
  },
});

const runs = new Runs(root, commands, {
  run(block, host, shell, text) {
    shells.select(shells.ensure(shell, host).shell);
    return socket.send({ type: "run", shell, block, text });
  },
  stop: (shell) => shells?.input(shell, "\x03"),
  nameOf: (shell) => shells?.nameOf(shell) ?? shell,
  ready: (host, shell) => Boolean(shells) && shells.ensure(shell, host).open,
  runningIn: (shell) => commands.running.get(shell),
  say,
});

const inSight = () => shells?.current ?? hosts[0];
const strip = new Strip(root, () => ({
  ready: lab.ready, state: lab.state.state, kept: root.classList.contains("kept"), worker: lab.state.worker, lost: lab.ready || lab.state.state === "waiting" ? lost : null,
  running: commands.running.get(inSight()), last: commands.lastOf.get(inSight()), good: runs.asItShould(commands.lastOf.get(inSight()) ?? {}),
  ended: lab.ready && shells?.hasEnded(inSight()),
}), { tryNow: () => socket.tryNow(), revive: () => { shells.revive(shells.current); shells.terminal.focus(); } });

/** Why a Run button cannot be pressed: a sentence, and the words beside the button. */
const HINDERS = {
  none: ["A command needs a host to run on. ", "needs your lab", () => { const start = el("button", "b s", "Start your lab"); start.setAttribute("form", "start"); return start; }],
  waiting: ["You are in line for a lab. This can be run when it is your turn.", "waits for your lab"],
  ended: ["Your lab has ended. Start a fresh one beside the text.", "needs a fresh lab"],
  failed: ["Your lab did not start. Get another one beside the text.", "needs a lab"],
  lost: ["The connection is lost. It comes back by itself.", "no connection"],
  down: ["The lab’s worker has stopped. A new one takes over, usually within 10 s.", "waits for a worker"],
};
let trouble = ""; // what was announced last

/** Bring every part in line with the lab and the connection. */
function settle(again = false) {
  const { state, worker } = lab.state;
  const down = state === "claimed" && worker === "down";
  runs.hinder(...HINDERS[state] ?? (lost ? HINDERS.lost : down ? HINDERS.down : [state === "booting" || !shells ? "wait" : ""]));
  const now = lost ? (Date.now() - lost.since > 1000 ? "lost" : trouble) : down ? "down" : "";
  if (now !== trouble) say(now ? HINDERS[now][0] : state === "claimed" ? "Your lab answers again." : "");
  trouble = now;
  if (state !== "claimed" && commands.abandon()) { runs.draw(); changed(); }
  const kept = state === "claimed" || (state === "ended" && [...commands.lastOf.values()].length > 0);
  root.classList.toggle("kept", kept);
  for (const name of ["tools", "new-terminal"]) root.querySelector(`[data-${name}]`).hidden = !kept || (name === "new-terminal" && state !== "claimed");
  root.querySelector("[data-tabs]").hidden = !kept;
  root.querySelector(".keys").classList.toggle("live", state === "claimed");
  if (shells) {
    shells.setStale(state !== "claimed" || Boolean(lost) || worker === "down");
    shells.allow(state === "claimed" && socket.up, again);
  }
  strip.draw();
}

function changed() {
  shells?.markBusy((shell) => commands.running.has(shell));
  root.querySelector("[data-any-busy]").hidden = !commands.running.size;
  strip.draw();
}

/** A sentence above the lesson, for an error that belongs to no part. */
function notice(text) {
  const node = el("p", "says-so", text, " ");
  const away = el("button", "b s", "Hide");
  away.onclick = () => node.remove();
  node.append(away);
  document.querySelector(".scroll > .says-so")?.remove();
  document.querySelector(".scroll").prepend(node);
}

/** An address that a program printed. What is inside the lab cannot be reached from here, and must not lead to the reader's own network. */
function follow(address) {
  let host;
  try { host = new URL(address).hostname; } catch { return; }
  if (/^(10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\.|^localhost$|^\[/.test(host) || !host.includes(".")) {
    return notice(`${host} is an address inside your lab, where your browser does not get. Ask it from the terminal, with curl.`);
  }
  window.open(address, "_blank", "noopener,noreferrer");
}

function prepare() {
  for (const box of document.querySelectorAll(".read .copies")) {
    const button = el("button", "b s quiet", "Copy");
    button.type = "button";
    button.onclick = async () => { await toClipboard(box.querySelector("pre").textContent.trimEnd()); button.textContent = "Copied"; };
    box.append(button);
  }
  for (const code of document.querySelectorAll(".run code:not(:has(span))")) code.replaceChildren(...code.textContent.split(/(\s+)/).map((word) => (/\S/.test(word) ? el("span", "", word) : word)));
  runs.draw();
}

prepare();
if (lab.state.state !== "none") socket.connect();
settle();
splitter(root);
steps((title) => {
  lab.title = title;
  root.querySelector("[data-at]").textContent = `step ${root.querySelector(".stepsb").textContent.match(/\d+/)[0]}`;
  prepare();
});

const open = drawer(root, (yes) => { strip.brief(); if (yes) setTimeout(() => shells?.wake(), 280); }); // when it has come up
const filter = keyRow(root, (text) => shells?.input(shells.current, text), (text) => shells?.terminal?.paste(text));
fullWindow(root, () => shells?.refit());

root.querySelector("[data-new-terminal]").onclick = (event) => {
  if (hosts.length === 1) return shells.another(hosts[0]);
  const menu = el("div", "pop menu", ...hosts.map((host) => { const item = el("button", "", `New terminal on ${host}`); item.type = "button"; item.onclick = () => { menu.remove(); shells.another(host); }; return item; }));
  menu.popover = "auto";
  menu.ontoggle = ({ newState }) => { if (newState === "closed") menu.remove(); };
  const at = event.currentTarget.getBoundingClientRect();
  menu.style.cssText = `left:${at.left}px;top:${at.bottom + 4}px`;
  root.append(menu);
  menu.showPopover();
  menu.querySelector("button").focus();
};

addEventListener("keydown", (event) => {
  if (!event.ctrlKey || event.key !== "F6" || event.defaultPrevented || !shells?.terminal || !root.classList.contains("kept")) return;
  event.preventDefault();
  open(true);
  shells.terminal.focus();
});

let told = 0; // the student reads: that counts as being here
const active = () => {
  if (!lab.ready || Date.now() - told < 30000) return;
  if (socket.send({ type: "active" })) told = Date.now();
};
for (const kind of ["scroll", "pointermove", "keydown"]) addEventListener(kind, active, { passive: true, capture: true });

asked.then(({ Shells }) => {
  shells = new Shells(root, hosts, {
    send: (message) => socket.send(message.type === "shell.input" ? { ...message, data: filter(message.data) } : message),
    gone() { runs.draw(); strip.draw(); },
    named: () => runs.draw(),
    link: follow,
    interrupted(shell) { commands.interrupted(shell); },
    running(shell) { const command = commands.running.get(shell); return command ? program(command.text) : ""; },
    opened(shell) {
      if (wanted && innerWidth > 760) shells.terminal.focus();
      wanted = false;
      runs.opened(shell);
      strip.draw();
    },
    selected: () => strip.draw(),
    refused: () => strip.nudge(),
    past: (shell) => commands.of(shell).map((command) => ({ ...command, good: runs.asItShould(command) })),
    say,
  });
  for (const host of hosts) shells.ensure(host, host);
  for (const [what, ...rest] of early.splice(0)) shells[what](...rest);
  for (const command of commands.running.values()) shells.ensure(command.shell, command.host, true);
  settle();
  changed();
});

window.patchbay = { text: (shell) => shells?.text(shell) ?? "", terminal: (shell) => shells?.all.get(shell)?.terminal, ended: (shell) => commands.of(shell).filter((command) => command.over).length, socket }; // for tests
