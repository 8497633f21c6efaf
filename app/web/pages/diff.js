/** Two versions of a model side by side, down to the answers that changed. */

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { bytes, count, counted, inline, number, score } from "../format.js";
import { notice } from "../parts/notice.js";
import { table } from "../parts/table.js";

export const title = "Two versions";

export async function show(main, { params, query }) {
  const found = await get(path`/models/${params.name}/diff`, { from: query.get("from"), to: query.get("to"), examples: 50 });
  const [before, after] = [`version ${found.from_version}`, `version ${found.to_version}`];
  document.title = `${found.model}: ${before} and ${after} · Tunesmith`;
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, `${found.model}: ${before} and ${after}`),
      h("div", { class: "actions" },
        h("a", { class: "button", href: `/ui/try?${new URLSearchParams([["model", `${found.model}:${found.from_version}`], ["with", `${found.model}:${found.to_version}`]])}` }, "Try both"),
        h("a", { class: "button", href: `/ui/models/${encodeURIComponent(found.model)}` }, "All versions"))),
    verdict(found),
    h("div", { class: "two" },
      part("Scores", changes([...found.metrics.map((metric) => ({ ...metric, written: score }))], before, after)),
      part("F1 of each label", changes(found.per_class.map((each) => ({ name: each.label, before: each.f1_before, after: each.f1_after, difference: each.difference, written: score })), before, after))),
    found.slices.length > 0 && part("F1 of each slice", changes(found.slices.map((each) => ({ name: each.slice, before: each.f1_before, after: each.f1_after, difference: each.difference, written: score })), before, after)),
    part("Settings", settings(found, before, after)),
    found.predictions && part("Answers that changed", answers(found.predictions, before, after)));
  main.dataset.ready = "yes";
}

function part(name, ...children) {
  return h("section", { class: "card model-part" }, h("h2", {}, name), children);
}

function verdict({ comparison, not_compared: reason, predictions, data }) {
  const rows = data.same ? "They were trained on the same data." : "They were trained on different data.";
  if (!comparison) return notice("info", h("p", {}, rows), h("p", {}, `Not compared row by row: ${reason}.`));
  const kind = { better: "good", worse: "critical" }[comparison.f1_macro_verdict] || "info";
  const { low, high } = comparison.f1_macro_interval;
  return notice(kind,
    h("p", { class: "lead" }, { better: "The later one is better.", worse: "The later one is worse." }[comparison.f1_macro_verdict] || "The difference is inside the noise."),
    h("p", {}, `Macro F1 differs by ${signed(comparison.f1_macro_difference)} (95 %: ${signed(low)} to ${signed(high)}); McNemar p = ${number(comparison.p_value, 2)}. `,
      predictions && `Of ${counted(predictions.rows, "row")} that both were judged on, ${count(predictions.fixed)} were fixed and ${count(predictions.broken)} broken. `, rows));
}

function changes(rows, before, after) {
  const smaller = (row) => /loss$/.test(row.name);
  const list = table({
    caption: "Changes", class: "dense", key: (row) => row.name,
    columns: [
      { title: "Name", unseen: true, heading: true, cell: (row) => row.name },
      { title: before, class: "number", cell: (row) => row.written(row.before) },
      { title: after, class: "number", cell: (row) => row.written(row.after) },
      { title: "Change", class: "number", cell: (row) => h("span", { class: row.difference ? (row.difference > 0) !== smaller(row) ? "up" : "down-by" : "soft" }, signed(row.difference)) },
    ],
  });
  list.show(rows);
  return list.element;
}

function settings(found, before, after) {
  const rows = [...found.hyperparameters];
  const base = (ref) => [ref.id, ref.revision].filter(Boolean).join(" ");
  if (base(found.base_model_before) !== base(found.base_model_after)) rows.unshift({ name: "base model", before: base(found.base_model_before), after: base(found.base_model_after) });
  rows.push({ name: "answers by", before: found.serve_before, after: found.serve_after }, { name: "size", before: bytes(found.bytes_before), after: bytes(found.bytes_after) });
  const list = table({
    caption: "Settings that differ", class: "dense", key: (row) => row.name,
    columns: [
      { title: "Setting", heading: true, cell: (row) => row.name },
      { title: before, cell: (row) => inline(row.before) },
      { title: after, cell: (row) => inline(row.after) },
    ],
  });
  list.show(rows);
  return list.element;
}

function answers(predictions, before, after) {
  if (predictions.examples.length === 0) return h("p", { class: "soft" }, "They gave the same label to every row.");
  const list = table({
    caption: "Answers that changed", class: "dense", key: (row) => row.row,
    columns: [
      { title: "Text", heading: true, class: "text", cell: (row) => row.text || `row ${row.row}` },
      { title: "Right", cell: (row) => row.label },
      { title: before, cell: (row) => row.before },
      { title: after, cell: (row) => h("span", { class: { fixed: "up", broken: "down-by" }[row.kind] || "" }, row.after, row.kind !== "other" && ` (${row.kind})`) },
    ],
  });
  list.show(predictions.examples);
  return list.element;
}

function signed(value) {
  return value === null || value === undefined ? "–" : `${value > 0 ? "+" : ""}${value.toFixed(3)}`;
}
