/**
 * The pages: which module fills which address. A module of pages/ exports `title` and `show(main, place)`, where place
 * is { params, query }: the parts of the address in braces, and its URLSearchParams. What show throws is shown.
 */
export const PAGES = [
  ["/ui/jobs", "jobs"],
  ["/ui/jobs/{id}", "job"],
  ["/ui/compare", "compare"],
  ["/ui/system", "system"],
  ["/ui/new", "new"],
  ["/ui/datasets", "datasets"],
  ["/ui/datasets/{id}", "dataset"],
  ["/ui/models", "models"],
  ["/ui/models/{name}", "model"],
  ["/ui/models/{name}/diff", "diff"],
  ["/ui/models/{name}/versions/{number}", "version"],
  ["/ui/try", "try"],
  ["/ui/keys", "keys"],
  ["/ui/sign-in", "sign-in"],
];

/** Find the page of an address: { module, params }, or null. */
export function pageAt(pathname) {
  const path = pathname.replace(/\/+$/, "");
  for (const [pattern, module] of PAGES) {
    const names = [];
    const expression = pattern.replace(/\{(\w+)\}/g, (_, name) => {
      names.push(name);
      return "([^/]+)";
    });
    const found = new RegExp(`^${expression}$`).exec(path);
    if (found) return { module, params: Object.fromEntries(names.map((name, i) => [name, decoded(found[i + 1])])) };
  }
  return null;
}

/** What is no encoding of anything stays as it is: nothing will be found under it. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
