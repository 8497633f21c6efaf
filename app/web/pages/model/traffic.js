/** The traffic of an alias: which version answers which part of its calls, and what else becomes of them. */

import { get, path, put, remove } from "../../api.js";
import { fill, freshId, h } from "../../dom.js";
import { counted, number, percent } from "../../format.js";
import { confirm, formDialog } from "../../parts/dialog.js";
import { notice, toast } from "../../parts/notice.js";
import { objectForm } from "../../parts/object-form.js";
import { problemView, restOf } from "../../parts/problem.js";
import { checkList } from "../../parts/promotion.js";
import { open } from "./policy.js";

/** The split and what shadows have shown; done() is called when it was changed. */
export function trafficView({ model, alias, found, report, done }) {
  return [
    h("p", {}, found ? sentences(found.traffic).join(" ") : `Version ${alias.version} answers all its calls.`),
    report?.pairs.length > 0 && h("ul", {}, report.pairs.map((pair) => h("li", {}, compared(pair)))),
    h("button", { type: "button", onclick: (event) => open(event.target, () => edit({ model, alias, found, done })) }, found ? "Change the traffic" : "Split the traffic"),
  ];
}

function sentences({ canary, shadow, log, drift, prefer }) {
  return [
    canary && `Version ${canary.version} answers ${number(canary.percent)} % of its calls as a canary.`,
    shadow && `Version ${shadow.version} is asked ${number(shadow.percent)} % of them again as a shadow.`,
    log && `${number(log.percent)} % of the answers are kept for feedback, ${counted(log.retention_days, "day")} long${log.keep_text ? ", with their texts" : ""}.`,
    prefer && `Calls that do not say so prefer ${prefer}.`,
    drift && `${number(drift.percent)} % of the answers are counted for drift.`,
  ].filter(Boolean);
}

function compared(pair) {
  if (pair.compared === 0) return `Version ${pair.shadow_version} has not been compared with version ${pair.answered_version} yet.`;
  return `Version ${pair.shadow_version} says the same as version ${pair.answered_version} on ${percent(pair.agreement, 1)} of ${counted(pair.compared, "text")}.`;
}

async function edit({ model, alias, found, done }) {
  const [{ components: { schemas } }, versions] = await Promise.all([get("/openapi.json"), get(path`/models/${model}/versions`)]);
  const named = [found?.traffic.canary, found?.traffic.shadow].filter(Boolean);
  const others = [...new Set([...versions.data, ...named].map((each) => each.version))].filter((version) => version !== alias.version);
  const form = objectForm(schemas.TrafficWish, schemas, { choices: { version: others }, without: ["force", "reason"] });
  form.set(found?.traffic);
  const said = h("div", { "aria-live": "polite" });
  const reason = h("input", { id: freshId(), autocomplete: "off", maxlength: "500", placeholder: "needed to overrule a policy" });
  const force = h("button", { type: "button", class: "danger", hidden: true, onclick: () => dialog.once(() => send(true)) }, "Split all the same");
  const place = path`/models/${model}/aliases/${alias.alias}/traffic`;
  const seen = found ? { "If-Match": `"${found.revision}"` } : { "If-None-Match": "*" };
  const ended = (text) => {
    dialog.close();
    toast(text);
    done();
  };
  const failed = (error) => {
    const checks = error.body?.checks;
    fill(said, problemView(restOf(error, form.mark(error.errors || []))), checks && checkList(checks));
    form.element.querySelector("[aria-invalid=true]")?.focus();
    force.hidden = error.code !== "canary-blocked";
  };
  const send = async (forced) => {
    const wish = form.value(), why = reason.value.trim();
    if (Object.keys(wish).length === 0) return found ? end() : fill(said, notice("warning", h("p", {}, "Nothing is switched on: there is nothing to split.")));
    if (forced && !why) {
      reason.focus();
      return fill(said, problemView({ message: "Say why the policy is overruled.", remedy: "The history keeps it with your name." }));
    }
    const change = changeOf(model, alias, found?.traffic.canary, wish.canary);
    if (change && !await confirm(change)) return;
    try {
      await put(place, { ...wish, ...(forced ? { force: true } : {}), ...(why ? { reason: why } : {}) }, { headers: seen });
      ended(`The traffic of ${model}@${alias.alias} is split as you said.`);
    } catch (error) {
      failed(error);
    }
  };
  const end = async () => {
    if (!await confirm({ title: "End the split?", text: `Version ${alias.version} then answers all calls of ${model}@${alias.alias}; nothing is compared, kept or counted any more.`, action: "End it", danger: true })) return;
    const why = reason.value.trim();
    try {
      await remove(why ? `${place}?${new URLSearchParams({ reason: why })}` : place, { headers: seen });
      ended(`Version ${alias.version} answers all calls of ${model}@${alias.alias}.`);
    } catch (error) {
      failed(error);
    }
  };
  const dialog = formDialog({
    title: `What becomes of the calls of ${model}@${alias.alias}`, wide: true, send: () => send(false),
    content: [
      h("p", { class: "soft" }, `Version ${alias.version} answers whatever is not said to go elsewhere. Servers follow within seconds; no call fails meanwhile.`),
      others.length === 0 && notice("info", h("p", {}, "There is no other version yet that could be a canary or a shadow.")),
      form.element, h("div", { class: "field after" }, h("label", { for: reason.id }, "Why, for the history"), reason), said,
    ],
    buttons: [found && h("button", { type: "button", class: "danger", onclick: () => dialog.once(end) }, "End the split"), force, h("button", { type: "submit", class: "primary" }, "Save the split")],
  });
}

/** The question before callers are answered by another version than before; null where they are not. */
function changeOf(model, { alias, version }, before, after) {
  const incomplete = after && !(after.version && after.percent > 0);  // the service will say so
  if (incomplete || JSON.stringify(before ?? null) === JSON.stringify(after ?? null)) return null;
  const text = after ? `Version ${after.version} will answer ${after.percent} % of the calls of ${model}@${alias}, version ${version} the others.` : `Version ${before.version} will answer no more calls of ${model}@${alias}: version ${version} answers all of them.`;
  return { title: "Change what callers are answered by?", text, action: after ? "Let it answer" : "End the canary" };
}
