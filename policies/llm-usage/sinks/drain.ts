export interface DrainOptions {
  /** Milliseconds that what arrives is gathered for. */
  readonly gatherMs: number;
  /** Milliseconds from a failure to the next try. */
  readonly retryMs: number;
  /** Hands over what waits now. Rejects where it fails; what is left waits for the next try. */
  readonly handOver: () => Promise<void>;
  /** Whether anything waits. */
  readonly isEmpty: () => boolean;
}

/** Decides when what waits is handed over: a moment after it arrives, one run at a time, and again after a failure. */
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

  /** Something has arrived. */
  schedule(): void {
    this.#after(this.#options.gatherMs);
  }

  /** Tries once: what fails stays and is tried again later. Never rejects. */
  async flush(): Promise<void> {
    // The run under way may have left without the newest arrivals.
    await this.#running;
    await this.#run();
  }

  /** Nothing runs until the next `schedule` or `flush`. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #after(ms: number): void {
    // A run looks for newer arrivals itself when it ends.
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
      // `handOver` has counted and logged it.
      waitMs = retryMs;
    }
    this.#running = null;
    if (!isEmpty()) this.#after(waitMs);
  }
}
