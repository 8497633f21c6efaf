/** A form for one object of the API, made from its schema, with the descriptions as help. */

import { h } from "../dom.js";
import { field } from "./field.js";
import { sentenceOf } from "./problem.js";

/**
 * Make the fields of a schema, those named in `first` above, the rest in a part that is opened.
 * Gives { element, value(), set(object), mark(errors, pointer) }; value() has only what was filled in.
 */
export function schemaForm(schema, { first, title, changed, without = [] }) {
  const names = Object.keys(schema.properties).filter((name) => !without.includes(name));
  const fields = new Map(names.map((name) => [name, field(name, schema.properties[name], changed)]));
  const above = first ? names.filter((name) => first.includes(name)).sort((a, b) => first.indexOf(a) - first.indexOf(b)) : [];
  const rest = names.filter((name) => !above.includes(name));
  const more = h("details", { class: "more" }, h("summary", {}, title), h("div", { class: "fields" }, rest.map((name) => fields.get(name).element)));
  return {
    element: h("div", {}, above.length > 0 && h("div", { class: "fields" }, above.map((name) => fields.get(name).element)), more),
    value() {
      const found = {};
      for (const [name, each] of fields) {
        const value = each.value();
        if (value !== undefined) found[name] = value;
      }
      return found;
    },
    set(object) {
      for (const [name, each] of fields) each.set(object?.[name]);
      if (rest.some((name) => object?.[name] !== undefined)) more.open = true;
    },
    /** Show each broken rule at its field; gives those that belong to none. */
    mark(errors, pointer) {
      const broken = new Map();
      const others = [];
      for (const error of errors) {
        const name = error.pointer?.startsWith(`${pointer}/`) ? error.pointer.slice(pointer.length + 1).split("/")[0] : null;
        if (fields.has(name)) broken.set(name, [broken.get(name), sentenceOf(error)].filter(Boolean).join(" "));
        else others.push(error);
      }
      for (const [name, each] of fields) each.mark(broken.get(name) || "");
      if (rest.some((name) => broken.has(name))) more.open = true;
      return others;
    },
  };
}
