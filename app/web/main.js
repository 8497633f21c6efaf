/** Starts every page: the frame around it first, then the module that its address names. */

import { fill, h } from "./dom.js";
import { frame, name } from "./frame.js";
import { pageAt } from "./pages.js";
import { problemView } from "./parts/problem.js";

async function start() {
  const main = document.getElementById("main");
  frame();
  const found = pageAt(location.pathname);
  if (!found) return nothingHere(main);
  try {
    const page = await import(`./pages/${found.module}.js`);
    name(page.title);
    await page.show(main, { params: found.params, query: new URLSearchParams(location.search) });
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();  // it was not there when the browser looked
  } catch (error) {
    if (error.status !== 401) fill(main, h("h1", {}, "This page could not be shown"), problemView(error));
    if (!("status" in error)) throw error;  // a mistake of ours: into the console with it
  }
}

function nothingHere(main) {
  name("Not found");
  fill(main, h("h1", {}, "There is no such page"), h("p", {}, "The address may be mistyped, or of another version. ", h("a", { href: "/ui/jobs" }, "To the jobs")));
}

start();
