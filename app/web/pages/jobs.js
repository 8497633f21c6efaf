/** All jobs, newest first, as they are now. */

import { get } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { count, duration, score, secondsBetween, time } from "../format.js";
import { repeat } from "../live.js";
import { empty, toast } from "../parts/notice.js";
import { pager } from "../parts/pager.js";
import { problemView } from "../parts/problem.js";
import { badge, bar, progressText } from "../parts/status.js";
import { table } from "../parts/table.js";

export const title = "Jobs";

const PAGE = 25;
const STATUSES = ["queued", "running", "succeeded", "failed", "cancelled"];
const MOST_COMPARED = 6;

export async function show(main, { query }) {
  const filters = { status: query.get("status") || "", search: query.get("search") || "", model: query.get("model") || "", dataset_id: query.get("dataset_id") || "" };
  const chosen = new Set();
  let cursor;
  const said = h("div", { "aria-live": "polite" });
  const compare = h("a", { class: "button", role: "button" });
  const list = table({ caption: "Jobs, newest first", columns: columns(chosen, () => offer(compare, chosen)), class: "jobs" });
  const none = h("div");
  const pages = pager((wanted) => { cursor = wanted; live.now(); scrollTo({ top: 0 }); });
  const changed = () => {
    cursor = undefined;
    pages.reset();
    remember(filters);
    live.now();
  };
  fill(main,
    h("header", { class: "page-head" }, h("h1", {}, "Jobs"), h("div", { class: "actions" }, compare, h("a", { class: "button primary", href: "/ui/new" }, "New job"))),
    controls(filters, changed), said, list.element, none, pages.element);
  offer(compare, chosen);
  const work = async () => {
    const page = await get("/jobs", { ...filters, limit: PAGE, cursor });
    list.show(page.data);
    list.element.hidden = page.data.length === 0;
    fill(none, page.data.length === 0 && nothing(filters));
    pages.show(page);
    main.dataset.ready = "yes";
    return page;
  };
  const live = repeat(work, (page) => (page.data.some((job) => job.status === "running" || job.status === "queued") ? 2 : 8),
    (error) => fill(said, error && problemView(error)));
}

function columns(chosen, picked) {
  return [
    { title: "Compare", unseen: true, class: "pick", cell: (job) => picker(job, chosen, picked) },
    { title: "Job", heading: true, class: "grow", cell: jobCell },
    { title: "Status", cell: statusCell },
    { title: "Score", class: "number", cell: scoreCell },
    { title: "Data", class: "number wide", cell: (job) => h("span", { title: "Rows to train on" }, count(job.dataset.counts.train)) },
    { title: "Base", class: "wide", cell: (job) => h("span", { class: "clip", title: job.base_model.id }, job.base_model.id) },
    { title: "Created", class: "nowrap", cell: (job) => time(job.created_at) },
    { title: "Took", class: "number nowrap wide", cell: (job) => duration(secondsBetween(job.started_at, job.finished_at)) },
  ];
}

function jobCell(job) {
  const name = job.result ? `${job.model}:${job.result.version}` : job.model;
  return [h("a", { class: "strong", href: `/ui/jobs/${job.id}` }, name),
    h("div", { class: "soft small mono clip", title: job.id }, job.id)];
}

function statusCell(job) {
  if (job.status === "running") return [badge("running"), bar(job.progress.fraction, `Progress of ${job.model}`), h("div", { class: "soft small" }, progressText(job))];
  if (job.status === "queued") return [badge("queued"), h("div", { class: "soft small" }, job.queue_position ? `${count(job.queue_position)} before it` : "next")];
  if (job.status === "failed") return [badge("failed"), h("div", { class: "soft small clip", title: job.error?.detail }, job.error?.code)];
  return badge(job.status);
}

function scoreCell(job) {
  const best = job.metrics.best;
  return best ? [h("span", { class: "strong" }, score(best.value)), h("div", { class: "soft small clip", title: best.name }, best.name)] : "–";
}

function picker(job, chosen, picked) {
  return h("input", {
    type: "checkbox", "aria-label": `Compare ${job.model}, ${job.id}`, checked: chosen.has(job.id),
    onchange: (event) => {
      if (event.target.checked && chosen.size >= MOST_COMPARED) {
        event.target.checked = false;
        toast(`${MOST_COMPARED} jobs are compared at most.`);
      } else if (event.target.checked) chosen.add(job.id);
      else chosen.delete(job.id);
      picked();
    },
  });
}

function offer(link, chosen) {
  link.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
  link.hidden = chosen.size < 2;
  link.href = `/ui/compare?${new URLSearchParams([...chosen].map((id) => ["job", id]))}`;
}

function controls(filters, changed) {
  const ids = { status: freshId(), search: freshId() };
  const choose = (name) => (event) => {
    filters[name] = event.target.value.trim();
    changed();
  };
  let timer;
  const typed = (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => choose("search")(event), 250);
  };
  const alsoBy = ["model", "dataset_id"].filter((name) => filters[name]);
  return h("form", { class: "filters", role: "search", "aria-label": "Jobs", onsubmit: (event) => event.preventDefault() },
    h("label", { class: "unseen", for: ids.search }, "Search"),
    h("input", { id: ids.search, type: "search", placeholder: "Model, base model or job id", value: filters.search, oninput: typed }),
    h("label", { class: "unseen", for: ids.status }, "Status"),
    h("select", { id: ids.status, value: filters.status, onchange: choose("status") }, h("option", { value: "" }, "Any status"), STATUSES.map((each) => h("option", { value: each }, each))),
    alsoBy.map((name) => chip(name, filters, changed)));
}

function chip(name, filters, changed) {
  const made = h("button", { type: "button", class: "chip", onclick: () => { filters[name] = ""; made.remove(); changed(); } },
    `${name === "model" ? "Model" : "Dataset"} ${filters[name]} `, h("span", { "aria-hidden": "true" }, "×"), h("span", { class: "unseen" }, "Show all again"));
  return made;
}

function remember(filters) {
  const given = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  history.replaceState(null, "", given.size ? `?${given}` : location.pathname);
}

function nothing(filters) {
  if (Object.values(filters).some(Boolean)) return empty("No job is like that.", h("p", {}, "Take a part of the filter away."));
  return empty("No job yet.", h("p", {}, "Upload labelled texts, say how to train, and watch it here."), h("a", { class: "button primary", href: "/ui/new" }, "Train a first model"));
}
