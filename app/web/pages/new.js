/** A new job: data, model and settings, checked before it is sent. ?from=JOB fills it with an earlier one. */

import { all, get, path, post } from "../api.js";
import { announce, fill, freshId, h } from "../dom.js";
import { settled } from "../live.js";
import { datasetPicker } from "../parts/dataset-picker.js";
import { field } from "../parts/field.js";
import { planView } from "../parts/plan-view.js";
import { problemView, restOf, sentenceOf } from "../parts/problem.js";
import { schemaForm } from "../parts/schema-form.js";

export const title = "New job";

const FIRST = ["num_train_epochs", "learning_rate", "batch_size", "max_length", "early_stopping_patience", "class_weights"];
const PLAIN = ["profile", "family", "problem_type", "baselines", "priority", "queue"];
const BASES = [["minilm-l6", "small, ships with the worker"], ["distilbert-base-uncased", "the default"], ["bert-base-uncased", ""], ["roberta-base", ""], ["bert-base-multilingual-cased", "many languages"]];

export async function show(main, { query }) {
  const [{ components: { schemas } }, models] = await Promise.all([get("/openapi.json"), all("/models", {}, 500)]);
  const state = { dataset: null, asked: 0, sending: false };
  const form = fieldsOf(schemas, models, () => check());
  const picker = await datasetPicker((dataset) => {
    state.dataset = dataset;
    form.suggest(dataset);
    check();
  });
  const send = h("button", { type: "submit", class: "primary", disabled: true }, "Train");
  const said = h("div", { "aria-live": "polite" });
  const wanting = () => fill(said, h("p", { class: "soft" }, "Choose data and a name: what would run is shown here."));
  const refused = (error) => fill(said, problemView(restOf(error, form.mark(error.errors || []))));
  const check = settled(async () => {
    if (state.sending) return;
    send.disabled = true;
    const request = requestOf(state, form);
    const mine = (state.asked += 1);
    if (!request) {
      form.mark([]);
      return wanting();
    }
    try {
      const plan = await post("/jobs/validate", request);
      if (mine !== state.asked || state.sending) return;
      form.mark([]);
      fill(said, planView(plan, schemas.Hyperparameters.properties));
      send.disabled = false;
    } catch (error) {
      if (mine === state.asked && !state.sending) refused(error);
    }
  }, 400);
  const submit = async (event) => {
    event.preventDefault();
    const request = requestOf(state, form);
    if (state.sending || !request) return;
    state.sending = true;
    send.disabled = true;
    announce("Sending the job");
    try {
      const job = await post("/jobs", request);
      location.assign(`/ui/jobs/${job.id}`);
    } catch (error) {
      state.sending = false;
      send.disabled = false;
      refused(error);
      main.querySelector("[aria-invalid=true]")?.focus();
    }
  };
  addEventListener("pageshow", (event) => {  // the way back from the job finds the form as it was left
    if (!event.persisted) return;
    state.sending = false;
    check();
  });
  wanting();
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, "New job")),
    h("form", { class: "new-job", onsubmit: submit, novalidate: true },
      h("div", {},
        h("section", { class: "card", "aria-label": "Data" }, h("h2", {}, "1. Data"), picker.element),
        h("section", { class: "card", "aria-label": "Model" }, h("h2", {}, "2. Model"), form.model),
        h("section", { class: "card", "aria-label": "Settings" }, h("h2", {}, "3. How to train"), h("p", { class: "soft" }, "All of it has defaults; auto is decided when the job has seen its data."), form.settings)),
      h("section", { class: "card beside", "aria-label": "What would run" }, h("h2", {}, "What would run"), said, h("div", { class: "actions after" }, send))));
  await prefill(query, form, picker).catch((error) => fill(said, problemView(error)));
  main.dataset.ready = "yes";
}

