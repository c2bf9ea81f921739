// Run blocks: what each shows, and what a click does. Must not know how bytes travel or how a terminal draws.
import { parts, t } from "./translate.js";
import { counter, disable, duration, el, glyph, program, setGlyph } from "./words.js";

const GLYPH = { idle: "playo", queued: "waitg", busy: "spin", done: "okg", fail: "badg", halt: "stop" };
const LABEL = { Run: t("Run"), Stop: t("Stop"), Cancel: t("Cancel") };
const AGAIN = 400; // ms after a button became Stop, or was it, in which a press means what it was before
const UNHEARD = 5000; // ms after which a command line that no shell reported is given back

export class Runs {
  /** `on`: run(block, host, shell, text) → bool, stop(shell), nameOf(shell), ready(host, shell) → bool, runningIn(shell) → command, say(text),
   *  drawn() after anything that may make another button the next thing to do */
  constructor(root, commands, on) {
    Object.assign(this, { root, commands, on, why: "", short: "", act: null, sent: new Map(), queued: null, changed: new Map() });
    this.expected = JSON.parse(document.getElementById("expected").textContent); // block → exit code that is as it should be, of every lesson, where it is not 0
    root.addEventListener("click", ({ target, detail }) => {
      const run = target.closest("[data-run]")?.closest(".run");
      if (run && detail < 2) this.#click(run); // the second click of a double click is not "Stop"
    });
    setInterval(() => this.#tick(), 250);
  }

  get blocks() { return [...this.root.querySelectorAll(".run[data-block]")]; }
  block(id) { return this.root.querySelector(`.run[data-block="${CSS.escape(id)}"]`); }

  /** Draw every block from what is known; after a load, a reload, a change of step. */
  draw() { for (const run of this.blocks) this.#draw(run); this.on.drawn(); }

  /** The next block to run: its button, `true` while one runs or waits, or null. One with a terminal of its own may run on. */
  get next() {
    const idle = this.blocks.find((run) => run.dataset.state === "idle" && !run.querySelector("[data-run]").hasAttribute("aria-disabled"));
    return idle?.querySelector("[data-run]") ?? (this.blocks.some((run) => ["idle", "queued"].includes(run.dataset.state) || (run.dataset.state === "busy" && !run.classList.contains("apart"))) || null);
  }

  /** Why nothing can be run now ("" if it can; "wait" if it soon can, and what is pressed now waits for that), the same in a few words, and what to press for it. */
  hinder(why, short = "", act = null) {
    if (why === this.why && short === this.short) return;
    Object.assign(this, { why, short, act });
    if (this.queued && why && why !== "wait") this.#unqueue();
    if (this.queued && !why && this.on.ready(this.queued.dataset.host, this.queued.dataset.shell)) this.opened(this.queued.dataset.shell);
    this.draw();
  }

  forget() { this.sent.clear(); this.#unqueue(); this.draw(); }

  started(command) { if (command.block) this.sent.delete(command.block); this.#shell(command.shell); }

  finished(command) {
    this.#shell(command.shell);
    const run = command.block && this.block(command.block);
    const name = command.text ? program(command.text) : t("A command"), code = command.exit_code;
    if (run) this.on.say(t("{program}: {outcome}, {time}", { program: name, outcome: run.querySelector("[data-outcome]").textContent, time: run.querySelector("[data-time]").textContent }));
    else this.on.say(code === null ? t("{program}: no exit code", { program: name }) : t("{program}: exit {code}", { program: name, code }));
  }

  /** Did it end as its block says it should? One that was stopped did neither well nor badly. */
  asItShould({ block, exit_code: code, stopped }) { return stopped && code !== null ? false : code === (this.expected[block] ?? 0); }

  /** The list after a connection came back: what was sent and is not in it never arrived. */
  loaded() {
    for (const [block, { shell, at }] of this.sent) {
      const known = this.commands.byBlock.get(block);
      if (known && known.began > at - 1000) this.sent.delete(block);
      else this.#giveBack(block, shell, t("This did not reach your lab. Run it again."), 3000);
    }
    this.draw();
  }

  /** The shell did not take it. Every page of the student is told; only the one that sent it says so. */
  refused(block, why) {
    for (const id of block ? [block] : [...this.sent.keys()].slice(-1)) {
      if (!this.sent.has(id)) continue;
      const run = this.block(id), { shell } = this.sent.get(id);
      setTimeout(() => { // the same block, pressed here and in another page at once: it runs, and that is all that was wanted
        if (!this.sent.has(id) || this.on.runningIn(shell)?.block === id) return;
        this.sent.delete(id);
        if (run) { this.#draw(run); this.#says(run, why); }
        this.on.drawn();
      }, 300);
    }
  }

  /** A shell answers: what waited for it goes out. */
  opened(shell) {
    const run = this.queued;
    if (run?.dataset.shell !== shell) return;
    this.queued = null;
    if (!run.isConnected) return; // of a step that has been left
    this.#send(run);
  }

  #click(run) {
    const state = run.dataset.state, { shell, host, block } = run.dataset;
    if (Date.now() - (this.changed.get(block) ?? 0) < AGAIN) return;
    if (state === "busy") return this.on.stop(shell);
    if (state === "queued") return this.#unqueue();
    if (this.why && this.why !== "wait") return this.#says(run, this.act ? [this.why, " ", this.act()] : this.why);
    const other = this.on.runningIn(shell);
    if (other) return this.#says(run, parts("{program} is using this terminal. Stop it, or open a second one.", { program: el("code", "", program(other.text)) }));
    if (this.why === "wait" || !this.on.ready(host, shell)) {
      this.#unqueue();
      this.queued = run;
      this.#draw(run);
      return;
    }
    if (!this.sent.has(block)) this.#send(run);
  }

  #send(run) {
    const { block, host, shell } = run.dataset;
    const at = Date.now();
    if (!this.on.run(block, host, shell, run.querySelector("code").textContent)) return this.#says(run, t("The connection is lost. It comes back by itself."));
    this.sent.set(block, { at, shell });
    this.#draw(run);
    this.#giveBack(block, shell, t("The shell did not report this command. See in the terminal what it waits for."), UNHEARD);
  }

  #giveBack(block, shell, why, after) {
    const sent = this.sent.get(block);
    setTimeout(() => { if (sent && this.sent.get(block) === sent && !this.on.runningIn(shell)) this.refused(block, why); }, after);
  }

  #unqueue() { const run = this.queued; this.queued = null; if (run) this.#draw(run); }

  #shell(shell) { for (const run of this.blocks) if (run.dataset.shell === shell) this.#draw(run); this.on.drawn(); }

  #draw(run) {
    const { block, expect } = run.dataset;
    const command = this.commands.byBlock.get(block);
    const button = run.querySelector("[data-run]"), outcome = run.querySelector("[data-outcome]"), time = run.querySelector("[data-time]");
    let state = "idle", said = "", took = "", says = "", label = "Run", again = false;
    if (this.sent.has(block)) { state = "busy"; label = "Stop"; took = counter(0); }
    else if (this.queued === run) { state = "queued"; label = "Cancel"; said = this.short || t("waits for the shell"); }
    else if (command && !command.over) { state = "busy"; label = "Stop"; took = counter(Date.now() - command.began); }
    else if (command) {
      again = true;
      const code = command.exit_code, wanted = Number(expect);
      took = command.duration_ms == null ? "" : duration(command.duration_ms);
      if (code === null && command.closed) { state = "halt"; said = t("stopped"); says = t("You closed its terminal."); }
      else if (code === null) { state = "fail"; said = t("no exit code"); says = command.lost ? t("The lab ended while this ran. Run it again in a fresh one.") : t("The shell ended while this ran. Press Enter in the terminal for a new one."); }
      else if (command.stopped && code !== 130) { state = "halt"; said = t("stopped, exit {code}", { code }); }
      else if (code === wanted) { state = "done"; said = code ? t("exit {code}, as it should", { code }) : t("exit {code}", { code }); }
      else if (code === 130) { state = "halt"; said = t("stopped, exit {code}", { code }); says = t("You stopped it with Ctrl-C. That is not an error."); }
      else { state = "fail"; said = wanted ? t("exit {code}, not {wanted}", { code, wanted }) : t("exit {code}", { code }); }
    }
    else if (this.why && this.why !== "wait") said = this.short;
    else if (this.#taken(run)) said = t("waits for {program}", { program: program(this.on.runningIn(run.dataset.shell).text) });
    run.dataset.state = state;
    run.querySelector(".at").textContent = this.on.nameOf(run.dataset.shell);
    setGlyph(run.querySelector(".g"), GLYPH[state]);
    outcome.hidden = !said; outcome.textContent = said;
    time.hidden = !took; time.textContent = took;
    const shape = again ? "again" : label;
    if (button.dataset.shape !== shape) {
      if ([shape, button.dataset.shape].includes("Stop")) this.changed.set(block, Date.now());
      button.dataset.shape = shape;
      button.className = again ? "icon s" : "b s";
      button.replaceChildren(...(again ? [glyph("again")] : label === "Stop" ? [glyph("stop"), LABEL.Stop] : [LABEL[label]]));
      if (again) button.setAttribute("aria-label", t("Run again")); else button.removeAttribute("aria-label");
    }
    const blocked = state !== "busy" && state !== "queued" && ((this.why && this.why !== "wait") || this.#taken(run));
    disable(button, blocked, blocked ? this.why || t("{program} is using this terminal.", { program: program(this.on.runningIn(run.dataset.shell).text) }) : "");
    this.#says(run, says);
  }

  /** Taken by another command for longer than a blink: a button must not flicker with every `ls`. */
  #taken(run) {
    const other = this.on.runningIn(run.dataset.shell);
    return other && other.block !== run.dataset.block && Date.now() - other.began > 1000;
  }

  #says(run, what) {
    const says = run.querySelector(".says");
    says.replaceChildren(...(Array.isArray(what) ? what : [what]));
    says.hidden = !what.length;
  }

  #tick() {
    for (const run of this.blocks) {
      if (run.dataset.state === "busy") {
        const began = this.commands.byBlock.get(run.dataset.block)?.began;
        const sent = this.sent.get(run.dataset.block)?.at;
        run.querySelector("[data-time]").textContent = counter(Date.now() - (sent ?? began ?? Date.now()));
      } else if (Boolean(this.#taken(run)) !== run.querySelector("[data-run]").hasAttribute("aria-disabled") && !this.why) { this.#draw(run); this.on.drawn(); }
    }
  }
}
