/** Whether the service is well: readiness, queues, workers, and what this process serves. */

import { call, get, Problem } from "../api.js";
import { fill, h } from "../dom.js";
import { bytes, count, counted, duration, inline, number, secondsBetween, time } from "../format.js";
import { repeat } from "../live.js";
import { empty } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";
import { badge } from "../parts/status.js";
import { table } from "../parts/table.js";

export const title = "System";

const EVERY_SECONDS = 4;

export async function show(main) {
  const said = h("div", { "aria-live": "polite" });
  const ready = h("div");
  const queues = table({ caption: "Queues", columns: QUEUES, key: (queue) => queue.name, class: "dense" });
  const workers = table({ caption: "Workers", columns: WORKERS, class: "dense" });
  const versions = table({ caption: "Loaded versions", columns: VERSIONS, key: (held) => `${held.model}:${held.version} ${held.format}`, class: "dense" });
  const splits = table({ caption: "Versions that are tried", columns: SPLITS, key: (split) => `${split.model}@${split.alias}`, class: "dense" });
  const nobody = h("div"), unloaded = h("div"), load = h("p", { class: "soft" }), tried = h("div", { hidden: true }, h("h3", {}, "Versions that are tried"), splits.element);
  fill(main, h("header", { class: "page-head" }, h("h1", {}, "System")), said,
    section("Health", ready), section("Queues", queues.element), section("Workers", workers.element, nobody),
    section("Serving", load, versions.element, unloaded, tried));
  repeat(async () => {
    const [health, lines, crew, serving] = await Promise.all([readiness(), get("/queues"), get("/workers"), get("/serving")]);
    drawHealth(ready, health);
    queues.show(lines.data);
    workers.show(crew.data);
    workers.element.hidden = crew.data.length === 0;
    fill(nobody, crew.data.length === 0 && empty("No worker is connected.", h("p", {}, "Jobs wait until one is. Start one with ", h("code", {}, "python -m worker"), ".")));
    versions.show(serving.versions);
    versions.element.hidden = serving.versions.length === 0;
    fill(unloaded, serving.versions.length === 0 && empty("No version is loaded.", h("p", {}, "A version is loaded when it is first asked.")));
    splits.show(serving.splits);
    tried.hidden = serving.splits.length === 0;
    fill(load, `The process that answered infers with ${counted(serving.threads, "thread")}; ${counted(serving.queue.texts, "text")} wait, for ${duration(serving.queue.seconds)}.`);
    main.dataset.ready = "yes";
  }, EVERY_SECONDS, (error) => fill(said, error && problemView(error)));
}

function section(text, ...children) {
  return h("section", { class: "card" }, h("h2", {}, text), children);
}

/** Not being ready is an answer too: 503 tells the same checks. */
async function readiness() {
  try {
    return await (await call("GET", "/readyz")).json();
  } catch (problem) {
    if (problem instanceof Problem && problem.body.checks) return { status: "down", checks: problem.body.checks, detail: problem.message };
    throw problem;
  }
}

function drawHealth(room, health) {
  const state = JSON.stringify(health);
  if (room.dataset.state === state) return;
  room.dataset.state = state;
  fill(room, h("p", {}, badge(health.status === "ready" ? "ready" : health.status)),
    h("dl", { class: "checks" }, Object.entries(health.checks).map(([name, check]) => [h("dt", {}, badge(check.status, name.replaceAll("_", " "))), h("dd", {}, check.detail)])));
}

const QUEUES = [
  { title: "Queue", heading: true, cell: (queue) => h("a", { href: `/ui/jobs?status=queued` }, queue.name) },
  { title: "Waiting", class: "number", cell: (queue) => count(queue.queued) },
  { title: "Longest", class: "number", cell: (queue) => duration(secondsBetween(queue.waiting_since)) },
  { title: "Running", class: "number", cell: (queue) => count(queue.running) },
  { title: "Workers", class: "number", cell: (queue) => (queue.workers === 0 && queue.queued > 0 ? badge("down", "none") : count(queue.workers)) },
  { title: "Slots", class: "number", cell: (queue) => count(queue.slots) },
];

const WORKERS = [
  { title: "Worker", heading: true, cell: (worker) => [worker.hostname, h("div", { class: "soft small mono" }, worker.id)] },
  { title: "Device", cell: (worker) => worker.device ?? "–" },
  { title: "Queues", cell: (worker) => worker.queues.join(", ") },
  { title: "Busy", cell: (worker) => [`${worker.jobs.length} of ${worker.slots}`, worker.jobs.map((job) => h("div", {}, h("a", { class: "mono small", href: `/ui/jobs/${job}` }, job)))] },
  { title: "Process", class: "number", cell: (worker) => worker.pid },
  { title: "Up since", cell: (worker) => time(worker.started_at) },
  { title: "Last seen", cell: (worker) => time(worker.last_seen_at) },
];

const VERSIONS = [
  { title: "Version", heading: true, cell: (held) => h("a", { href: `/ui/models/${held.model}` }, `${held.model}:${held.version}`) },
  { title: "Format", cell: (held) => held.format },
  { title: "Memory", class: "number", cell: (held) => bytes(held.bytes) },
  { title: "Calls now", class: "number", cell: (held) => count(held.calls_in_flight) },
  { title: "Tokens a second", class: "number", cell: (held) => number(held.tokens_per_second) },
  { title: "A batch is at most", class: "number", cell: (held) => `${counted(held.batching.texts, "text")}, ${counted(held.batching.tokens, "token")}` },
];

const SPLITS = [
  { title: "Alias", heading: true, cell: (split) => `${split.model}@${split.alias}` },
  { title: "Version", class: "number", cell: (split) => split.version },
  { title: "Tried", class: "number", cell: (split) => split.tried },
  { title: "As", cell: (split) => `${split.role}, ${inline(split.percent)} %` },
  { title: "State", cell: (split) => [badge(split.state === "loaded" ? "ok" : split.state === "refused" ? "down" : "degraded", split.state), split.code && ` ${split.code}`] },
];
