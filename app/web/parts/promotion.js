/** Letting a version serve: the checks of the policy first, then the move; or the way back. */

import { path, post, put } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { number } from "../format.js";
import { problemView } from "./problem.js";

/** The checks of a promotion, as a list that says each by a word too. */
export function checkList(checks) {
  return h("ul", { class: "check-list" }, checks.map((check) => h("li", {},
    h("span", { class: check.passed ? "up" : "down-by" }, check.passed ? "ok" : "no"), ` ${check.name.replaceAll("-", " ")}`,
    check.needed !== null && ` (found ${number(check.actual)}, needed ${number(check.needed)})`,
    h("div", { class: "soft small" }, check.detail))));
}

/** Ask how to point an alias at a version, and do it; done(alias) is called afterwards. */
export async function promote(model, version, done, alias = "champion") {
  const body = h("div", { "aria-live": "polite" }, h("p", { class: "soft" }, "Checking …"));
  const name = input("Alias", alias);
  const reason = input("Why, for the history", "", "needed to overrule a policy");
  const move = h("button", { type: "submit", class: "primary", disabled: true }, "Promote");
  const force = h("button", { type: "button", class: "danger", hidden: true }, "Promote all the same");
  const dialog = frame(`Let version ${version} of ${model} serve?`, [name.element, body, reason.element], [force, move]);
  const check = async () => {
    move.disabled = true;
    force.hidden = true;
    try {
      const found = await post(path`/models/${model}/aliases/${name.input.value.trim()}/check`, { version });
      fill(body, found.current !== null && h("p", {}, `It takes the place of version ${found.current}.`),
        found.checks.length ? checkList(found.checks) : h("p", { class: "soft" }, "The alias has no policy: nothing is checked."));
      move.disabled = !found.allowed;
      force.hidden = found.allowed;
    } catch (error) {
      fill(body, problemView(error));
    }
  };
  const send = async (forced) => {
    const why = reason.input.value.trim();
    if (forced && !why) {
      reason.input.focus();
      return fill(body, problemView({ message: "Say why the policy is overruled.", remedy: "The history keeps it with your name." }));
    }
    try {
      done(await put(path`/models/${model}/aliases/${name.input.value.trim()}`, { version, ...(forced ? { force: true } : {}), ...(why ? { reason: why } : {}) }));
      dialog.close();
    } catch (error) {
      const checks = error.body?.checks;
      fill(body, problemView(error), checks && checkList(checks));
      force.hidden = error.code !== "promotion-blocked";
    }
  };
  name.input.addEventListener("change", check);
  force.addEventListener("click", () => send(true));
  dialog.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); send(false); });
  await check();
}

/** Ask why, and point an alias at the version that it named before. */
export function rollBack(model, alias, done) {
  const body = h("div", { "aria-live": "polite" });
  const reason = input("Why, for the history", "");
  const dialog = frame(`Roll ${model}@${alias} back?`, [h("p", {}, "The version that it named before serves again, without any check."), body, reason.element], [h("button", { type: "submit", class: "primary" }, "Roll back")]);
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const why = reason.input.value.trim();
    try {
      done(await post(`${path`/models/${model}/aliases/${alias}/rollback`}${why ? `?${new URLSearchParams({ reason: why })}` : ""}`));
      dialog.close();
    } catch (error) {
      fill(body, problemView(error));
    }
  });
}

function frame(title, children, buttons) {
  const heading = freshId("dialog");
  const dialog = h("dialog", { "aria-labelledby": heading },
    h("form", {}, h("h2", { id: heading }, title), children,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Back"), buttons)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function input(label, value, placeholder = "") {
  const id = freshId();
  const made = h("input", { id, value, placeholder, autocomplete: "off", maxlength: "500" });
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), made), input: made };
}
