/** Why a job failed, what its curves say of it, and what else is worth a look. */

import { fill, h } from "../../dom.js";
import { inline } from "../../format.js";
import { notice } from "../../parts/notice.js";

export function advice() {
  const element = h("div", { class: "advice" });
  return {
    element,
    show(job) {
      const state = JSON.stringify([job.error, job.diagnoses, job.warnings]);
      if (element.dataset.state === state) return;
      element.dataset.state = state;
      fill(element, job.error && failure(job.error), job.diagnoses.map(diagnosis), job.warnings.map((each) => told("info", each.detail, each.remedy, each.code)));
    },
  };
}

function failure(error) {
  return told("critical", error.detail, error.remedy, error.code, error.phase && `while ${error.phase}`);
}

function told(kind, detail, remedy, code, where) {
  return notice(kind, h("p", { class: "lead" }, detail), remedy && h("p", {}, remedy), h("p", { class: "soft small" }, [code, where].filter(Boolean).join(", ")));
}

function diagnosis(found) {
  return notice(found.severity, h("p", { class: "lead" }, found.title), h("p", {}, found.evidence), found.changes?.length > 0 && h("ul", {}, found.changes.map(change)), h("p", { class: "soft small" }, "Read from the curves; nothing acts on it by itself."));
}

function change({ field, from, to, why }) {
  return h("li", {}, h("code", {}, field), from === null ? " " : ` ${inline(from)} → `, h("strong", {}, inline(to)), `: ${why}`);
}
