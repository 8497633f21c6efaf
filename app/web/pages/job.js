/** One job: everything that is known of it, as it happens. */

import { get, path } from "../api.js";
import { byName, curveRoom } from "../curves.js";
import { announce, fill, h } from "../dom.js";
import { name } from "../frame.js";
import { repeat, settled } from "../live.js";
import { empty } from "../parts/notice.js";
import { problemView } from "../parts/problem.js";
import { follow } from "../stream.js";
import { advice } from "./job/advice.js";
import { facts } from "./job/facts.js";
import { files } from "./job/files.js";
import { head } from "./job/head.js";
import { issues } from "./job/issues.js";
import { log } from "./job/log.js";
import { phases } from "./job/phases.js";
import { scores } from "./job/scores.js";
import { settings } from "./job/settings.js";

export const title = "Job";

const MOST_POINTS = 400;
const EVERY_SECONDS = 20;  // should the stream be cut by a proxy, the page still moves
const ENDED = new Set(["succeeded", "failed", "cancelled"]);

export async function show(main, { params }) {
  const at = path`/jobs/${params.id}`;
  let live = null;
  const view = parts(at, () => live?.now());
  fill(main, view.head.element, view.said, view.facts.element, view.advice.element, sections(view));
  let job = null;
  const loadJob = async () => {
    const earlier = job;
    job = await get(at);
    name(`${job.model} · ${job.status}`);
    view.show(job);
    if (earlier && earlier.status !== job.status) announce(`The job is ${job.status}.`);
    if (ENDED.has(job.status) && (!earlier || !ENDED.has(earlier.status))) settle(view, at, job);
    return job;
  };
  const loadCurves = async () => {
    const points = await get(`${at}/metrics`, { max_points: MOST_POINTS });
    if (!job) await first;
    view.curves(points.data, job);
  };
  const first = loadJob();
  const [newest] = await Promise.all([get(`${at}/events`, { tail: 1 }), first, loadCurves()]);
  main.dataset.ready = "yes";
  view.log.show();
  if (ENDED.has(job.status)) return;
  // One at a time: an answer that comes late must not put back what a later one has shown.
  live = repeat(() => Promise.all([loadJob(), loadCurves()]), EVERY_SECONDS, (problem) => fill(view.said, problem && problemView(problem)));
  listen(at, newest.data.at(-1)?.seq ?? 0, view, live);
}

/** What is on the page, and what puts a job into it. */
function parts(at, changed) {
  const room = curveRoom();
  const none = h("div");
  const view = {
    head: head(at, changed), said: h("div", { "aria-live": "polite" }), facts: facts(), advice: advice(), phases: phases(),
    scores: scores(), settings: settings(at), log: log(at), files: files(at), issues: issues(), room: h("div", {}, none, room.element),
    show(job) {
      for (const part of [view.head, view.facts, view.advice, view.phases, view.scores, view.settings]) part.show(job);
    },
    curves(points, job) {
      const curves = byName(points);
      room.element.hidden = curves.size === 0;
      fill(none, curves.size === 0 && empty(ENDED.has(job?.status) ? "Nothing was recorded." : "No curve yet.", h("p", {}, ENDED.has(job?.status) ? "The job ended before its first step." : "The first point comes with the first step.")));
      if (curves.size) room.show([{ label: job.model, colour: 0, curves, start: job.started_at }]);
    },
  };
  return view;
}

function sections(view) {
  const wanted = [["curves", "Curves", view.room], ["phases", "Timeline", view.phases.element], ["scores", "Evaluation", view.scores.element], ["issues", "Examples", view.issues.element],
    ["settings", "Hyperparameters", view.settings.element], ["log", "Log", view.log.element], ["files", "Files", view.files.element]];
  return [h("nav", { class: "sections", "aria-label": "On this page" }, wanted.map(([id, text]) => h("a", { href: `#${id}` }, text))),
    wanted.map(([id, text, element]) => h("section", { id, class: "card", "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, text), element))];
}

/** What only an ended job has, or what changes no more: read once. */
async function settle(view, at, job) {
  view.files.show(job);
  view.issues.show(job.status === "succeeded" ? await get(`${at}/report`).catch(() => null) : null, job);
}

/** Follow the events: progress at once, the rest of the page a moment later. */
function listen(at, after, view, live) {
  const soon = settled(live.now, 400, 1500);
  view.files.show(null);
  view.issues.show(null, null);
  follow(`${at}/events`, {
    after,
    hear(event) {
      if (event.type === "step") view.facts.step(event.data);
      view.log.hear();
      soon();
    },
    async said(state) {
      view.head.live(state);
      if (state !== "ended") return;
      await live.last();
      view.log.show();
    },
  });
}
