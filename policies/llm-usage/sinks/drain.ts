export interface DrainOptions {
  /** Milliseconds to gather arrivals before a run. */
  readonly gatherMs: number;
  /** Milliseconds from a failure to the next try. */
  readonly retryMs: number;
  /** Hands over everything that waits now. Rejects on failure; the rest waits for the next try. */
  readonly handOver: () => Promise<void>;
  /** Whether nothing waits. */
  readonly isEmpty: () => boolean;
}

/**
 * Schedules when a queue is handed over: a moment after an arrival, one run at a time, and again
 * after a failure.
 */
export class Drain {
  readonly #options: DrainOptions;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Schedules a run after an arrival. */
  schedule(): void {
    this.#runAfter(this.#options.gatherMs);
  }

  /** Tries once; what fails stays queued and is retried later. Never rejects. */
  async flush(): Promise<void> {
    // The current run may have started without the newest arrivals.
    await this.#running;
    await this.#run();
  }

  /** Cancels the timer: nothing runs until the next `schedule` or `flush`. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #runAfter(ms: number): void {
    // The current run checks for new arrivals when it ends.
    if (this.#running !== null) return;
    this.#timer ??= setTimeout(() => void this.#run(), ms).unref();
  }

  #run(): Promise<void> {
    this.#running ??= this.#runOnce();
    return this.#running;
  }

  async #runOnce(): Promise<void> {
    const { gatherMs, retryMs, handOver, isEmpty } = this.#options;
    this.stop();
    let waitMs = gatherMs;
    try {
      await handOver();
    } catch {
      // `handOver` has counted and logged the failure.
      waitMs = retryMs;
    }
    this.#running = null;
    if (!isEmpty()) this.#runAfter(waitMs);
  }
}
