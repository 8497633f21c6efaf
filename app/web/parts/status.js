/** How a job stands, as a badge and as a bar. */

import { h } from "../dom.js";
import { duration, percent } from "../format.js";

/** A word with a dot: colour is never all there is. */
export function badge(status, text = status) {
  return h("span", { class: `badge ${status}` }, h("span", { class: "dot", "aria-hidden": "true" }), text);
}

/** How far it is, 0 to 1; the label is read by screen readers. */
export function bar(fraction, label) {
  return move(h("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" }, h("div", { class: "done" })), fraction);
}

/** Bring a bar that is there to how far it is now, and give it. */
export function move(shown, fraction) {
  const share = Math.max(0, Math.min(1, fraction || 0));
  shown.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  shown.firstChild.style.setProperty("width", `${(100 * share).toFixed(1)}%`);
  return shown;
}

/** "training · 42 % · 3 min 20 s left", whatever of it is known. */
export function progressText(job) {
  const { fraction, eta_seconds: eta } = job.progress;
  const parts = [job.phase, percent(fraction), eta === null || eta === undefined ? null : `${duration(eta)} left`];
  return parts.filter(Boolean).join(" · ");
}
