import process from 'node:process';

let steps: (() => void)[] = [];
let answers: (() => void)[] = [];

/**
 * Runs `step` after everything that arrived in this turn of the event loop has been read. All steps
 * run in one batch, so that requests that arrived together are answered together. `step` must not
 * throw.
 */
export function inTurn(step: () => void): void {
  if (steps.push(step) === 1) setImmediate(runTurn);
}

/**
 * Runs `answer` after the other requests of this turn have been decided, promises included. Each
 * write wakes its reader, so that answers which leave one after the other cost less than answers with
 * work between them. `answer` must not throw.
 */
export function answerTogether(answer: () => void): void {
  if (answers.push(answer) === 1) process.nextTick(runAnswers);
}

/** Runs all waiting steps now. */
export function runTurn(): void {
  const now = steps;
  steps = [];
  for (const step of now) step();
}

function runAnswers(): void {
  const now = answers;
  answers = [];
  for (const answer of now) answer();
}
