// The lesson page: puts the parts together and hands each message to the part it is for.
import "@xterm/xterm/css/xterm.css";
import "../css/lesson.css";
import "../css/diagram.css";
import "../css/network.css";
import "../css/follow.css";
import "../css/reach.css";
import { Checks } from "./checks.js";
import { Commands } from "./commands.js";
import { Lab } from "./lab.js";
import { drawer, fullWindow, keyRow, splitters } from "./layout.js";
import { Prepare } from "./prepare.js";
import { Quizzes } from "./quiz.js";
import { Runs } from "./runs.js";
import { Socket } from "./socket.js";
import { solid } from "./solid.js";
import { Standing } from "./standing.js";
import { steps } from "./steps.js";
import { Strip } from "./strip.js";
import { row, t } from "./translate.js";
import { copyButton, el, program } from "./words.js";

const root = document.querySelector(".lab");
const hosts = root.dataset.hostNames.split(" ");
const asked = import("./shells.js"); // xterm comes while the socket opens
const commands = new Commands();
const early = []; // output that came before the terminal's code
const OF_NETWORK = new Set(["network.snapshot", "network.change", "network.away", "follow.done", "reach.done"]);
let pane = null; // the network comes after the terminal
let shells = null, lost = null, sandbox = null, said = null, wanted = false; // wanted: the student has just asked for a lab

const say = (text) => { document.querySelector("[data-said]").textContent = text; };

const socket = new Socket("/ws/lab/", {
  hello() {
    const since = shells?.since() ?? {};
    said = Object.keys(since).length > 0 && sandbox; // offsets of that sandbox were told
    return { since };
  },
  open() { lost = null; lab.draw("up"); pane?.connected(); settle(true); },
  lost(how) {
    lost = how;
    lab.draw("lost");
    settle();
  },
  refused() { lost = null; lab.apply({ state: "none" }); settle(); },
  output(shell, offset, bytes) { shells ? shells.output(shell, offset, bytes) : early.push(["output", shell, offset, bytes]); },
  message(message) {
    const handle = handlers[message.type] ?? (OF_NETWORK.has(message.type) && ((news) => pane?.message(news)));
    if (handle) handle(message);
  },
});

