/** Server-Sent Events over fetch: EventSource could not send the key. */

import { Problem } from "./api.js";
import { askForKey, authorization } from "./key.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const SILENCE_MS = 45_000;  // the service gives a sign of life every 15 s
const LATER = new Set([408, 425, 429]);  // refusals that may be over soon

/**
 * Follow a stream until it ends: hear(event) gets each JSON event once and in order, said(state) gets "live",
 * "waiting" or "ended". A broken connection is taken up behind the last event, with Last-Event-ID. While the tab is
 * hidden the stream rests: browsers allow six connections to one host, and each open tab would hold one.
 * Gives a function that ends it.
 */
export function follow(address, { after = 0, hear, said = () => {} }) {
  const state = { last: after, failures: 0, done: false, aborter: null, timer: null };
  const stop = () => {
    state.done = true;
    rest();
    document.removeEventListener("visibilitychange", turn);
  };
  const rest = () => {
    clearTimeout(state.timer);
    state.aborter?.abort();
    state.aborter = null;
  };
  const turn = () => (document.hidden ? rest() : begin());
  const begin = async () => {
    if (state.done || state.aborter || document.hidden) return;
    const aborter = new AbortController();
    state.aborter = aborter;
    let pause = PAUSES_MS[0];
    try {
      if (await read(address, state, aborter, hear, said) === "ended") {
        said("ended");
        return stop();
      }
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return askForKey();
      if (error instanceof Problem && error.status >= 400 && error.status < 500 && !LATER.has(error.status)) {
        said("ended");
        return stop();
      }
      if (state.aborter === aborter) said("waiting");
      pause = PAUSES_MS[Math.min(state.failures++, PAUSES_MS.length - 1)];
    }
    if (state.aborter !== aborter && state.aborter !== null) return;
    state.aborter = null;
    if (!state.done && !document.hidden) state.timer = setTimeout(begin, pause);
  };
  document.addEventListener("visibilitychange", turn);
  begin();
  return stop;
}

async function read(address, state, aborter, hear, said) {
  let watchdog;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => aborter.abort(), SILENCE_MS);
  };
  try {
    alive();
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(state.last), ...authorization() };
    const answer = await fetch(address, { headers, signal: aborter.signal, cache: "no-store" });
    if (answer.status === 204) return "ended";
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
    said("live");
    state.failures = 0;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const lines = cutter();
    for (;;) {
      alive();
      const { value, done } = await reader.read();
      if (done) return "broken";  // the next try is answered with 204 if it has ended
      for (const message of lines(value)) {
        state.last = message.id ?? state.last;
        hear(JSON.parse(message.data));
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}

/** Put messages together from text, however it is cut; the service ends its lines with \n alone. */
function cutter() {
  let rest = "";
  return (text) => {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop();
    return parts.map(message).filter((found) => found.data);
  };
}

function message(part) {
  const found = { id: null, data: "" };
  for (const line of part.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/s.exec(line) || [];
    if (name === "id") found.id = value;
    if (name === "data") found.data += value;
  }
  return found;
}
