// One solid button in the text's pane: the next thing to do. Must not know what a button does.
/** `candidates`: the first that is a button gets it; a candidate `true` keeps it from those behind, with none solid. */
export function solid(root, candidates) {
  const first = candidates.find(Boolean), next = first instanceof Element ? first : null;
  for (const button of root.querySelectorAll(".left .b.solid")) if (button !== next) button.classList.remove("solid");
  next?.classList.add("solid");
}
