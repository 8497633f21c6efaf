/** What a dataset holds: its problems, its labels by split, and its rows. */

import { get, path } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { bytes, count, counted, percent } from "../format.js";
import { notice } from "./notice.js";
import { pager } from "./pager.js";
import { problemView } from "./problem.js";
import { table } from "./table.js";

const SPLITS = ["train", "validation", "test"];

/** One line: "476 rows: 380 train, 48 validation, 48 test · 3 labels · 55 kB". */
export function dataFacts(dataset) {
  const splits = SPLITS.filter((split) => dataset.counts[split]).map((split) => `${count(dataset.counts[split])} ${split}`);
  return `${counted(dataset.rows, "row")}: ${splits.join(", ")} · ${counted(dataset.labels.length, "label")} · ${bytes(dataset.bytes)}`;
}

/** What a careful person would look at before training on it. */
export function dataProblems(profile) {
  if (profile.warnings.length === 0) return notice("good", h("p", {}, "Nothing odd was found in the data."));
  return notice("warning",
    h("p", { class: "lead" }, counted(profile.warnings.length, "thing"), " to look at"),
    h("ul", {}, profile.warnings.map((warning) => h("li", {}, warning.detail, warning.remedy && ` ${warning.remedy}`))));
}

/** How many rows each label has, as bars with numbers, and what follows from that. */
export function labelCounts(dataset) {
  const { splits, text_lengths: lengths, majority_baseline: baseline, duplicates } = dataset.profile;
  const total = (label) => SPLITS.reduce((sum, split) => sum + (splits[split]?.by_label?.[label] || 0), 0);
  const most = Math.max(1, ...dataset.labels.map(total));
  const list = table({
    caption: "Rows of each label", class: "dense", key: (row) => row.label,
    columns: [
      { title: "Label", heading: true, cell: (row) => h("span", { class: "clip", title: row.label }, row.label) },
      { title: "Share", unseen: true, class: "grow", cell: (row) => h("div", { class: "amount", "aria-hidden": "true", style: { width: `${(100 * row.total) / most}%` } }) },
      { title: "Rows", class: "number", cell: (row) => count(row.total) },
      ...SPLITS.map((split) => ({ title: split, class: "number wide", cell: (row) => count(splits[split]?.by_label?.[row.label] || 0) })),
    ],
  });
  list.show(dataset.labels.map((label) => ({ label, total: total(label) })).sort((a, b) => b.total - a.total));
  return [list.element, h("p", { class: "soft small after" },
    `Half of the texts have at most ${count(lengths.p50)} characters, 99 % at most ${count(lengths.p99)}. `,
    `Always answering the commonest label would be right for ${percent(baseline)} of the validation rows. `,
    duplicates > 0 && `${counted(duplicates, "text")} occur more than once.`)];
}

/** The rows, with filters by split and label; `limit` at a time. */
export function dataRows(dataset, limit = 10) {
  const filters = { split: "", label: "" };
  let cursor, asked = 0;
  const said = h("div");
  const list = table({
    caption: "Rows", class: "dense", key: (row) => row.place,
    columns: [
      { title: "Text", heading: true, class: "text", cell: (row) => row.text },
      { title: "Label", cell: (row) => (row.labels ? row.labels.join(", ") || "none" : row.label) },
      { title: "Split", class: "wide", cell: (row) => row.split },
    ],
  });
  const pages = pager((wanted) => { cursor = wanted; load(); });
  const load = async () => {
    const mine = (asked += 1);
    try {
      const page = await get(path`/datasets/${dataset.id}/rows`, { ...filters, limit, cursor });
      if (mine !== asked) return;
      list.show(page.data.map((row, place) => ({ ...row, place: `${cursor || ""}-${place}` })));
      pages.show(page);
      fill(said, page.data.length === 0 && h("p", { class: "soft" }, "No row is like that."));
    } catch (error) {
      pages.failed();
      fill(said, problemView(error));
    }
  };
  const choose = (name, title, values) => {
    const id = freshId();
    const changed = (event) => { filters[name] = event.target.value; cursor = undefined; pages.reset(); load(); };
    return [h("label", { class: "unseen", for: id }, title), h("select", { id, onchange: changed }, h("option", { value: "" }, `Any ${name}`), values.map((value) => h("option", { value }, value)))];
  };
  load();
  return h("div", {},
    h("div", { class: "filters" }, choose("split", "Split", SPLITS.filter((split) => dataset.counts[split])), choose("label", "Label", dataset.labels)),
    list.element, said, pages.element);
}
