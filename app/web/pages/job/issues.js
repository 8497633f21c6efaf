/** What the trained model shows about its data: the hardest rows, labels that may be wrong, texts in two splits. */

import { fill, h } from "../../dom.js";
import { counted, number, percent } from "../../format.js";

const MOST = 10;

export function issues() {
  const element = h("div");
  return {
    element,
    /** Takes the report of a job that has ended. */
    show(report, job) {
      const found = report?.issues;
      if (!found) return fill(element, h("p", { class: "soft" }, !job || job.status === "succeeded" ? "Known once the job has succeeded." : "Only a job that succeeded knows."));
      fill(element, h("p", { class: "soft" }, `As the kept checkpoint sees the ${found.split} split.`),
        part("Hardest rows", "Where the loss is highest.", found.hardest, ["Text", "Label", "Answer", "Loss"], (row) => [row.text, row.label, `${row.predicted} ${percent(row.probability)}`, number(row.loss, 3)]),
        part("Labels that may be wrong", `${counted(found.label_suspects_total, "row")}; the surest first.`, found.label_suspects, ["Text", "Label", "Rather", "Sure"], (row) => [row.text, row.label, row.suggested, percent(row.probability)]),
        part("Texts in more than one split", `${counted(found.overlaps_total, "text")}; scores of such rows say little.`, found.overlaps, ["Text", "Labels", "Rows"], (row) => [row.text, row.labels.join(", "), Object.entries(row.rows).map(([split, rows]) => `${split} ${rows}`).join(", ")]));
    },
  };
}

function part(title, note, rows, columns, cells) {
  if (!rows.length) return null;
  const lines = rows.map((row) => h("tr", {}, cells(row).map((text, i) => (i ? h("td", {}, text) : h("th", { scope: "row", class: "text" }, text)))));
  const made = (some) => h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": title }, h("table", { class: "dense" }, h("caption", { class: "unseen" }, title),
    h("thead", {}, h("tr", {}, columns.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, some)));
  return [h("h3", {}, title), h("p", { class: "soft" }, note), made(lines.slice(0, MOST)),
    lines.length > MOST && h("details", { class: "more" }, h("summary", {}, `${lines.length - MOST} more`), made(lines.slice(MOST)))];
}
