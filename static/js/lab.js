// The sandbox as the page shows it: bar, waits, end. Must not know of shells and commands.
import { csrfToken } from "./api.js";
import { bootFigure } from "./boot.js";
import { row, t } from "./translate.js";
import { clock, countdown, disable, el, ordinal, span } from "./words.js";

const WORDS = { none: t("No lab yet"), waiting: t("In line"), booting: t("Starting"), claimed: t("Lab ready"), ended: t("Lab ended"), failed: t("Did not start") };
const MINUTE = 60000, SLOW = 4000, SAID_AT = [10 * MINUTE, 5 * MINUTE];

export class Lab {
  /** `on`: extend(), say(text), started(state) after a form that asked for a lab was answered */
  constructor(root, state, on) {
    Object.assign(this, { root, on, state, title: document.title, skew: 0, told: Infinity, warned: false });
    this.#buttons();
    this.apply(state);
    setInterval(() => this.#tick(), 1000);
    setInterval(() => { if (this.state.state === "booting") this.#boot(); }, 100);
  }

  get ready() { return this.state.state === "claimed"; }

  apply(state) {
    const before = this.state;
    this.state = state;
    if (state.now) this.skew = Date.now() - Date.parse(state.now);
    if (state.state === "booting" && (before.state !== "booting" || !this.bootSeen)) {
      this.bootSeen = Date.now();
      this.root.classList.add("soon");
      setTimeout(() => this.root.classList.remove("soon"), 300);
    }
    if (state.state === "booting") this.bootBase = Math.max(this.#bootNow(before), ...Object.values(state.boot ?? {}).flatMap((times) => Object.values(times)), 0), this.bootAt = Date.now();
    else this.bootSeen = null;
    if (state.sandbox !== before.sandbox || state.ends_at !== before.ends_at) this.told = Infinity; // extended or fresh: say it anew
    this.root.dataset.lab = state.state;
    for (const why of this.root.querySelectorAll("[data-why]")) if (state.why) why.textContent = state.why;
    if (state.state === "waiting") this.#line();
    if (state.state === "booting") this.#boot();
    this.draw();
    if (state.sandbox === before.sandbox && state.ends_at > before.ends_at) this.#extended();
  }

  /** Say until when, also on the button itself: the minutes alone may look as before. */
  #extended() {
    const until = clock(new Date(Date.parse(this.state.ends_at) + this.skew));
    this.on.say(t("Your lab ends at {time} now.", { time: until }));
    for (const button of this.root.querySelectorAll(".bar [data-extend]")) {
      delete button.dataset.says;
      button.replaceChildren(t("Until {time}", { time: until }));
      clearTimeout(this.flash);
      this.flash = setTimeout(() => { this.flash = null; this.#extends(); }, 3000);
    }
  }

  /** `connection`: "up" | "lost" */
  draw(connection = this.connection) {
    this.connection = connection;
    const { state, worker } = this.state, $ = (name) => this.root.querySelector(`[data-${name}]`);
    const lost = connection === "lost" && ["claimed", "waiting", "booting"].includes(state), down = state === "claimed" && worker === "down", deaf = state === "claimed" && this.state.silent?.length > 0;
    $("word").textContent = lost ? t("Connection lost") : down ? t("Worker stopped") : deaf ? t("Host does not answer") : WORDS[state] ?? "";
    $("lamp").className = `lamp${state === "claimed" && !lost && !down && !deaf ? " on" : down || deaf || state === "failed" || state === "ended" ? " off" : ""}`;
    const running = state === "claimed";
    for (const name of ["extend", "reset"]) for (const button of document.querySelectorAll(`.bar [data-${name}], .pop [data-${name}]`)) button.hidden = !running;
    for (const button of this.root.querySelectorAll("[data-needs-lab]")) button.hidden = !running;
    $("left").hidden = !running || !this.state.ends_at;
    this.#tick();
  }

  #tick() {
    const { state, ends_at: ends, longest_at: longest } = this.state;
    const notice = this.root.querySelector("[data-ending]");
    if (state !== "claimed" || !ends) { notice.hidden = true; this.#height(); document.title = this.title; return; }
    const end = Date.parse(ends) + this.skew, left = end - Date.now();
    this.root.querySelector("[data-left]").textContent = left > 0 ? t("{span} left", { span: span(left) }) : t("ends now");
    const last = longest && Date.parse(longest) <= Date.parse(ends) + 1000;
    this.#extends();
    for (const button of this.root.querySelectorAll("[data-extend]")) {
      disable(button, last, last ? t("A lab lasts until {time} at the longest.", { time: clock(new Date(end)) }) : "");
    }
    const mark = SAID_AT.filter((at) => left <= at).at(-1); // the nearest mark that is passed
    if (mark === undefined) { if (!this.state.warn) notice.hidden = true; }
    else if (mark < this.told) { this.told = mark; notice.hidden = false; }
    if (!notice.hidden) {
      this.root.querySelector("[data-count]").textContent = countdown(left);
      this.root.querySelector("[data-ends]").textContent = t("Your lab ends at {time}.", { time: clock(new Date(end)) });
    }
    this.#height();
    document.title = mark === undefined ? this.title : `(${t("{span} left", { span: span(left) })}) ${this.title}`;
  }

  /** Its buttons say what they do: how long the lab lasts then, from now. */
  #extends() {
    const { extends_to: minutes, longest_at: longest } = this.state;
    if (!minutes || this.flash) return;
    const left = Math.min(minutes * MINUTE, Math.round((Date.parse(longest) + this.skew - Date.now()) / MINUTE) * MINUTE);
    for (const button of this.root.querySelectorAll("[data-extend]")) {
      const long = left > 0 ? t("Extend to {span}", { span: span(left) }) : t("Extend");
      if (button.dataset.says === long) continue;
      button.dataset.says = long;
      button.replaceChildren(...(button.closest(".bar") ? [el("span", "hide-s", long), el("span", "only-s", t("Extend"))] : [long]));
    }
  }

  /** On a phone the closed drawer makes room for the notice above it. */
  #height() { this.root.style.setProperty("--ending", `${this.root.querySelector("[data-ending]").offsetHeight}px`); }

  #line() {
    const { place, in_use: used, capacity, frees_at: frees, why } = this.state;
    const $ = (name) => this.root.querySelector(`[data-${name}]`);
    $("place").textContent = place ? t("You are {place} in line.", { place: ordinal(place) }) : t("You are in line.");
    const all = capacity && used >= capacity ? t("All {capacity} places are in use.", { capacity }) : capacity ? t("{used} of {capacity} places are in use.", { used, capacity }) : t("All places are in use.");
    $("place-why").textContent = row(
      why && t("The last try failed: {why} It is tried again.", { why }), all,
      frees && t("The next one frees at {time} at the latest.", { time: clock(new Date(Date.parse(frees) + this.skew)) }), t("You keep your place if you close this page."),
    );
    const figure = $("places");
    figure.replaceChildren(...Array.from({ length: Math.min(used ?? 0, 40) }, () => el("i")), el("b"), ...Array.from({ length: Math.max(0, Math.min(place ?? 0, 12) - 1) }, () => el("i", "q")), el("i", "mine"));
    figure.setAttribute("aria-label", t("{used} places in use; you are {place} in line", { used, place: ordinal(place) }));
  }

  #bootNow() { return this.bootAt ? this.bootBase + (Date.now() - this.bootAt) / 1000 : 0; }

  #boot() {
    const boot = Object.keys(this.state.boot ?? {}).length ? this.state.boot : Object.fromEntries(this.root.dataset.hostNames.split(" ").map((host) => [host, {}]));
    this.root.querySelector("[data-boot]").replaceChildren(bootFigure(boot, this.#bootNow()));
  }

  #buttons() {
    document.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button?.matches("[data-extend]") && !button.hasAttribute("aria-disabled")) { this.root.querySelector("[data-ending]").hidden = true; this.on.extend(); }
      if (button?.matches("[data-not-now]")) { this.root.querySelector("[data-ending]").hidden = true; this.#height(); }
      const opens = button?.matches("[data-reset]") ? "reset" : button?.dataset.opens;
      if (opens) { button.closest("[popover]")?.hidePopover(); document.getElementById(opens).showModal(); }
      if (button?.matches("[data-close]") || target.matches("dialog")) target.closest("dialog").close();
    });
    document.addEventListener("submit", (event) => {
      if (event.target.matches("[data-start], [data-leave]")) { event.preventDefault(); this.#post(event.target); }
    });
  }

  /** Ask for a lab without leaving the page; the same form works without this. */
  async #post(form) {
    const button = form.querySelector("button"), error = form.parentElement.parentElement.querySelector("[data-start-error]");
    if (this.posting) return;
    this.posting = true;
    disable(button, true);
    if (error) error.hidden = true;
    const slow = error && setTimeout(() => { error.textContent = t("The lab takes long to answer. It is still being asked."); error.hidden = false; }, SLOW);
    try {
      freshToken();
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" }, signal: AbortSignal.timeout(30000) });
      const said = await answer.json();
      if (!answer.ok) throw Object.assign(new Error(), { said });
      freshToken();
      if (error) error.hidden = true;
      form.closest("dialog")?.close();
      this.on.started(said);
    } catch ({ said }) {
      if (!error) return form.submit();
      error.textContent = said?.message ? row(said.message, said.what_to_do) : row(t("The lab did not answer."), t("Check your connection and try again."));
      error.hidden = false;
    } finally {
      clearTimeout(slow);
      this.posting = false;
      disable(button, false);
    }
  }
}

/** A first start makes a guest, and Django then changes the CSRF token: take the one that counts now. */
function freshToken() {
  const token = csrfToken();
  if (token) for (const field of document.getElementsByName("csrfmiddlewaretoken")) field.value = token;
}
