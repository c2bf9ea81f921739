// The quizzes in the text: one answer each, then what is right and why. Must not know how the server is asked, nor of checks.
import { put } from "./html.js";
import { t } from "./translate.js";
import { disable, el, glyph, setText } from "./words.js";

export class Quizzes {
  /** `on`: answer(quiz, option) → a promise, chosen() somebody has chosen, not yet answered */
  constructor(root, on) {
    Object.assign(this, { root, on });
    root.addEventListener("change", ({ target }) => { if (target.closest("[data-quiz]")) { this.#ready(target.closest("[data-quiz]")); this.on.chosen(); } });
    root.addEventListener("submit", (event) => this.#submit(event));
  }

  get all() { return [...this.root.querySelectorAll(".read [data-quiz]")]; }

  /** A button to press next: a choice is made and not yet answered. */
  get next() { return this.all.filter((quiz) => !quiz.dataset.answered && chosen(quiz)).map(button).find((one) => !one.hasAttribute("aria-disabled")) ?? null; }

  draw(quizzes) {
    for (const quiz of this.all) {
      const said = quizzes[quiz.dataset.quiz];
      if (said && !quiz.dataset.answered) this.#show(quiz, said);
    }
  }

  #ready(quiz) {
    const one = button(quiz);
    disable(one, !chosen(quiz));
    says(quiz, chosen(quiz) ? "" : t("Choose one; what is right is said then."));
  }

  async #submit(event) {
    const quiz = event.target.closest("[data-quiz]"), one = quiz && button(quiz);
    if (!quiz) return;
    event.preventDefault();
    if (one.hasAttribute("aria-disabled") || quiz.dataset.answered) return;
    disable(one, true);
    const trouble = await this.on.answer(Number(quiz.dataset.quiz), Number(chosen(quiz).value));
    if (quiz.dataset.answered) quiz.querySelector("[data-told]").focus({ preventScroll: true });
    else { this.#ready(quiz); says(quiz, trouble); }
  }

  #show(quiz, { chosen: own, right, correct, html }) {
    quiz.dataset.answered = right ? "right" : "wrong";
    for (const input of quiz.querySelectorAll("input")) {
      const number = Number(input.value), option = input.closest(".opt"), mark = option.querySelector("[data-mark]");
      input.checked = number === own;
      input.disabled = true;
      option.classList.toggle("own", number === own);
      option.classList.toggle("correct", number === correct);
      option.classList.toggle("not", number === own && !right);
      if (number === correct) mark.replaceChildren(glyph("okg"), el("span", "", right ? t("your answer, right") : t("right")));
      else if (number === own) mark.replaceChildren(glyph("badg"), el("span", "", t("your answer")));
    }
    const told = quiz.querySelector("[data-told]"), why = el("div");
    put(why, html);
    told.replaceChildren(el("p", `verdict ${right ? "ok" : "bad"}`, right ? t("Right.") : t("Not so.")), why);
    told.hidden = false;
    quiz.querySelector(".act").hidden = true;
  }
}

const button = (quiz) => quiz.querySelector("[data-answer]");
const chosen = (quiz) => quiz.querySelector("input:checked");
const says = (quiz, words) => setText(quiz.querySelector("[data-quiz-says]"), words);
