// The line under the terminal: what runs, how the last command ended, or why keys are refused. Must not know who tells it.
import { parts, t } from "./translate.js";
import { counter, duration, el, firstLine, program, setGlyph } from "./words.js";

const EMPTY = {
  none: t("No lab yet. Start it here."), waiting: t("The terminal opens here when it is your turn."), booting: t("The terminal opens here when your lab is up."),
  elsewhere: t("The terminal opens here when you have chosen."), replay: t("The terminal opens here when the step is built."),
  ended: t("Your lab has ended. A fresh one opens here."), failed: t("Your lab did not start. Another one opens here."),
};

export class Strip {
  /** `now()` → {ready, kept, state, lost: {since, next} | null, worker, silent (its host, when that does not answer), running, last, good, ended}; good: the last one ended as it should; ended: its shell did. `act`: tryNow(), revive() */
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
    const { ready, kept, state, lost, worker, silent, running, last, good, ended } = this.now();
    if (lost) {
      this.#show("lost", "trouble", "waitg", () => [el("b", "", ""), " ", ...this.#goesOn(running), this.#button(t("Try now"), this.act.tryNow)]);
      this.node.querySelector("b").textContent = Date.now() - lost.since < 1000 ? t("Connection lost.") : t("Connection lost {time} ago.", { time: counter(Date.now() - lost.since) });
      this.#time(lost.next > Date.now() ? t("next try in {s} s", { s: Math.ceil((lost.next - Date.now()) / 1000) }) : t("trying"));
      return;
    }
    if (ready && worker === "down") {
      this.#show("down", "trouble bad", "badg", () => [el("b", "", t("The lab’s worker has stopped.")), " ", t("Your hosts still run and nothing is lost. A new worker takes over, usually within 10 s.")]);
      return this.#time("");
    }
    if (ready && silent) {
      this.#show("silent", "trouble bad", "badg", () => [el("b", "", t("{host} does not answer.", { host: silent })), " ", t("What carries its terminals was stopped there, or the host is overloaded. If it stays so, reset the lab.")]);
      return this.#time("");
    }
    if (ended) {
      this.#show("over", "line", "stop", () => [el("b", "", t("This shell has ended.")), " ", t("Press Enter in the terminal for a new one."), this.#button(t("New shell"), this.act.revive)]);
      return this.#time("");
    }
    const command = kept ? running ?? last : null;
    if (!command) {
      this.#show(ready ? "empty" : state, "line", "waitg", () => [ready ? t("Nothing has run in this terminal yet.") : EMPTY[state] ?? ""]);
      return this.#time("");
    }
    const code = command.exit_code, tone = running ? "busy" : good ? "ok" : code === null || code === 130 || command.stopped ? "" : "bad";
    const text = el("code", "", firstLine(command.text) || t("A command"));
    const how = () => code === null ? parts("{command}, no exit code", { command: text }) : !good && (code === 130 || command.stopped) ? parts("{command}, stopped, exit {code}", { command: text, code }) : good && code ? parts("{command}, exit {code}, as it should", { command: text, code }) : parts("{command}, exit {code}", { command: text, code });
    this.#show(`${command.id}${command.over}`, `line ${tone}`, running ? "spin" : good ? "okg" : tone ? "badg" : "stop",
      () => (running ? parts("{command} runs", { command: text }) : how()));
    this.#time(running ? counter(Date.now() - command.began) : command.duration_ms == null ? "" : duration(command.duration_ms));
  }

  #button(text, act) { const button = el("button", "b s", text); button.type = "button"; button.onclick = act; return button; }

  #goesOn(running) {
    return running ? parts("{program} keeps running; you will see what you missed.", { program: el("code", "", program(running.text)) }) : [t("Your lab goes on; you will see what you missed.")];
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
    const what = this.node.querySelector(".what"), said = content();
    this.node.querySelector("button")?.remove();
    const button = said.at(-1) instanceof HTMLButtonElement ? said.pop() : null;
    what.replaceChildren(...said);
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
