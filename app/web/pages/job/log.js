/** The end of a job's log; it follows while the job runs, unless someone has scrolled up to read. */

import { call } from "../../api.js";
import { downloadLink } from "../../download.js";
import { fill, h } from "../../dom.js";
import { settled } from "../../live.js";

const LINES = 200;
const AT_END = 24;

export function log(at) {
  const text = h("pre", { class: "log", tabindex: "0", role: "region", "aria-label": "The last lines of the log" });
  let shown = null, asked = 0;
  const show = async () => {
    const mine = (asked += 1);
    const answer = await call("GET", `${at}/logs?tail=${LINES}`, { headers: { Accept: "text/plain" } }).catch(() => null);
    if (!answer) return;
    const lines = (await answer.text()).trimEnd();
    if (mine !== asked || lines === shown) return;  // what is marked to be copied stays marked
    shown = lines;
    const follows = text.scrollHeight - text.scrollTop - text.clientHeight < AT_END;
    fill(text, lines ? lines.split("\n").map(line) : "Nothing yet.");
    if (follows) text.scrollTop = text.scrollHeight;
  };
  return {
    element: h("div", {}, text, h("p", { class: "soft small" }, `The last ${LINES} lines. `, downloadLink(`${at}/logs`, "training.log", "Download all of it"))),
    show,
    hear: settled(show, 1000, 3000),
  };
}

function line(text) {
  const [, moment, attempt, level, said] = /^(\S+) (\d+) (\w+) (.*)$/.exec(text) || [null, "", "", "", text];
  return h("span", { class: `line ${level}` }, h("span", { class: "soft" }, `${moment.slice(11, 19)} ${level.padEnd(8)}`), said, Number(attempt) > 1 ? ` (attempt ${attempt})` : "", "\n");
}
