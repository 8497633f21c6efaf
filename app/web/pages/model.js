/** One model: versions, aliases with their policies and history, promoting and rolling back. */

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { bytes, inline, score, time } from "../format.js";
import { repeat } from "../live.js";
import { toast } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";
import { promote, rollBack } from "../parts/promotion.js";
import { table } from "../parts/table.js";

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
  let state = "";
  const live = repeat(async () => {
    const [model, versions] = await Promise.all([get(path`/models/${name}`), get(path`/models/${name}/versions`)]);
    list.show(versions.data.map((version) => ({ ...version, serves: version.version === model.serving_version })));
    if (state !== JSON.stringify(model.aliases)) {
      const views = await Promise.all(model.aliases.map((alias) => aliasView(name, alias, () => live.now())));
      fill(aliases, views.length ? views : noAlias());
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
    { title: "Version", heading: true, cell: (row) => [h("a", { class: "strong", href: link(row) }, `version ${row.version}`), row.serves && h("div", { class: "soft small" }, "a plain name means it")] },
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
  else if (chosen.size >= 2) box.checked = false;
  else chosen.add(version);
}

function offer(link, name, chosen) {
  const [one, other] = [...chosen].sort((a, b) => a - b);
  link.hidden = chosen.size !== 2;
  link.textContent = `Compare ${one} and ${other}`;
  link.href = `/ui/models/${encodeURIComponent(name)}/diff?from=${one}&to=${other}`;
}

function noAlias() {
  return h("p", { class: "soft" }, "No alias yet: the newest version answers a plain name. Promote one to pin it.");
}

async function aliasView(name, alias, moved) {
  const at = path`/models/${name}/aliases/${alias.alias}`;
  const history = await get(`${at}/history`, { limit: 10 });
  const back = (found) => { toast(`${name}@${found.alias} is version ${found.version} again; it was ${found.rolled_back_from}.`); moved(); };
  const moves = table({
    caption: `Moves of ${alias.alias}`, class: "dense", key: (row) => row.at,
    columns: [
      { title: "When", heading: true, class: "nowrap", cell: (row) => time(row.at) },
      { title: "What", cell: (row) => [row.kind, row.forced && h("span", { class: "down-by" }, ", forced")] },
      { title: "From", class: "number", cell: (row) => inline(row.from_version) },
      { title: "To", class: "number", cell: (row) => inline(row.to_version) },
      { title: "Who", class: "wide", cell: (row) => row.actor },
      { title: "Why", cell: (row) => row.reason || "–" },
    ],
  });
  moves.show(history.data);
  return h("section", { class: "card model-part", "aria-label": `Alias ${alias.alias}` },
    h("div", { class: "page-head" }, h("h2", {}, `${alias.alias} is version ${alias.version}`),
      h("button", { type: "button", disabled: history.data.length < 2, onclick: () => rollBack(name, alias.alias, back) }, "Roll back")),
    moves.element, rules(at));
}

/** What the alias asks of a version and how its calls are split: asked for when somebody opens it. */
function rules(at) {
  const body = h("div", { "aria-live": "polite" });
  const missing = (problem) => { if (problem.status !== 404) throw problem; return null; };
  const load = async () => {
    try {
      const [policy, traffic] = await Promise.all(["policy", "traffic"].map((part) => get(`${at}/${part}`).catch(missing)));
      fill(body, h("p", {}, policyWords(policy)), h("p", {}, traffic ? trafficWords(traffic.traffic) : "All its calls are answered by the version that it names."));
    } catch (error) {
      fill(body, problemView(error));
    }
  };
  const part = h("details", { class: "more" }, h("summary", {}, "Policy and traffic"), body);
  part.addEventListener("toggle", () => part.open && load());
  return part;
}

function policyWords(found) {
  const parts = Object.entries(found?.policy || {}).filter(([, value]) => value && (!Array.isArray(value) || value.length > 0));
  return parts.length ? `Before it moves: ${parts.map(([key, value]) => `${key.replaceAll("_", " ")} (${inline(value)})`).join("; ")}.` : "It may name any version: no policy is set.";
}

function trafficWords({ canary, shadow, log }) {
  return [
    canary && `Version ${canary.version} answers ${canary.percent} % of its calls as a canary.`,
    shadow && `Version ${shadow.version} is asked ${shadow.percent} % of them again as a shadow.`,
    log && `${log.percent} % of the answers are kept for feedback.`,
  ].filter(Boolean).join(" ");
}
