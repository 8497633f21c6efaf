/** Letting a version serve: the checks of the policy first, then the move; or the way back. */

import { path, post, put } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { number } from "../format.js";
import { settled } from "../live.js";
import { formDialog } from "./dialog.js";
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
  const force = h("button", { type: "button", class: "danger", hidden: true, onclick: () => dialog.once(() => send(true)) }, "Promote all the same");
  let asked = 0;
  const check = async () => {
    const mine = (asked += 1);
    const wanted = name.value();
    move.disabled = true;
    force.hidden = true;
    if (!wanted) return fill(body, h("p", { class: "wrong" }, "The alias needs a name, such as champion."));
    try {
      const found = await post(path`/models/${model}/aliases/${wanted}/check`, { version });
      if (mine !== asked) return;
      const already = found.current === version;
      fill(body, already ? h("p", {}, `${wanted} is version ${version} already.`) : found.current !== null && h("p", {}, `It takes the place of version ${found.current}.`),
        found.checks.length ? checkList(found.checks) : h("p", { class: "soft" }, "The alias has no policy: nothing is checked."));
      move.disabled = already || !found.allowed;
      force.hidden = already || found.allowed;
    } catch (error) {
      if (mine === asked) fill(body, problemView(error));
    }
  };
  const send = async (forced) => {
    const why = reason.value();
    if (forced && !why) {
      reason.input.focus();
      return fill(body, problemView({ message: "Say why the policy is overruled.", remedy: "The history keeps it with your name." }));
    }
    try {
      const moved = await put(path`/models/${model}/aliases/${name.value()}`, { version, ...(forced ? { force: true } : {}), ...(why ? { reason: why } : {}) });
      dialog.close();
      done(moved);
    } catch (error) {
      const checks = error.body?.checks;
      fill(body, problemView(error), checks && checkList(checks));
      force.hidden = error.code !== "promotion-blocked";
    }
  };
  const dialog = formDialog({ title: `Let version ${version} of ${model} serve?`, content: [name.element, body, reason.element], buttons: [force, move], send: () => !move.disabled && send(false) });
  name.input.addEventListener("input", settled(check, 300));
  await check();
}

/** Ask why, and point an alias at the version that it named before. */
export function rollBack(model, alias, done) {
  const body = h("div", { "aria-live": "polite" });
  const reason = input("Why, for the history", "");
  const send = async () => {
    const why = reason.value();
    try {
      const found = await post(`${path`/models/${model}/aliases/${alias}/rollback`}${why ? `?${new URLSearchParams({ reason: why })}` : ""}`);
      dialog.close();
      done(found);
    } catch (error) {
      fill(body, problemView(error));
    }
  };
  const dialog = formDialog({
    title: `Roll ${model}@${alias} back?`, send,
    content: [h("p", {}, "The version that it named before serves again, without any check."), body, reason.element],
    buttons: h("button", { type: "submit", class: "primary" }, "Roll back"),
  });
}

function input(label, value, placeholder = "") {
  const id = freshId();
  const made = h("input", { id, value, placeholder, autocomplete: "off", maxlength: "500" });
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), made), input: made, value: () => made.value.trim() };
}
