export interface PollerOptions {
  readonly everyMs: number;
  readonly atMostMs: number;
  readonly task: () => Promise<void>;
  /** Called at every failure, and at the first success after one. */
  readonly changed: (failures: number, error: unknown) => void;
}

/** Repeats a task while the page is visible, and backs off after failures. */
export class Poller {
  readonly #options: PollerOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #failures = 0;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  start(): void {
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.#timer);
      if (!this.#running) void this.#run();
    });
    void this.#run();
  }

  async #run(): Promise<void> {
    if (document.hidden) return;
    const { task, changed, everyMs, atMostMs } = this.#options;
    this.#running = true;
    try {
      await task();
      if (this.#failures > 0) changed((this.#failures = 0), null);
    } catch (error) {
      changed(++this.#failures, error);
    }
    this.#running = false;
    this.#timer = setTimeout(
      () => void this.#run(),
      Math.min(everyMs * 2 ** Math.min(this.#failures, 8), atMostMs),
    );
  }
}
