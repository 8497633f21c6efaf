/** Questions before something happens that cannot be undone. The browser's own dialog holds the focus and hears Escape. */

import { freshId, h } from "../dom.js";

/**
 * Ask; gives true when the action was chosen.
 * confirm({ title: "Cancel this job?", text: "…", action: "Cancel the job", danger: true, dismiss: "Go back" })
 */
export function confirm({ title, text, action, danger = false, dismiss = "Back" }) {
  return new Promise((answer) => {
    const heading = freshId("dialog");
    const dialog = h("dialog", { "aria-labelledby": heading },
      h("h2", { id: heading }, title),
      [text].flat().map((each) => (typeof each === "string" ? h("p", {}, each) : each)),
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, dismiss),
        h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close("yes") }, action)));
    dialog.addEventListener("close", () => {
      answer(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
