/** The head of a job's page: what it is, how it stands, and what may be asked of it. */

import { get, newKey, path, post } from "../../api.js";
import { fill, h } from "../../dom.js";
import { confirm } from "../../parts/dialog.js";
import { toast } from "../../parts/notice.js";
import { badge } from "../../parts/status.js";

const LIVE = { live: "Live", waiting: "Reconnecting …", ended: "" };

/** changed() is called after something was asked of the job. */
export function head(at, changed) {
  const title = h("h1");
  const under = h("p", { class: "soft" });
  const status = h("span");
  const live = h("span", { class: "live soft small", role: "status" });
  const actions = h("div", { class: "actions" });
  let drawn = null;
  return {
    element: h("header", { class: "job-head" }, h("div", { class: "page-head" }, h("div", { class: "named" }, title, status, live), actions), under),
    show(job) {
      // Only when something changed: a button that is replaced loses the focus, and a click that was begun on it.
      const state = JSON.stringify([job.status, job.status_reason, job.result, job.allowed_actions]);
      if (state === drawn) return;
      const held = [...actions.children].find((each) => each === document.activeElement)?.textContent;
      drawn = state;
      fill(title, job.result ? h("a", { href: path`/ui/models/${job.model}` }, `${job.model}:${job.result.version}`) : job.model);
      fill(status, badge(job.status));
      fill(under, job.status_reason, " ", h("span", { class: "mono small nowrap" }, job.id), " ", copy(job.id));
      fill(actions, wanted(job, at, changed));
      if (held) [...actions.children].find((each) => each.textContent === held)?.focus();
    },
    live(state) {
      live.textContent = LIVE[state];
      live.classList.toggle("on", state === "live");
    },
  };
}

function copy(text) {
  return navigator.clipboard ? h("button", { type: "button", class: "quiet small", "aria-label": "Copy the id of the job", onclick: () => navigator.clipboard.writeText(text).then(() => toast("Copied.")) }, "Copy") : null;
}

function wanted(job, at, changed) {
  const ended = job.finished_at !== null;
  return [
    job.allowed_actions.includes("stop") && h("button", { type: "button", onclick: () => ask(job, at, "stop", changed) }, "Stop and keep"),
    job.allowed_actions.includes("cancel") && h("button", { type: "button", class: "danger", onclick: () => ask(job, at, "cancel", changed) }, "Cancel"),
    ended && job.status !== "succeeded" && h("button", { type: "button", onclick: () => retry(job, at) }, "Retry"),
    h("a", { class: "button", href: `/ui/new?from=${job.id}` }, "Clone"),
    h("a", { class: "button", href: `/ui/compare?job=${job.id}` }, "Compare"),
    job.result && h("a", { class: "button primary", href: `/ui/try?model=${encodeURIComponent(`${job.model}:${job.result.version}`)}` }, "Try it"),
  ];
}

const QUESTIONS = {
  cancel: { title: "Cancel this job?", text: "What it has learned so far is thrown away, and no version is made.", action: "Cancel the job", danger: true, done: "The job is being cancelled." },
  stop: { title: "Stop training now?", text: "The best checkpoint so far is evaluated, exported and published as a version.", action: "Stop and keep the best", done: "The job ends its training." },
};

async function ask(job, at, verb, changed) {
  const { done, ...question } = QUESTIONS[verb];
  if (!await confirm({ ...question, dismiss: "Let it run" })) return;
  await told(async () => {
    await post(`${at}/${verb}`);
    toast(done);
  });
  changed();
}

async function retry(job, at) {
  if (!await confirm({ title: "Run the same again?", text: `A new job for ${job.model} with the same request is queued.`, action: "Retry" })) return;
  const key = newKey();
  await told(async () => {
    const again = await post("/jobs", await get(`${at}/request`), { key });
    location.assign(path`/ui/jobs/${again.id}`);
  });
}

async function told(work) {
  try {
    await work();
  } catch (problem) {
    toast([problem.message, problem.remedy].filter(Boolean).join(" "), "critical");
  }
}
