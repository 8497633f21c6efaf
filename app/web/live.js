/** Work that is done again and again while someone looks. */

/**
 * Call work() now and then every `seconds` (a number, or a function of what work gave) while the tab is visible;
 * after a failure more and more seldom, and failed(error) is told, failed(null) once it works again.
 * Gives { now, last }: now() does it at once, never beside itself; last() does it once more and then no more.
 */
export function repeat(work, seconds, failed = () => {}) {
  let timer = null, failures = 0, stopped = false, running = null, again = false;
  const later = (pause) => {
    clearTimeout(timer);
    if (!stopped && !document.hidden) timer = setTimeout(now, pause * 1000);
  };
  const once = async () => {
    try {
      const found = await work();
      if (failures) failed(null);
      failures = 0;
      later(typeof seconds === "function" ? seconds(found) : seconds);
    } catch (error) {
      failures += 1;
      failed(error);
      later(Math.min(30, 2 ** failures));
    }
  };
  const now = async () => {
    clearTimeout(timer);
    if (running) {
      again = true;
      return running;
    }
    running = once();
    await running;
    running = null;
    if (!again) return;
    again = false;
    await now();
  };
  const turn = () => (document.hidden ? clearTimeout(timer) : now());
  document.addEventListener("visibilitychange", turn);
  now();
  return {
    now,
    async last() {
      stopped = true;
      document.removeEventListener("visibilitychange", turn);
      await running;
      await now();
    },
  };
}

/** Call work() once things have been quiet for so many milliseconds, but at least every `most` of them. */
export function settled(work, quiet = 300, most = 2000) {
  let timer = null, since = null;
  return () => {
    since ??= Date.now();
    clearTimeout(timer);
    timer = setTimeout(() => {
      since = null;
      work();
    }, Math.max(0, Math.min(quiet, since + most - Date.now())));
  };
}
