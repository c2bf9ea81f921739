// Where the student stands in this step: its checks, quizzes, solution and preparation, as the server said last. Asks it one thing after the other.
// Must not know the page, nor what is drawn.
import { ask, Refused } from "./api.js";

const POLL = 500; // ms between two looks at a preparation
const NOTHING = { done: false, held: false, lesson_done: false, checks: [], quizzes: {}, solution: null, preparing: null, belongs: null };

export class Standing {
  /** `on`: changed(state, before, cause); cause: {} | {check: {auto, answers}} | {hint} | {quiz} | {solution} */
  constructor(on) {
    Object.assign(this, { on, state: NOTHING, url: "", asked: null, want: null, missed: false, trouble: "", entered: "", entering: 0 });
  }

  /** Another step is on the page, or the same one anew. */
  load(url, state) {
    clearTimeout(this.poll);
    const { preparing, belongs } = url === this.url ? this.state : { ...NOTHING, ...state }; // the page may say what was before the lab was there: it is entered anew
    Object.assign(this, { url, state: { ...NOTHING, ...state, preparing, belongs }, want: null, missed: false, trouble: "", entered: "", since: Date.now() });
    if (this.preparing) this.#later();
    this.on.changed(this.state, null, {});
  }

  get passed() { return this.state.checks.filter((check) => check.state === "passed").length; }
  /** What is being evaluated of this step: {since, auto, answers} | null */
  get asking() { return this.asked?.url === this.url ? this.asked : null; }
  get preparing() { return this.state.preparing && !this.state.preparing.failed ? this.state.preparing : null; }
  get busy() { return this.entering > 0 || Boolean(this.preparing); }
  /** Seconds that the preparation has taken; the server's last word and what has passed since. */
  get seconds() { return (this.preparing?.seconds ?? 0) + (Date.now() - this.since) / 1000; }

  /** Evaluate the checks. What comes in while one evaluation is under way makes one more after it, however often. */
  check(auto, answers = {}) {
    if (!this.state.checks.length || (auto && this.state.done)) return;
    if (auto && this.busy) { this.missed = true; return; } // when the step is ready
    if (auto && (this.state.preparing || this.state.belongs)) return;
    this.want = { auto: auto && (this.want?.auto ?? true), answers: { ...this.want?.answers, ...answers } };
    if (!this.asked) this.#evaluate();
  }

  async #evaluate() {
    while (this.want) {
      const { url, want } = this;
      this.want = null;
      this.asked = { url, since: Date.now(), ...want };
      this.on.changed(this.state, this.state, {});
      await this.#post("check", want, { check: want }, want.auto);
      this.asked = null;
    }
    this.on.changed(this.state, this.state, {});
  }

  hint(check) { return this.#post("hint", { check }, { hint: check }); }
  solution() { return this.#post("solution", {}, { solution: true }); }
  quiz(quiz, option) { return this.#post("quiz", { quiz, option }, { quiz }); }

  /** The step is begun in this sandbox, once: its setup runs, and what a rewind left to do. */
  async enter(sandbox, adopt = false) {
    const key = `${sandbox} ${this.url}`;
    if (this.entered === key && !adopt) return;
    this.entered = key;
    this.entering += 1;
    this.since = Date.now();
    this.on.changed(this.state, this.state, {});
    const arrived = await this.#post("enter", adopt ? { adopt } : {}, {}, !adopt);
    this.entering -= 1;
    if (!arrived && this.entered === key) this.entered = ""; // again with the next connection
    this.on.changed(this.state, this.state, {});
    this.#catchUp();
  }

  /** Evaluate what a command changed while the step was not ready yet. */
  #catchUp() {
    if (!this.missed || this.busy) return;
    this.missed = false;
    this.check(true);
  }

  /** True when it was answered. `quiet`: nobody asked for it, so nobody is told that it could not be done. */
  async #post(what, body, cause, quiet = false) {
    const { url } = this;
    try {
      const state = await ask(`${url}${what}`, body);
      if (url === this.url) { this.trouble = ""; this.#take(state, cause); }
      return true;
    } catch (refused) {
      if (!(refused instanceof Refused)) throw refused;
      if (url === this.url && !quiet) { this.trouble = refused.sentences; this.on.changed(this.state, this.state, {}); }
      return false;
    }
  }

  #take(state, cause) {
    const before = this.state;
    this.state = { ...NOTHING, ...state };
    this.since = Date.now();
    clearTimeout(this.poll);
    if (this.preparing) this.#later();
    this.on.changed(this.state, before, cause);
    this.#catchUp();
  }

  #later() {
    const { url } = this;
    this.poll = setTimeout(async () => {
      try {
        const state = await ask(`${url}state`);
        if (url === this.url) this.#take(state, {});
      } catch (refused) {
        if (!(refused instanceof Refused)) throw refused;
        if (url === this.url) this.#later();
      }
    }, POLL);
  }
}
