/** Line charts by Chart.js: loaded when the first one is drawn, coloured by the style sheet, told in words as well. */

import { fill, h } from "./dom.js";
import { number } from "./format.js";

const COLOURS = 6;
const FEW = 25;  // points up to which each is marked
let loading = null;

/** Begin to load the library; who is about to draw calls this early. */
export function library() {
  loading ??= new Promise((done, failed) => {
    const script = h("script", { src: new URL("chart.js", import.meta.url).href, onload: () => done(window.Chart), onerror: () => failed(new Error("The charts could not be loaded.")) });
    document.head.append(script);
  });
  return loading;
}

/** The colour of the series number i, and that of a part of the page by its name: colour("--line"). */
export function colour(which) {
  const name = typeof which === "number" ? `--s${which % COLOURS}` : which;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Make a chart. show(series, { log, smoothing, xTitle }) draws it: series are { label, colour (a number), points:
 * [{ x, y }] }. Gives { element, show }.
 */
export function lineChart(title, { tall = false } = {}) {
  const canvas = h("canvas", { role: "img", "aria-label": title });
  const legend = h("div", { class: "legend" });
  const element = h("figure", { class: "chart" }, h("figcaption", {}, title), h("div", { class: tall ? "plot tall" : "plot" }, canvas), legend);
  const hidden = new Set();
  let chart = null, last = null;
  const draw = async () => {
    const { series, options } = last;
    const Chart = await library().catch((error) => error);
    if (last.series !== series) return;
    if (Chart instanceof Error) return fill(legend, h("p", { class: "soft" }, Chart.message, " Load the page again."));
    const wanted = settings(series.filter((each) => !hidden.has(each.label)), options);
    if (chart) {
      chart.data = wanted.data;
      chart.options = wanted.options;
      chart.update("none");
    } else chart = new Chart(canvas, wanted);
  };
  const toggle = (label) => {
    if (!hidden.delete(label)) hidden.add(label);
    show(last.series, last.options);
  };
  const show = (series, options = {}) => {
    last = { series, options };
    canvas.setAttribute("aria-label", `${title}. ${series.map(inWords).join(" ")}`);
    drawLegend(legend, series, hidden, toggle);
    return draw();
  };
  document.addEventListener("themechange", () => last && draw());
  return { element, show };
}

function drawLegend(legend, series, hidden, toggle) {
  const state = JSON.stringify([series.map((each) => [each.label, each.colour, each.points.at(-1)?.y]), [...hidden]]);
  if (legend.dataset.state === state) return;
  legend.dataset.state = state;
  const held = [...legend.children].indexOf(document.activeElement);
  fill(legend, series.map((each) => h("button", { type: "button", class: "series", "aria-pressed": String(!hidden.has(each.label)), title: `Show or hide ${each.label}`, onclick: () => toggle(each.label) },
    h("span", { class: "line", style: { background: `var(--s${each.colour % COLOURS})` } }), h("span", { class: "clip" }, each.label), h("span", { class: "soft" }, number(each.points.at(-1)?.y)))));
  legend.children[held]?.focus();
}

function inWords({ label, points }) {
  if (!points.length) return `${label}: nothing yet.`;
  const values = points.map((point) => point.y);
  return `${label}: now ${number(values.at(-1))}, from ${number(values.reduce((a, b) => Math.min(a, b)))} to ${number(values.reduce((a, b) => Math.max(a, b)))}.`;
}

function settings(series, { log = false, smoothing = 0, xTitle = "" }) {
  const datasets = series.flatMap((each) => lines(each, smoothing));
  const text = { color: colour("--soft"), font: { family: "Source Sans Pro, sans-serif", size: 12 } };
  const grid = { color: colour("--faint"), drawTicks: false };
  return {
    type: "line",
    data: { datasets },
    options: {
      animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false,
      interaction: { mode: "nearest", axis: "x", intersect: false },
      plugins: { legend: { display: false }, tooltip: tooltip(xTitle) },
      scales: {
        x: { type: "linear", grid: { display: false }, border: { color: colour("--line") }, ticks: { ...text, maxTicksLimit: 7, maxRotation: 0 } },
        y: { type: log ? "logarithmic" : "linear", grid, border: { display: false }, ticks: { ...text, maxTicksLimit: 6, callback: (value) => number(value, 3) } },
      },
    },
  };
}

/** One line; smoothed, the measured one stays behind it as a shade. */
function lines({ label, colour: which, points }, smoothing) {
  const strong = colour(which);
  const line = { label, data: points, borderColor: strong, backgroundColor: strong, borderWidth: 1.8, pointRadius: points.length <= FEW ? 2.5 : 0, pointHoverRadius: 4, borderJoinStyle: "round" };
  if (!smoothing || points.length < 3) return [line];
  const shade = { ...line, label: "", borderColor: `${strong}40`, borderWidth: 1, pointRadius: 0, pointHoverRadius: 0 };
  return [shade, { ...line, data: smoothed(points, smoothing), pointRadius: 0 }];
}

/** The exponential moving average of TensorBoard, without its bias at the beginning. */
function smoothed(points, weight) {
  let sum = 0, share = 0;
  return points.map(({ x, y }) => {
    sum = sum * weight + (1 - weight) * y;
    share = share * weight + (1 - weight);
    return { x, y: sum / share };
  });
}

function tooltip(xTitle) {
  return {
    mode: "nearest", axis: "x", intersect: false, filter: (item) => item.dataset.label !== "",
    backgroundColor: colour("--text"), titleColor: colour("--page"), bodyColor: colour("--page"), boxWidth: 8, boxHeight: 8, boxPadding: 4, padding: 9,
    callbacks: {
      title: (items) => (items.length ? `${xTitle} ${number(items[0].parsed.x)}` : ""),
      label: (item) => ` ${item.dataset.label}  ${number(item.parsed.y)}`,
    },
  };
}
