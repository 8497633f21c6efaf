/** Older and newer: the API's cursors only lead on, so the way back is remembered. */

import { h } from "../dom.js";

/** Make a pager; go(cursor) is called with the cursor of the page to show, undefined for the first. */
export function pager(go) {
  const trail = [];
  let next = null, asked = false;
  const turn = (step) => () => {
    if (asked) return;  // pressed twice before the page came: its cursor is not known yet
    asked = true;
    step();
    go(trail.at(-1));
  };
  const newer = h("button", { type: "button", onclick: turn(() => trail.pop()) }, "Newer");
  const older = h("button", { type: "button", onclick: turn(() => trail.push(next)) }, "Older");
  const where = h("span", { class: "soft" });
  const element = h("nav", { class: "pager", "aria-label": "Pages" }, newer, where, older);
  return {
    element,
    /** Show what the answer says of further pages. */
    show(page) {
      asked = false;
      next = page.next_cursor;
      newer.disabled = trail.length === 0;
      older.disabled = !page.has_more;
      where.textContent = trail.length ? `Page ${trail.length + 1}` : "";
      element.hidden = trail.length === 0 && !page.has_more;
    },
    /** Let it be pressed again: the page that was asked for did not come. */
    failed() {
      asked = false;
    },
    /** Forget the way: the list is another one now. */
    reset() {
      trail.length = 0;
      asked = false;
    },
  };
}
