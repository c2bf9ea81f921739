// The page's words in the page's language: what the code says is English and the key. Must not know what is said.
//
// t("Run")   t("{program} runs on {host}.", { program, host })   n("{n} change", "{n} changes", count)
// Only whole sentences, written out where they are called: `./lab words` finds them by reading the code.
const chinese = () => document.documentElement.lang.startsWith("zh");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values?.[name] ?? all);

export const t = (text, values) => fill(window.gettext?.(text) ?? text, values);

/** `{n}` is the count. */
export const n = (one, many, count, values) => fill(window.ngettext?.(one, many, count) ?? (count === 1 ? one : many), { n: count, ...values });

/** Sentences in a row: a Chinese full stop brings its own space. Empty ones are left out. */
export const row = (...sentences) => sentences.filter(Boolean).join(chinese() ? "" : " ");

/** Names beside one another: "lab, client". */
export const listed = (names) => names.join(chinese() ? "、" : ", ");

/** As t(), where a value is a node: a list for append(), text and nodes in the order of the sentence. */
export function parts(text, values) {
  return t(text).split(/\{(\w+)\}/g).map((part, i) => (i % 2 ? values[part] ?? `{${part}}` : part)).filter((part) => part !== "");
}
