/** How long one turn of long work may take, in milliseconds. */
const turnMs = 4;
/** Work that has not gone on for so long is taken for abandoned: its platform has ended the request. */
const abandonedMs = 1000;

/** Looked up once: what stands for the clock may change. */
const immediately: (then: () => void) => void =
  typeof setImmediate === 'function' ? setImmediate : (then) => setTimeout(then, 0);

/** Whose long work is under way, and when it last had a turn. */
let current: object | null = null;
let lastTurnAt = -Infinity;

/** Resolves when everybody else in the process has had a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => immediately(resolve));
}

/**
 * Does long work step by step, `step` saying true when it is done: some milliseconds in one turn of
 * the event loop, and one piece of work after the other, so that what it needs meanwhile is needed
 * once. Each waits by a timer of its own: some platforms let no request wake another.
 */
export async function inTurns(step: () => boolean): Promise<void> {
  const own = {};
  const isFree = (now: number) =>
    current === null || current === own ? now - lastTurnAt >= 1 : now - lastTurnAt > abandonedMs;
  try {
    for (;;) {
      do await nextTurn();
      while (!isFree(performance.now()));
      current = own;
      const until = performance.now() + turnMs;
      let done: boolean;
      do done = step();
      while (!done && performance.now() < until);
      lastTurnAt = performance.now();
      if (done) return;
    }
  } finally {
    if (current === own) current = null;
  }
}
