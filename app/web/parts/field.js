/** One field of a form, made from its JSON schema: a control, its help, and what is wrong with it. */

import { fill, freshId, h } from "../dom.js";
import { inline, number } from "../format.js";

const BOUNDS = [["minimum", "at least"], ["exclusiveMinimum", "more than"], ["maximum", "at most"], ["exclusiveMaximum", "less than"]];

/** Say what a schema takes: { words, numeric, boolean, several, json, nullable }. */
export function kindOf(schema) {
  const options = schema.anyOf || schema.oneOf || [schema];
  const found = { words: [], numeric: false, boolean: false, several: null, json: false, text: false, nullable: false, bounds: "" };
  for (const option of options) {
    if (option.const !== undefined) found.words.push(option.const);
    else if (option.enum) found.words.push(...option.enum);
    else if (option.type === "null") found.nullable = true;
    else if (option.type === "boolean") found.boolean = true;
    else if (option.type === "integer" || option.type === "number") {
      found.numeric = true;
      found.bounds = BOUNDS.filter(([name]) => option[name] !== undefined).map(([name, words]) => `${words} ${number(option[name])}`).join(", ");
    } else if (option.type === "array" && option.items?.enum) found.several = option.items.enum;
    else if (option.type === "string") found.text = true;
    else found.json = true;
  }
  return found;
}

/** Read what was typed as the schema means it; undefined: nothing was. What fits nothing stays text for the API to refuse. */
export function valueOf(kind, typed) {
  const text = typed.trim();
  if (text === "") return undefined;
  const word = kind.words.find((each) => String(each) === text);
  if (word !== undefined) return word;
  if (text === "null" && kind.nullable) return null;
  if (kind.boolean) return text === "yes" || text === "true";
  if (kind.numeric && Number.isFinite(Number(text))) return Number(text);
  if (kind.json && /^[[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

/** Make the field; changed() is called with each change. Gives { element, value(), set(value), mark(detail) }. */
export function field(name, schema, changed, { title = titleOf(name), fallback = schema.default } = {}) {
  const kind = kindOf(schema);
  const ids = { input: freshId("field"), help: freshId("help"), wrong: freshId("wrong") };
  const control = kind.several ? checkboxes(kind.several, fallback, changed) : single(kind, fallback, ids, changed);
  const wrong = h("p", { class: "wrong small", id: ids.wrong, hidden: true });
  const help = [schema.description?.replace(/\s+/g, " "), kind.bounds && `${kind.bounds[0].toUpperCase()}${kind.bounds.slice(1)}.`].filter(Boolean).join(" ");
  const described = h("p", { class: "help small soft", id: ids.help }, help.replaceAll("`", ""));
  const element = kind.several
    ? h("fieldset", { class: "field", "aria-describedby": ids.help }, h("legend", {}, title), control.element, wrong, described)
    : h("div", { class: "field" }, h("label", { for: ids.input }, title), control.element, wrong, described);
  element.dataset.field = name;
  return {
    element,
    value: control.several || (() => valueOf(kind, control.input.value)),
    set: control.set || ((value) => { control.input.value = written(kind, value); }),
    mark(detail) {
      wrong.hidden = !detail;
      fill(wrong, detail);
      control.input?.setAttribute("aria-invalid", String(Boolean(detail)));
    },
  };
}

/** "num_train_epochs" -> "Num train epochs": the name of the API, so that it is found again there. */
export function titleOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function single(kind, fallback, ids, changed) {
  const usual = fallback === undefined || fallback === null ? (kind.nullable ? "none" : "") : kind.boolean ? (fallback ? "yes" : "no") : inline(fallback);
  const shared = { id: ids.input, name: ids.input, "aria-describedby": `${ids.wrong} ${ids.help}`, oninput: changed };
  const words = kind.boolean ? ["yes", "no"] : kind.words;
  if ((kind.boolean || words.length > 0) && !kind.numeric && !kind.json && !kind.text) {
    const input = h("select", shared, h("option", { value: "" }, usual ? `Default: ${usual}` : "Choose …"), words.map((word) => h("option", { value: word }, word)));
    return { element: input, input };
  }
  if (kind.json && !kind.numeric && words.length === 0) {
    const input = h("textarea", { ...shared, rows: "2", spellcheck: "false", placeholder: "{ … } as JSON", class: "mono" });
    return { element: input, input };
  }
  const input = h("input", { ...shared, autocomplete: "off", spellcheck: "false", placeholder: usual });
  return { element: input, input };
}

function checkboxes(values, fallback = [], changed) {
  const boxes = values.map((value) => h("input", { type: "checkbox", value, checked: fallback.includes(value), onchange: changed }));
  return {
    element: h("div", { class: "choices" }, boxes.map((box) => h("label", {}, box, ` ${box.value}`))),
    several() {
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
      return String(chosen) === String(fallback) ? undefined : chosen;
    },
    set(given) {
      for (const box of boxes) box.checked = (given || fallback).includes(box.value);
    },
  };
}

function written(kind, value) {
  if (value === undefined) return "";
  if (value === null) return "null";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

