/** A larger deviation counts as a jump. */
const jumpMs = 3_600_000;
/** How long a jump must last before it is believed. */
const doubtMs = 3_600_000;

/**
 * The machine's clock without its jumps. If it suddenly moves by more than an hour, as after a wrong
 * reply from a time server, time continues undisturbed until the jump has lasted for an hour.
 */
export class SteadyClock {
  readonly #wall: () => number;
  readonly #running: () => number;
  #time: number;
  #at: number;
  #doubtedSince: number | null = null;

  /** `wall` returns milliseconds since the epoch, `running` the milliseconds of a monotonic clock. */
  constructor(wall: () => number, running: () => number) {
    this.#wall = wall;
    this.#running = running;
    this.#time = wall();
    this.#at = running();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    const [time, at] = [this.#wall(), this.#running()];
    const expected = this.#time + at - this.#at;
    if (Math.abs(time - expected) > jumpMs) {
      this.#doubtedSince ??= at;
      if (at - this.#doubtedSince < doubtMs) return expected;
    }
    this.#doubtedSince = null;
    this.#time = time;
    this.#at = at;
    return time;
  }
}
