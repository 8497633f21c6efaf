/** Tables that are drawn again without losing the place of whoever reads or types in them. */

import { fill, h } from "../dom.js";

/**
 * Make a table. columns: [{ title, cell(row) -> child or children, class, sort }]; a column whose title is not to be
 * seen has `unseen: true`. key(row) tells rows apart. Gives { element, show(rows) }: only rows that changed are
 * replaced, so that focus, selection and scroll stay.
 */
export function table({ caption, columns, key = (row) => row.id, class: kind = "" }) {
  const body = h("tbody");
  const kept = new Map();
  const element = h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: kind },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.class }, column.unseen ? h("span", { class: "unseen" }, column.title) : column.title)))),
      body));
  const show = (rows) => {
    const focus = focusIn(body);
    const wanted = rows.map((row) => drawn(row));
    if (!same([...body.children], wanted)) fill(body, wanted);
    const alive = new Set(rows.map(key));
    for (const id of kept.keys()) if (!alive.has(id)) kept.delete(id);
    focus?.();
  };
  const drawn = (row) => {
    const state = JSON.stringify(row);
    const earlier = kept.get(key(row));
    if (earlier && earlier.state === state) return earlier.element;
    const made = h("tr", { dataset: { key: key(row) } }, columns.map((column) => cellOf(column, row)));
    kept.set(key(row), { state, element: made });
    return made;
  };
  return { element, show };
}

function cellOf(column, row) {
  return h(column.heading ? "th" : "td", { class: column.class, scope: column.heading ? "row" : null }, column.cell(row));
}

function same(one, other) {
  return one.length === other.length && one.every((element, i) => element === other[i]);
}

/** Remember which control of which row has the focus; gives a function that puts it back if its row was replaced. */
function focusIn(body) {
  const held = document.activeElement;
  const row = held?.closest?.("tr");
  if (!row || row.parentElement !== body) return null;
  const id = row.dataset.key;
  const place = controls(row).indexOf(held);
  return () => {
    if (document.activeElement === held) return;
    const again = [...body.children].find((each) => each.dataset.key === id);
    if (again) controls(again)[place]?.focus({ preventScroll: true });
  };
}

function controls(row) {
  return [...row.querySelectorAll("a, button, input, select")];
}
