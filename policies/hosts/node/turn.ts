let steps: (() => void)[] = [];

/**
 * Runs `step` when everything that arrived in this turn of the event loop has been read, in one go
 * with all the others: requests that came together are answered together. `step` must not throw.
 */
export function inTurn(step: () => void): void {
  if (steps.push(step) === 1) setImmediate(runTurn);
}

/** Runs at once what waits for the end of the turn. */
export function runTurn(): void {
  const now = steps;
  steps = [];
  for (const step of now) step();
}
