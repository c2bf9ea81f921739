// Light or dark: the system's choice until the reader makes their own. Must not know what the page shows.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };

function use(theme) {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  dispatchEvent(new Event("themechange"));
}

use(kept());
dark.addEventListener("change", () => dispatchEvent(new Event("themechange")));
addEventListener("storage", (event) => { if (event.key === "theme") use(event.newValue); });
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const system = dark.matches ? "dark" : "light";
  const wanted = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
  const own = wanted === system ? null : wanted; // back at the system's choice: follow it again
  try { own ? localStorage.setItem("theme", own) : localStorage.removeItem("theme"); } catch { /* private window: for this page only */ }
  use(own);
});
