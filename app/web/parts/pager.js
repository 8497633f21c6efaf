/** Older and newer: the API's cursors only lead on, so the way back is remembered. */

import { h } from "../dom.js";

/** Make a pager; go(cursor) is called with the cursor of the page to show, undefined for the first. */
export function pager(go) {
  const trail = [];
  let next = null;
  const newer = h("button", { type: "button", onclick: () => { trail.pop(); go(trail.at(-1)); } }, "Newer");
  const older = h("button", { type: "button", onclick: () => { trail.push(next); go(next); } }, "Older");
  const where = h("span", { class: "soft" });
  const element = h("nav", { class: "pager", "aria-label": "Pages" }, newer, where, older);
  return {
    element,
    /** Show what the answer says of further pages. */
    show(page) {
      next = page.next_cursor;
      newer.disabled = trail.length === 0;
      older.disabled = !page.has_more;
      where.textContent = trail.length ? `Page ${trail.length + 1}` : "";
      element.hidden = trail.length === 0 && !page.has_more;
    },
    /** Forget the way: the list is another one now. */
    reset() {
      trail.length = 0;
    },
  };
}
