/** Files for whoever looks: with a key a link alone would be refused, so the file is fetched and then saved. */

import { call } from "./api.js";
import { h } from "./dom.js";
import { keyOf } from "./key.js";
import { toast } from "./parts/notice.js";

/** A link that saves the file at an address of the API under a name. */
export function downloadLink(address, name, ...children) {
  const link = h("a", { href: address, download: name }, children);
  link.addEventListener("click", (event) => {
    if (!keyOf()) return;
    event.preventDefault();
    save(address, name).catch((problem) => toast(problem.message, "critical"));
  });
  return link;
}

async function save(address, name) {
  toast(`Fetching ${name} …`);
  const answer = await call("GET", address, { headers: { Accept: "*/*" } });
  const url = URL.createObjectURL(await answer.blob());
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
