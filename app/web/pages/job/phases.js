/** The phases of a job as bars along time, attempt by attempt. */

import { fill, h } from "../../dom.js";
import { clock, duration, secondsBetween } from "../../format.js";

const LEAST_SHARE = 0.004;

export function phases() {
  const element = h("div");
  return {
    element,
    show(job) {
      const rows = spans(job);
      if (!rows.length) return fill(element, h("p", { class: "soft" }, "Not begun."));
      const start = Math.min(...rows.map((row) => row.start));
      const whole = Math.max(1, Math.max(...rows.map((row) => row.end)) - start);
      fill(element, h("table", { class: "phases" }, h("caption", { class: "unseen" }, "Phases of the job"),
        h("thead", {}, h("tr", {}, ["Phase", "When", "Began", "Took"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, rows.map((row) => line(row, start, whole)))));
    },
  };
}

function spans(job) {
  const waited = { phase: "queued", attempt: 0, started_at: job.created_at, finished_at: job.started_at ?? job.finished_at };
  return [waited, ...job.phase_history].map((span) => ({ ...span, start: Date.parse(span.started_at), end: span.finished_at ? Date.parse(span.finished_at) : Date.now() }));
}

function line(row, start, whole) {
  const share = Math.max(LEAST_SHARE, (row.end - row.start) / whole);
  const left = Math.min(1 - share, (row.start - start) / whole);
  const open = row.finished_at === null || row.finished_at === undefined;
  return h("tr", {},
    h("th", { scope: "row" }, row.phase, row.attempt > 1 && h("span", { class: "soft small" }, ` attempt ${row.attempt}`)),
    h("td", { class: "track" }, h("div", { class: `span ${row.phase}${open ? " open" : ""}`, style: { left: `${100 * left}%`, width: `${100 * share}%` } })),
    h("td", { class: "nowrap soft" }, clock(row.started_at)),
    h("td", { class: "nowrap number" }, duration(secondsBetween(row.started_at, row.finished_at)), open && h("span", { class: "soft" }, " so far")));
}
