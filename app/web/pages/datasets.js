/** The list of datasets. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { bytes, count, time } from "../format.js";
import { repeat } from "../live.js";
import { empty } from "../parts/notice.js";
import { pager } from "../parts/pager.js";
import { problemView } from "../parts/problem.js";
import { table } from "../parts/table.js";

export const title = "Datasets";

const COLUMNS = [
  { title: "Dataset", heading: true, class: "grow", cell: (dataset) => [h("a", { class: "strong", href: `/ui/datasets/${dataset.id}` }, dataset.name || "without a name"), h("div", { class: "soft small mono clip" }, dataset.id)] },
  { title: "Rows", class: "number", cell: (dataset) => count(dataset.rows) },
  { title: "Labels", cell: (dataset) => h("span", { class: "clip", title: dataset.labels.join(", ") }, dataset.labels.slice(0, 4).join(", "), dataset.labels.length > 4 && ` +${dataset.labels.length - 4}`) },
  { title: "To look at", class: "number", cell: (dataset) => count(dataset.profile.warnings.length) },
  { title: "Size", class: "number wide", cell: (dataset) => bytes(dataset.bytes) },
  { title: "Stored", class: "nowrap wide", cell: (dataset) => time(dataset.created_at) },
  { title: "Train", unseen: true, cell: (dataset) => h("a", { class: "button", href: `/ui/new?dataset=${dataset.id}`, "aria-label": `Train on ${dataset.name || dataset.id}` }, "Train") },
];

export function show(main) {
  let cursor;
  const said = h("div", { "aria-live": "polite" });
  const list = table({ caption: "Datasets, newest first", columns: COLUMNS, class: "jobs" });
  const pages = pager((wanted) => { cursor = wanted; live.now(); });
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, "Datasets"), h("a", { class: "button primary", href: "/ui/new" }, "Upload and train")),
    said, list.element, pages.element);
  const live = repeat(async () => {
    const page = await get("/datasets", { limit: 30, cursor });
    list.show(page.data);
    list.element.hidden = page.data.length === 0;
    pages.show(page);
    fill(said, page.data.length === 0 && empty("No dataset yet.", h("p", {}, "A dataset is a file of labelled texts; the form of a new job takes one."), h("a", { class: "button primary", href: "/ui/new" }, "Upload one")));
    main.dataset.ready = "yes";
  }, 15, (error) => error && fill(said, problemView(error)));
}
