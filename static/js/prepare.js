// A step whose beginning is not built yet, or could not be, and a lab that belongs elsewhere: what is said of it, and what holds Run.
// Must not know how the server is asked, nor what the commands are.
import { t } from "./translate.js";
import { counter, el, setGlyph, setText } from "./words.js";

const BLINK = 300; // ms under which a wait is not shown

export class Prepare {
  /** `on`: adopt() the lab is used as it is; now() → {standing, claimed, step} */
  constructor(root, on) {
    Object.assign(this, { root, on });
    for (const button of root.querySelectorAll("[data-adopt]")) button.onclick = () => this.on.adopt();
    setInterval(() => { if (this.on.now().standing.busy) this.draw(); }, 250);
  }

  /** What stands in the terminal's place: "replay" | "broken" | "elsewhere" | "" */
  get stage() {
    const { standing, claimed } = this.on.now(), { preparing, belongs } = standing.state;
    if (!claimed) return "";
    if (belongs) return "elsewhere";
    if (preparing?.failed) return "broken";
    return preparing && preparing.of > 1 ? "replay" : "";
  }

  /** Is the terminal out of sight? */
  get covers() { return ["replay", "elsewhere"].includes(this.stage); }

  /** Why nothing can be run now, as Runs.hinder takes it, or null. */
  get hinders() {
    const { standing } = this.on.now(), stage = this.stage;
    if (stage === "elsewhere") return [t("This lab was started for another lesson. Choose beside the text what to do with it."), t("another lesson’s lab")];
    if (stage === "broken") return [t("What this step begins with is not there. Choose beside the text what to do."), t("step not prepared")];
    return standing.busy && Date.now() - this.#since(standing) > BLINK ? ["wait", t("waits for the step")] : standing.busy ? ["wait"] : null;
  }

  #since(standing) { return Date.now() - standing.seconds * 1000; }

  draw() {
    const { standing, step } = this.on.now(), { preparing, belongs } = standing.state, stage = this.stage;
    this.root.dataset.stage = stage;
    const wait = this.root.querySelector("[data-wait]");
    wait.hidden = !standing.busy || stage === "elsewhere" || standing.seconds * 1000 < BLINK;
    const took = counter(standing.seconds * 1000), replay = preparing && preparing.of > 1;
    if (!wait.hidden) setText(wait.querySelector("span"), replay ? t("Building the state of step {step}: step {at} of {of}, “{title}”, {took}", { step, at: preparing.at, of: preparing.of, title: preparing.title, took }) : t("Preparing step {step}, {took}", { step, took }));
    if (stage === "replay") {
      this.#set("building", t("Building the state of step {step}", { step }));
      this.#set("building-at", t("Step {at} of {of}, “{title}”, {took}", { at: preparing.at, of: preparing.of, title: preparing.title, took }));
      const ruler = this.root.querySelector("[data-building-ruler]");
      if (ruler.childElementCount !== preparing.of) ruler.replaceChildren(...Array.from({ length: preparing.of }, () => el("i")));
      [...ruler.children].forEach((tick, at) => { tick.className = at + 1 < preparing.at ? "done" : at + 1 === preparing.at ? "now" : ""; });
    }
    if (stage === "broken") {
      this.#set("broken", preparing.of ? t("Step {step} could not be prepared.", { step }) : t("Step {step} begins with what the steps before it make.", { step }));
      this.#set("broken-why", preparing.failed);
      this.root.querySelector("[data-broken-fault]").hidden = !preparing.of; // else nothing was tried: a step was passed over
      const sign = this.root.querySelector("[data-broken-sign]");
      sign.classList.toggle("bad", preparing.of > 0);
      setGlyph(sign.firstElementChild, preparing.of ? "badg" : "waitg");
    }
    if (stage === "elsewhere") {
      const link = this.root.querySelector("[data-elsewhere-link]");
      this.#set("elsewhere", belongs.lesson ? t("Your lab was started for “{lesson}”.", { lesson: belongs.lesson }) : t("Your lab is not the one that this lesson needs."));
      this.#set("elsewhere-why", belongs.usable
        ? t("What was made in it there may be in the way here. A fresh lab is empty but for what this step begins with; the containers, networks and files in the old one are gone then.")
        : t("It has other hosts than this lesson needs. When you start a fresh lab, the containers, networks and files in the old one are gone."));
      this.root.querySelector("[data-when='elsewhere'] [data-adopt]").hidden = !belongs.usable;
      link.hidden = !belongs.url;
      link.href = belongs.url || "/";
    }
  }

  #set(name, words) { setText(this.root.querySelector(`[data-${name}]`), words); }
}
