import type { FaultLog } from '../faults.ts';

/** Work that may wait until everything that arrived in this turn of the event loop has been answered. */
export class Turn {
  readonly #faults: FaultLog;
  #steps: (() => void)[] = [];

  constructor(faults: FaultLog) {
    this.#faults = faults;
  }

  /** Runs `step` with all others of this turn, in order. */
  defer(step: () => void): void {
    if (this.#steps.push(step) === 1) setImmediate(() => this.run());
  }

  /** Runs at once what was deferred. */
  run(): void {
    const steps = this.#steps;
    this.#steps = [];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        this.#faults.report('llm-cache: a deferred step failed', error);
      }
    }
  }
}
