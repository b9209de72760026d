/**
 * What Redis's clock shows. Between its answers this gateway's running clock counts on, so that one
 * that is wrong, or is set, moves nothing. Until the first answer the machine's own stands for it.
 */
export class RedisTime {
  readonly #running: () => number;
  #shown: number;
  #shownAt: number;

  constructor(guess: number, running: () => number) {
    this.#running = running;
    this.#shown = guess;
    this.#shownAt = running();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#shown + this.#running() - this.#shownAt;
  }

  /** Redis's clock shows `time`. Returns how many milliseconds that is ahead of what was thought. */
  show(time: number): number {
    const ahead = time - this.now();
    this.#shown = time;
    this.#shownAt = this.#running();
    return ahead;
  }
}
