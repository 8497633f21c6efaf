/** Messages: one in the page, and one that goes away by itself. */

import { h } from "../dom.js";

/** A message in the page; kind: info, good, warning or critical. */
export function notice(kind, ...children) {
  return h("div", { class: `notice ${kind}` }, children);
}

/** A message in the corner that goes after a while; screen readers read it. */
export function toast(text, kind = "info") {
  const place = document.getElementById("toasts");
  const shown = h("div", { class: `toast ${kind}` }, h("span", {}, text), h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => shown.remove() }, "×"));
  place.append(shown);
  setTimeout(() => shown.remove(), kind === "critical" ? 12_000 : 6000);
}

/** What stands where there is nothing yet, with the way on. */
export function empty(title, ...children) {
  return h("div", { class: "empty" }, h("p", { class: "lead" }, title), children);
}
