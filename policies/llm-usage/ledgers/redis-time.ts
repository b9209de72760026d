/**
 * Estimates Redis's clock. Between replies of Redis a monotonic clock counts on, so setting the
 * machine's clock has no effect. Until the first reply the machine's clock is the estimate.
 */
export class RedisTime {
  readonly #running: () => number;
  #base: number;
  #baseAt: number;

  constructor(guess: number, running: () => number) {
    this.#running = running;
    this.#base = guess;
    this.#baseAt = running();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#base + this.#running() - this.#baseAt;
  }

  /** Adopts the `time` that Redis reports. Returns by how many milliseconds the estimate was behind. */
  sync(time: number): number {
    const ahead = time - this.now();
    this.#base = time;
    this.#baseAt = this.#running();
    return ahead;
  }
}
