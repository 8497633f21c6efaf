/** Forms for objects that hold objects: a part that can be switched on, a list of parts, and plain fields. */

import { fill, freshId, h } from "../dom.js";
import { field, titleOf } from "./field.js";
import { sentenceOf } from "./problem.js";

/**
 * Make the fields of a schema of the API. `schemas` are all of them by name, `choices` the values to choose from by the
 * name of a field. Gives { element, value(), set(object), mark(errors, pointer) }: value() has only what was filled in,
 * mark shows each broken rule at its field and gives those that belong to none.
 */
export function objectForm(schema, schemas, wishes = {}) {
  const parts = new Map(Object.entries(schema.properties).filter(([name]) => !wishes.without?.includes(name)).map(([name, each]) => [name, partOf(name, each, schemas, wishes)]));
  const plain = [...parts.values()].filter((part) => part.plain).map((part) => part.element);
  return {
    element: h("div", {}, plain.length > 0 && h("div", { class: "fields" }, plain), [...parts.values()].filter((part) => !part.plain).map((part) => part.element)),
    value() {
      const given = [...parts].map(([name, part]) => [name, part.value()]);
      return Object.fromEntries(given.filter(([, value]) => value !== undefined));
    },
    set(object) {
      for (const [name, part] of parts) part.set(object?.[name]);
    },
    mark(errors, pointer = "") {
      let others = errors;
      for (const [name, part] of parts) others = part.mark(others, `${pointer}/${name}`);
      return others;
    },
  };
}

function partOf(name, schema, schemas, wishes) {
  const object = resolved(schema, schemas);
  if (object?.properties) return optional(name, schema, object, schemas, wishes);
  const items = schema.type === "array" && resolved(schema.items, schemas);
  if (items?.properties) return several(name, schema, items, schemas, wishes);
  return leaf(name, schema, wishes);
}

/** The object that a schema refers to, if it does. */
function resolved(schema, schemas) {
  const reference = [schema, ...(schema.anyOf || [])].map((option) => option.$ref).find(Boolean);
  return reference && schemas[reference.split("/").at(-1)];
}

function leaf(name, schema, { choices = {} }) {
  const made = field(name, choices[name] ? { description: schema.description, enum: choices[name] } : schema, () => made.mark(""));
  return {
    plain: true, element: made.element, value: made.value, set: made.set,
    mark(errors, pointer) {
      const [mine, others] = apart(errors, pointer);
      made.mark(mine.map(sentenceOf).join(" "));
      return others;
    },
  };
}

/** A part that is there or not. */
function optional(name, schema, object, schemas, wishes) {
  const form = objectForm(object, schemas, wishes);
  const box = h("input", { type: "checkbox", onchange: () => turn() });
  const wrong = complaint();
  const room = h("div", { class: "inner" }, form.element);
  const turn = () => { room.hidden = !box.checked; };
  turn();
  return {
    element: h("fieldset", { class: "part", dataset: { field: name } }, h("legend", {}, h("label", {}, box, ` ${titleOf(name)}`)), helpOf(schema, object), wrong.element, room),
    value: () => (box.checked ? form.value() : undefined),
    set(value) {
      box.checked = Boolean(value);
      form.set(value);
      turn();
    },
    mark(errors, pointer) {
      const [mine, others] = apart(errors, pointer);
      wrong.say(form.mark(mine, pointer));
      return others;
    },
  };
}

/** A list of parts that grows and shrinks. */
function several(name, schema, items, schemas, wishes) {
  let rows = [];
  const wrong = complaint();
  const room = h("div");
  const more = h("button", { type: "button", onclick: () => { add(); rows.at(-1).element.querySelector("input, select").focus(); } }, "Add one");
  const add = (value) => {
    const form = objectForm(items, schemas, wishes);
    form.set(value);
    const row = { form, element: h("div", { class: "inner row" }, form.element, h("button", { type: "button", class: "quiet", "aria-label": `Take this one out of ${titleOf(name)}`, onclick: () => { drop(row); more.focus(); } }, "Remove")) };
    rows.push(row);
    room.append(row.element);
  };
  const drop = (row) => {
    rows = rows.filter((each) => each !== row);
    row.element.remove();
  };
  return {
    element: h("fieldset", { class: "part", dataset: { field: name } }, h("legend", {}, titleOf(name)), helpOf(schema, items), wrong.element, room, more),
    value: () => (rows.length ? rows.map((row) => row.form.value()) : undefined),
    set(values) {
      for (const row of rows) drop(row);
      for (const value of values || []) add(value);
    },
    mark(errors, pointer) {
      const [mine, others] = apart(errors, pointer);
      wrong.say(rows.reduce((left, row, i) => row.form.mark(left, `${pointer}/${i}`), mine));
      return others;
    },
  };
}

function helpOf(schema, object) {
  return h("p", { class: "help small soft" }, (object.description || schema.description || "").replace(/\s+/g, " ").replaceAll("`", ""));
}

function complaint() {
  const element = h("p", { class: "wrong small", id: freshId("wrong"), hidden: true });
  return {
    element,
    say(errors) {
      element.hidden = errors.length === 0;
      fill(element, errors.map(sentenceOf).join(" "));
    },
  };
}

/** Those errors that are of this place or inside of it, and the others. */
function apart(errors, pointer) {
  const here = (error) => error.pointer === pointer || error.pointer?.startsWith(`${pointer}/`);
  return [errors.filter(here), errors.filter((error) => !here(error))];
}
