/** A leap by more is doubted, for so long. */
const leapMs = 3_600_000;
const doubtMs = 3_600_000;

/**
 * The machine's clock without its leaps: where it is suddenly an hour off, as after a wrong answer of
 * a time server, time goes on as if nothing had been, until the clock has stood by it for an hour.
 */
export class SteadyClock {
  readonly #set: () => number;
  readonly #running: () => number;
  #time: number;
  #at: number;
  #doubtedSince: number | null = null;

  /** `set` is milliseconds since the epoch, `running` milliseconds by a clock that nothing sets. */
  constructor(set: () => number, running: () => number) {
    this.#set = set;
    this.#running = running;
    this.#time = set();
    this.#at = running();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    const [time, at] = [this.#set(), this.#running()];
    const expected = this.#time + at - this.#at;
    if (Math.abs(time - expected) > leapMs) {
      this.#doubtedSince ??= at;
      if (at - this.#doubtedSince < doubtMs) return expected;
    }
    this.#doubtedSince = null;
    this.#time = time;
    this.#at = at;
    return time;
  }
}
