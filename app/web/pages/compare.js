/** Two to six jobs beside each other: their curves in the same charts, and what differs between them. */

import { get, path } from "../api.js";
import { byName, curveRoom } from "../curves.js";
import { fill, freshId, h } from "../dom.js";
import { ago, score } from "../format.js";
import { repeat } from "../live.js";
import { empty } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";
import { badge } from "../parts/status.js";
import { differences } from "./compare/differences.js";

export const title = "Compare";

const MOST = 6;
const MOST_POINTS = 300;
const OFFERED = 8;
const EVERY_SECONDS = 5;

export async function show(main, { query }) {
  const chosen = [...new Set(query.getAll("job"))].slice(0, MOST);
  const runs = new Map();
  const room = curveRoom();
  const said = h("div", { "aria-live": "polite" });
  const chips = h("ul", { class: "runs", "aria-label": "Compared jobs" });
  const none = h("div");
  const table = differences();
  const results = h("section", { class: "card" }, h("h2", {}, "Curves"), room.element);
  const draw = () => {
    const shown = chosen.filter((id) => runs.has(id)).map((id, i) => ({ ...runs.get(id), label: labelOf(runs, id), colour: i }));
    const state = JSON.stringify(shown.map((run) => [run.label, run.job.status]));
    if (chips.dataset.state !== state) fill(chips, shown.map((run) => chip(run, () => drop(run.job.id))));
    chips.dataset.state = state;
    fill(none, shown.length < 2 && empty(shown.length ? "One more job, and there is something to compare." : "Choose two to six jobs.", h("p", {}, "Search below, or tick jobs in the ", h("a", { href: "/ui/jobs" }, "list"), ".")));
    results.hidden = shown.length < 2 || !shown.some((run) => run.curves.size);
    table.element.hidden = shown.length < 2;
    if (shown.length < 2) return;
    if (!results.hidden) room.show(shown);
    table.show(shown);
  };
  const leave = (id) => chosen.includes(id) && chosen.splice(chosen.indexOf(id), 1);
  const drop = (id) => {
    leave(id);
    remember(chosen);
    draw();
    (chips.querySelector("button") || main.querySelector("input")).focus();
  };
  const add = async (id) => {
    if (chosen.includes(id) || chosen.length >= MOST) return;
    chosen.push(id);
    await load([id]);
    remember(chosen);
    draw();
  };
  const load = async (ids) => {
    const found = await Promise.allSettled(ids.map(one));
    found.forEach((each, i) => (each.status === "fulfilled" ? runs.set(ids[i], each.value) : leave(ids[i])));
    fill(said, found.filter((each) => each.status === "rejected").map((each) => problemView(each.reason)));
  };
  fill(main, h("header", { class: "page-head" }, h("h1", {}, "Compare jobs"), finder(add, () => chosen)), said, chips, none, table.element, results);
  await load([...chosen]);
  draw();
  main.dataset.ready = "yes";
  repeat(async () => {
    const going = chosen.filter((id) => runs.has(id) && !runs.get(id).job.finished_at);
    const found = await Promise.all(going.map(one));
    going.forEach((id, i) => runs.set(id, found[i]));
    if (going.length) draw();
  }, EVERY_SECONDS);
}

async function one(id) {
  const [job, points] = await Promise.all([get(path`/jobs/${id}`), get(path`/jobs/${id}/metrics`, { max_points: MOST_POINTS })]);
  return { job, curves: byName(points.data), start: job.started_at };
}

/** Jobs of one model differ by version, or else by the end of their id. */
function labelOf(runs, id) {
  const { job } = runs.get(id);
  return job.result ? `${job.model}:${job.result.version}` : `${job.model} …${id.slice(-4)}`;
}

function chip(run, drop) {
  return h("li", { class: "run" },
    h("span", { class: "swatch", style: { background: `var(--s${run.colour})` } }),
    h("a", { class: "strong clip", href: `/ui/jobs/${run.job.id}`, title: run.job.id }, run.label), badge(run.job.status), h("span", { class: "soft small" }, ago(run.job.created_at)),
    h("button", { type: "button", class: "quiet", "aria-label": `Leave ${run.label} out`, onclick: drop }, "×"));
}

function remember(chosen) {
  history.replaceState(null, "", `?${new URLSearchParams(chosen.map((id) => ["job", id]))}`);
}

/** A search whose results are buttons: they open below the field and go when it is left. */
function finder(add, chosen) {
  const id = freshId(), list = freshId();
  const results = h("ul", { id: list, class: "results", hidden: true });
  const input = h("input", { id, type: "search", placeholder: "Add a job: model or id", autocomplete: "off", "aria-controls": list });
  const element = h("div", { class: "finder", role: "search" }, h("label", { class: "unseen", for: id }, "Add a job"), input, results);
  let timer, asked = 0;
  const shut = () => {
    clearTimeout(timer);
    asked += 1;  // an answer that is still to come opens nothing
    results.hidden = true;
  };
  const choose = async (id) => {
    shut();
    input.value = "";
    await add(id);
    input.focus();
  };
  const find = async () => {
    const mine = (asked += 1);
    const { data } = await get("/jobs", { search: input.value.trim(), limit: OFFERED + MOST });
    if (mine !== asked) return;
    const left = data.filter((job) => !chosen().includes(job.id)).slice(0, OFFERED);
    fill(results, left.length ? left.map((job) => h("li", {}, offer(job, () => choose(job.id)))) : h("li", { class: "soft" }, chosen().length >= MOST ? "Six at most." : "No other job is like that."));
    results.hidden = false;
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => find().catch((problem) => fill(results, h("li", {}, problem.message))), 200);
  };
  input.addEventListener("input", soon);
  input.addEventListener("click", soon);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") shut();
    if (event.key === "ArrowDown" && event.target === input) {
      event.preventDefault();
      if (results.hidden) soon();
      else results.querySelector("button")?.focus();
    }
  });
  element.addEventListener("focusout", (event) => { if (!element.contains(event.relatedTarget)) shut(); });
  return element;
}

function offer(job, choose) {
  const best = job.metrics.best;
  return h("button", { type: "button", class: "quiet", onclick: choose }, h("span", { class: "strong clip" }, job.result ? `${job.model}:${job.result.version}` : job.model), badge(job.status), best && score(best.value), h("span", { class: "soft small" }, ago(job.created_at)));
}
