/** One alias of a model: where it has pointed and why, its policy, and what becomes of its calls. */

import { get, path } from "../../api.js";
import { fill, h } from "../../dom.js";
import { inline, time } from "../../format.js";
import { toast } from "../../parts/notice.js";
import { problemView } from "../../parts/problem.js";
import { rollBack } from "../../parts/promotion.js";
import { table } from "../../parts/table.js";
import { checkOf, policyView } from "./policy.js";
import { trafficView } from "./traffic.js";

const MOVES = [
  { title: "When", heading: true, class: "nowrap", cell: (row) => time(row.at) },
  { title: "What", cell: (row) => [row.kind, row.forced && h("span", { class: "down-by" }, ", forced")] },
  { title: "From", class: "number", cell: (row) => inline(row.from_version) },
  { title: "To", class: "number", cell: (row) => inline(row.to_version) },
  { title: "Who", class: "wide", cell: (row) => row.actor },
  { title: "Why", cell: (row) => row.reason || "–" },
];

/** Show an alias; moved() is called when it was rolled back or its traffic changed. `opened` keeps whose rules are open. */
export async function aliasView(model, alias, moved, opened) {
  const history = await get(path`/models/${model}/aliases/${alias.alias}/history`, { limit: 10 });
  const back = (found) => { toast(`${model}@${found.alias} is version ${found.version} again; it was ${found.rolled_back_from}.`); moved(); };
  const moves = table({ caption: `Moves of ${alias.alias}`, class: "dense", columns: MOVES, key: (row) => row.at });
  moves.show(history.data);
  return h("section", { class: "card model-part", id: `alias-${alias.alias}`, "aria-label": `Alias ${alias.alias}` },
    h("div", { class: "page-head" }, h("h2", {}, `${alias.alias} is version ${alias.version}`),
      h("button", { type: "button", disabled: history.data.length < 2, onclick: () => rollBack(model, alias.alias, back) }, "Roll back")),
    moves.element, rules(model, alias, opened));
}

/** What there is to set before there is an alias: the policy of the one that a plain name means. */
export function noAlias(model, opened) {
  return h("section", { class: "card model-part", "aria-label": "Alias champion" },
    h("h2", {}, "No alias yet"),
    h("p", { class: "soft" }, "The newest version answers a plain name. Promote one to pin it as champion."),
    rules(model, { alias: "champion", version: null }, opened));
}

/** The rules of an alias: asked for when somebody opens them. */
function rules(model, alias, opened) {
  const body = h("div");
  const at = path`/models/${model}/aliases/${alias.alias}`;
  const again = async () => {
    await load();
    part.querySelector("summary").focus();  // what opened the form was drawn anew
  };
  const load = async () => {
    try {
      const { policies, splits } = await get(path`/models/${model}`);
      const ask = (known, place) => known.includes(alias.alias) ? get(`${at}/${place}`) : null;
      const [policy, check, traffic, report] = await Promise.all([ask(policies, "policy"),
        checkOf(model, alias.alias, alias.version), ask(splits, "traffic"), ask(splits, "traffic/report")]);
      fill(body, h("div", { class: "two" },
        h("div", { class: "rules" }, h("h3", {}, "Policy"), policyView({ model, alias: alias.alias, found: policy, check, done: again })),
        alias.version && h("div", { class: "rules" }, h("h3", {}, "Traffic"), trafficView({ model, alias, found: traffic, report, done: again }))));
    } catch (error) {
      fill(body, problemView(error));
    }
  };
  const part = h("details", { class: "more" }, h("summary", {}, alias.version ? "Policy and traffic" : "Policy"), body);
  part.addEventListener("toggle", () => {
    if (part.open) load();
    opened[part.open ? "add" : "delete"](alias.alias);
  });
  part.open = opened.has(alias.alias);
  return part;
}
