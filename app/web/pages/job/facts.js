/** The figures that are looked at first, and how far a running job is. */

import { fill, h } from "../../dom.js";
import { count, duration, number, percent, score, secondsBetween, time } from "../../format.js";
import { bar, move, progressText } from "../../parts/status.js";

export function facts() {
  const figures = h("dl", { class: "figures" });
  const done = bar(0, "Progress of the job");
  const words = h("p", { class: "soft" });
  const progress = h("div", {}, done, words);
  let shown = null;
  const draw = () => {
    const running = shown.status === "running";
    progress.hidden = !running;
    if (running) {
      move(done, shown.progress.fraction);
      fill(words, progressText(shown), " · ", steps(shown.progress));
    }
    place(figures, figuresOf(shown).map(figure));
  };
  return {
    element: h("section", { class: "card facts", "aria-label": "At a glance" }, progress, figures),
    show(job) {
      shown = job;
      draw();
    },
    /** Take in the progress of a step before the whole job is read again. */
    step(seen) {
      if (!shown || shown.status !== "running" || seen.step < shown.progress.step) return;
      shown = { ...shown, progress: { ...shown.progress, ...seen } };
      draw();
    },
  };
}

function figure([title, value, note]) {
  return h("div", {}, h("dt", {}, title), h("dd", {}, value), note && h("dd", { class: "soft small clip", title: typeof note === "string" ? note : null }, note));
}

/** Put figures in their places and leave those alone that say the same: somebody may point at one. */
function place(room, wanted) {
  const now = [...room.children];
  wanted.forEach((each, i) => {
    if (!now[i]) room.append(each);
    else if (!now[i].isEqualNode(each)) now[i].replaceWith(each);
  });
  for (const each of now.slice(wanted.length)) each.remove();
}

function steps({ step, total_steps: total, epoch, num_train_epochs: epochs }) {
  if (!total) return "reading the data";
  return `step ${count(step)} of ${count(total)}, epoch ${number(epoch, 3)}${epochs ? ` of ${epochs}` : ""}`;
}

function figuresOf(job) {
  const { best, test, validation } = job.metrics;
  const rows = job.dataset.counts;
  return [
    best && [`Best ${best.name}`, score(best.value), `validation, epoch ${number(best.epoch, 3)}`],
    test && ["Test accuracy", score(test.accuracy), `${count(test.examples)} rows`],
    test && ["Test F1, macro", score(test.f1_macro)],
    !test && validation && ["Accuracy", score(validation.accuracy), "validation, best checkpoint"],
    job.status === "running" && job.progress.loss !== null && ["Loss now", number(job.progress.loss)],
    job.status === "running" && job.progress.examples_per_second && ["Texts a second", number(job.progress.examples_per_second, 3)],
    job.status === "queued" && ["Before it", count(job.queue_position)],
    ["Base model", h("span", { class: "clip", title: job.base_model.id }, job.base_model.id), job.family === "encoder" ? job.base_model.source : job.family],
    ["Data", h("a", { href: `/ui/datasets/${job.dataset.id}` }, count(rows.train)), `rows; ${count(rows.validation)} + ${count(rows.test)} to judge`],
    ["Took", duration(secondsBetween(job.started_at, job.finished_at)), job.usage.padding_fraction === null ? null : `${percent(job.usage.padding_fraction)} padding`],
    ["Device", h("span", { class: "clip", title: job.worker?.device }, job.worker?.device || "–"), job.usage.peak_memory_mb ? `${count(Math.round(job.usage.peak_memory_mb))} MB at most` : null],
    ["Created", time(job.created_at), job.attempt > 1 ? `attempt ${job.attempt}` : null],
  ].filter(Boolean);
}
