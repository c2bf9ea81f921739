// The line under the terminal: what runs, how the last command ended, or why keys are refused. Must not know who tells it.
import { counter, duration, el, firstLine, program, setGlyph } from "./words.js";

const EMPTY = {
  none: "No lab yet. Start it here.", waiting: "The terminal opens here when it is your turn.", booting: "The terminal opens here when your lab is up.",
  ended: "Your lab has ended. A fresh one opens here.", failed: "Your lab did not start. Another one opens here.",
};

export class Strip {
  /** `now()` → {ready, kept, state, lost: {since, next} | null, worker, running, last, good, ended}; good: the last one ended as it should; ended: its shell did. `act`: tryNow(), revive() */
  constructor(root, now, act) {
    Object.assign(this, { root, now, act, node: root.querySelector("[data-strip]"), key: "" });
    this.closed = matchMedia("(max-width: 760px)");
    this.closed.addEventListener("change", () => this.brief());
    setInterval(() => this.draw(), 250);
  }

  nudge() {
    this.node.classList.remove("nudge");
    void this.node.offsetWidth;
    this.node.classList.add("nudge");
  }

  draw() {
    const { ready, kept, state, lost, worker, running, last, good, ended } = this.now();
    if (lost) {
      this.#show("lost", "trouble", "waitg", () => [el("b", "", ""), " ", ...this.#goesOn(running), this.#button("Try now", this.act.tryNow)]);
      this.node.querySelector("b").textContent = Date.now() - lost.since < 1000 ? "Connection lost." : `Connection lost ${counter(Date.now() - lost.since)} ago.`;
      this.#time(lost.next > Date.now() ? `next try in ${Math.ceil((lost.next - Date.now()) / 1000)} s` : "trying");
      return;
    }
    if (ready && worker === "down") {
      this.#show("down", "trouble bad", "badg", () => [el("b", "", "The lab’s worker has stopped."), " Your hosts still run and nothing is lost. A new worker takes over, usually within 10 s."]);
      return this.#time("");
    }
    if (ended) {
      this.#show("over", "line", "stop", () => [el("b", "", "This shell has ended."), " Press Enter in the terminal for a new one.", this.#button("New shell", this.act.revive)]);
      return this.#time("");
    }
    const command = kept ? running ?? last : null;
    if (!command) {
      this.#show(ready ? "empty" : state, "line", "waitg", () => [ready ? "Nothing has run in this terminal yet." : EMPTY[state] ?? ""]);
      return this.#time("");
    }
    const code = command.exit_code, tone = running ? "busy" : good ? "ok" : code === null || code === 130 || command.stopped ? "" : "bad";
    const how = code === null ? "no exit code" : !good && (code === 130 || command.stopped) ? `stopped, exit ${code}` : good && code ? `exit ${code}, as it should` : `exit ${code}`;
    this.#show(`${command.id}${command.over}`, `line ${tone}`, running ? "spin" : good ? "okg" : tone ? "badg" : "stop",
      () => [el("code", "", firstLine(command.text) || "A command"), running ? " runs" : `, ${how}`]);
    this.#time(running ? counter(Date.now() - command.began) : command.duration_ms == null ? "" : duration(command.duration_ms));
  }

  #button(text, act) { const button = el("button", "b s", text); button.type = "button"; button.onclick = act; return button; }

  #goesOn(running) {
    return running ? [el("code", "", program(running.text)), " keeps running; you will see what you missed."] : ["Your lab goes on; you will see what you missed."];
  }

  #time(text) {
    const time = this.node.querySelector("[data-strip-time]");
    if (time.textContent !== text) time.textContent = text;
  }

  #show(key, tone, glyphName, content) {
    if (this.key === key) return;
    this.key = key;
    this.node.className = `strip ${tone}`;
    setGlyph(this.node.querySelector(".g"), glyphName);
    const what = this.node.querySelector(".what"), parts = content();
    this.node.querySelector("button")?.remove();
    const button = parts.at(-1) instanceof HTMLButtonElement ? parts.pop() : null;
    what.replaceChildren(...parts);
    if (button) what.after(button);
    this.tone = tone;
    this.brief();
  }

  /** The closed drawer of a phone says the same, on one line. Nowhere else: a sentence must not be on the page twice. */
  brief() {
    const last = this.root.querySelector("[data-last]");
    last.className = `last ${this.tone}`;
    if (!this.closed.matches || this.root.classList.contains("drawer-open")) return last.replaceChildren();
    const copy = el("span"); copy.append(...[...this.node.querySelector(".what").childNodes].map((node) => node.cloneNode(true)));
    last.replaceChildren(this.node.querySelector(".g").cloneNode(true), copy);
  }
}