const handlers = {
  "sandbox.state"(state) {
    if (state.sandbox && sandbox && state.sandbox !== sandbox) {
      commands.forget();
      shells?.forget();
      runs.forget();
      pane?.forget();
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
    if (lab.ready) standing.check(true);
    changed();
  },
  commands({ commands: list }) {
    commands.skew = lab.skew;
    commands.load(list);
    for (const command of commands.running.values()) shells?.ensure(command.shell, command.host, true);
    runs.loaded();
    pane?.commands();
    changed();
  },
  error(error) {
    if (error.id && pane?.refused(error)) return;
    const { code, message, what_to_do: what, block, shell } = error;
    const text = row(message, what);
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
    if (document.querySelector(".read[data-visitor]")) again(); // now a guest: some words and numbers of the text may be this student's own
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
  ready: (host, shell) => Boolean(shells) && !standing.busy && shells.ensure(shell, host).open,
  runningIn: (shell) => commands.running.get(shell),
  drawn: () => nextThing(),
  say,
});

const standing = new Standing({
  changed(state, before, cause) {
    drawStanding();
    if (before && before !== state) checks.announce(state, before, cause);
    if (before && cause.solution && state.solution && !before.solution) checks.toSolution();
    settle();
  },
});

const checks = new Checks(root, {
  check: (answers) => standing.check(false, answers),
  hint: (name) => standing.hint(name),
  solution: () => standing.solution(),
  why: () => lab.ready ? (standing.state.belongs ? t("another lesson’s lab") : standing.busy ? t("waits for the step") : "") : HINDERS[lab.state.state]?.[1] ?? t("waits for your lab"),
  say: (text) => { document.querySelector("[data-graded]").textContent = text; },
});

const quizzes = new Quizzes(root, {
  answer: async (quiz, option) => { await standing.quiz(quiz, option); return standing.trouble; },
  chosen: () => nextThing(),
});

const prepares = new Prepare(root, {
  adopt: () => standing.enter(lab.state.sandbox, true),
  now: () => ({ standing, claimed: lab.ready, step: Number(root.querySelector("#steps [aria-current] .num").textContent) }),
});

function drawStanding() { checks.draw(standing); quizzes.draw(standing.state.quizzes); prepares.draw(); nextThing(); }

/** What the one solid button of the text is. */
function nextThing() {
  if (!standing.url) return; // the page is not put together yet
  solid(root, [quizzes.next, runs.next, checks.next, checks.open, root.querySelector("[data-next]:not([aria-disabled])")]);
}

/** Where this step stands, as its page says it. */
function loadStanding() {
  const dock = root.querySelector(".dock");
  checks.load();
  standing.load(dock.dataset.url, JSON.parse(document.getElementById("step-state").textContent) || {});
  for (const form of document.querySelectorAll("form[data-rewind]")) form.action = `${dock.dataset.url}rewind`;
  for (const number of document.querySelectorAll("[data-step-number]")) number.textContent = prepares.on.now().step;
}

const inSight = () => shells?.current ?? hosts[0];
/** The host of the terminal in sight, when it does not answer. */
const deafHost = () => lab.state.silent?.find((host) => host === (shells?.all.get(inSight())?.host ?? inSight()));
const strip = new Strip(root, () => ({
  ready: lab.ready && !prepares.covers, state: prepares.covers ? prepares.stage : lab.state.state, kept: root.classList.contains("kept"), worker: lab.state.worker, silent: deafHost(), lost: lab.ready || lab.state.state === "waiting" ? lost : null,
  running: commands.running.get(inSight()), last: commands.lastOf.get(inSight()), good: runs.asItShould(commands.lastOf.get(inSight()) ?? {}),
  ended: lab.ready && shells?.hasEnded(inSight()),
}), { tryNow: () => socket.tryNow(), revive: () => { shells.revive(shells.current); shells.terminal.focus(); } });

/** Why a Run button cannot be pressed: a sentence, and the words beside the button. */
const HINDERS = {
  none: [t("A command needs a host to run on."), t("needs your lab"), () => { const start = el("button", "b s", t("Start your lab")); start.setAttribute("form", "start"); return start; }],
  waiting: [t("You are in line for a lab. This can be run when it is your turn."), t("waits for your lab")],
  ended: [t("Your lab has ended. Start a fresh one beside the text."), t("needs a fresh lab")],
  failed: [t("Your lab did not start. Get another one beside the text."), t("needs a lab")],
  lost: [t("The connection is lost. It comes back by itself."), t("no connection")],
  down: [t("The lab’s worker has stopped. A new one takes over, usually within 10 s."), t("waits for a worker")],
  silent: [t("The host does not answer. If it stays so, reset the lab."), t("waits for the host")],
};
let trouble = ""; // what was announced last

/** Bring every part in line with the lab and the connection. */
function settle(again = false) {
  const { state, worker } = lab.state, deaf = state === "claimed" && deafHost();
  const down = state === "claimed" && worker === "down";
  if (lab.ready && socket.up && sandbox) standing.enter(sandbox);
  const preparing = prepares.hinders, elsewhere = prepares.stage === "elsewhere";
  root.dataset.stage = prepares.stage;
  runs.hinder(...HINDERS[state] ?? (lost ? HINDERS.lost : down ? HINDERS.down : deaf ? HINDERS.silent : preparing ?? [state === "booting" || !shells ? "wait" : ""]));
  const now = lost ? (Date.now() - lost.since > 1000 ? "lost" : trouble) : down ? "down" : deaf ? "silent" : "";
  if (now !== trouble) say(now ? HINDERS[now][0] : state === "claimed" ? t("Your lab answers again.") : "");
  trouble = now;
  if (state !== "claimed" && commands.abandon()) { runs.draw(); changed(); }
  const kept = (state === "claimed" && !elsewhere) || (state === "ended" && [...commands.lastOf.values()].length > 0);
  root.classList.toggle("kept", kept);
  for (const name of ["tools", "new-terminal"]) root.querySelector(`[data-${name}]`).hidden = !kept || (name === "new-terminal" && state !== "claimed");
  root.querySelector("[data-tabs]").hidden = !kept;
  root.querySelector(".keys").classList.toggle("live", state === "claimed" && !elsewhere);
  if (shells) {
    shells.setStale(state !== "claimed" || Boolean(lost) || worker === "down");
    shells.allow(state === "claimed" && socket.up && !elsewhere, again);
  }
  strip.draw();
  checks.draw(standing);
  pane?.settle();
}

function changed() {
  shells?.markBusy((shell) => commands.running.has(shell));
  root.querySelector("[data-any-busy]").hidden = !commands.running.size;
  strip.draw();
}

/** A sentence above the lesson, for an error that belongs to no part. */
function notice(text) {
  const node = el("p", "says-so", text, " ");
  const away = el("button", "b s", t("Hide"));
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
    return notice(t("{host} is an address inside your lab, where your browser does not get. Ask it from the terminal, with curl.", { host }));
  }
  window.open(address, "_blank", "noopener,noreferrer");
}

