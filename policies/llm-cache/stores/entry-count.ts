/** How many entries there are, and about how many bytes they take. */
export interface Counted {
  readonly entries: number;
  readonly bytes: number;
}

const freshMs = 30_000;
/** A count that takes long is made seldom: at most a hundredth of the time is spent on it. */
const restFactor = 100;

/** A count that takes a while, made in the background when it is asked for and the last one is old. */
export class EntryCount {
  readonly #count: (signal: AbortSignal) => Promise<Counted>;
  readonly #now: () => number;
  #latest: Counted | null = null;
  #nextAt = 0;
  #counting: AbortController | null = null;

  /** `count` is to reject when it is aborted; `now` a clock that is never set. */
  constructor(
    count: (signal: AbortSignal) => Promise<Counted>,
    now: () => number = () => performance.now(),
  ) {
    this.#count = count;
    this.#now = now;
  }

  /** The newest count that there is; null before the first has ended, and after one that failed. */
  latest(): Counted | null {
    if (this.#counting === null && this.#now() >= this.#nextAt) void this.#again();
    return this.#latest;
  }

  /** Ends the count that is under way, if there is one. */
  stop(): void {
    this.#counting?.abort();
  }

  async #again(): Promise<void> {
    const counting = new AbortController();
    this.#counting = counting;
    const startedAt = this.#now();
    try {
      this.#latest = await this.#count(counting.signal);
    } catch {
      // The counting itself says what is wrong.
      this.#latest = null;
    }
    const endedAt = this.#now();
    this.#nextAt = endedAt + Math.max(freshMs, (endedAt - startedAt) * restFactor);
    this.#counting = null;
  }
}
