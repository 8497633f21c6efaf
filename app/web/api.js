/** Calls of the HTTP API, the only thing the dashboard knows of the service. */

import { askForKey, authorization } from "./key.js";

const PAUSES_MS = [300, 1200];
const BUSY = new Set([429, 503]);

/** Why a call failed: what the API said (RFC 9457), or that it did not answer (status 0). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `The service answered ${status}.`);
    this.status = status;
    this.code = body.code || "";
    this.remedy = body.remedy || "";
    this.errors = body.errors || [];
    this.allowed = body.allowed;
    this.requestId = body.request_id || "";
    this.body = body;
  }
}

/** get("/jobs", { status: "running", names: ["a", "b"] }) gives the JSON of the answer. */
export async function get(path, query = {}, options = {}) {
  return (await call("GET", withQuery(path, query), options)).json();
}

/** Send a JSON body and give the JSON of the answer; safe to repeat, so it is repeated when the answer is lost. */
export async function post(path, body, options = {}) {
  return json(await write("POST", path, body, { key: newKey(), ...options }));
}

export async function put(path, body, options = {}) {
  return json(await write("PUT", path, body, options));
}

export async function remove(path, options = {}) {
  return json(await call("DELETE", path, options));
}

/** Send a form with files. */
export async function upload(path, form, options = {}) {
  return json(await call("POST", path, { body: form, key: newKey(), ...options }));
}

/** Go through the items of all pages, at most this many. */
export async function all(path, query = {}, most = 1000, options = {}) {
  const found = [];
  let cursor;
  do {
    const page = await get(path, { limit: 100, ...query, cursor }, options);
    found.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor && found.length < most);
  return found.slice(0, most);
}

/** One call; options: headers, body, key (Idempotency-Key), signal. Gives the Response, throws Problem. */
export async function call(method, path, { headers = {}, body, key, signal } = {}) {
  const answer = await fetched(path, {
    method, body, signal, cache: "no-store",
    headers: { Accept: "application/json", ...authorization(), ...(key ? { "Idempotency-Key": key } : {}), ...headers },
  });
  if (answer.ok) return answer;
  if (answer.status === 401) askForKey();
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

/** A key that makes repeating a call safe. crypto.randomUUID would want https. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function withQuery(path, query) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  const given = new URLSearchParams(pairs.filter(([, value]) => value !== undefined && value !== null && value !== ""));
  return given.size ? `${path}?${given}` : path;
}

/** An address of the API with parts that may hold anything: path`/models/${name}/versions/${version}`. */
export function path(strings, ...parts) {
  return strings.reduce((whole, string, i) => whole + encodeURIComponent(parts[i - 1]).replace(/%3A/g, ":").replace(/%40/g, "@") + string);
}

async function write(method, address, body, options) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...options.headers } };
  for (const pause of [...PAUSES_MS, null]) {
    try {
      return await call(method, address, { ...options, ...sent });
    } catch (problem) {
      const again = problem instanceof Problem && (problem.status === 0 || BUSY.has(problem.status));
      if (!again || pause === null || !options.key) throw problem;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

async function fetched(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The service does not answer.", code: "unreachable", remedy: "Is it running, and is this machine connected to it?" });
  }
}

async function json(answer) {
  return answer.status === 204 ? null : answer.json();
}
