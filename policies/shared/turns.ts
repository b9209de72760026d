/** How long one turn of long work may take, in milliseconds. */
const turnMs = 2.5;
/** After a turn everything else has so much of the time that it took. */
const pausePart = 0.25;
/** Work that has not gone on for so long is taken for abandoned: its platform has ended the request. */
const abandonedMs = 1000;

/** Looked up once: what stands for the clock may change. */
const immediately: (then: () => void) => void =
  typeof setImmediate === 'function' ? setImmediate : (then) => setTimeout(then, 0);

/** Says true when it is done. */
type Step = () => boolean;

/** Whose long work is under way, when it last had a turn, and when the next may begin. */
let current: Step | null = null;
let lastTurnAt = -Infinity;
let freeAt = -Infinity;

/** Resolves when everybody else in the process has had a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => immediately(resolve));
}

/**
 * Does long work step by step: some milliseconds in one turn of the event loop, and one piece of
 * work after the other, so that what it needs meanwhile is needed once. Each waits by a timer of its
 * own: some platforms let no request wake another.
 */
export async function inTurns(step: Step): Promise<void> {
  do {
    do await nextTurn();
    while (!isFree(step));
  } while (!takeTurn(step));
}

/** The same, beginning at once where no other work has just had a turn; null where that was all. */
export function nowOrInTurns(step: Step): Promise<void> | null {
  return isFree(step) && takeTurn(step) ? null : inTurns(step);
}

function isFree(step: Step): boolean {
  const now = performance.now();
  if (current === null || current === step) return now >= freeAt;
  return now - lastTurnAt > abandonedMs;
}

/** True when the work is done. */
function takeTurn(step: Step): boolean {
  const beganAt = performance.now();
  let goesOn = false;
  current = step;
  try {
    while (!step()) {
      goesOn = performance.now() >= beganAt + turnMs;
      if (goesOn) return false;
    }
    return true;
  } finally {
    lastTurnAt = performance.now();
    freeAt = lastTurnAt + (lastTurnAt - beganAt) * pausePart;
    if (!goesOn) current = null;
  }
}
