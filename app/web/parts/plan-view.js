/** What a job would do, before it exists. */

import { h } from "../dom.js";
import { count, counted, inline, number } from "../format.js";
import { notice } from "./notice.js";

/** Show the answer of POST /jobs/validate. */
export function planView(plan, defaults) {
  const { estimate, memory } = plan;
  const facts = [
    ["Steps", `${count(estimate.total_steps)}: ${counted(estimate.num_train_epochs, "epoch")} of ${count(estimate.steps_per_epoch)}`],
    ["Batch", `${count(estimate.batch_size)} of ${counted(estimate.train_rows, "row")}`],
    ["Judged on", counted(estimate.validation_rows, "validation row")],
    ["Starts from", [plan.base_model.id, plan.base_model.revision].filter(Boolean).join(" ")],
    ["GPU memory", memory ? `about ${number(memory.total_mb / 1000, 2)} GB at ${count(memory.max_length)} tokens` : "not known before it is loaded"],
    ["Workers", plan.workers_alive ? `${counted(plan.workers_alive, "worker")} take it, ${counted(plan.queued_jobs, "job")} waiting` : "none is connected: it would wait"],
  ];
  return [
    h("dl", { class: "told" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    plan.warnings.length > 0 && notice("warning", h("ul", {}, plan.warnings.map((warning) => h("li", {}, warning.detail, warning.remedy && ` ${warning.remedy}`)))),
    settings(plan.request.hyperparameters, defaults),
  ];
}

/** The hyperparameters that are not as they are by default. */
function settings(given, defaults) {
  const changed = Object.entries(given).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]?.default ?? null));
  if (changed.length === 0) return null;
  return h("details", { class: "more" }, h("summary", {}, `${counted(changed.length, "setting")} other than usual`),
    h("dl", { class: "told" }, changed.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, inline(value))))));
}
