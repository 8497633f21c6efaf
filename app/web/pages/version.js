/** One version: how good it is and how sure that is, its formats, its files, where it came from. */

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { downloadLink } from "../download.js";
import { bytes, count, counted, inline, number, percent, score, time } from "../format.js";
import { toast } from "../parts/notice.js";
import { promote } from "../parts/promotion.js";
import { table } from "../parts/table.js";

export const title = "Version";

export async function show(main, { params }) {
  const version = await get(path`/models/${params.name}/versions/${params.number}`);
  const name = `${version.model}:${version.version}`;
  document.title = `${name} · Tunesmith`;
  const reload = (alias) => { toast(`${version.model}@${alias.alias} is version ${alias.version}.`); show(main, { params }); };
  fill(main,
    h("header", { class: "page-head" },
      h("div", {}, h("h1", {}, name), h("p", {}, version.aliases.map((alias) => h("a", { class: "alias", href: `/ui/models/${encodeURIComponent(version.model)}#alias-${alias}`, title: "Its policy and its traffic" }, alias)), h("span", { class: "soft" }, "made ", time(version.created_at), " by ", h("a", { href: `/ui/jobs/${version.job_id}` }, "its job")))),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "primary", onclick: () => promote(version.model, version.version, reload) }, "Promote"),
        h("a", { class: "button", href: `/ui/try?model=${encodeURIComponent(name)}` }, "Try it"),
        downloadButton(version),
        cardButton(version),
        h("a", { class: "button", href: `/ui/models/${encodeURIComponent(version.model)}` }, "All versions"))),
    h("section", { class: "card model-part" }, h("h2", {}, "How good it is"), scores(version)),
    version.test && h("section", { class: "card model-part" }, h("h2", {}, "Labels, on the test rows"), labels(version.test)),
    version.slices.length > 0 && h("section", { class: "card model-part" }, h("h2", {}, "Slices"), slices(version.slices)),
    h("section", { class: "card model-part" }, h("h2", {}, "Formats"), formats(version)),
    h("section", { class: "card" }, h("h2", {}, "What it is made of"), facts(version)));
  main.dataset.ready = "yes";
}

function scores(version) {
  const list = table({
    caption: "Scores", class: "dense", key: (row) => row.name,
    columns: [
      { title: "On", heading: true, cell: (row) => row.name },
      { title: "Rows", class: "number", cell: (row) => count(row.rows) },
      { title: "Accuracy", class: "number", cell: (row) => [score(row.accuracy), row.sure && h("div", { class: "soft small nowrap" }, `${score(row.sure.accuracy.low)} to ${score(row.sure.accuracy.high)}`)] },
      { title: "Macro F1", class: "number", cell: (row) => [score(row.f1), row.sure && h("div", { class: "soft small nowrap" }, `${score(row.sure.f1_macro.low)} to ${score(row.sure.f1_macro.high)}`)] },
      { title: "Loss", class: "number wide", cell: (row) => number(row.loss) },
      { title: "", unseen: true, class: "wide", cell: (row) => row.note || "" },
    ],
  });
  const own = ["test", "validation"].filter((split) => version[split]).map((split) => ({
    name: split, rows: version[split].examples, accuracy: version[split].accuracy, f1: version[split].f1_macro, loss: version[split].loss,
    sure: version.intervals?.split === split ? version.intervals : null,
  }));
  const simple = version.baselines.map((baseline) => ({
    name: { majority: "commonest label", "tfidf-logistic-regression": "counted words" }[baseline.name] || baseline.name,
    accuracy: baseline.accuracy, f1: baseline.f1_macro, loss: null, rows: baseline.comparison?.rows,
    note: baseline.note || (baseline.comparison && against(baseline.comparison)),
  }));
  list.show([...own, ...simple]);
  return [list.element, version.intervals && h("p", { class: "soft small after" }, "Below a score: where it lies with 95 % certainty.")];
}

function against({ f1_macro_verdict: verdict, f1_macro_difference: difference }) {
  if (verdict === "inside-noise") return `the difference of ${number(difference, 2)} is inside the noise`;
  return `this version is ${verdict} by ${number(Math.abs(difference), 2)}`;
}

