// The one place where HTML becomes nodes: sentences of our own server, which come sanitised. Must not be given anything that a student or a program said.
const shown = new WeakMap(); // node → the HTML it holds

/** Let `node` hold this HTML. It is left alone when it does already: what somebody selects in it stays selected. */
export function put(node, html = "") {
  if (shown.get(node) === html) return;
  shown.set(node, html);
  node.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}
