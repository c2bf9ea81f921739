// From step to step without leaving the page: the terminal stays as it is. Must not know what a step holds.
/** `after(title)` runs when another step is on the page, `held()` when a way is not open yet. Returns `again()`: the same step anew, where the reader is. */
export function steps(after, held) {
  const go = async (address, push, stay = false) => {
    let page;
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch { location.href = address; return; }
    const parts = [...document.querySelectorAll("[data-swap]")].map((old) => [old, page.querySelector(`[data-swap="${old.dataset.swap}"]`)]);
    if (parts.some(([, fresh]) => !fresh)) { location.href = address; return; }
    for (const [old, fresh] of parts) old.replaceWith(fresh);
    document.title = page.title;
    if (push) history.pushState({}, "", address);
    if (!stay) {
      document.querySelector(".scroll").scrollTop = 0;
      if (innerWidth <= 760) scrollTo(0, 0);
    }
    after(page.title);
    if (!stay) document.querySelector(".read h1")?.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-step]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    link.getAttribute("aria-disabled") === "true" ? held() : go(link.href, true);
  });
  // A lesson's bare address means the step one has come to: Back and reload must find the step that was shown there.
  const own = document.querySelector("#steps [aria-current]")?.getAttribute("href");
  if (own && own !== location.pathname) history.replaceState({}, "", own + location.hash);
  let here = location.pathname;
  addEventListener("popstate", () => { if (location.pathname !== here) go(location.href, false); });
  new MutationObserver(() => { here = location.pathname; }).observe(document.querySelector("title"), { childList: true });
  return () => go(location.href, false, true);
}
