/** The API key of this tab: kept as long as the tab lives, sent with every call, asked for when the API wants one. */

const WHO = "key-holder";
const NAME = "key";  // /docs keeps it under the same name: whoever signed in here need not again there
export const SIGN_IN = "/ui/sign-in";

export function keyOf() {
  return sessionStorage.getItem(NAME) || "";
}

/** Keep a key, and whose it is. */
export function keep(key, { name, scopes }) {
  sessionStorage.setItem(NAME, key);
  sessionStorage.setItem(WHO, JSON.stringify({ name, scopes }));
}

/** Whose key it is: { name, scopes }, or null where it came from /docs, which does not ask. */
export function holder() {
  return keyOf() ? JSON.parse(sessionStorage.getItem(WHO) || "null") : null;
}

export function forget() {
  sessionStorage.removeItem(NAME);
  sessionStorage.removeItem(WHO);
}

/** The headers that say who asks. */
export function authorization() {
  const key = keyOf();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Leave for the page that asks for a key, which leads back here. */
export function askForKey() {
  if (location.pathname !== SIGN_IN) location.replace(`${SIGN_IN}?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Give the page to go to after signing in: one of ours, whatever the address says. */
export function nextPage(search) {
  const next = new URLSearchParams(search).get("next") || "";
  return /^\/ui\/[\w/.@:-]*(\?[^#]*)?$/.test(next) && !next.startsWith(SIGN_IN) ? next : "/ui/jobs";
}
