// The dock under the text: what each check says, what may be asked for it, and whether the way on is open.
// Must not know how the server is asked, nor what runs in the lab.
import { put } from "./html.js";
import { Matrix } from "./network/matrix.js";
import { n, parts, row as inRow, t } from "./translate.js";
import { copyButton, disable, el, setGlyph, setText } from "./words.js";

const GLYPH = { open: "openg", passed: "okg", failed: "badg", waits: "waitg", unknown: "waitg", asking: "spin" };
const HOW = { open: t("Not passed yet:"), passed: t("Passed:"), failed: t("Failed:"), waits: t("Waits:"), unknown: t("Not known:"), asking: t("Being asked:") };
const LIMIT = 5; // seconds that the server gives all checks of a step together
const BLINK = 400; // ms under which an evaluation is not shown: nothing may flicker with every command

export class Checks {
  /** `on`: check(answers), hint(name), solution(), say(text), why() → why no check can be asked now, in a few words, or "" */
  constructor(root, on) {
    Object.assign(this, { root, on, folded: false, hidden: new Set() });
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("submit", (event) => this.#reply(event));
    root.addEventListener("input", ({ target }) => { if (target.closest?.("[data-reply]")) this.draw(this.standing); });
    document.querySelector("[data-show-solution]").onclick = ({ target }) => { target.closest("dialog").close(); this.on.solution(); };
    setInterval(() => { if (this.standing?.asking) this.draw(this.standing); }, 250);
  }

  get dock() { return this.root.querySelector(".dock"); }
  $(name) { return this.dock.querySelector(`[data-${name}]`); }
  row(name) { return this.dock.querySelector(`[data-check="${CSS.escape(name)}"]`); }

  /** Another step is on the page. */
  load() { this.hidden.clear(); this.#fold(this.folded); }

  /** The one button of the dock that is the next thing to do, or null. */
  get next() {
    const ready = (button) => button && !button.hidden && !button.hasAttribute("aria-disabled");
    const answers = [...this.dock.querySelectorAll("[data-check]:not(.passed, .waits) [data-reply]:not([hidden]) [data-answer]")];
    const all = this.$("check-all");
    return answers.find(ready) ?? [all].find(ready) ?? null;
  }
  /** Is there anything left to pass? */
  get open() { return Boolean(this.standing?.state.checks.some((check) => check.state !== "passed")); }

  draw(standing) {
    this.standing = standing;
    const { state, asking, passed, trouble } = standing, { checks } = state;
    const shown = asking && Date.now() - asking.since > (asking.auto ? BLINK * 2 : BLINK / 2) ? asking : null;
    let nextOpen = true; // of the checks that are merely open, the first one says why: one thing at a time
    for (const check of checks) {
      const row = this.row(check.name);
      if (!row) continue;
      this.#row(row, check, shown, nextOpen, checks);
      if (check.state === "open" && !answered(check)) nextOpen = false;
    }
    if (checks.length) this.#foot(state, passed, asking);
    const line = this.$("trouble");
    line.hidden = !trouble;
    if (line.textContent !== trouble) line.textContent = trouble;
    this.#way(state);
    this.#solution(state.solution, checks);
  }

  #row(row, check, shown, tellsWhy, checks) {
    const asked = shown && check.state !== "passed" && (!answered(check) || check.name in shown.answers);
    const as = asked ? "asking" : check.state, over = check.state === "passed";
    row.className = as;
    setGlyph(row.querySelector(".g"), GLYPH[as]);
    setText(row.querySelector("[data-how]"), `${HOW[as]} `);
    const above = checks[checks.indexOf(check) - 1];
    const near = check.waits_for && above?.title === check.waits_for;
    setText(row.querySelector("[data-says]"), as === "asking" ? t("asking, {s} s of {most}", { s: Math.min(LIMIT, Math.floor((Date.now() - shown.since) / 1000)), most: LIMIT }) : over ? t("passed") : near ? t("waits for the check above") : check.state === "waits" ? t("waits") : "");
    const why = row.querySelector("[data-reason]");
    const reason = over ? "" : check.state === "waits" ? (near ? "" : t("Waits for “{check}”.", { check: check.waits_for })) : check.state === "open" && (!tellsWhy || answered(check)) ? "" : check.why;
    put(why, reason);
    why.hidden = !reason;
    this.#hints(row, check, over);
    const form = row.querySelector("[data-reply]");
    if (!form) return;
    form.hidden = over || check.state === "waits";
    if (check.matrix) this.#matrix(form, check);
    const empty = !answerOf(form);
    disable(form.querySelector("[data-answer]"), empty || Boolean(this.on.why()), empty ? "" : this.on.why());
  }

  /** A table to be filled in; what was not so at the last try is marked until it is changed. */
  #matrix(form, { matrix, title }) {
    const known = JSON.stringify(matrix), place = form.querySelector("[data-matrix]");
    if (!form.matrix) {
      const label = place.closest("[data-check]").querySelector("b").textContent || title;
      form.matrix = new Matrix(matrix.between.map((text) => ({ text })), label, { changed: () => this.draw(this.standing) });
      place.replaceChildren(form.matrix.node);
    }
    if (form.known !== known) { form.known = known; form.matrix.load(matrix.said, matrix.wrong); }
    const { all, open } = form.matrix;
    setText(form.querySelector("[data-filled]"), open ? n("{n} of {all} said", "{n} of {all} said", all - open, { all }) : t("tried from each to each, 3 s"));
  }

