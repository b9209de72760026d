/** The longest turn of long work, in milliseconds. */
const turnMs = 2.5;
/** After a turn, other work gets at least this fraction of the time that the turn took. */
const pauseFraction = 0.25;
/** Milliseconds after which idle work counts as abandoned: its platform has ended the request. */
const abandonedMs = 1000;

/** Looked up once, because a fake clock may replace the globals. */
const defer: (then: () => void) => void =
  typeof setImmediate === 'function' ? setImmediate : (then) => setTimeout(then, 0);

/** Does the next piece of the work. Returns true when all of it is done. */
type Step = () => boolean;

/** The work under way, when a turn last ended, and when the next turn may begin. */
let current: Step | null = null;
let lastTurnAt = -Infinity;
let freeAt = -Infinity;

/** Resolves after all other work of the process has had a turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => defer(resolve));
}

/**
 * Runs long work step by step, for some milliseconds in each turn of the event loop. Only one caller
 * works at a time, so that the memory for it is needed once. The others wait with timers of their
 * own, because some platforms do not let one request wake another.
 */
export async function inTurns(step: Step): Promise<void> {
  do {
    do await nextTurn();
    while (!isFree(step));
  } while (!takeTurn(step));
}

/**
 * Like `inTurns`, but starts at once if no other work is under way or has just had a turn. Returns
 * null if the first turn completed the work.
 */
export function nowOrInTurns(step: Step): Promise<void> | null {
  return isFree(step) && takeTurn(step) ? null : inTurns(step);
}

function isFree(step: Step): boolean {
  const now = performance.now();
  if (current === null || current === step) return now >= freeAt;
  return now - lastTurnAt > abandonedMs;
}

/** Returns true when the work is done. */
function takeTurn(step: Step): boolean {
  const beganAt = performance.now();
  let hasMore = false;
  current = step;
  try {
    while (!step()) {
      hasMore = performance.now() >= beganAt + turnMs;
      if (hasMore) return false;
    }
    return true;
  } finally {
    lastTurnAt = performance.now();
    freeAt = lastTurnAt + (lastTurnAt - beganAt) * pauseFraction;
    if (!hasMore) current = null;
  }
}
