let steps: (() => void)[] = [];

/**
 * Runs `step` after everything that arrived in this turn of the event loop has been read. All steps
 * run in one batch, so that requests that arrived together are answered together. `step` must not
 * throw.
 */
export function inTurn(step: () => void): void {
  if (steps.push(step) === 1) setImmediate(runTurn);
}

/** Runs all waiting steps now. */
export function runTurn(): void {
  const now = steps;
  steps = [];
  for (const step of now) step();
}
