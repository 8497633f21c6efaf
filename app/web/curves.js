/** The curves of jobs: which belong in one chart, what runs along the bottom, and the controls over all of them. */

import { library, lineChart } from "./charts.js";
import { fill, freshId, h } from "./dom.js";

const CHARTS = [
  ["Loss", /^(train|eval)\/loss$/],
  ["Accuracy", /^(train|eval)\/accuracy$/],
  ["F1", /^eval\/f1_(macro|weighted)$/],
  ["Learning rate", /^train\/learning_rate/],
  ["Precision and recall", /^eval\/(precision|recall)_macro$/],
  ["F1 of each label", /^eval\/f1:/],
];
const FURTHER = [
  ["Gradient norm", /^train\/grad_norm$/],
  ["Texts a second", /^train\/examples_per_second$/],
];
const AXES = { step: "Step", epoch: "Epoch", time: "Minutes" };

/** Put points of GET /jobs/{id}/metrics together: a map from the name of a curve to its points. */
export function byName(points) {
  const curves = new Map();
  for (const point of points) {
    if (!curves.has(point.name)) curves.set(point.name, []);
    curves.get(point.name).push(point);
  }
  return curves;
}

/** Say which curves go into which chart: [{ title, names, further }], what matters most first. */
export function charted(names) {
  const left = new Set(names);
  const take = ([title, pattern], further) => {
    const found = [...left].filter((name) => pattern.test(name)).sort((a, b) => b.localeCompare(a));
    for (const name of found) left.delete(name);
    return { title, names: found, further };
  };
  const known = [...CHARTS.map((chart) => take(chart, false)), ...FURTHER.map((chart) => take(chart, true))];
  const others = [...left].sort().map((name) => ({ title: name, names: [name], further: true }));
  return [...known, ...others].filter((chart) => chart.names.length);
}

/**
 * The room for the charts of one or several runs. show(runs) draws them; a run is { label, colour, curves (of byName),
 * start }. With one run the curves of a chart differ by colour, with several the runs do.
 */
export function curveRoom() {
  library().catch(() => null);  // whoever draws says so
  const wishes = { axis: "step", smoothing: 0, log: false };
  const main = h("div", { class: "charts" });
  const more = h("div", { class: "charts" });
  const drawer = h("details", { class: "more" }, h("summary", {}, "More curves"), more);
  const charts = new Map();
  let runs = [];
  const draw = () => {
    const names = new Set(runs.flatMap((run) => [...run.curves.keys()]));
    const wanted = charted(names).flatMap((chart) => (runs.length === 1 ? [chart] : apart(chart)));
    for (const chart of wanted) if (!charts.has(chart.title)) charts.set(chart.title, lineChart(chart.title));
    place(main, wanted.filter((chart) => !chart.further).map((chart) => charts.get(chart.title).element));
    place(more, wanted.filter((chart) => chart.further).map((chart) => charts.get(chart.title).element));
    drawer.hidden = !wanted.some((chart) => chart.further);
    for (const chart of wanted) if (!chart.further || drawer.open) charts.get(chart.title).show(seriesOf(chart, runs, wishes), optionsOf(chart, wishes));
  };
  drawer.addEventListener("toggle", draw);
  return {
    element: h("div", {}, controls(wishes, draw), main, drawer),
    show(wanted) {
      runs = wanted;
      draw();
    },
  };
}

/** With several runs a chart holds one curve of each: more could not be told apart. */
function apart(chart) {
  return chart.names.map((name) => ({ ...chart, title: name, names: [name], further: chart.further || /:|weighted|grad_norm/.test(name) }));
}

function seriesOf(chart, runs, { axis }) {
  if (runs.length === 1) return chart.names.map((name, i) => ({ label: name, colour: i, points: line(runs[0], name, axis) }));
  return runs.filter((run) => run.curves.has(chart.names[0])).map((run) => ({ label: run.label, colour: run.colour, points: line(run, chart.names[0], axis) }));
}

function line({ curves, start }, name, axis) {
  const along = { step: (point) => point.step, epoch: (point) => point.epoch, time: (point) => (Date.parse(point.at) - Date.parse(start)) / 60_000 }[axis];
  return curves.get(name).map((point) => ({ x: along(point), y: point.value }));
}

function optionsOf(chart, { axis, smoothing, log }) {
  return { xTitle: AXES[axis], smoothing, log: log && chart.names.some((name) => /loss|learning_rate|norm/.test(name)) };
}

function place(room, elements) {
  const now = [...room.children];
  if (now.length !== elements.length || now.some((each, i) => each !== elements[i])) fill(room, elements);
}

function controls(wishes, draw) {
  const ids = { axis: freshId(), smoothing: freshId(), log: freshId() };
  const set = (name, value) => {
    wishes[name] = value;
    draw();
  };
  return h("div", { class: "chart-controls" },
    h("label", { for: ids.axis }, "Along"),
    h("select", { id: ids.axis, onchange: (event) => set("axis", event.target.value) }, Object.entries(AXES).map(([value, text]) => h("option", { value }, text))),
    h("label", { for: ids.smoothing }, "Smoothing"),
    h("input", { id: ids.smoothing, type: "range", min: "0", max: "0.98", step: "0.02", value: "0", oninput: (event) => set("smoothing", Number(event.target.value)) }),
    h("label", { for: ids.log }, h("input", { id: ids.log, type: "checkbox", onchange: (event) => set("log", event.target.checked) }), " Logarithmic loss"));
}
