/** API keys: who may ask, what each may do, when it was used; new ones are made and old ones revoked here. */

import { get, path, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { time } from "../format.js";
import { forget, keyOf, SIGN_IN } from "../key.js";
import { repeat } from "../live.js";
import { confirm } from "../parts/dialog.js";
import { empty, notice, toast } from "../parts/notice.js";
import { pager } from "../parts/pager.js";
import { problemView } from "../parts/problem.js";
import { badge } from "../parts/status.js";
import { table } from "../parts/table.js";
import { newKeyForm } from "./keys/form.js";

export const title = "API keys";

const BADGES = { active: "ok", expired: "degraded", revoked: "down" };
const OPEN = "This service asks for no key: everyone on this machine may do everything. The first key closes it to all who have none. It must be an admin without an end, and this tab goes on with it.";

export async function show(main) {
  const caller = await get("/keys/current");
  const head = h("header", { class: "page-head" }, h("h1", {}, "API keys"));
  if (!caller.scopes.includes("admin")) {
    fill(main, head, notice("info", h("p", {}, `The key ${caller.name} may ${caller.scopes.join(", ")}. Keys are for those with the scope admin: ask one of them for another.`)));
    main.dataset.ready = "yes";
    return;
  }
  const isOpen = caller.name === "anonymous";
  let cursor;
  const said = h("div", { "aria-live": "polite" }), none = h("div");
  const list = table({ caption: "API keys, newest first", columns: columns((key) => revoke(key, live)), class: "keys" });
  const pages = pager((wanted) => { cursor = wanted; live.now(); });
  const revoked = h("input", { type: "checkbox", onchange: () => { cursor = undefined; pages.reset(); live.now(); } });
  const opened = h("div", {}, isOpen && notice("warning", h("p", {}, OPEN)));
  const form = newKeyForm({ isFirst: isOpen, made: () => { fill(opened); live.now(); } });
  fill(main, head, opened, form.secret, said,
    h("div", { class: "filters" }, h("label", {}, revoked, " Show revoked keys too")), list.element, none, pages.element, form.element);
  const live = repeat(async () => {
    if (form.isSending()) return;  // the first key closes the service: a list that is read just then would lead away
    const page = await get("/keys", { limit: 30, cursor, revoked: revoked.checked || undefined });
    list.show(page.data);
    list.element.hidden = page.data.length === 0;
    pages.show(page);
    fill(none, page.data.length === 0 && empty("No key yet.", h("p", {}, "Give each application, person and script one of its own.")));
    main.dataset.ready = "yes";
  }, 15, (error) => fill(said, error && problemView(error)));
}

function columns(ask) {
  return [
    { title: "Name", heading: true, class: "grow", cell: (key) => [h("span", { class: "strong" }, key.name), h("div", { class: "soft small mono" }, `${key.prefix}…`)] },
    { title: "May", cell: (key) => key.scopes.join(", ") },
    { title: "Status", cell: (key) => badge(BADGES[key.status], key.status) },
    { title: "Last used", class: "nowrap", cell: (key) => (key.last_used_at ? time(key.last_used_at) : "never") },
    { title: "Expires", class: "nowrap", cell: (key) => (key.expires_at ? key.expires_at.slice(0, 10) : "never") },
    { title: "Made by", class: "wide", cell: (key) => key.created_by },
    { title: "Made", class: "nowrap wide", cell: (key) => time(key.created_at) },
    { title: "Revoke", unseen: true, cell: (key) => key.status !== "revoked" && h("button", { type: "button", class: "danger", "aria-label": `Revoke ${key.name}`, onclick: () => ask(key) }, "Revoke") },
  ];
}

async function revoke(key, live) {
  const own = keyOf().startsWith(key.prefix);
  const text = ["Whoever uses it is refused within seconds. It cannot be brought back.", own && "It is the key of this tab: you will be asked for another."].filter(Boolean);
  if (!await confirm({ title: `Revoke ${key.name}?`, text, action: "Revoke", danger: true })) return;
  try {
    if (!await send(key)) return;
  } catch (problem) {
    return toast([problem.message, problem.remedy].filter(Boolean).join(" "), "critical");
  }
  if (own) {
    forget();
    return location.assign(SIGN_IN);
  }
  toast(`${key.name} is revoked.`);
  live.now();
}

/** Revoke; the last that can administer only after asking again. Gives whether it was done. */
async function send(key) {
  const address = path`/keys/${key.id}`;
  try {
    await remove(address);
  } catch (problem) {
    if (problem.code !== "last-admin-key") throw problem;
    if (!await confirm({ title: "Revoke the last admin?", text: problem.message, action: "Revoke all the same", danger: true })) return false;
    await remove(`${address}?force=true`);
  }
  return true;
}
