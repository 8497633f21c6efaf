/** Try a model: text in, probabilities out, two versions side by side. */

import { all, get, path, post } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { counted, number, percent } from "../format.js";
import { settled } from "../live.js";
import { empty, notice } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";

export const title = "Try it";

const MOST_LABELS = 12;

export async function show(main, { query }) {
  const models = await all("/models", {}, 500);
  if (models.length === 0) {
    fill(main, h("h1", {}, "Try it"), empty("No model yet.", h("a", { class: "button primary", href: "/ui/new" }, "Train a first model")));
    main.dataset.ready = "yes";
    return;
  }
  const references = await referencesOf(models, [query.get("model"), query.get("with")]);
  const text = h("textarea", { id: freshId(), rows: "4", class: "wide-input", placeholder: "Write or paste a text", value: query.get("text") || "", oninput: () => ask() });
  const first = chooser("Model", references, query.get("model") || models[0].name, () => ask());
  const second = chooser("Beside it", ["", ...references], query.get("with") || "", () => ask());
  const answers = h("div", { class: "two", "aria-live": "polite" });
  let asked = 0;
  const now = async () => {
    remember(first.value(), second.value());
    const mine = (asked += 1);
    if (!text.value.trim()) return fill(answers);
    const wanted = [first.value(), second.value()].filter(Boolean);
    const views = await Promise.all(wanted.map((model) => answered(model, text.value)));
    if (mine === asked) fill(answers, views);
  };
  const ask = settled(now, 250, 1000);
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, "Try it")),
    h("section", { class: "card model-part", "aria-label": "Question" },
      h("div", { class: "fields" }, first.element, second.element),
      h("div", { class: "field" }, h("label", { for: text.id }, "Text"), text)),
    answers);
  text.focus();
  await now();
  main.dataset.ready = "yes";
}

/** Every way to name a version that may be asked: plain names, aliases, and the versions of the models asked for. */
async function referencesOf(models, wanted) {
  const named = new Set(wanted.filter(Boolean).map((reference) => reference.split(/[:@]/)[0]));
  const versions = await Promise.all(models.filter((model) => models.length <= 20 || named.has(model.name)).map(async (model) => {
    const found = await get(path`/models/${model.name}/versions`);
    return [model.name, found.data.map((version) => `${model.name}:${version.version}`)];
  }));
  const numbered = new Map(versions);
  return models.flatMap((model) => [model.name, ...model.aliases.map((alias) => `${model.name}@${alias.alias}`), ...(numbered.get(model.name) || [])]);
}

function chooser(label, references, value, changed) {
  const id = freshId();
  const known = references.includes(value) ? references : [...references, value];
  const select = h("select", { id, value, onchange: changed }, known.map((reference) => h("option", { value: reference }, reference || "nothing")));
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), select), value: () => select.value };
}

async function answered(model, text) {
  try {
    const began = performance.now();
    const answer = await post("/predict", { model, inputs: text, return_all_scores: true }, { key: undefined });
    return answerView(model, answer, performance.now() - began);
  } catch (error) {
    return h("section", { class: "card" }, h("h2", {}, model), problemView(error));
  }
}

function answerView(model, answer, took) {
  const [prediction] = answer.predictions;
  return h("section", { class: "card", "aria-label": `Answer of ${model}` },
    h("h2", {}, model, h("span", { class: "soft small" }, ` version ${answer.version}`)),
    prediction.abstained && notice("warning", h("p", {}, "It abstains: no label is probable enough.")),
    bars(prediction, prediction.labels || [prediction.label]),
    Object.entries(prediction.tasks || {}).map(([task, each]) => [h("h3", {}, task), bars(each, [each.label])]),
    prediction.truncated && notice("warning", h("p", {}, `Only a part of the text was read: it has ${counted(prediction.tokens, "token")}.`)),
    h("p", { class: "soft small" }, `${counted(prediction.tokens, "token")} · ${answer.format} · ${number(answer.timing.infer_ms, 3)} ms in the model, ${number(took, 3)} ms in all`));
}

function bars({ scores, label, score }, chosen) {
  const sorted = Object.entries(scores || { [label]: score }).sort((a, b) => b[1] - a[1]);
  return h("div", { class: "answer", role: "list" }, sorted.slice(0, MOST_LABELS).flatMap(([name, share]) => {
    const given = chosen.includes(name);
    return [
      h("div", { class: given ? "clip chosen" : "clip", role: "listitem", title: name }, name, given && h("span", { class: "unseen" }, " (given)")),
      h("div", { "aria-hidden": "true" }, h("div", { class: given ? "amount" : "amount other", style: { width: `${(100 * share).toFixed(1)}%` } })),
      h("div", { class: "number", role: "listitem" }, percent(share, 1)),
    ];
  }), sorted.length > MOST_LABELS && h("div", { class: "soft small" }, `and ${sorted.length - MOST_LABELS} more`));
}

function remember(model, other) {
  history.replaceState(null, "", `?${new URLSearchParams([["model", model], ...(other ? [["with", other]] : [])])}`);
}
