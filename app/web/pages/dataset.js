/** One dataset: its problems, its labels, its rows, where it came from. */

import { get, path, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { inline, time } from "../format.js";
import { dataFacts, dataProblems, dataRows, labelCounts } from "../parts/data-view.js";
import { confirm } from "../parts/dialog.js";
import { toast } from "../parts/notice.js";

export const title = "Dataset";

export async function show(main, { params }) {
  const dataset = await get(path`/datasets/${params.id}`);
  document.title = `${dataset.name || "Dataset"} · Tunesmith`;
  fill(main,
    h("header", { class: "page-head" },
      h("div", {}, h("h1", {}, dataset.name || "Dataset"), h("p", { class: "soft small mono" }, dataset.id)),
      h("div", { class: "actions" },
        h("a", { class: "button primary", href: `/ui/new?dataset=${dataset.id}` }, "Train on it"),
        h("a", { class: "button", href: `/ui/jobs?dataset_id=${dataset.id}` }, "Its jobs"),
        h("button", { type: "button", class: "danger", onclick: () => drop(dataset) }, "Delete"))),
    h("p", {}, dataFacts(dataset), " · stored ", time(dataset.created_at)),
    dataProblems(dataset.profile),
    h("section", { class: "card model-part" }, h("h2", {}, "Labels"), labelCounts(dataset)),
    dataset.provenance && h("section", { class: "card model-part" }, h("h2", {}, "Where it came from"),
      h("dl", { class: "told" }, Object.entries(dataset.provenance).map(([name, value]) => h("div", {}, h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, inline(value)))))),
    h("section", { class: "card" }, h("h2", {}, "Rows"), dataRows(dataset, 20)));
  main.dataset.ready = "yes";
}

async function drop(dataset) {
  const sure = await confirm({ title: "Delete this dataset?", text: "Its rows are gone then. One that a job refers to stays.", action: "Delete it", danger: true });
  if (!sure) return;
  try {
    await remove(path`/datasets/${dataset.id}`);
    location.assign("/ui/datasets");
  } catch (problem) {
    toast(`${problem.message} ${problem.remedy}`, "critical");
  }
}
