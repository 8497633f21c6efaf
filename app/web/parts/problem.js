/** What went wrong, for people: the sentence, what to do, and each field with its rule. */

import { h } from "../dom.js";

/** Show a Problem of api.js, or any error. */
export function problemView(error) {
  const errors = error.errors || [];
  return h("div", { class: "notice critical", role: "alert" },
    h("p", { class: "lead" }, error.message),
    error.remedy && h("p", {}, error.remedy),
    errors.length > 0 && h("ul", {}, errors.map((broken) => h("li", {}, h("code", {}, fieldOf(broken.pointer)), ` ${sentenceOf(broken)}`))),
    error.requestId && h("p", { class: "soft small" }, "Request ", h("code", {}, error.requestId)));
}

/** The same without the fields that say for themselves what is wrong with them; `errors` are those that do not. */
export function restOf(error, errors) {
  const marked = (error.errors?.length || 0) - errors.length;
  if (marked === 0) return error;
  return { message: marked === 1 ? "A field is not right yet." : `${marked} fields are not right yet.`, remedy: "What is wrong stands at each.", errors };
}

/** A broken rule and what to do, as it stands at its field. */
export function sentenceOf({ detail, remedy }) {
  return [`${detail}.`, remedy].filter(Boolean).join(" ");
}

/** "/hyperparameters/learning_rate" -> "hyperparameters.learning_rate" */
export function fieldOf(pointer) {
  return (pointer || "").split("/").filter(Boolean).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(".") || "the body";
}
