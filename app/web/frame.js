/** The frame around every page: where one is, the menu on narrow screens, the colours, the key. */

import { ago } from "./format.js";
import { forget, holder, keyOf, SIGN_IN } from "./key.js";

export function frame() {
  markPage();
  menu();
  colours();
  key();
  setInterval(tick, 20_000);
}

/** Call the page by this name in the title of the tab. */
export function name(title) {
  document.title = `${title} · Tunesmith`;
}

function markPage() {
  const section = location.pathname.split("/").slice(0, 3).join("/");
  for (const link of document.querySelectorAll("#side nav a")) {
    if (link.getAttribute("href") === section) link.setAttribute("aria-current", "page");
  }
}

/** Times that are told as "5 min ago" grow older while one looks. */
function tick() {
  for (const shown of document.querySelectorAll("time[datetime]")) shown.textContent = ago(shown.dateTime);
}

function menu() {
  const button = document.getElementById("menu");
  const turn = (open) => button.setAttribute("aria-expanded", String(open));
  button.addEventListener("click", () => turn(button.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && button.getAttribute("aria-expanded") === "true") {
      turn(false);
      button.focus();
    }
  });
}

function colours() {
  const select = document.getElementById("theme");
  select.value = localStorage.getItem("tunesmith-theme") || "";
  select.addEventListener("change", () => {
    if (select.value) {
      localStorage.setItem("tunesmith-theme", select.value);
      document.documentElement.dataset.theme = select.value;
    } else {
      localStorage.removeItem("tunesmith-theme");
      delete document.documentElement.dataset.theme;
    }
    document.dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
}

function key() {
  const button = document.getElementById("sign-out");
  button.hidden = !keyOf();
  const who = holder();
  const said = document.getElementById("who");
  said.hidden = !who;
  if (who) said.textContent = who.scopes.includes("admin") ? `Key: ${who.name}` : `Key: ${who.name}, may ${who.scopes.join(", ")}`;
  button.addEventListener("click", () => {
    forget();
    location.assign(SIGN_IN);
  });
}
