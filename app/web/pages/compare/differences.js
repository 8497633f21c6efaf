/** The table of what differs between jobs: scores, cost, data, hyperparameters. */

import { fill, freshId, h } from "../../dom.js";
import { count, duration, inline, score } from "../../format.js";

export function differences() {
  const id = freshId();
  const room = h("div");
  let runs = [];
  const onlyDiffering = h("input", { id, type: "checkbox", checked: true, onchange: () => draw() });
  const draw = () => fill(room, tableOf(runs, onlyDiffering.checked));
  return {
    element: h("section", { class: "card" }, h("h2", {}, "Differences"), h("p", {}, h("label", { for: id }, onlyDiffering, " Only what differs")), room),
    show(wanted) {
      runs = wanted;
      draw();
    },
  };
}

const SCORES = [
  ["Best", (job) => job.metrics.best && `${score(job.metrics.best.value)} ${job.metrics.best.name}`],
  ["Validation accuracy", (job) => job.metrics.validation?.accuracy, "most"],
  ["Validation F1, macro", (job) => job.metrics.validation?.f1_macro, "most"],
  ["Validation loss", (job) => job.metrics.validation?.loss, "least"],
  ["Test accuracy", (job) => job.metrics.test?.accuracy, "most"],
  ["Test F1, macro", (job) => job.metrics.test?.f1_macro, "most"],
];
const RUN = [
  ["Status", (job) => job.status],
  ["Training ended by", (job) => job.stop_reason],
  ["Trained for", (job) => (job.usage.trained_seconds === null ? null : duration(job.usage.trained_seconds))],
  ["Steps", (job) => count(job.progress.step)],
  ["Device", (job) => job.worker?.device],
  ["Advice", (job) => job.diagnoses.map((found) => found.code).join(", ") || null],
];
const SETUP = [
  ["Dataset", (job) => job.dataset.id],
  ["Rows to train on", (job) => count(job.dataset.counts.train)],
  ["Base model", (job) => job.base_model.id],
  ["Family", (job) => inline(job.family_options)],
  ["Profile", (job) => job.profile],
  ["Parameters", (job) => job.inspection && count(job.inspection.parameters)],
];

function tableOf(runs, onlyDiffering) {
  const jobs = runs.map((run) => run.job);
  const groups = [["Scores", SCORES, false], ["Run", RUN, true], ["Data and model", SETUP, true], ["Hyperparameters", hyperparameters(jobs), true]];
  return h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": "Table of differences" }, h("table", { class: "dense compared" }, h("caption", { class: "unseen" }, "Differences between the jobs"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Field"), runs.map((run) => h("th", { scope: "col" }, h("span", { class: "swatch", style: { background: `var(--s${run.colour})` } }), " ", run.label)))),
    groups.map(([title, fields, mayHide]) => group(title, fields, jobs, mayHide && onlyDiffering))));
}

function group(title, fields, jobs, onlyDiffering) {
  const rows = fields.map(([name, read, best]) => ({ name, best, values: jobs.map((job) => read(job) ?? null) }))
    .filter(({ values }) => values.some((value) => value !== null) && !(onlyDiffering && values.every((value) => JSON.stringify(value) === JSON.stringify(values[0]))));
  if (!rows.length) return null;
  return h("tbody", {}, h("tr", {}, h("th", { class: "group-head", scope: "rowgroup", colspan: jobs.length + 1 }, title)), rows.map(row));
}

function row({ name, best, values }) {
  const numbers = values.filter((value) => typeof value === "number");
  const winner = best && numbers.length > 1 ? (best === "most" ? Math.max : Math.min)(...numbers) : null;
  return h("tr", {}, h("th", { scope: "row" }, name), values.map((value) => h("td", { class: value !== null && value === winner ? "winner" : null }, best && value !== null ? score(value) : inline(value), value !== null && value === winner && h("span", { class: "unseen" }, " (best)"))));
}

function hyperparameters(jobs) {
  const names = [...new Set(jobs.flatMap((job) => Object.keys(job.hyperparameters)))];
  return names.map((name) => [name, (job) => job.hyperparameters[name]]);
}
