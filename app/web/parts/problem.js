/** What went wrong, for people: the sentence, what to do, and each field with its rule. */

import { h } from "../dom.js";

/** Show a Problem of api.js, or any error. */
export function problemView(error) {
  const errors = error.errors || [];
  return h("div", { class: "notice critical", role: "alert" },
    h("p", { class: "lead" }, error.message),
    error.remedy && h("p", {}, error.remedy),
    errors.length > 0 && h("ul", {}, errors.map((broken) => h("li", {}, h("code", {}, fieldOf(broken.pointer)), ` ${broken.detail}. `, broken.remedy))),
    error.requestId && h("p", { class: "soft small" }, "Request ", h("code", {}, error.requestId)));
}

/** "/hyperparameters/learning_rate" -> "hyperparameters.learning_rate" */
export function fieldOf(pointer) {
  return (pointer || "").split("/").filter(Boolean).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(".") || "the body";
}
