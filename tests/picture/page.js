// The picture alone on a page, for its tests.
import "../../static/css/diagram.css";
import { Diagram } from "../../static/js/network/diagram.js";
import { layout } from "../../static/js/network/layout.js";
import { Network } from "../../static/js/network/model.js";
import { toPNG } from "../../static/js/network/export.js";
import { plan } from "../../static/js/network/plan.js";

const root = document.querySelector("[data-diagram]");
const network = new Network();
const said = { selected: [], lit: [] };
const diagram = new Diagram(root, network, { worker: root.dataset.worker || undefined, select: (id) => said.selected.push(id), light: (ids) => { said.lit.push(ids); diagram.light(ids); } });
let drawn = 0;
root.addEventListener("drawn", () => drawn++);
window.picture = { png: async () => toPNG(await diagram.pictureSVG()), network, diagram, said, layout, plan, drawn: () => drawn };
