/** How well a model does: the scores of each split and task, label by label, and what is taken for what. */

import { fill, freshId, h } from "../../dom.js";
import { count, percent, score } from "../../format.js";

const MOST_CELLS = 40;  // labels up to which the matrix is drawn

export function scores() {
  const element = h("div");
  let chosen = null;
  const draw = (evaluations) => {
    const current = evaluations.find(([name]) => name === chosen) ?? evaluations.at(-1);
    fill(element, evaluations.length > 1 && choice(evaluations, current[0], (name) => { chosen = name; draw(evaluations); element.querySelector("select").focus(); }), evaluation(current[1]));
  };
  return {
    element,
    show(job) {
      const state = JSON.stringify([job.metrics.validation, job.metrics.test]);
      if (element.dataset.state === state) return;
      element.dataset.state = state;
      const evaluations = judged(job.metrics);
      if (evaluations.length) draw(evaluations);
      else fill(element, h("p", { class: "soft" }, "Not judged yet: the first evaluation comes with the end of the first epoch, or as eval_strategy says."));
    },
  };
}

/** Every evaluation by a name: the splits, and those of further tasks. */
function judged(metrics) {
  return ["validation", "test"].filter((split) => metrics[split]).flatMap((split) => [[split, metrics[split]],
    ...Object.entries(metrics[split].tasks).map(([task, scores]) => [`${split}, ${task}`, scores])]);
}

function choice(evaluations, current, choose) {
  const id = freshId();
  return h("p", {}, h("label", { for: id }, "Judged on "), h("select", { id, value: current, onchange: (event) => choose(event.target.value) }, evaluations.map(([name]) => h("option", { value: name }, name))));
}

function evaluation(scores) {
  const labels = scores.per_class.map((each) => each.label);
  const matrix = scores.confusion_matrix;
  return h("div", { class: "scores" },
    h("div", {}, perClass(scores)),
    matrix.length > 0 && matrix.length <= MOST_CELLS && h("div", {}, confusion(labels, matrix)));
}

function perClass(scores) {
  const row = (title, values, kind) => h("tr", { class: kind }, h("th", { scope: "row" }, title), values.map((value) => h("td", { class: "number" }, value)));
  return h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": "Scores of each label" }, h("table", { class: "dense" },
    h("caption", {}, `${count(scores.examples)} rows, accuracy ${score(scores.accuracy)}, loss ${score(scores.loss)}`),
    h("thead", {}, h("tr", {}, ["Label", "Precision", "Recall", "F1", "Rows"].map((text, i) => h("th", { scope: "col", class: i ? "number" : null }, text)))),
    h("tbody", {}, scores.per_class.map((each) => row(each.label, [score(each.precision), score(each.recall), score(each.f1), count(each.support)]))),
    h("tfoot", {}, row("macro", [score(scores.precision_macro), score(scores.recall_macro), score(scores.f1_macro), count(scores.examples)]),
      row("weighted", [score(scores.precision_weighted), score(scores.recall_weighted), score(scores.f1_weighted), count(scores.examples)]))));
}

/** Rows are what is true, columns what was answered; the shade is the share of the true label. */
function confusion(labels, matrix) {
  const cell = (value, row, column) => {
    const total = matrix[row].reduce((sum, each) => sum + each, 0);
    const share = total ? value / total : 0;
    const shade = Math.round(8 + 47 * share);  // never so deep that the figure could not be read
    const base = row === column ? "var(--s0)" : "var(--s1)";
    return h("td", { class: value ? "number" : "number none", title: `${labels[row]} taken for ${labels[column]}: ${count(value)}, ${percent(share)}`, style: value ? { background: `color-mix(in srgb, ${base} ${shade}%, var(--card))` } : {} }, count(value));
  };
  return h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, h("table", { class: "confusion" },
    h("caption", {}, "Confusion: rows are the true label, columns the answer"),
    h("thead", {}, h("tr", {}, h("td"), labels.map((label) => h("th", { scope: "col" }, h("span", { class: "clip", title: label }, label))))),
    h("tbody", {}, matrix.map((values, row) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "clip", title: labels[row] }, labels[row])), values.map((value, column) => cell(value, row, column)))))));
}
