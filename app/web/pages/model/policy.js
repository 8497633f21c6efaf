/** The policy of an alias: told in words, and changed in a form made from its schema. */

import { get, path, post, put, remove } from "../../api.js";
import { fill, h } from "../../dom.js";
import { number } from "../../format.js";
import { confirm, formDialog } from "../../parts/dialog.js";
import { toast } from "../../parts/notice.js";
import { objectForm } from "../../parts/object-form.js";
import { problemView, restOf } from "../../parts/problem.js";
import { checkList } from "../../parts/promotion.js";

/** The policy and what it finds of the version that the alias names; done() is called when it was changed. */
export function policyView({ model, alias, found, check, done }) {
  const asked = found ? sentences(found.policy) : [];
  return [
    asked.length ? [h("p", {}, "Before it moves, a version must:"), h("ul", {}, asked.map((each) => h("li", {}, each)))] : h("p", { class: "soft" }, "No policy: it may name any version."),
    check?.checks.length > 0 && h("div", {}, h("p", { class: "soft small" }, `Version ${check.version}, which it names now:`), checkList(check.checks)),
    h("button", { type: "button", onclick: (event) => open(event.target, () => edit({ model, alias, found, done })) }, found ? "Change the policy" : "Set a policy"),
  ];
}

/** What the policy finds of a version; null where that cannot be told. */
export function checkOf(model, alias, version) {
  return version ? post(path`/models/${model}/aliases/${alias}/check`, { version }).catch(() => null) : null;
}

/** Open a form once, however often its button is pressed while its schema comes. */
export async function open(button, work) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    await work();
  } catch (problem) {
    toast([problem.message, problem.remedy].filter(Boolean).join(" "), "critical");
  } finally {
    button.ariaBusy = null;
  }
}

async function edit({ model, alias, found, done }) {
  const [{ components: { schemas } }, versions] = await Promise.all([get("/openapi.json"), get(path`/models/${model}/versions`)]);
  const known = found?.policy.class_floors.map((floor) => floor.label) || [];
  const labels = [...new Set([...(versions.data[0]?.labels || []), ...known])];
  const form = objectForm(schemas.PromotionPolicy, schemas, labels.length ? { choices: { label: labels } } : {});
  form.set(found?.policy);
  const said = h("div", { "aria-live": "polite" });
  const place = path`/models/${model}/aliases/${alias}/policy`;
  const ended = (text) => {
    dialog.close();
    toast(text);
    done();
  };
  const failed = (error) => {
    fill(said, problemView(restOf(error, form.mark(error.errors || []))));
    form.element.querySelector("[aria-invalid=true]")?.focus();
  };
  const send = async () => {
    try {
      await put(place, form.value());
      ended(`The policy of ${model}@${alias} counts from the next move on.`);
    } catch (error) {
      failed(error);
    }
  };
  const drop = async () => {
    if (!await confirm({ title: "Remove the policy?", text: `${model}@${alias} may then name any version, unchecked.`, action: "Remove it", danger: true })) return;
    try {
      await remove(place);
      ended(`${model}@${alias} has no policy any more.`);
    } catch (error) {
      failed(error);
    }
  };
  const dialog = formDialog({
    title: `What a version must keep before ${model}@${alias} names it`, wide: true, send,
    content: [h("p", { class: "soft" }, "It counts from the next move on and moves nothing itself. What is left out is not checked."), form.element, said],
    buttons: [found && h("button", { type: "button", class: "danger", onclick: () => dialog.once(drop) }, "Remove the policy"), h("button", { type: "submit", class: "primary" }, "Save the policy")],
  });
}

/** What a policy asks, one sentence each. */
function sentences(policy) {
  const { not_worse_than_current: worse, beats_baseline: beats, latency } = policy;
  return [
    ...policy.floors.map((floor) => `reach ${words(floor.metric)} ${number(floor.at_least)} on the ${floor.split} rows`),
    ...policy.class_floors.map((floor) => `reach ${floor.metric} ${number(floor.at_least)} of ${floor.label} on the ${floor.split} rows`),
    ...policy.slice_floors.map((floor) => `reach ${words(floor.metric)} ${number(floor.at_least)} on ${floor.slice.endsWith("=*") ? `each ${floor.slice.slice(0, -2)}` : floor.slice}${floor.if_missing === "allow" ? ", where it was judged on that" : ""}`),
    worse && `not be worse than the one it names by more than ${number(worse.max_drop)} ${words(worse.metric)}${worse.certain ? ", with certainty" : ""}${worse.if_incomparable === "allow" ? "; passes where they cannot be compared" : ""}`,
    beats && `beat ${{ majority: "the commonest label", "tfidf-logistic-regression": "counted words" }[beats.baseline] || beats.baseline} by at least ${number(beats.margin)} macro F1${beats.beyond_noise ? ", beyond noise" : ""}`,
    policy.export_verified && "answer like the trained model in its exported format",
    latency && `answer a text within ${number(latency.ms_per_text)} ms${latency.batch === 1 ? "" : `, ${latency.batch} together`}`,
  ].filter(Boolean);
}

function words(name) {
  return name.replaceAll("_", " ");
}