/** Make all fields beside the data. */
function fieldsOf(schemas, models, changed) {
  const job = schemas.TrainJobRequest.properties;
  const name = input("Name of the model", "customer-messages", models.map((model) => [model.name, `version ${model.latest_version + 1}`]), changed, job.model.description);
  const base = input("Base model", "distilbert-base-uncased", [...BASES, ...models.map((model) => [`model:${model.name}`, "go on from your own"])], changed, job.base_model.description);
  const plain = new Map(PLAIN.map((each) => [each, field(each, each === "family" ? { ...job.family, anyOf: [...job.family.anyOf.slice(0, 1), { type: "object" }], default: "encoder" } : job[each], changed)]));
  const metadata = field("metadata", job.metadata, changed, { fallback: undefined });
  const parts = {
    hyperparameters: schemaForm(schemas.Hyperparameters, { first: FIRST, title: "All hyperparameters", changed }),
    text: schemaForm(schemas.TextOptions, { title: "What is done to texts", changed }),
    export: schemaForm(schemas.ExportOptions, { title: "Exports", changed }),
    decision: schemaForm(schemas.DecisionOptions, { title: "How it decides", changed }),
  };
  const rest = h("details", { class: "more" }, h("summary", {}, "Queue, family and notes of your own"),
    h("div", { class: "fields" }, PLAIN.slice(1).map((each) => plain.get(each).element), metadata.element));
  return {
    model: h("div", { class: "fields" }, name.element, base.element, plain.get("profile").element),
    settings: h("div", {}, Object.values(parts).map((part) => part.element), rest),
    suggest(dataset) {
      const known = dataset?.name?.toLowerCase().replace(/\.\w+$/, "").replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "").slice(0, 63);
      if (!name.input.value && known) name.input.value = known;
    },
    value() {
      const found = { model: name.input.value.trim() };
      if (base.input.value.trim()) found.base_model = base.input.value.trim();
      for (const [each, one] of [...plain, ["metadata", metadata]]) if (one.value() !== undefined) found[each] = one.value();
      for (const [each, part] of Object.entries(parts)) if (Object.keys(part.value()).length) found[each] = part.value();
      return found;
    },
    set(request) {
      name.input.value = request.model || "";
      base.input.value = request.base_model || "";
      for (const [each, one] of [...plain, ["metadata", metadata]]) one.set(each === "family" && request.family && Object.keys(request.family).length === 1 ? request.family.type : request[each]);
      for (const [each, part] of Object.entries(parts)) part.set(request[each]);
    },
    mark(errors) {
      const known = new Map([["model", name], ["base_model", base], ["metadata", metadata], ...plain]);
      let others = errors;
      for (const [each, part] of Object.entries(parts)) others = part.mark(others, `/${each}`);
      for (const [each, one] of known) {
        const mine = others.filter((error) => error.pointer === `/${each}` || error.pointer?.startsWith(`/${each}/`));
        one.mark(mine.map(sentenceOf).join(" "));
        others = others.filter((error) => !mine.includes(error));
      }
      return others;
    },
  };
}

function input(label, usual, suggestions, changed, description) {
  const ids = { input: freshId(), list: freshId(), help: freshId(), wrong: freshId("wrong") };
  const wrong = h("p", { class: "wrong small", id: ids.wrong, hidden: true });
  const made = h("input", { id: ids.input, list: ids.list, placeholder: usual, autocomplete: "off", spellcheck: "false", "aria-describedby": `${ids.wrong} ${ids.help}`, oninput: changed });
  const element = h("div", { class: "field" }, h("label", { for: ids.input }, label), made,
    h("datalist", { id: ids.list }, suggestions.map(([value, words]) => h("option", { value, label: words || null }))), wrong,
    h("p", { class: "help small soft", id: ids.help }, description));
  return { element, input: made, mark: (detail) => { wrong.hidden = !detail; fill(wrong, detail); made.setAttribute("aria-invalid", String(Boolean(detail))); } };
}

function requestOf(state, form) {
  const request = form.value();
  return state.dataset && request.model ? { ...request, dataset_id: state.dataset.id } : null;
}

async function prefill(query, form, picker) {
  const from = query.get("from");
  const request = from ? await get(path`/jobs/${from}/request`) : null;
  if (request) form.set(request);
  const dataset = request?.dataset_id || query.get("dataset");
  if (dataset) await picker.choose(dataset);
}
