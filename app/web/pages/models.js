/** The registry: every model, what it serves, and its movable names. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { time } from "../format.js";
import { repeat } from "../live.js";
import { empty } from "../parts/notice.js";
import { pager } from "../parts/pager.js";
import { problemView } from "../parts/problem.js";
import { table } from "../parts/table.js";

export const title = "Models";

const at = (model) => `/ui/models/${encodeURIComponent(model.name)}`;
const COLUMNS = [
  { title: "Model", heading: true, class: "grow", cell: (model) => h("a", { class: "strong", href: at(model) }, model.name) },
  { title: "Serves", class: "number nowrap", cell: (model) => `version ${model.serving_version}` },
  { title: "Newest", class: "number nowrap wide", cell: (model) => `version ${model.latest_version}` },
  { title: "Aliases", cell: (model) => model.aliases.map((alias) => h("span", { class: "alias" }, `${alias.alias} → ${alias.version}`)) },
  { title: "Updated", class: "nowrap wide", cell: (model) => time(model.updated_at) },
  { title: "Try", unseen: true, cell: (model) => h("a", { class: "button", href: `/ui/try?model=${encodeURIComponent(model.name)}`, "aria-label": `Try ${model.name}` }, "Try it") },
];

export function show(main) {
  let cursor;
  const said = h("div", { "aria-live": "polite" });
  const list = table({ caption: "Models", columns: COLUMNS, key: (model) => model.name, class: "jobs" });
  const pages = pager((wanted) => { cursor = wanted; live.now(); });
  fill(main, h("header", { class: "page-head" }, h("h1", {}, "Models")), said, list.element, pages.element);
  const live = repeat(async () => {
    const page = await get("/models", { limit: 30, cursor });
    list.show(page.data);
    list.element.hidden = page.data.length === 0;
    pages.show(page);
    fill(said, page.data.length === 0 && empty("No model yet.", h("p", {}, "A job that succeeds makes a version of one."), h("a", { class: "button primary", href: "/ui/new" }, "Train a first model")));
    main.dataset.ready = "yes";
  }, 15, (error) => error && fill(said, problemView(error)));
}