function prepare() {
  for (const box of document.querySelectorAll(".read .copies")) {
    box.append(copyButton(() => box.querySelector("pre").textContent.trimEnd()));
  }
  for (const code of document.querySelectorAll(".run code:not(:has(span))")) code.replaceChildren(...code.textContent.split(/(\s+)/).map((word) => (/\S/.test(word) ? el("span", "", word) : word)));
  runs.draw();
}

prepare();
if (lab.state.state !== "none") socket.connect();
loadStanding();
splitters(root);
const again = steps((title) => {
  lab.title = title;
  root.querySelector("[data-at]").textContent = t("step {step}", { step: prepares.on.now().step });
  prepare();
  loadStanding();
  lab.draw();
  pane?.step();
}, () => checks.refuse());

const open = drawer(root, (yes, tab) => { strip.brief(); pane?.settle(); if (yes && tab === "terminal") setTimeout(() => shells?.wake(), 280); }); // when it has come up
const filter = keyRow(root, (text) => shells?.input(shells.current, text), (text) => shells?.terminal?.paste(text));
fullWindow(root, () => { shells?.refit(); shells?.wake(); pane?.settle(); });

root.querySelector("[data-new-terminal]").onclick = (event) => {
  if (hosts.length === 1) return shells.another(hosts[0]);
  const menu = el("div", "pop menu", ...hosts.map((host) => { const item = el("button", "", t("New terminal on {host}", { host })); item.type = "button"; item.onclick = () => { menu.remove(); shells.another(host); }; return item; }));
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
  if (root.classList.contains("full-net")) root.querySelector("[data-full-net]").click();
  open(true, "terminal");
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
      if (!standing.busy) runs.opened(shell);
      strip.draw();
    },
    selected: () => strip.draw(),
    refused: () => strip.nudge(),
    past: (shell) => commands.of(shell).map((command) => ({ ...command, good: runs.asItShould(command) })),
    say,
  });
  for (const host of hosts) shells.ensure(host, host);
  for (const [what, ...rest] of early.splice(0)) what === "closed" ? handlers["shell.closed"](...rest) : shells[what](...rest);
  for (const command of commands.running.values()) shells.ensure(command.shell, command.host, true);
  settle();
  changed();
  (window.requestIdleCallback ?? setTimeout)(showNetwork, { timeout: 1500 }); // nothing of it delays the terminal
});

async function showNetwork() {
  const { Pane } = await import("./network/pane.js");
  pane = new Pane(root, {
    send: (message) => socket.send(message),
    run: typeInto,
    text: (id) => commands.all.get(id)?.text ?? "",
    running: () => [...commands.running.values()].filter((command) => Date.now() - command.began < 30000).sort((a, b) => b.began - a.began)[0]?.id ?? null, // one that runs for longer (ping) does not change the network
    say,
    drawer: open,
    terminals: () => shells.all.values(),
    terminal: () => shells.all.get(shells.current),
    now: () => ({ state: lab.state.state, up: socket.up, lost: lab.ready ? lost : null, down: lab.ready && lab.state.worker === "down", elsewhere: prepares.stage === "elsewhere", skew: lab.skew }),
  });
  pane.settle();
}

/** Type a command into this host's terminal, as a student would. Returns why it cannot be, or "". */
function typeInto(host, command) {
  if (!lab.ready || !socket.up) return t("This needs a lab that runs.");
  const { shell, open: isOpen, terminal } = shells.ensure(host, host);
  if (!isOpen) return t("The terminal of {host} is not open.", { host });
  const running = commands.running.get(shell);
  if (running) return t("{program} is using this terminal.", { program: program(running.text) });
  if (root.classList.contains("full-net")) root.querySelector("[data-full-net]").click();
  shells.select(shell);
  open(true, "terminal");
  shells.input(shell, `${command}\r`);
  terminal.focus();
  return "";
}

window.patchbay = { network: () => pane?.network ?? null, pane: () => pane,
  text: (shell) => shells?.text(shell) ?? "", terminal: (shell) => shells?.all.get(shell)?.terminal, busy: () => standing.busy, ended: (shell) => commands.of(shell).filter((command) => command.over).length, socket }; // for tests
