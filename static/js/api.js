// One request to the site: its answer, or sentences why there is none. Must not know what is asked, nor what for.
import { row, t } from "./translate.js";

const SILENCE = 60000; // ms; what a request may take by itself is the server's to limit

/** Why there was no answer, as `message` and `what` to do about it. `code` is "" when nobody was reached. */
export class Refused extends Error {
  constructor(code, message, what) { super(message); Object.assign(this, { code, what }); }
  get sentences() { return row(this.message, this.what); }
}

export const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

/** GET without a body, POST with one. */
export async function ask(address, body) {
  const headers = { Accept: "application/json" };
  if (body) Object.assign(headers, { "Content-Type": "application/json", "X-CSRFToken": csrfToken() });
  let answer, said;
  try {
    answer = await fetch(address, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(SILENCE) });
    said = await answer.json();
  } catch {
    throw new Refused("", answer ? t("The lab answered with something that this page does not understand.") : t("The lab did not answer."), answer ? t("Reload the page.") : t("Check your connection and try again."));
  }
  if (!answer.ok) throw new Refused(said.code ?? "refused", said.message ?? t("The lab refused this."), said.what_to_do ?? t("Reload the page and try again."));
  return said;
}
