/** Questions before something happens, and forms above the page. The browser's own dialog holds the focus and hears Escape. */

import { freshId, h } from "../dom.js";

/**
 * Ask; gives true when the action was chosen.
 * confirm({ title: "Cancel this job?", text: "…", action: "Cancel the job", danger: true, dismiss: "Go back" })
 */
export function confirm({ title, text, action, danger = false, dismiss = "Back" }) {
  return new Promise((answer) => {
    const paragraphs = [text].flat().map((each) => (typeof each === "string" ? h("p", {}, each) : each));
    const dialog = opened(title, (close) => h("div", {}, paragraphs,
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: close }, dismiss),
        h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close("yes") }, action))));
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"));
  });
}

/**
 * Open a form; send() is called when it is submitted by one of the `buttons` of the type submit.
 * Gives { close, once }: once(work) does work() unless other work of this form is still going on, so that nothing is
 * sent twice.
 */
export function formDialog({ title, content, buttons, send, wide = false }) {
  let working = false;
  const once = async (work) => {
    if (working) return;
    working = true;
    dialog.setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      working = false;
      dialog.removeAttribute("aria-busy");
    }
  };
  const submit = (event) => {
    event.preventDefault();
    once(send);
  };
  const dialog = opened(title, (close) => h("form", { onsubmit: submit, novalidate: true }, content,
    h("div", { class: "actions" }, h("button", { type: "button", onclick: close }, "Back"), buttons)), wide);
  return { close: () => dialog.close(), once };
}

function opened(title, content, wide = false) {
  const heading = freshId("dialog");
  const dialog = h("dialog", { "aria-labelledby": heading, class: wide ? "wide-dialog" : null }, h("h2", { id: heading }, title));
  dialog.append(content(() => dialog.close()));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
