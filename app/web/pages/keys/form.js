/** The form of a new key, and the one look at what it made. */

import { post } from "../../api.js";
import { fill, freshId, h } from "../../dom.js";
import { keep } from "../../key.js";
import { toast } from "../../parts/notice.js";
import { problemView } from "../../parts/problem.js";
import { SCOPES } from "../../scopes.js";

const ENDS = [["", "never"], ["30", "30 days"], ["90", "90 days"], ["365", "a year"]];

/**
 * Make the form; made(key) is called after a key was made. isFirst: the service is open until then.
 * Gives { element, secret, isSending() }: secret is where the new key is shown.
 */
export function newKeyForm({ isFirst, made }) {
  const ids = { name: freshId("name"), help: freshId("help"), end: freshId("end") };
  const name = h("input", { id: ids.name, required: true, maxlength: "63", autocomplete: "off", spellcheck: "false", "aria-describedby": ids.help });
  const boxes = SCOPES.map((scope) => h("input", { type: "checkbox", value: scope.name, checked: isFirst && scope.name === "admin" }));
  const end = h("select", { id: ids.end }, ENDS.map(([value, text]) => h("option", { value }, text)));
  const said = h("div", { "aria-live": "polite" });
  const secret = h("div");
  const button = h("button", { class: "primary" }, "Make the key");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(said);
    try {
      const wish = { name: name.value.trim(), scopes: boxes.filter((box) => box.checked).map((box) => box.value) };
      if (end.value) wish.expires_in_days = Number(end.value);
      // Never sent twice: whoever repeats it is told that the name is taken, and the key itself would be lost.
      const key = await post("/keys", wish, { key: undefined });
      if (isFirst) keep(key.key, key);
      isFirst = false;
      event.target.reset();
      shown(secret, key);
      button.disabled = false;
      made(key);
    } catch (problem) {
      fill(said, problemView(problem));
    } finally {
      button.disabled = false;
    }
  };
  const element = h("section", { class: "card after" }, h("h2", {}, "New key"),
    h("form", { onsubmit: submit },
      h("div", { class: "fields" },
        h("div", { class: "field" }, h("label", { for: ids.name }, "Name"), name, h("p", { class: "help small soft", id: ids.help }, "Who or what will use it: histories show it. Lower-case letters, digits and '-'.")),
        h("div", { class: "field" }, h("label", { for: ids.end }, "Expires"), end)),
      h("fieldset", { class: "field scopes" }, h("legend", {}, "May"),
        SCOPES.map((scope, i) => h("label", {}, boxes[i], h("span", {}, h("span", { class: "strong" }, scope.name), h("span", { class: "help small soft" }, ` ${scope.may}`))))),
      said, h("div", { class: "actions after" }, button)));
  return { element, secret, isSending: () => button.disabled };
}

/** Show a new key until it is put away; it cannot be shown again. */
function shown(room, key) {
  const id = freshId("secret");
  const text = h("input", { id, readOnly: true, value: key.key, class: "mono", onfocus: () => text.select() });
  fill(room, h("section", { class: "notice good secret", role: "status" },
    h("p", { class: "lead" }, h("label", { for: id }, `The key of ${key.name}`)),
    h("p", {}, "Copy it now: nobody can show it again."),
    h("div", { class: "actions" }, text,
      h("button", { type: "button", class: "primary", onclick: () => copy(text) }, "Copy"),
      h("button", { type: "button", onclick: () => fill(room) }, "I have it"))));
  room.scrollIntoView({ block: "nearest" });
  text.focus();
}

/** The clipboard proper is only there over https and on this machine. */
async function copy(input) {
  if (navigator.clipboard) await navigator.clipboard.writeText(input.value);
  else {
    input.select();
    document.execCommand("copy");
  }
  toast("Copied.");
}
