/** One model: versions, aliases with their policies and history, promoting and rolling back. */

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { bytes, score, time } from "../format.js";
import { repeat } from "../live.js";
import { toast } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";
import { promote } from "../parts/promotion.js";
import { table } from "../parts/table.js";
import { aliasView, noAlias } from "./model/alias.js";

export const title = "Model";

export function show(main, { params }) {
  const name = params.name;
  document.title = `${name} · Tunesmith`;
  const said = h("div", { "aria-live": "polite" });
  const chosen = new Set();
  const compare = h("a", { class: "button", hidden: true });
  const list = table({ caption: "Versions, newest first", columns: columns(name, chosen, () => offer(compare, name, chosen), () => live.now()), key: (row) => row.version });
  const aliases = h("div");
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, name), h("div", { class: "actions" }, compare,
      h("a", { class: "button primary", href: `/ui/try?model=${encodeURIComponent(name)}` }, "Try it"),
      h("a", { class: "button", href: `/ui/jobs?model=${encodeURIComponent(name)}` }, "Its jobs"))),
    said, h("section", { class: "model-part", "aria-label": "Versions" }, list.element), aliases);
  const asked = location.hash.startsWith("#alias-") ? location.hash.slice("#alias-".length) : null;
  const opened = new Set([asked].filter(Boolean));
  let state = "";
  const live = repeat(async () => {
    const [model, versions] = await Promise.all([get(path`/models/${name}`), get(path`/models/${name}/versions`)]);
    list.show(versions.data.map((version) => ({ ...version, serves: version.version === model.serving_version })));
    if (state !== JSON.stringify(model.aliases)) {
      const views = await Promise.all(model.aliases.map((alias) => aliasView(name, alias, () => live.now(), opened)));
      fill(aliases, views.length ? views : noAlias(name, opened));
      if (state === "" && asked) document.getElementById(`alias-${asked}`)?.scrollIntoView();
      state = JSON.stringify(model.aliases);
    }
    fill(said);
    main.dataset.ready = "yes";
  }, 10, (error) => error && fill(said, problemView(error)));
}

function columns(name, chosen, picked, moved) {
  const link = (row) => `/ui/models/${encodeURIComponent(name)}/versions/${row.version}`;
  const metric = (row, key) => score(row.metrics[key]);
  const move = (row) => promote(name, row.version, (alias) => { toast(`${name}@${alias.alias} is version ${alias.version}.`); moved(); });
  return [
    { title: "Compare", unseen: true, class: "pick", cell: (row) => h("input", { type: "checkbox", "aria-label": `Compare version ${row.version}`, checked: chosen.has(row.version), onchange: (event) => { choose(chosen, row.version, event.target); picked(); } }) },
    { title: "Version", heading: true, cell: (row) => [h("a", { class: "strong nowrap", href: link(row) }, `version ${row.version}`), row.serves && h("div", { class: "soft small wide" }, "a plain name means it")] },
    { title: "Aliases", cell: (row) => row.aliases.map((alias) => h("span", { class: "alias" }, alias)) },
    { title: "Test F1", class: "number", cell: (row) => metric(row, "test/f1_macro") },
    { title: "Test accuracy", class: "number wide", cell: (row) => metric(row, "test/accuracy") },
    { title: "Validation F1", class: "number wide", cell: (row) => metric(row, "validation/f1_macro") },
    { title: "Base", class: "wide", cell: (row) => row.base_model.id },
    { title: "Size", class: "number wide", cell: (row) => bytes(row.bytes) },
    { title: "Made", class: "nowrap wide", cell: (row) => time(row.created_at) },
    { title: "Promote", unseen: true, cell: (row) => h("button", { type: "button", "aria-label": `Promote version ${row.version}`, disabled: row.aliases.includes("champion"), onclick: () => move(row) }, "Promote") },
  ];
}

function choose(chosen, version, box) {
  if (!box.checked) chosen.delete(version);
  else if (chosen.size >= 2) {
    box.checked = false;
    toast("Two versions are compared at a time.");
  } else chosen.add(version);
}

function offer(link, name, chosen) {
  const [one, other] = [...chosen].sort((a, b) => a - b);
  link.hidden = chosen.size !== 2;
  link.textContent = `Compare ${one} and ${other}`;
  link.href = `/ui/models/${encodeURIComponent(name)}/diff?from=${one}&to=${other}`;
}
