const failuresToOpen = 3;
const probeMs = 1000;

/** A circuit breaker: it keeps callers from a service that does not answer, and probes it every second. */
export class Breaker {
  readonly #probe: () => Promise<unknown>;
  readonly #changed: (open: boolean, reason: string) => void;
  #failures = 0;
  #open = false;
  #timer: NodeJS.Timeout | null = null;

  /** `probe` rejects while the service does not answer; `changed` is called at each change of state. */
  constructor(probe: () => Promise<unknown>, changed: (open: boolean, reason: string) => void) {
    this.#probe = probe;
    this.#changed = changed;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  succeeded(): void {
    this.#failures = 0;
    if (!this.#open) return;
    this.close();
    this.#changed(false, '');
  }

  failed(reason: string): void {
    this.#failures++;
    if (this.#open || this.#failures < failuresToOpen) return;
    this.#open = true;
    this.#timer = setInterval(() => void this.#runProbe(), probeMs).unref();
    this.#changed(true, reason);
  }

  /** Resets the breaker without calling `changed`. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#open = false;
    this.#failures = 0;
  }

  async #runProbe(): Promise<void> {
    try {
      await this.#probe();
    } catch {
      return; // The breaker stays open until a probe succeeds.
    }
    this.succeeded();
  }
}
