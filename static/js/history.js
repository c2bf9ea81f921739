// The history reads, searches and downloads without this; it adds Copy. Must not know what the rows say.
import "../css/history.css";
import { t } from "./translate.js";
import { toClipboard } from "./words.js";

const said = document.querySelector("[data-said]");
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const word = button.firstChild;
  try {
    await toClipboard(button.closest(".cmd").querySelector("[data-text]").textContent);
    word.data = t("Copied");
  } catch {
    word.data = t("Not copied");
  }
  said.textContent = word.data;
  button.classList.add("done");
  setTimeout(() => { word.data = t("Copy"); said.textContent = ""; button.classList.remove("done"); }, 1500);
});