function labels(test) {
  const list = table({
    caption: "Scores of each label", class: "dense", key: (row) => row.label,
    columns: [
      { title: "Label", heading: true, cell: (row) => row.label },
      { title: "F1", class: "number", cell: (row) => score(row.f1) },
      { title: "Precision", class: "number", cell: (row) => score(row.precision) },
      { title: "Recall", class: "number", cell: (row) => score(row.recall) },
      { title: "Rows", class: "number", cell: (row) => count(row.support) },
    ],
  });
  list.show(test.per_class);
  return list.element;
}

function slices(found) {
  const sure = ({ low, high }) => h("div", { class: "soft small nowrap" }, `${score(low)} to ${score(high)}`);
  const list = table({
    caption: "Scores of each slice", class: "dense", key: (row) => row.slice,
    columns: [
      { title: "Slice", heading: true, cell: (row) => [row.slice, row.detail && h("div", { class: "soft small" }, row.detail)] },
      { title: "Rows", class: "number", cell: (row) => count(row.rows) },
      { title: "Accuracy", class: "number", cell: (row) => [score(row.accuracy), sure(row.accuracy_interval)] },
      { title: "Macro F1", class: "number", cell: (row) => [score(row.f1_macro), sure(row.f1_macro_interval)] },
    ],
  });
  list.show(found);
  return [list.element, h("p", { class: "soft small after" }, `Of the ${found[0].split} rows. Macro F1 counts the labels that a slice has; with few rows, a score says little.`)];
}

function formats(version) {
  const list = table({
    caption: "Exported formats", class: "dense", key: (row) => row.format,
    columns: [
      { title: "Format", heading: true, cell: (row) => [row.format, row.format === version.serve && h("div", { class: "soft small" }, "answers predictions")] },
      { title: "Verified", cell: (row) => (row.passed ? h("span", { class: "up" }, "ok") : [h("span", { class: "down-by" }, "refused"), h("div", { class: "soft small" }, row.reason)]) },
      { title: "Same label", class: "number", cell: (row) => percent(row.label_agreement, 1) },
      { title: "Lost", class: "number wide", cell: (row) => number(row.metric_drop) },
      { title: "Size", class: "number", cell: (row) => bytes(row.bytes) },
      { title: "One text", class: "number", cell: (row) => (row.latency ? `${number(row.latency.batch_1_ms, 3)} ms` : "–") },
    ],
  });
  list.show(version.exports);
  return [list.element, h("p", { class: "soft small after" }, `Compared with the trained model on ${counted(version.exports[0]?.rows ?? 0, "validation row")}. Times are of one thread of the worker that made it.`)];
}

function facts(version) {
  const { lineage } = version;
  const told = [
    ["Base model", [version.base_model.id, version.base_model.revision].filter(Boolean).join(" ")],
    ["Data", h("a", { href: `/ui/datasets/${version.dataset.id}` }, version.dataset.id)],
    ["Labels", version.labels.join(", ")],
    ["Temperature", number(version.decision.temperature)],
    ["Made from", lineage.parents.map((parent) => `${parent.model}:${parent.version}`).join(", ") || "–"],
    ["Release", lineage.code_version],
    ["Size", bytes(version.bytes)],
  ];
  const list = (pairs) => h("dl", { class: "told" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? "–"))));
  return [list(told),
    h("details", { class: "more" }, h("summary", {}, "Hyperparameters"), list(Object.entries(version.hyperparameters).map(([name, value]) => [name, inline(value)]))),
    h("details", { class: "more" }, h("summary", {}, "Files"), list(Object.entries(version.files).map(([name, size]) => [name, bytes(size)])))];
}

function cardButton(version) {
  const link = downloadLink(path`/models/${version.model}/versions/${version.version}/card`, `${version.model}-v${version.version}.md`, "Model card");
  link.className = "button";
  return link;
}

function downloadButton(version) {
  const link = downloadLink(path`/models/${version.model}/versions/${version.version}/archive`, `${version.model}-v${version.version}.zip`, "Download");
  link.className = "button";
  return link;
}
