/** The number of entries in a store, and roughly their bytes. */
export interface Counted {
  readonly entries: number;
  readonly bytes: number;
}

const freshMs = 30_000;
/** A slow count is repeated less often, so that counting takes at most a hundredth of the time. */
const restFactor = 100;

/** Counts entries in the background, when the count is requested and the last one is old. */
export class EntryCount {
  readonly #count: (signal: AbortSignal) => Promise<Counted>;
  readonly #now: () => number;
  #latest: Counted | null = null;
  #nextAt = 0;
  #counting: AbortController | null = null;

  /** `count` must reject when it is aborted. `now` must be a monotonic clock, in milliseconds. */
  constructor(
    count: (signal: AbortSignal) => Promise<Counted>,
    now: () => number = () => performance.now(),
  ) {
    this.#count = count;
    this.#now = now;
  }

  /** Returns the newest count, or null before the first has ended and after a failed one. */
  latest(): Counted | null {
    if (this.#counting === null && this.#now() >= this.#nextAt) void this.#recount();
    return this.#latest;
  }

  /** Aborts the count under way, if any. */
  stop(): void {
    this.#counting?.abort();
  }

  async #recount(): Promise<void> {
    const counting = new AbortController();
    this.#counting = counting;
    const startedAt = this.#now();
    try {
      this.#latest = await this.#count(counting.signal);
    } catch {
      // The count itself has logged the error.
      this.#latest = null;
    }
    const endedAt = this.#now();
    this.#nextAt = endedAt + Math.max(freshMs, (endedAt - startedAt) * restFactor);
    this.#counting = null;
  }
}
