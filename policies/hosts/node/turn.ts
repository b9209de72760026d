import process from 'node:process';

/** Steps that run one right after the other. They must not throw. */
class Batch {
  readonly #schedule: (run: () => void) => void;
  #steps: (() => void)[] = [];

  constructor(schedule: (run: () => void) => void) {
    this.#schedule = schedule;
  }

  add(step: () => void): void {
    if (this.#steps.push(step) === 1) this.#schedule(this.run);
  }

  readonly run = (): void => {
    const now = this.#steps;
    this.#steps = [];
    for (const step of now) step();
  };
}

const turn = new Batch((run) => setImmediate(run));
const answers = new Batch((run) => process.nextTick(run));

/**
 * Runs `step` after everything that arrived in this turn of the event loop has been read. All steps
 * run in one batch, so that requests that arrived together are answered together. `step` must not
 * throw.
 */
export function inTurn(step: () => void): void {
  turn.add(step);
}

/**
 * Runs `answer` after the other requests of this turn have been decided, promises included. Each
 * write wakes its reader, so that answers which leave one after the other cost less than answers with
 * work between them. `answer` must not throw.
 */
export function answerTogether(answer: () => void): void {
  answers.add(answer);
}

/** Runs all steps that wait for the end of the turn now. */
export function runTurn(): void {
  turn.run();
}
