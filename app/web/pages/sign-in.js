/** Asks for the API key, and keeps one that works. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { forget, keep, keyOf, nextPage } from "../key.js";
import { problemView } from "../parts/problem.js";

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
      await enter(input.value.trim());
    } catch (problem) {
      fill(said, problemView(problem.status === 401 ? { message: "This key is not the one of the service.", remedy: "It is the value of TUNESMITH_API_KEY there." } : problem));
      input.select();
    } finally {
      button.disabled = false;
    }
  };
  fill(main, h("div", { class: "sign-in card" },
    h("h1", {}, "Sign in"),
    h("p", { class: "soft" }, "This service asks for its API key. It is kept in this tab and forgotten when you close it."),
    h("form", { onsubmit: submit }, h("label", { for: "key" }, "API key"), input, button), said));
  input.focus();
}

async function enter(key) {
  const before = keyOf();
  keep(key);
  try {
    await get("/jobs", { limit: 1 });
    location.replace(nextPage(location.search));
  } catch (problem) {
    if (before) keep(before);
    else forget();
    throw problem;
  }
}
