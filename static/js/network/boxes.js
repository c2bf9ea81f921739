// Boxes on the picture: which overlap, which is the nearest, in which order their groups stand. Must not know what they hold.
import { boxOf } from "./draw.js";

/** Children in this order, and as few moved as possible: a node that is moved loses its focus and its motion. What is gone stays where it is. */
export function inOrder(layer, groups) {
  let at = layer.firstChild;
  for (const group of groups) {
    while (at && at !== group && !groups.includes(at)) at = at.nextSibling;
    if (at === group) { at = at.nextSibling; continue; }
    layer.insertBefore(group, at);
  }
}

export const overlaps = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
export function around(boxes) {
  if (!boxes.length) return null;
  const x = Math.min(...boxes.map((box) => box.x)), y = Math.min(...boxes.map((box) => box.y));
  return { x, y, w: Math.max(...boxes.map((box) => box.x + box.w)) - x, h: Math.max(...boxes.map((box) => box.y + box.h)) - y };
}

/** The nearest thing in that direction: what lies straight ahead is nearer than what lies aside. */
export function nearest(nodes, from, key) {
  const here = nodes.get(from) && boxOf(nodes.get(from).item);
  if (!here) return null;
  const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2], [cx, cy] = middle(here), level = key === "ArrowLeft" || key === "ArrowRight", ahead = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best = null, least = Infinity;
  for (const [other, { item }] of nodes) {
    if (other === from || item.deaf || item.silent) continue;
    const box = boxOf(item), [x, y] = middle(box), along = (level ? x - cx : y - cy) * ahead;
    const beside = level ? Math.max(0, Math.abs(y - cy) - 4) : Math.max(0, box.x - cx, cx - box.x - box.w) || (item.shape === "wire" ? 0 : Math.abs(x - cx) / 8);
    if (along <= 4) continue;
    const cost = along + beside * 2.5;
    if (cost < least) { least = cost; best = other; }
  }
  return best;
}
