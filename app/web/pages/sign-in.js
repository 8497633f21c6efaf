/** Asks for an API key, keeps one that is taken, and says what it may not do. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { forget, keep, nextPage } from "../key.js";
import { problemView } from "../parts/problem.js";
import { lacking } from "../scopes.js";

export const title = "Sign in";

export function show(main) {
  const input = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("div", { "aria-live": "polite" });
  const button = h("button", { class: "primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    if (!/^[\x21-\x7e]+$/.test(input.value.trim())) {
      fill(said, problemView({ message: "This is no key.", remedy: "A key has letters, digits and signs of ASCII alone: copy it once more, whole and without quotes." }));
      return input.select();
    }
    button.disabled = true;
    try {
      const caller = await enter(input.value.trim());
      if (caller.scopes.includes("admin")) location.replace(nextPage(location.search));
      else limited(main, caller);
    } catch (problem) {
      fill(said, problemView(problem.code === "unauthenticated" ? { message: "The service does not take this key.", remedy: "It may be mistyped, or was revoked. An admin of the service can make you another." } : problem));
      input.select();
    } finally {
      button.disabled = false;
    }
  };
  fill(main, h("div", { class: "sign-in card" },
    h("h1", {}, "Sign in"),
    h("p", { class: "soft" }, "This service asks for an API key. It is kept in this tab and forgotten when you close it."),
    h("form", { onsubmit: submit }, h("label", { for: "key" }, "API key"), input, button), said));
  input.focus();
}

/** Keep a key that the service takes, and give whose it is; a key that was kept before is let go. */
async function enter(key) {
  forget();
  const caller = await get("/keys/current", {}, { headers: { Authorization: `Bearer ${key}` } });
  keep(key, caller);
  return caller;
}

/** Say what this key may not do before its holder looks for it in vain. */
function limited(main, caller) {
  const onward = h("a", { class: "button primary", href: nextPage(location.search) }, "Go on");
  fill(main, h("div", { class: "sign-in card" },
    h("h1", {}, `Signed in as ${caller.name}`),
    h("div", { class: "notice info" }, h("p", {}, "This key may not:"), h("ul", {}, lacking(caller).map((words) => h("li", {}, words)))),
    onward));
  onward.focus();
}
