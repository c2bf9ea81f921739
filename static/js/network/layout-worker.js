// The layout's own thread: typing never waits for it. Must not know the page.
import { layout } from "./layout.js";

onmessage = ({ data: { id, plan, memory, options } }) => {
  try { postMessage({ id, scene: layout(plan, memory, options) }); } catch (error) { postMessage({ id, failed: String(error?.stack ?? error) }); }
};
