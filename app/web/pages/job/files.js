/** What can be downloaded of a job. */

import { get, path } from "../../api.js";
import { downloadLink } from "../../download.js";
import { fill, h } from "../../dom.js";
import { bytes } from "../../format.js";
import { problemView } from "../../parts/problem.js";

export function files(at) {
  const element = h("div");
  return {
    element,
    /** Takes the job once it has ended, null before. */
    async show(job) {
      try {
        const { data } = await get(`${at}/artifacts`);
        fill(element, whole(at, job), h("div", { class: "table-room", tabindex: "0", role: "region", "aria-label": "Files of the job" }, h("table", { class: "dense" }, h("caption", { class: "unseen" }, "Files of the job"),
          h("thead", {}, h("tr", {}, ["File", "What", "Size", "SHA-256"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, data.map(line)))));
      } catch (problem) {
        fill(element, problemView(problem));
      }
    },
  };
}

function whole(at, job) {
  const id = at.split("/").at(-1);
  return h("p", { class: "actions" },
    link(`${at}/report?format=html`, `${id}.html`, "Report, HTML"),
    link(`${at}/report?format=markdown`, `${id}.md`, "Report, Markdown"),
    job?.result && link(path`/models/${job.result.model}/versions/${job.result.version}/archive`, `${job.result.model}-${job.result.version}.zip`, "The version as a zip"));
}

function link(address, name, text) {
  const made = downloadLink(address, name, text);
  made.className = "button";
  return made;
}

function line(file) {
  return h("tr", {}, h("th", { scope: "row" }, downloadLink(file.href, file.name.split("/").at(-1), file.name)), h("td", {}, file.kind), h("td", { class: "number nowrap" }, bytes(file.bytes)),
    h("td", {}, file.sha256 ? h("span", { class: "mono small clip hash", title: file.sha256 }, file.sha256) : h("span", { class: "soft" }, "made on request")));
}