  #hints(row, check, over) {
    const button = row.querySelector("[data-hint]"), box = row.querySelector("[data-hints]"), any = check.hints_shown.length > 0;
    const away = this.hidden.has(check.name);
    button.hidden = over || !(check.hint_offered || any);
    const says = check.hint_offered ? (any ? t("Show another hint") : t("Show a hint")) : away ? t("Show the hint") : t("Hide the hint");
    setText(button, says);
    check.hint_offered ? button.removeAttribute("aria-expanded") : button.setAttribute("aria-expanded", !away);
    box.hidden = over || !any || (away && !check.hint_offered);
    while (box.children.length > check.hints_shown.length) box.lastElementChild.remove();
    check.hints_shown.forEach((html, at) => {
      if (!box.children[at]) box.append(el("p", "", el("b", "", t("Hint {n} of {all}.", { n: at + 1, all: check.hints })), " ", el("span")));
      put(box.children[at].lastElementChild, html);
    });
  }

  #foot(state, passed, asking) {
    const all = state.checks.length, left = all - passed;
    setText(this.$("tally"), all === 1 ? (passed ? t("The check has passed") : t("1 check, not passed yet")) : t("{passed} of {all} checks passed", { passed, all }));
    const until = this.$("until");
    until.hidden = !state.held || !left || !this.dock.querySelector("[data-next][data-step]");
    setText(until, left === 1 ? (all === 1 ? t("Next step waits for it") : t("Next step waits for the last one")) : n("Next step waits for {n} more", "Next step waits for {n} more", left));
    const button = this.$("check-all"), only = state.checks.every((check) => check.state === "passed" || (answered(check) && check.state !== "unknown"));
    button.hidden = !left || only; // an answer is given with its own button
    const why = this.on.why();
    disable(button, Boolean(why) || Boolean(asking && !asking.auto), why);
    this.dock.querySelector("[data-opens='ask-solution']").hidden = !left || Boolean(state.solution);
    const list = this.$("list");
    list.scrollHeight > list.clientHeight + 1 ? list.setAttribute("tabindex", "0") : list.removeAttribute("tabindex"); // what scrolls can be reached by key
  }

  #way(state) {
    const next = this.$("next");
    if (next?.hasAttribute("data-step")) disable(next, state.held, state.held ? t("Next step opens when all checks have passed.") : "");
    for (const end of this.dock.querySelectorAll("[data-end]")) end.hidden = (end.dataset.end === "done") !== state.lesson_done;
    this.#open(state);
    if (!state.done) return;
    this.root.querySelector("#steps [aria-current] .g")?.removeAttribute("hidden");
    this.root.querySelector(".where .ruler .now")?.classList.add("done");
  }

  /** At the end of a lesson that is not done: which other steps are still open. */
  #open({ checks, lesson_done: over }) {
    const words = this.dock.querySelector("[data-end='open']");
    if (!words || over) return;
    const left = [...this.root.querySelectorAll("#steps a:not([aria-current]):has(.g[hidden]) .num")].map((number) => number.textContent);
    const numbers = new Intl.ListFormat(document.documentElement.lang, { type: "unit" }).format(left);
    setText(words, left.length ? n("Still open in this lesson: step {numbers}", "Still open in this lesson: steps {numbers}", left.length, { numbers }) : t("This was the last step."));
    words.hidden = !left.length && checks.some((check) => check.state !== "passed");
  }

  #solution(solution, checks) {
    const box = this.$("solution");
    if (!box || !solution) return;
    if (!box.childElementCount) this.#solutionFrame(box);
    const asked = checks.some((check) => answered(check) && check.state !== "passed");
    box.querySelector("[data-renew]").hidden = !solution.answers.length || !asked;
    const words = JSON.stringify(solution);
    if (box.dataset.words === words) return;
    box.dataset.words = words;
    box.querySelector("[data-body]").replaceChildren(...solution.scripts.map(({ host, text: script }) => {
      const copy = copyButton(() => script.trimEnd()), lines = el("pre", "listing", el("code", "", script.trimEnd()));
      copy.setAttribute("aria-label", t("Copy what runs on {host}", { host }));
      lines.tabIndex = 0;
      return el("div", "script", el("p", "", ...parts("On {host}", { host: el("code", "n host", host) })), copy, lines);
    }), ...(solution.answers.length ? [el("dl", "", ...solution.answers.map(({ title, answer }) => {
      const question = el("dt");
      put(question, title);
      return el("div", "", question, el("dd", "", answer));
    }))] : []));
  }

  #solutionFrame(box) {
    const head = el("h2", "", t("Solution")), fold = el("button", "b s quiet", t("Hide")), renew = el("button", "b s quiet", t("Ask your host again")), body = el("div");
    head.tabIndex = -1;
    renew.dataset.renew = body.dataset.body = "";
    for (const button of [renew, fold]) button.type = "button";
    renew.onclick = () => this.on.solution();
    fold.setAttribute("aria-expanded", "true");
    fold.onclick = () => { body.hidden = !body.hidden; fold.textContent = body.hidden ? t("Show") : t("Hide"); fold.setAttribute("aria-expanded", !body.hidden); };
    box.append(el("div", "head", head, el("span", "grow"), renew, fold), body);
    box.hidden = false;
  }

  /** The solution has just been asked for: go there. */
  toSolution() {
    this.#fold(false);
    const box = this.$("solution");
    box?.scrollIntoView({ block: "nearest" });
    box?.querySelector("h2")?.focus({ preventScroll: true });
  }

  /** What an evaluation brought, once, for whoever does not see it. */
  announce(state, before, cause) {
    const was = new Map(before.checks.map((check) => [check.name, check.state])), said = [];
    const fresh = state.checks.filter((check) => check.state === "passed" && was.get(check.name) !== "passed");
    const all = state.checks.length > 0 && state.checks.every((check) => check.state === "passed");
    if (fresh.length && all) said.push(state.lesson_done && !before.lesson_done ? t("All checks passed. The lesson is done.") : t("All checks passed."));
    else for (const { name } of fresh) said.push(sentence(t("Passed: {check}", { check: this.#words(name) })));
    if (cause.check && !cause.check.auto && !all) {
      const answers = Object.keys(cause.check.answers), asked = answers.length ? answers : state.checks.filter((check) => !answered(check)).map(({ name }) => name);
      for (const { name, state: now } of state.checks.filter((check) => asked.includes(check.name))) {
        if (now === "failed") said.push(sentence(t("Failed: {check}", { check: this.#words(name) })), this.#reason(name));
        if (now === "unknown") said.push(sentence(this.#words(name)), this.#reason(name));
      }
    }
    if (cause.hint) said.push(this.row(cause.hint)?.querySelector("[data-hints]").lastElementChild?.textContent ?? "");
    if (said.length) this.on.say(inRow(...said));
    for (const { name } of fresh) { const row = this.row(name); row?.classList.add("fresh"); setTimeout(() => row?.classList.remove("fresh"), 1500); }
  }

  #reason(name) { return this.row(name)?.querySelector("[data-reason]").textContent ?? ""; }
  #words(name) { return this.row(name)?.querySelector("b").textContent ?? name; }

  /** The way on is closed: show what it waits for. */
  refuse() {
    this.#fold(false);
    const row = this.dock.querySelector("[data-check]:not(.passed)");
    row?.scrollIntoView({ block: "nearest" });
    for (const node of [row, this.$("until")]) { node?.classList.remove("nudge"); void node?.offsetWidth; node?.classList.add("nudge"); }
    this.on.say(inRow(sentence(this.$("until").textContent), row && this.#words(row.dataset.check)));
  }

  #fold(folded) {
    this.folded = folded;
    this.dock.classList.toggle("folded", folded);
    this.$("fold")?.setAttribute("aria-expanded", !folded);
  }

  #click({ target }) {
    if (!target.closest(".dock")) return;
    if (target.closest("[data-fold]")) return this.#fold(!this.folded);
    const all = target.closest("[data-check-all]"), hint = target.closest("[data-hint]");
    if (all && !all.hasAttribute("aria-disabled")) { this.#fold(false); return this.on.check({}); }
    if (!hint) return;
    const { check: name } = hint.closest("[data-check]").dataset;
    if (this.standing.state.checks.find((check) => check.name === name)?.hint_offered) { this.hidden.delete(name); return this.on.hint(name); }
    this.hidden.has(name) ? this.hidden.delete(name) : this.hidden.add(name);
    this.draw(this.standing);
  }

  #reply(event) {
    const form = event.target.closest("[data-reply]");
    if (!form) return;
    event.preventDefault();
    const answer = answerOf(form);
    if (answer && !form.querySelector("[data-answer]").hasAttribute("aria-disabled")) this.on.check({ [form.closest("[data-check]").dataset.check]: answer });
  }
}

/** What was typed, or the words of the choice as its author wrote them. */
function answerOf(form) {
  if (form.matrix) return form.matrix.open ? "" : form.matrix.text();
  const typed = form.querySelector("input[type='text']");
  return typed ? typed.value.trim() : form.querySelector("input:checked")?.closest("label").textContent.trim() ?? "";
}

/** By the student, with the check's own button. */
const answered = ({ kind, matrix }) => kind === "ask" || Boolean(matrix);

const sentence = (words) => (/[.?!。？]$/.test(words) ? words : t("{sentence}.", { sentence: words }));
