/** Every hyperparameter with its value, and where the value came from. */

import { get } from "../../api.js";
import { fill, freshId, h } from "../../dom.js";
import { inline } from "../../format.js";

export function settings(at) {
  const id = freshId();
  const body = h("tbody");
  const onlyChosen = h("input", { id, type: "checkbox", checked: true, onchange: () => draw() });
  let asked = null, job = null;
  const draw = () => {
    const rows = lines(job, asked).filter((row) => !onlyChosen.checked || row.source !== "default");
    fill(body, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, row.field)), h("td", { class: "value" }, inline(row.value)), h("td", {}, h("span", { class: `source ${row.source}` }, row.source), row.reason && h("span", { class: "soft" }, ` ${row.reason}`)))));
  };
  return {
    element: h("div", {}, h("p", {}, h("label", { for: id }, onlyChosen, " Hide what is as by default")),
      h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": "Table of hyperparameters" }, h("table", { class: "dense" }, h("caption", { class: "unseen" }, "Hyperparameters"),
        h("thead", {}, h("tr", {}, ["Field", "Value", "From"].map((text) => h("th", { scope: "col" }, text)))), body))),
    async show(next) {
      const same = job && JSON.stringify([job.hyperparameters, job.resolutions]) === JSON.stringify([next.hyperparameters, next.resolutions]);
      job = next;
      if (same) return;
      draw();
      asked ??= await get(`${at}/request`).catch(() => null);
      draw();
    },
  };
}

function lines(job, asked) {
  const reasons = new Map(job.resolutions.map((each) => [each.field, each.reason]));
  const given = asked?.hyperparameters ?? {};
  const own = Object.entries(job.hyperparameters).map(([field, value]) => ({ field, value, ...origin(field, reasons, given) }));
  const others = ["text", "export", "decision"].flatMap((group) => Object.entries(job[group]).map(([field, value]) => ({ field: `${group}.${field}`, value, ...origin(field, new Map(), asked?.[group] ?? {}) })));
  return [{ field: "base_model", value: job.base_model.id, ...origin("base_model", reasons, asked ?? {}) }, ...own, ...others];
}

function origin(field, reasons, given) {
  if (reasons.has(field)) return { source: /^profile\b/i.test(reasons.get(field)) ? "profile" : "auto", reason: reasons.get(field) };
  return { source: field in given && given[field] !== "auto" ? "asked for" : "default", reason: "" };
}
